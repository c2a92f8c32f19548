//! Quantiles and summaries of samples.

use super::Estimate;
use serde::{Deserialize, Serialize};

/// The quantile of a sample at `level` in 0..=1, by linear interpolation between order statistics, as numpy's default.
///
/// ```text
/// h = (n − 1) level      x₍⌊h⌋₎ + (h − ⌊h⌋)(x₍⌊h⌋+1₎ − x₍⌊h⌋₎)      (Hyndman and Fan 1996, definition 7)
/// ```
///
/// `None` of an empty sample or one with NaN.
///
/// ```
/// use seqtilt::eval::quantile::quantile;
/// assert_eq!(quantile(&[4.0, 1.0, 3.0, 2.0], 0.25), Some(1.75));
/// ```
#[must_use]
pub fn quantile(samples: &[f64], level: f64) -> Option<f64> {
    let sorted = sorted(samples)?;
    Some(of_sorted(&sorted, level))
}

/// Several quantiles at once; `None` of an empty sample or one with NaN.
#[must_use]
pub fn quantiles(samples: &[f64], levels: &[f64]) -> Option<Vec<f64>> {
    let sorted = sorted(samples)?;
    Some(levels.iter().map(|level| of_sorted(&sorted, *level)).collect())
}

/// A sample in a few numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Number of samples.
    pub n: usize,
    /// Mean with its standard error.
    pub mean: Estimate,
    /// Standard deviation (divisor n − 1); 0 of one sample.
    pub sd: f64,
    /// Least.
    pub min: f64,
    /// First quartile.
    pub q25: f64,
    /// Median.
    pub median: f64,
    /// Third quartile.
    pub q75: f64,
    /// Greatest.
    pub max: f64,
}

impl Summary {
    /// The summary of a sample; `None` of an empty sample or one with NaN.
    #[must_use]
    pub fn of(samples: &[f64]) -> Option<Self> {
        let sorted = sorted(samples)?;
        let mean = Estimate::mean(&sorted);
        let at = |level| of_sorted(&sorted, level);
        let n = sorted.len();
        let sd = if n < 2 { 0.0 } else { mean.se * (n as f64).sqrt() };
        Some(Self { n, mean, sd, min: at(0.0), q25: at(0.25), median: at(0.5), q75: at(0.75), max: at(1.0) })
    }
}

/// The mean of the `k` greatest values; of all when there are fewer. `None` of an empty sample, one with NaN, or k = 0.
#[must_use]
pub fn top_mean(samples: &[f64], k: usize) -> Option<f64> {
    let sorted = sorted(samples)?;
    let top = &sorted[sorted.len() - k.min(sorted.len())..];
    (!top.is_empty()).then(|| top.iter().sum::<f64>() / top.len() as f64)
}

fn sorted(samples: &[f64]) -> Option<Vec<f64>> {
    if samples.is_empty() || samples.iter().any(|x| x.is_nan()) {
        return None;
    }
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    Some(sorted)
}

fn of_sorted(sorted: &[f64], level: f64) -> f64 {
    let place = (sorted.len() - 1) as f64 * level.clamp(0.0, 1.0);
    let low = place.floor() as usize;
    let high = (low + 1).min(sorted.len() - 1);
    match place - low as f64 {
        0.0 => sorted[low],
        share => sorted[low] + share * (sorted[high] - sorted[low]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_numpys() {
        // numpy.quantile([3, 1, 4, 1, 5, 9, 2, 6], [0, .1, .5, .9, 1])
        let found = quantiles(&[3.0, 1.0, 4.0, 1.0, 5.0, 9.0, 2.0, 6.0], &[0.0, 0.1, 0.5, 0.9, 1.0]).unwrap();
        for (got, want) in found.iter().zip([1.0, 1.0, 3.5, 6.9, 9.0]) {
            assert!((got - want).abs() < 1e-12, "{got} against {want}");
        }
        assert_eq!(quantile(&[2.0], 0.3), Some(2.0));
        assert_eq!(quantile(&[], 0.3), None);
        assert_eq!(quantile(&[1.0, f64::NAN], 0.3), None);
    }

    #[test]
    fn a_summary_and_the_top_mean_hold_the_textbook_numbers() {
        let summary = Summary::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!((summary.n, summary.mean.value, summary.median, summary.max), (8, 5.0, 4.5, 9.0));
        assert!((summary.sd - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!(top_mean(&[1.0, 5.0, 3.0], 2), Some(4.0));
        assert_eq!(top_mean(&[1.0, 5.0, 3.0], 9), Some(3.0));
        assert_eq!(top_mean(&[1.0], 0), None);
    }
}
