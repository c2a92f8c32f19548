//! Dense symmetric systems in f64, by blocks, so that nearly all the work is products of matrices.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};

/// Columns factored at a time.
const BLOCK: usize = 64;

/// The lower factor of A = LLᵀ; `None` where A is not positive definite to rounding. Reads the lower half only.
///
/// # Cost
/// n³/3 multiply-adds.
pub(crate) fn cholesky(mut a: Array2<f64>) -> Option<Array2<f64>> {
    let n = a.nrows();
    for start in (0..n).step_by(BLOCK) {
        let width = BLOCK.min(n - start);
        let (left, mut right) = a.view_mut().split_at(Axis(1), start);
        let mut panel = right.slice_mut(s![start.., ..width]);
        let done = left.slice(s![start.., ..]);
        general_mat_mul(-1.0, &done, &done.slice(s![..width, ..]).t(), 1.0, &mut panel);
        let (mut corner, mut below) = panel.split_at(Axis(0), width);
        factor(&mut corner)?;
        let inverse = invert(&corner.view());
        let solved = below.dot(&inverse.t());
        below.assign(&solved);
        right.slice_mut(s![..start, ..width]).fill(0.0);
    }
    Some(a)
}

/// The same of a small matrix, number by number.
fn factor(a: &mut ArrayViewMut2<'_, f64>) -> Option<()> {
    for column in 0..a.nrows() {
        for row in column..a.nrows() {
            let known: f64 = (0..column).map(|k| a[[row, k]] * a[[column, k]]).sum();
            let left = a[[row, column]] - known;
            if row == column {
                if !(left > 0.0 && left.is_finite()) {
                    return None;
                }
                a[[row, column]] = left.sqrt();
            } else {
                a[[row, column]] = left / a[[column, column]];
                a[[column, row]] = 0.0;
            }
        }
    }
    Some(())
}

/// The inverse of a small lower triangle.
fn invert(l: &ArrayView2<'_, f64>) -> Array2<f64> {
    let n = l.nrows();
    let mut inverse = Array2::zeros((n, n));
    for column in 0..n {
        inverse[[column, column]] = 1.0 / l[[column, column]];
        for row in column + 1..n {
            let known: f64 = (column..row).map(|k| l[[row, k]] * inverse[[k, column]]).sum();
            inverse[[row, column]] = -known / l[[row, row]];
        }
    }
    inverse
}

/// W = L⁻¹ of a lower triangle.
///
/// # Cost
/// n³/3 multiply-adds.
pub(crate) fn invert_lower(l: &Array2<f64>) -> Array2<f64> {
    let n = l.nrows();
    let mut inverse = Array2::zeros((n, n));
    for start in (0..n).step_by(BLOCK) {
        let end = n.min(start + BLOCK);
        let corner = invert(&l.slice(s![start..end, start..end]));
        let known = l.slice(s![start..end, ..start]).dot(&inverse.slice(s![..start, ..start]));
        general_mat_mul(-1.0, &corner, &known, 0.0, &mut inverse.slice_mut(s![start..end, ..start]));
        inverse.slice_mut(s![start..end, start..end]).assign(&corner);
    }
    inverse
}

/// |W k|² for every row k, W a lower triangle: what the data take off the variance.
///
/// # Cost
/// n²/2 multiply-adds for a row.
pub(super) fn squares(w: &Array2<f64>, rows: &Array2<f64>) -> Vec<f64> {
    let (n, width) = (w.nrows(), 4 * BLOCK);
    let mut sums = vec![0.0; rows.nrows()];
    for start in (0..n).step_by(width) {
        let end = n.min(start + width);
        let part = rows.slice(s![.., ..end]).dot(&w.slice(s![start..end, ..end]).t());
        for (sum, row) in sums.iter_mut().zip(part.rows()) {
            *sum += row.dot(&row);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    /// A matrix with eigenvalues of 1 and more.
    fn positive(n: usize) -> Array2<f64> {
        let mut rng = Seed::root(3).rng();
        let x = Array2::from_shape_simple_fn((n, n), || rng.normal());
        x.dot(&x.t()) / n as f64 + Array2::<f64>::eye(n)
    }

    #[test]
    fn factor_and_inverse_give_the_matrix_back_whatever_the_block() {
        // condition below 10: rounding stays within a few hundred units of 1e-16
        for n in [1, 5, 63, 64, 65, 150] {
            let a = positive(n);
            let l = cholesky(a.clone()).unwrap();
            let error = (l.dot(&l.t()) - &a).mapv(f64::abs).into_iter().fold(0.0, f64::max);
            assert!(error < 1e-12, "{n}: {error}");
            let w = invert_lower(&l);
            let error = (w.dot(&l) - Array2::<f64>::eye(n)).mapv(f64::abs).into_iter().fold(0.0, f64::max);
            assert!(error < 1e-12, "{n}: {error}");
            let direct = a.dot(&w.t().dot(&w.dot(&a)));
            for (row, square) in squares(&w, &a).into_iter().enumerate() {
                assert!((square - direct[[row, row]]).abs() < 1e-10, "{square}");
            }
        }
    }

    #[test]
    fn a_matrix_that_is_not_positive_has_no_factor() {
        let mut a = positive(80);
        a[[70, 70]] = -1.0;
        assert!(cholesky(a).is_none());
    }
}
