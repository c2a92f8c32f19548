//! Agreement of predictions with measurements.

/// Pearson's correlation; `None` below two pairs or when either side is constant or not finite.
///
/// ```
/// use seqtilt::eval::rank::pearson;
/// assert_eq!(pearson(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]), Some(1.0));
/// ```
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    assert_eq!(a.len(), b.len(), "one value of each per pair");
    if a.len() < 2 {
        return None;
    }
    let n = a.len() as f64;
    let (mean_a, mean_b) = (a.iter().sum::<f64>() / n, b.iter().sum::<f64>() / n);
    let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b) {
        let (x, y) = (x - mean_a, y - mean_b);
        aa += x * x;
        bb += y * y;
        ab += x * y;
    }
    let scale = (aa * bb).sqrt();
    (scale > 0.0 && scale.is_finite()).then(|| (ab / scale).clamp(-1.0, 1.0))
}

/// Spearman's rank correlation, with the mean rank for ties; `None` as [`pearson`].
///
/// ```
/// use seqtilt::eval::rank::spearman;
/// assert_eq!(spearman(&[1.0, 2.0, 3.0], &[1.0, 100.0, 101.0]), Some(1.0));
/// ```
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    assert_eq!(a.len(), b.len(), "one value of each per pair");
    if a.iter().chain(b).any(|x| x.is_nan()) {
        return None;
    }
    pearson(&ranks(a), &ranks(b))
}

/// Ranks from 1, ties sharing their mean rank.
#[must_use]
pub fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|i, j| values[*i].total_cmp(&values[*j]));
    let mut ranks = vec![0.0; values.len()];
    let mut before = 0.0;
    for tie in order.chunk_by(|i, j| values[*i] == values[*j]) {
        let n = tie.len() as f64;
        for index in tie {
            ranks[*index] = before + f64::midpoint(n, 1.0);
        }
        before += n;
    }
    ranks
}

/// Root of the mean squared difference; `None` without pairs.
///
/// # Panics
/// If the lengths differ.
#[must_use]
pub fn rmse(predicted: &[f64], truth: &[f64]) -> Option<f64> {
    assert_eq!(predicted.len(), truth.len(), "one prediction per truth");
    let squares: f64 = predicted.iter().zip(truth).map(|(p, t)| (p - t) * (p - t)).sum();
    (!predicted.is_empty()).then(|| (squares / predicted.len() as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn correlations_follow_textbook_values_and_signs() {
        // scipy.stats.spearmanr([1, 2, 2, 4, 5], [5, 6, 7, 8, 7]) = 0.7632 (ranks 1, 2.5, 2.5, 4, 5 and 1, 2, 3.5, 5, 3.5)
        let (a, b) = ([1.0, 2.0, 2.0, 4.0, 5.0], [5.0, 6.0, 7.0, 8.0, 7.0]);
        assert_eq!(ranks(&b), [1.0, 2.0, 3.5, 5.0, 3.5]);
        let rank_products = 1.0 + 5.0 + 8.75 + 20.0 + 17.5 - 45.0;
        let want = rank_products / 9.5;
        assert!((spearman(&a, &b).unwrap() - want).abs() < 1e-12);
        let minus: Vec<f64> = b.iter().map(|x| -x).collect();
        assert!((spearman(&a, &minus).unwrap() + want).abs() < 1e-12);
        assert_eq!(pearson(&a, &[1.0; 5]), None);
        assert_eq!(pearson(&a[..1], &b[..1]), None);
        assert_eq!(spearman(&[1.0, f64::NAN], &[1.0, 2.0]), None);
        assert_eq!(rmse(&[1.0, 3.0], &[1.0, 1.0]), Some(2.0_f64.sqrt()));
    }
}
