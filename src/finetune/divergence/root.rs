//! The root of an increasing function in a bracket.

/// The root of an increasing `f` in `[low, high]`, to the last digits; an end where f has one sign throughout.
///
/// Chandrupatla's method (1997): inverse quadratic interpolation where three points say that it is safe, bisection elsewhere, so
/// never more than a few evaluations worse than bisection. `f` may be infinite.
pub(super) fn increasing_root(low: f64, high: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (mut a, mut fa) = (high, f(high));
    if fa <= 0.0 {
        return high;
    }
    let (mut b, mut fb) = (low, f(low));
    if fb >= 0.0 {
        return low;
    }
    let (mut c, mut fc);
    let mut t = secant(fa, fb);
    for _ in 0..200 {
        let width = b - a;
        let best = if fa.abs() < fb.abs() { a } else { b };
        let least = (2.0 * f64::EPSILON * best.abs() + f64::MIN_POSITIVE) / width.abs();
        if least >= 0.5 {
            break;
        }
        let x = a + t.clamp(least, 1.0 - least) * width;
        let fx = f(x);
        if fx == 0.0 {
            return x;
        }
        if (fx > 0.0) == (fa > 0.0) {
            (c, fc) = (a, fa);
        } else {
            (c, fc) = (b, fb);
            (b, fb) = (a, fa);
        }
        (a, fa) = (x, fx);
        let xi = (a - b) / (c - b);
        let phi = (fa - fb) / (fc - fb);
        t = if phi * phi < xi && (1.0 - phi) * (1.0 - phi) < 1.0 - xi {
            fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
        } else {
            0.5
        };
    }
    if fa.abs() < fb.abs() { a } else { b }
}

/// Where the line through both ends crosses zero, as a share of the way from a to b; the middle where an end is infinite.
fn secant(fa: f64, fb: f64) -> f64 {
    let share = fa / (fa - fb);
    if share > 0.0 && share < 1.0 { share } else { 0.5 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn roots_are_found_to_the_last_digits_in_few_steps() {
        type Function = fn(f64) -> f64;
        let functions: [(Function, usize); 5] = [
            (|x| x, 4),
            (|x| x.tanh(), 60),
            (|x| (20.0 * x).exp_m1(), 60),
            // a triple root and a jump: no better than bisection, from a width of 1000 to the last digits of 1e-9
            (|x| x.powi(3), 150),
            (|x| if x < 0.0 { -1.0 } else { f64::INFINITY }, 100),
        ];
        for root in [1e-9, 0.3, 1.0, 7.5, 999.0] {
            for (f, most) in functions {
                let steps = Cell::new(0);
                let found = increasing_root(0.0, 1000.0, |x| {
                    steps.set(steps.get() + 1);
                    f(x - root)
                });
                assert!((found - root).abs() <= 1e-12 * root, "{found} against {root}");
                assert!(steps.get() <= most, "{} steps to {root}", steps.get());
            }
        }
        assert_eq!(increasing_root(1.0, 2.0, |x| x), 1.0);
        assert_eq!(increasing_root(-2.0, -1.0, |x| x), -1.0);
    }
}
