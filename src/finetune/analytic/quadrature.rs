//! Integrals of smooth functions.

/// Simpson's rule over so many pieces, an even number of them:
///
/// ```text
/// ∫ f ≈ h/3 [f_0 + 4 f_1 + 2 f_2 + … + 4 f_{n−1} + f_n],   error O(h⁴)
/// ```
pub(super) fn simpson(f: impl Fn(f64) -> f64, (from, to): (f64, f64), pieces: usize) -> f64 {
    let pieces = pieces.next_multiple_of(2).max(2);
    let h = (to - from) / pieces as f64;
    let inner = |i: usize| if i % 2 == 1 { 4.0 } else { 2.0 };
    let between: f64 = (1..pieces).map(|i| inner(i) * f(from + h * i as f64)).sum();
    h / 3.0 * (f(from) + between + f(to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cubics_are_exact_and_the_error_is_of_order_four() {
        assert!((simpson(|x| x.powi(3) - x, (0.0, 2.0), 2) - 2.0).abs() < 1e-14);
        let error = |pieces| simpson(f64::exp, (0.0, 1.0), pieces) - (1.0_f64.exp() - 1.0);
        assert!(((error(8) / error(16)).log2() - 4.0).abs() < 0.02);
    }
}
