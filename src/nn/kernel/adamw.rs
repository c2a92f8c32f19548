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
