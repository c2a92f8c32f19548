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

/// a b in a new row-major matrix.
///
/// # Panics
/// As [`matmul`].
pub(super) fn product(a: (&[f32], View), b: (&[f32], View)) -> Vec<f32> {
    let shape = View::dense(a.1.rows, b.1.cols);
    let n = shape.rows * shape.cols;
    if n == 0 || a.1.cols == 0 {
        return vec![0.0; n];
    }
    let mut c = Vec::with_capacity(n);
    check_product(shape, a, b);
    // SAFETY: `c` has room for the n numbers of its view and is not read; `check_product` has compared a and b with
    // their slices. All n numbers are written before they become part of `c`.
    unsafe {
        multiply((c.as_mut_ptr(), shape), a, b, false);
        c.set_len(n);
    }
    c
}

/// c ← a b, or c ← c + a b.
///
/// # Panics
/// When the shapes do not fit or a view leaves its slice.
pub(super) fn matmul(c: (&mut [f32], View), a: (&[f32], View), b: (&[f32], View), accumulate: bool) {
    let (c, view) = c;
    if view.rows == 0 || view.cols == 0 {
        return;
    }
    view.check(c.len());
    if a.1.cols == 0 {
        if !accumulate {
            for row in 0..view.rows {
                for col in 0..view.cols {
                    c[row * view.row_stride + col * view.col_stride] = 0.0;
                }
            }
        }
        return;
    }
    check_product(view, a, b);
    // SAFETY: every view has just been compared with its slice, and `c` is borrowed mutably, so it overlaps neither
    // `a` nor `b`.
    unsafe { multiply((c.as_mut_ptr(), view), a, b, accumulate) }
}

/// Checks that the shapes fit and that a and b lie inside their slices; no side may be empty.
fn check_product(c: View, (a, av): (&[f32], View), (b, bv): (&[f32], View)) {
    assert!(
        av.rows == c.rows && av.cols == bv.rows && bv.cols == c.cols,
        "({}, {}) x ({}, {}) is not ({}, {})",
        av.rows,
        av.cols,
        bv.rows,
        bv.cols,
        c.rows,
        c.cols
    );
    av.check(a.len());
    bv.check(b.len());
}

/// # Safety
/// Every element of the three views must lie inside its memory, and `c` may overlap neither `a` nor `b`. The numbers
/// of `c` are read only when `accumulate`.
unsafe fn multiply((c, cv): (*mut f32, View), (a, av): (&[f32], View), (b, bv): (&[f32], View), accumulate: bool) {
    let stride = |stride: usize| stride.cast_signed();
    // SAFETY: the caller's promise is gemm's; strides are not negative.
    unsafe {
        gemm::gemm(
            cv.rows,
            cv.cols,
            av.cols,
            c,
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
        assert_eq!(product((&a[2..], View::rows(2, 2, 4)), (&b, View::dense(2, 2).t())), [17.0, 23.0, 39.0, 53.0]);
        matmul((&mut c, View::dense(2, 2)), (&a[2..], View::rows(2, 0, 4)), (&[], View::dense(0, 2)), false);
        assert_eq!(c, [0.0; 4]);
        assert_eq!(product((&a, View::dense(2, 0)), (&[], View::dense(0, 2))), [0.0; 4]);
        assert_eq!(product((&[], View::dense(0, 2)), (&b, View::dense(2, 2))), [0.0; 0]);
    }

    #[test]
    #[should_panic(expected = "ends behind")]
    fn a_view_past_its_slice_is_refused() {
        let mut c = [0.0; 4];
        matmul((&mut c, View::dense(2, 2)), (&[0.0; 5], View::dense(2, 3)), (&[0.0; 6], View::dense(3, 2)), false);
    }
}
