//! How good a reward is on sequences that it has not seen.

use super::Prediction;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Half-width of a 90 % interval of a normal distribution, in standard deviations.
const NINETY: f64 = 1.644_853_626_951_472_2;

/// Figures on held-out sequences.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// Sequences.
    pub n: usize,
    /// Rank correlation of predictions and values, ties at their mean rank; `None` where one of the two is constant.
    pub spearman: Option<f64>,
    /// Root of the mean squared error.
    pub rmse: f64,
    /// The share of values within mean ± 1.645 sd: 0.9 where the spread of the members is all there is to be wrong
    /// about; less means over-confidence. `None` without a spread.
    pub coverage: Option<f64>,
    /// The mean sd of the predictions.
    pub mean_sd: Option<f64>,
    /// The same by least Hamming distance to the training set.
    pub by_distance: Vec<AtDistance>,
    /// The same by Hamming distance to the consensus of variants of one molecule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by_changes: Vec<AtDistance>,
}

/// Figures at one distance from something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AtDistance {
    /// Letters that differ.
    pub distance: usize,
    /// Sequences at this distance.
    pub n: usize,
    /// Their rank correlation.
    pub spearman: Option<f64>,
    /// Their error.
    pub rmse: f64,
}

/// Figures of predictions against values, nothing by distances.
///
/// ```
/// use seqtilt::reward::{Prediction, held_out};
/// let sure = |mean| Prediction { mean, sd: Some(0.1) };
/// let figures = held_out(&[sure(0.0), sure(1.0), sure(2.0)], &[0.1, 1.0, 5.0])?;
/// assert_eq!((figures.spearman, figures.coverage), (Some(1.0), Some(2.0 / 3.0)));
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Errors
/// When the numbers of items differ or there are none.
pub fn held_out(predictions: &[Prediction], values: &[f64]) -> Result<HeldOut> {
    let n = values.len();
    if predictions.len() != n || n == 0 {
        let got = predictions.len();
        return Err(Error::data(format!("{got} predictions and {n} values; the same number is needed, at least 1")));
    }
    let means: Vec<f64> = predictions.iter().map(|prediction| prediction.mean).collect();
    let spreads: Option<Vec<f64>> = predictions.iter().map(|prediction| prediction.sd).collect();
    let coverage = spreads.as_ref().map(|spreads| {
        let inside = (0..n).filter(|index| (values[*index] - means[*index]).abs() <= NINETY * spreads[*index]);
        inside.count() as f64 / n as f64
    });
    Ok(HeldOut {
        n,
        spearman: spearman(&means, values),
        rmse: rmse(&means, values),
        coverage,
        mean_sd: spreads.map(|spreads| spreads.iter().sum::<f64>() / n as f64),
        by_distance: Vec::new(),
        by_changes: Vec::new(),
    })
}

/// Figures of the predictions at each of their distances, in order of those.
#[must_use]
pub fn at_distances(predictions: &[Prediction], values: &[f64], distances: &[usize]) -> Vec<AtDistance> {
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, distance) in distances.iter().enumerate() {
        groups.entry(*distance).or_default().push(index);
    }
    let figures = |(distance, group): (usize, Vec<usize>)| {
        let means: Vec<f64> = group.iter().map(|index| predictions[*index].mean).collect();
        let values: Vec<f64> = group.iter().map(|index| values[*index]).collect();
        AtDistance { distance, n: group.len(), spearman: spearman(&means, &values), rmse: rmse(&means, &values) }
    };
    groups.into_iter().map(figures).collect()
}

fn rmse(a: &[f64], b: &[f64]) -> f64 {
    (a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / a.len() as f64).sqrt()
}

/// Correlation of the ranks, ties at their mean rank.
fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| (x - mean) * (y - mean)).sum::<f64>();
    let scale = (product(&a, &a) * product(&b, &b)).sqrt();
    (scale > 0.0).then(|| product(&a, &b) / scale)
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0.0;
    for tied in order.chunk_by(|a, b| values[*a] == values[*b]) {
        for index in tied {
            ranks[*index] = before + (tied.len() as f64 - 1.0) / 2.0;
        }
        before += tied.len() as f64;
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_share_their_mean_rank() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [2.5, 0.0, 2.5, 1.0]);
        // ranks (0, 1.5, 1.5, 3) against (0, 1, 2, 3): 4.5 / √(4.5 · 5)
        let got = spearman(&[1.0, 2.0, 2.0, 3.0], &[0.0, 1.0, 2.0, 3.0]).unwrap();
        assert!((got - 4.5 / 22.5_f64.sqrt()).abs() < 1e-12, "{got}");
        assert_eq!(spearman(&[1.0, 1.0], &[0.0, 1.0]), None);
        assert_eq!(spearman(&[1.0, 2.0, 4.0], &[0.0, -1.0, -2.0]), Some(-1.0));
    }

    #[test]
    fn figures_are_also_given_by_distance() {
        let prediction = |mean| Prediction { mean, sd: None };
        let predictions = [prediction(0.0), prediction(1.0), prediction(2.0)];
        let figures = held_out(&predictions, &[0.0, 1.0, 4.0]).unwrap();
        assert_eq!((figures.coverage, figures.mean_sd), (None, None));
        let by_distance = at_distances(&predictions, &[0.0, 1.0, 4.0], &[1, 1, 2]);
        assert_eq!(by_distance[0], AtDistance { distance: 1, n: 2, spearman: Some(1.0), rmse: 0.0 });
        assert_eq!(by_distance[1], AtDistance { distance: 2, n: 1, spearman: None, rmse: 2.0 });
        assert!(held_out(&predictions, &[0.0]).is_err());
    }
}
