//! Matrix products of strided views.
#![allow(unsafe_code, reason = "gemm takes raw pointers; the views are checked against their slices here")]

/// A matrix inside a slice.
#[derive(Clone, Copy)]
pub(super) struct View {
    pub(super) rows: usize,
    pub(super) cols: usize,
    row_stride: usize,
    col_stride: usize,
}

impl View {
    /// Rows that lie `stride` apart.
    pub(super) fn rows(rows: usize, cols: usize, stride: usize) -> Self {
        Self { rows, cols, row_stride: stride, col_stride: 1 }
    }

    /// Rows one behind the other.
    pub(super) fn dense(rows: usize, cols: usize) -> Self {
        Self::rows(rows, cols, cols)
    }

    /// The transpose.
    pub(super) fn t(self) -> Self {
        Self { rows: self.cols, cols: self.rows, row_stride: self.col_stride, col_stride: self.row_stride }
    }

    fn check(self, len: usize) {
        let last = (self.rows - 1) * self.row_stride + (self.cols - 1) * self.col_stride;
        assert!(last < len, "a matrix of {} x {} ends behind its {len} numbers", self.rows, self.cols);
    }
}

/// c ← a b, or c ← c + a b.
///
/// # Panics
/// When the shapes do not fit or a view leaves its slice.
pub(super) fn matmul(c: (&mut [f32], View), a: (&[f32], View), b: (&[f32], View), accumulate: bool) {
    let ((c, cv), (a, av), (b, bv)) = (c, a, b);
    assert!(
        av.rows == cv.rows && av.cols == bv.rows && bv.cols == cv.cols,
        "({}, {}) x ({}, {}) is not ({}, {})",
        av.rows,
        av.cols,
        bv.rows,
        bv.cols,
        cv.rows,
        cv.cols
    );
    if cv.rows == 0 || cv.cols == 0 {
        return;
    }
    cv.check(c.len());
    if av.cols == 0 {
        if !accumulate {
            for row in 0..cv.rows {
                for col in 0..cv.cols {
                    c[row * cv.row_stride + col * cv.col_stride] = 0.0;
                }
            }
        }
        return;
    }
    av.check(a.len());
    bv.check(b.len());
    let stride = |stride: usize| stride.cast_signed();
    // SAFETY: the furthest element of each view was just compared with its slice's length, the strides are not
    // negative, and `c` is borrowed mutably, so it overlaps neither `a` nor `b`.
    unsafe {
        gemm::gemm(
            cv.rows,
            cv.cols,
            av.cols,
            c.as_mut_ptr(),
            stride(cv.col_stride),
            stride(cv.row_stride),
            accumulate,
            a.as_ptr(),
            stride(av.col_stride),
            stride(av.row_stride),
            b.as_ptr(),
            stride(bv.col_stride),
            stride(bv.row_stride),
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strided_and_transposed_views_multiply() {
        // a is the right half of a 2 x 4 matrix, b a transposed 2 x 2 one
        let a = [9.0, 9.0, 1.0, 2.0, 9.0, 9.0, 3.0, 4.0];
        let b = [5.0, 6.0, 7.0, 8.0];
        let mut c = [1.0; 4];
        matmul((&mut c, View::dense(2, 2)), (&a[2..], View::rows(2, 2, 4)), (&b, View::dense(2, 2).t()), true);
        assert_eq!(c, [18.0, 24.0, 40.0, 54.0]);
        matmul((&mut c, View::dense(2, 2)), (&a[2..], View::rows(2, 0, 4)), (&[], View::dense(0, 2)), false);
        assert_eq!(c, [0.0; 4]);
    }

    #[test]
    #[should_panic(expected = "ends behind")]
    fn a_view_past_its_slice_is_refused() {
        let mut c = [0.0; 4];
        matmul((&mut c, View::dense(2, 2)), (&[0.0; 5], View::dense(2, 3)), (&[0.0; 6], View::dense(3, 2)), false);
    }
}
