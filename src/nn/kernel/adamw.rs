//! The update of AdamW in one pass.

use super::simd::dispatch;

/// The scalars of one update.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    /// Multiplies the gradient.
    pub(crate) clip: f64,
    /// Decay of the first moment.
    pub(crate) beta1: f64,
    /// Decay of the second moment.
    pub(crate) beta2: f64,
    /// Learning rate over the first moment's bias.
    pub(crate) rate: f64,
    /// One over the root of the second moment's bias.
    pub(crate) root_correction: f64,
    /// Added to the root of the second moment.
    pub(crate) eps: f64,
    /// Multiplies the weight.
    pub(crate) keep: f64,
}

dispatch!(
    /// Updates weights and moments in place.
    update => update_body(w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], rates: Rates)
);

/// Updates weights and moments in place.
pub(crate) fn adamw(w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], rates: Rates) {
    update(w, m, v, g, rates);
}

#[inline(always)]
fn update_body<const F: bool>(w: &mut [f32], m: &mut [f32], v: &mut [f32], g: &[f32], rates: Rates) {
    let Rates { clip, beta1, beta2, rate, root_correction, eps, keep } = rates;
    let (c1, c2) = ((1.0 - beta1) as f32, (1.0 - beta2) as f32);
    let [clip, b1, b2, rate, correction, eps, keep] =
        [clip, beta1, beta2, rate, root_correction, eps, keep].map(|x| x as f32);
    for (((w, g), m), v) in w.iter_mut().zip(g).zip(m).zip(v) {
        let g = g * clip;
        *m = b1 * *m + c1 * g;
        *v = b2 * *v + c2 * g * g;
        *w = keep * *w - rate * *m / (v.sqrt() * correction + eps);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check;
    use crate::random::Seed;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(check::cases())]

        #[test]
        fn it_agrees_with_the_equations_in_f64(
            count in 0_usize..70, (clip, beta1, beta2) in (0.1_f64..1.0, 0.5_f64..0.99, 0.5_f64..0.999),
            (rate, keep, seed) in (1e-4_f64..0.1, 0.9_f64..1.0, 0_u64..1000),
        ) {
            let mut rng = Seed::root(seed).rng();
            let mut numbers = || -> Vec<f32> { (0..count).map(|_| rng.normal() as f32).collect() };
            let (mut w, mut m, mut v, g) = (numbers(), numbers(), numbers(), numbers());
            for v in &mut v {
                *v = v.abs();
            }
            let rates = Rates { clip, beta1, beta2, rate, root_correction: 1.1, eps: 1e-8, keep };
            let before = (w.clone(), m.clone(), v.clone());
            adamw(&mut w, &mut m, &mut v, &g, rates);
            for n in 0..count {
                let [old_w, old_m, old_v, g] = [before.0[n], before.1[n], before.2[n], g[n]].map(f64::from);
                let new_m = beta1 * old_m + (1.0 - beta1) * clip * g;
                let new_v = beta2 * old_v + (1.0 - beta2) * (clip * g).powi(2);
                let new_w = keep * old_w - rate * new_m / (new_v.sqrt() * 1.1 + 1e-8);
                for (got, want) in [(w[n], new_w), (m[n], new_m), (v[n], new_v)] {
                    prop_assert!((f64::from(got) - want).abs() < 1e-5 * want.abs().max(1.0), "{got} {want}");
                }
            }
        }
    }
}
