//! Path divergences of a constant control: a Gaussian log-ratio, `L ~ N(c²/2, c²)` under the controlled law.

use super::super::*;

/// `E φ(L)` by Simpson's rule on each side of L = 0, where soft χ² and total variation have a kink.
fn mean(c: f64, value: impl Fn(f64) -> f64) -> f64 {
    let (n, reach) = (4096_u32, 26.0);
    let kink = -0.5 * c;
    let side = |sign: f64| -> f64 {
        let h = reach / f64::from(n);
        let at = |i: u32| {
            let z = kink + sign * h * f64::from(i);
            let density = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
            if density == 0.0 { 0.0 } else { density * value(0.5 * c * c + c * z) }
        };
        let inner: f64 = (1..n).map(|i| at(i) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
        (at(0) + inner + at(n)) * h / 3.0
    };
    side(1.0) + side(-1.0)
}

#[test]
fn a_constant_control_has_the_path_divergence_of_two_shifted_gaussians() {
    type Closed = Box<dyn Fn(f64) -> f64>;
    let order = |a: f64| {
        let value = move |c: f64| ((a * (a - 1.0) * c * c / 2.0).exp() - 1.0) / (a * (a - 1.0));
        (DivergenceKind::Order(Order::new(a).unwrap()), Box::new(value) as Closed)
    };
    let chi2 = |c: f64| (c * c).exp_m1();
    let forms: Vec<(DivergenceKind, Closed)> = vec![
        (DivergenceKind::Kl, Box::new(|c| 0.5 * c * c)),
        (DivergenceKind::ForwardKl, Box::new(|c| 0.5 * c * c)),
        (DivergenceKind::Jeffreys, Box::new(|c| c * c)),
        (DivergenceKind::Pearson, Box::new(chi2)),
        (DivergenceKind::Neyman, Box::new(chi2)),
        (DivergenceKind::Hellinger, Box::new(|c| -2.0 * (-c * c / 8.0).exp_m1())),
        (DivergenceKind::KlChi2, Box::new(move |c| 0.5 * c * c + 0.5 * chi2(c))),
        order(-1.0),
        order(0.5),
        order(1.5),
        order(3.0),
    ];
    for (kind, exact) in &forms {
        for c in [0.3, 1.0, 2.0, 3.0] {
            let (got, want) = (mean(c, |l| kind.get().path_value(l)), exact(c));
            // the rule errs by 1e-11, rounding by a few ε of the largest term
            assert!((got - want).abs() < 1e-9 * want.max(0.01), "{kind} at c = {c}: {got} against {want}");
            // under the base law the same number is the mean of f(e^L), L ~ N(−c²/2, c²)
            let base = mean(c, |l| kind.get().f((l - c * c).exp()));
            assert!((base - want).abs() < 1e-8 * want.max(0.01), "{kind} from the base at {c}: {base} against {want}");
        }
    }
}

#[test]
fn js_soft_chi_and_total_variation_have_the_printed_path_values() {
    for (c, js, soft) in
        [(0.3, 0.01113, 0.04982), (1.0, 0.11142, 0.91628), (2.0, 0.33683, 27.016), (3.0, 0.52678, 4051.4)]
    {
        let got = mean(c, |l| JensenShannon.path_value(l));
        assert!((got - js).abs() <= 0.500_01e-5, "{got} against {js}");
        let got = mean(c, |l| SoftChi.path_value(l));
        // five digits are printed
        assert!((got / soft - 1.0).abs() <= 1.1e-4, "{got} against {soft}");
    }
    // 2Φ(c/2) − 1 at c = 2 is the mass within one standard deviation
    let got = mean(2.0, |l| TotalVariation.path_value(l));
    assert!((got - 0.682_689_492_137_085_9).abs() < 1e-9, "{got}");
}

#[test]
fn a_sum_over_steps_is_not_the_path_divergence_but_for_kl() {
    // n steps of Pearson, each of c²/n: as steps get short the sum collapses to f''(1) KL = c²
    let c = 2.0_f64;
    let per_step = |n: f64| n * (c * c / n).exp_m1();
    for (n, printed) in [(1.0, 53.6), (10.0, 4.92), (100.0, 4.08), (1000.0, 4.008)] {
        let got = n * mean(c / f64::sqrt(n), |l| Pearson.path_value(l));
        assert!((got - printed).abs() <= 0.005 * printed && (got - per_step(n)).abs() < 1e-6 * got, "{n}: {got}");
    }
}
