//! Eigenvectors of a symmetric matrix.

use crate::error::{Error, Result};
use ndarray::{Array1, Array2, s};

/// Sweeps after which the matrix is given up; a handful do.
const SWEEPS: usize = 60;

/// Eigenvalues of a symmetric matrix, and its eigenvectors as the rows of `vectors`, which come in as a first guess: any
/// orthogonal matrix, such as the vectors of a matrix that was much the same.
///
/// Cyclic Jacobi rotations (Golub and Van Loan, section 8.5), which find small eigenvalues of positive definite matrices to
/// full relative accuracy.
///
/// # Errors
/// When the rotations do not settle, as with NaN.
///
/// # Cost
/// O(n³) a sweep; two or three from a good guess, six to ten from none.
pub(super) fn eigen(matrix: &Array2<f64>, vectors: &mut Array2<f64>) -> Result<Array1<f64>> {
    let n = matrix.nrows();
    let mut a = vectors.dot(matrix).dot(&vectors.t());
    for _ in 0..SWEEPS {
        let mut rotated = false;
        for p in 0..n {
            for q in p + 1..n {
                let (pp, qq, pq) = (a[[p, p]], a[[q, q]], f64::midpoint(a[[p, q]], a[[q, p]]));
                if pq.abs() <= f64::EPSILON * (pp.abs() * qq.abs()).sqrt() {
                    continue;
                }
                rotated = true;
                let theta = (qq - pp) / (2.0 * pq);
                let t = theta.signum() / (theta.abs() + theta.hypot(1.0));
                let c = 1.0 / t.hypot(1.0);
                rotate_rows(&mut a, p, q, (c, t * c));
                rotate_rows(vectors, p, q, (c, t * c));
                for k in 0..n {
                    let (x, y) = (a[[k, p]], a[[k, q]]);
                    a[[k, p]] = c * x - t * c * y;
                    a[[k, q]] = t * c * x + c * y;
                }
            }
        }
        if !rotated {
            return Ok(a.diag().to_owned());
        }
    }
    Err(Error::data(format!("a covariance has no eigenvectors after {SWEEPS} sweeps of rotations")))
}

fn rotate_rows(matrix: &mut Array2<f64>, p: usize, q: usize, (c, s): (f64, f64)) {
    let (mut above, mut below) = matrix.multi_slice_mut((s![p, ..], s![q, ..]));
    for (x, y) in above.iter_mut().zip(below.iter_mut()) {
        (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    #[test]
    fn vectors_and_values_give_the_matrix_back_whatever_the_guess() {
        let n = 12;
        let mut rng = Seed::root(6).rng();
        let mut root = Array2::<f64>::zeros((n, n));
        root.mapv_inplace(|_| rng.normal());
        // eigenvalues over twelve orders of magnitude
        for (i, mut row) in (0..).zip(root.rows_mut()) {
            row *= 10_f64.powi(i / 2 - 5);
        }
        let matrix = root.t().dot(&root);
        let mut vectors = Array2::eye(n);
        let values = eigen(&matrix, &mut vectors).unwrap();
        let check = |matrix: &Array2<f64>, vectors: &Array2<f64>, values: &Array1<f64>| {
            let back = vectors.t().dot(&Array2::from_diag(values)).dot(vectors);
            let largest = matrix.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
            let off = (&back - matrix).iter().fold(0.0_f64, |most, x| most.max(x.abs()));
            assert!(off < 1e-12 * largest, "{off} of {largest}");
            let unit = vectors.dot(&vectors.t()) - Array2::<f64>::eye(n);
            assert!(unit.iter().all(|x| x.abs() < 1e-12));
        };
        check(&matrix, &vectors, &values);
        assert!(values.iter().all(|value| *value > 0.0), "positive definite: {values}");
        let near = &matrix * 1.01 + Array2::<f64>::eye(n) * 1e-3;
        let values = eigen(&near, &mut vectors).unwrap();
        check(&near, &vectors, &values);
        assert!(eigen(&Array2::from_elem((2, 2), f64::NAN), &mut Array2::eye(2)).is_err());
    }
}
