//! Whether predicted intervals hold what they promise.

use super::Estimate;
use serde::{Deserialize, Serialize};

/// How often intervals held the truth.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// The share that was promised.
    pub nominal: f64,
    /// The share that was seen, with the standard error √(nominal (1 − nominal) / n) of honest intervals.
    pub observed: Estimate,
    /// Mean half-width of the intervals, in the units of the value.
    pub half_width: f64,
}

/// Coverage of the central intervals of Gaussian predictions; `None` without predictions.
///
/// ```
/// use seqtilt::eval::calibration::coverage;
/// let c = coverage(&[0.0, 0.0], &[1.0, 1.0], &[0.5, 3.0], 0.9).map(|c| (c.observed.value, c.half_width));
/// assert!(c.is_some_and(|(share, width)| share == 0.5 && (width - 1.6449).abs() < 1e-4));
/// ```
///
/// # Panics
/// If lengths differ or `nominal` is not inside 0..1.
#[must_use]
pub fn coverage(mean: &[f64], sd: &[f64], truth: &[f64], nominal: f64) -> Option<Coverage> {
    assert!(mean.len() == sd.len() && mean.len() == truth.len(), "one mean, sd and truth each");
    assert!(nominal > 0.0 && nominal < 1.0, "coverage {nominal} is not inside 0..1");
    if mean.is_empty() {
        return None;
    }
    let z = normal_quantile(0.5 + 0.5 * nominal);
    let n = mean.len() as f64;
    let held = mean.iter().zip(sd).zip(truth).filter(|((m, s), t)| (*t - *m).abs() <= z * *s).count();
    Some(Coverage {
        nominal,
        observed: Estimate { value: held as f64 / n, se: (nominal * (1.0 - nominal) / n).sqrt() },
        half_width: z * sd.iter().sum::<f64>() / n,
    })
}

const CENTRE_TOP: [f64; 6] = [
    -3.969_683_028_665_376e1,
    2.209_460_984_245_205e2,
    -2.759_285_104_469_687e2,
    1.383_577_518_672_69e2,
    -3.066_479_806_614_716e1,
    2.506_628_277_459_239,
];
const CENTRE_BOTTOM: [f64; 6] = [
    -5.447_609_879_822_406e1,
    1.615_858_368_580_409e2,
    -1.556_989_798_598_866e2,
    6.680_131_188_771_972e1,
    -1.328_068_155_288_572e1,
    1.0,
];
const TAIL_TOP: [f64; 6] = [
    -7.784_894_002_430_293e-3,
    -3.223_964_580_411_365e-1,
    -2.400_758_277_161_838,
    -2.549_732_539_343_734,
    4.374_664_141_464_968,
    2.938_163_982_698_783,
];
const TAIL_BOTTOM: [f64; 5] =
    [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416, 1.0];

/// The standard normal quantile of a probability inside 0..1, to about 10⁻⁹ relative (Acklam's rational approximation).
///
/// # Panics
/// If `p` is not inside 0..1.
#[must_use]
pub fn normal_quantile(p: f64) -> f64 {
    assert!(p > 0.0 && p < 1.0, "probability {p} is not inside 0..1");
    let poly = |coefficients: &[f64], x: f64| coefficients.iter().fold(0.0, |sum, c| sum * x + c);
    let tail = |p: f64| {
        let q = (-2.0 * p.ln()).sqrt();
        poly(&TAIL_TOP, q) / poly(&TAIL_BOTTOM, q)
    };
    if p < 0.02425 {
        tail(p)
    } else if p > 1.0 - 0.02425 {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        q * poly(&CENTRE_TOP, q * q) / poly(&CENTRE_BOTTOM, q * q)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    #[test]
    fn normal_quantiles_match_the_tables() {
        for (p, want) in [
            (0.5, 0.0),
            (0.841_344_746_068_542_9, 1.0),
            (0.975, 1.959_963_984_540_054),
            (0.999, 3.090_232_306_167_813),
            (0.01, -2.326_347_874_040_841),
        ] {
            // Acklam's stated relative error is 1.15e-9
            assert!((normal_quantile(p) - want).abs() < 4e-9, "{p}: {}", normal_quantile(p));
        }
    }

    #[test]
    fn honest_intervals_cover_and_narrow_ones_do_not() {
        let mut rng = Seed::root(51).rng();
        let truth: Vec<f64> = (0..4_000).map(|_| 2.0 * rng.normal()).collect();
        let mean = vec![0.0; 4_000];
        let honest = coverage(&mean, &vec![2.0; 4_000], &truth, 0.8).unwrap();
        assert!(honest.observed.z(0.8).abs() < 3.0, "{honest:?}");
        let narrow = coverage(&mean, &vec![1.0; 4_000], &truth, 0.8).unwrap();
        assert!(narrow.observed.z(0.8) < -10.0, "{narrow:?}");
        assert_eq!(coverage(&[], &[], &[], 0.5), None);
    }
}
