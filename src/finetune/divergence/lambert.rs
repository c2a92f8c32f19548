//! Lambert's W of an exponential.

/// `ω(z) = W(eᶻ)`, the root of `y + ln y = z` (Wright's ω on the real line), by Newton's method.
///
/// eᶻ is formed for z ≤ 0 only, where it is at most 1, so nothing overflows. The relative error is below 10⁻¹⁵ for z from −700
/// to 10⁸.
///
/// ```
/// use seqtilt::finetune::divergence::omega;
/// assert_eq!(omega(1.0), 1.0);
/// assert!((omega(1e8) - 99_999_981.579_319_44).abs() < 1e-7);
/// ```
#[must_use]
pub fn omega(z: f64) -> f64 {
    if z <= 0.0 {
        // y eʸ = x keeps the digits of a small y, which a residual of size |z| would not
        let x = z.exp();
        let mut y = x / (1.0 + x);
        for _ in 0..40 {
            let step = (y - x * (-y).exp()) / (1.0 + y);
            y -= step;
            if step.abs() <= f64::EPSILON * y {
                break;
            }
        }
        return y;
    }
    let mut y = if z < 3.0 { 0.5 * (z + 1.0) } else { z - z.ln() };
    for _ in 0..40 {
        let step = (y - z + y.ln()) * y / (1.0 + y);
        y -= step;
        if step.abs() <= f64::EPSILON * y {
            break;
        }
    }
    y
}

/// `ℓ(s) = ln ω(1 + s)`, the root of `ℓ + e^ℓ − 1 = s`: exact relative to itself near s = 0, where it is `s/2`, and far below,
/// where it is `1 + s`.
///
/// ```
/// use seqtilt::finetune::divergence::log_omega;
/// assert_eq!(log_omega(0.0), 0.0);
/// assert!((log_omega(1e-12) - 4.999_999_999_999_375e-13).abs() < 1e-27);
/// ```
#[must_use]
pub fn log_omega(s: f64) -> f64 {
    if s.is_infinite() {
        return s;
    }
    let mut log = match s {
        s if s > 1.0 => s.ln_1p(),
        s if s < -1.0 => s + 1.0,
        s => 0.5 * s,
    };
    for _ in 0..40 {
        let step = (log - s + log.exp_m1()) / (1.0 + log.exp());
        log -= step;
        if step.abs() <= f64::EPSILON * log.abs() {
            break;
        }
    }
    log
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::excessive_precision, reason = "the digits of the reference")]
    fn omega_agrees_with_fifty_digits() {
        // from Newton's method in arithmetic of 50 digits
        for (z, want) in [
            (-700.0, 9.859_676_543_759_771e-305),
            (-40.0, 4.248_354_255_291_588_977e-18),
            (-3.0, 0.047_478_491_024_865_475_67),
            (-1.0, 0.278_464_542_761_073_795_1),
            (0.0, 0.567_143_290_409_783_873),
            (0.5, 0.766_248_608_161_750_258_9),
            (1.0, 1.0),
            (2.0, 1.557_145_598_997_611_417),
            (30.0, 26.714_782_920_381_053_99),
            (800.0, 793.323_768_578_488_937_9),
            (1e4, 9_990.790_580_994_251_925),
            (1e8, 99_999_981.579_319_440_25),
        ] {
            let got = omega(z);
            assert!((got / want - 1.0).abs() < 1e-15, "ω({z}) = {got:e} against {want:e}");
        }
    }

    #[test]
    #[allow(clippy::excessive_precision, reason = "the digits of the reference")]
    fn its_logarithm_agrees_with_fifty_digits() {
        for (s, want) in [
            (-1e6, -999_999.0),
            (-30.0, -29.000_000_000_000_254_37),
            (-2.0, -1.278_464_542_761_073_795),
            (-1e-3, -0.000_500_062_505_208_007_600_9),
            (-1e-12, -5.000_000_000_000_625e-13),
            (1e-12, 4.999_999_999_999_375e-13),
            (1e-3, 0.000_499_937_505_208_658_642_6),
            (2.0, 0.792_059_968_430_677_001_4),
            (30.0, 3.320_685_369_967_228_507),
            (1e6, 13.815_497_742_384_412_53),
        ] {
            let got = log_omega(s);
            assert!((got / want - 1.0).abs() < 1e-15, "{s}: {got:e} against {want:e}");
        }
        assert_eq!((log_omega(f64::NEG_INFINITY), log_omega(f64::INFINITY)), (f64::NEG_INFINITY, f64::INFINITY));
    }

    #[test]
    fn both_solve_their_equations_over_the_whole_range() {
        let mut z = -700.0;
        while z < 1e8 {
            let y = omega(z);
            // each term is rounded once
            let rounding = 4.0 * f64::EPSILON * (z.abs() + y);
            assert!((y + y.ln() - z).abs() <= rounding, "ω({z}) = {y}");
            let log = log_omega(z);
            assert!((log + log.exp_m1() - z).abs() <= 4.0 * f64::EPSILON * (1.0 + z.abs() * 20.0), "{z}: {log}");
            z += 0.37 + 0.01 * z.abs();
        }
    }
}
