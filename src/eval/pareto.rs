//! Trade-offs between several values.

/// The layer of every point, 0 for the Pareto front: what no other point beats in one value without losing in another, higher being
/// better; then the front of the rest, and so on. Points without a number in some value (NaN) come after all others.
///
/// Non-dominated sorting, Deb et al. 2002 (IEEE Trans. Evol. Comput. 6, 182–197).
///
/// ```
/// use seqtilt::eval::pareto::layers;
/// let points = [vec![1.0, 3.0], vec![2.0, 2.0], vec![1.0, 2.0], vec![3.0, 1.0], vec![0.0, 0.0]];
/// assert_eq!(layers(&points), [0, 0, 1, 0, 2]);
/// ```
///
/// # Cost
/// O(n² m) for n points of m values.
#[must_use]
pub fn layers(points: &[Vec<f64>]) -> Vec<usize> {
    let whole = |point: &Vec<f64>| point.iter().all(|value| !value.is_nan());
    let mut layer = vec![usize::MAX; points.len()];
    let mut left: Vec<usize> = (0..points.len()).filter(|index| whole(&points[*index])).collect();
    let mut number = 0;
    while !left.is_empty() {
        let beaten = |index: &usize| left.iter().any(|other| dominates(&points[*other], &points[*index]));
        let (rest, front): (Vec<usize>, Vec<usize>) = left.iter().partition(|index| beaten(index));
        for index in front {
            layer[index] = number;
        }
        left = rest;
        number += 1;
    }
    layer.into_iter().map(|found| found.min(number)).collect()
}

/// Whether `a` is at least as good as `b` in every value, and better in one.
#[must_use]
pub fn dominates(a: &[f64], b: &[f64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a >= b) && a.iter().zip(b).any(|(a, b)| a > b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_share_a_layer_and_what_is_unknown_comes_last() {
        let points = [vec![1.0, 1.0], vec![1.0, 1.0], vec![f64::NAN, 9.0], vec![0.0, 2.0], vec![0.5, 0.5]];
        assert_eq!(layers(&points), [0, 0, 2, 0, 1]);
        assert_eq!(layers(&[]), [0_usize; 0]);
        assert!(!dominates(&[1.0, 0.0], &[0.0, 1.0]) && dominates(&[1.0, 1.0], &[0.0, 1.0]));
    }
}
