//! What makes a generator one: inverse, conjugate, slopes, limits.

use super::super::*;
use super::kinds;

/// 81 ratios from 1e-4 to 1e4.
fn ratios() -> impl Iterator<Item = f64> {
    (-40..=40).map(|i| 10.0_f64.powf(f64::from(i) / 10.0))
}

#[test]
fn f_and_its_slope_vanish_at_one_and_the_density_is_one_there() {
    for kind in kinds() {
        let d = kind.get();
        for (what, value) in [
            ("f(1)", d.f(1.0)),
            ("f'(1)", d.slope(1.0)),
            ("ln g(0)", d.log_density(0.0)),
            ("f*(0)", d.conjugate(0.0)),
            ("φ(0)", d.path_value(0.0)),
            ("φ'(0)", d.path_value_slope(0.0)),
            ("f'(e⁰)", d.path_slope(0.0)),
        ] {
            assert!(value.abs() < 1e-15, "{kind}: {what} = {value:e}");
        }
        assert_eq!(d.density(0.0), 1.0, "{kind}");
        assert!((d.log_density_slope(0.0) * d.curvature() - 1.0).abs() < 1e-15, "{kind}: g'(0) f''(1) = 1");
    }
}

#[test]
fn the_density_inverts_the_slope() {
    for kind in kinds() {
        let d = kind.get();
        let mut seen = 0;
        for t in ratios() {
            let s = d.slope(t);
            // s is rounded to ε max(1, |s|), which g turns into so much of t
            let rounding = 4.0 * f64::EPSILON * (1.0 + d.log_density_slope(s) * (1.0 + s.abs()));
            if rounding.is_nan() || rounding > 1e-6 {
                continue;
            }
            seen += 1;
            assert!((d.density(s) / t - 1.0).abs() <= 4.0 * rounding, "{kind}: g(f'({t})) = {}", d.density(s));
            assert!((d.log_density(s) - t.ln()).abs() <= 4.0 * rounding + 1e-14, "{kind}: ln g at {t}");
            assert!((d.slope(t) - d.path_slope(t.ln())).abs() <= 1e-14 * (1.0 + s.abs() * 10.0), "{kind}: f' at {t}");
        }
        assert!(seen >= 40, "{kind}: {seen} of 81 can be inverted in double precision");
    }
}

#[test]
fn fenchels_inequality_is_an_equality_on_the_graph_and_strict_off_it() {
    for kind in kinds() {
        let d = kind.get();
        for t in ratios() {
            let s = d.slope(t);
            if d.log_density_slope(s) * f64::EPSILON > 1e-6 {
                continue;
            }
            let (f, conjugate) = (d.f(t), d.conjugate(s));
            let scale = 1.0 + f + conjugate.abs() + (s * t).abs();
            assert!((f + conjugate - s * t).abs() < 1e-13 * scale, "{kind} at {t}: {f} + {conjugate} − {}", s * t);
            for other in [0.5 * t, 2.0 * t] {
                assert!(d.f(other) + conjugate > s * other, "{kind}: {t} against {other}");
            }
        }
    }
}

#[test]
fn slopes_agree_with_finite_differences() {
    for kind in kinds() {
        let d = kind.get();
        // central differences err by h²/6 of a third derivative, which for powers up to six is 216 times the function
        let h = 1e-4;
        let slope = |f: &dyn Fn(f64) -> f64, x: f64, h: f64| (f(x + h) - f(x - h)) / (2.0 * h);
        for i in -30..=30 {
            let l = f64::from(i) / 10.0;
            let t = l.exp();
            let wanted = d.path_value_slope(l);
            let got = slope(&|l| d.path_value(l), l, h);
            assert!((got - wanted).abs() < 1e-6 * (1.0 + wanted.abs() + d.path_value(l)), "{kind}: φ'({l})");
            let composed = d.path_slope(l) - d.path_value(l);
            let cancelled = d.path_slope(l).abs() + d.path_value(l);
            assert!((composed - wanted).abs() < 1e-12 * (1.0 + cancelled), "{kind}: φ' = f' − φ at {l}");
            let got = slope(&|t| d.f(t), t, h * t);
            assert!((got - d.slope(t)).abs() < 1e-6 * (1.0 + d.slope(t).abs() + d.f(t) / t), "{kind}: f'({t})");
            let (got, wanted) = (slope(&|l| d.path_slope(l), l, h), d.step_bound(t));
            // that of soft χ² has a kink at 1, where the difference errs by h/4
            let most = if i == 0 { h } else { 1e-6 };
            assert!((got - wanted).abs() < most * (1.0 + wanted), "{kind}: t f'' at {t}");
            let s = d.slope(t);
            let wanted = d.log_density_slope(s);
            // steps of 1e-4 of the scale on which g changes
            if wanted * f64::EPSILON < 1e-12 {
                let got = slope(&|s| d.log_density(s), s, h / wanted);
                assert!((got / wanted - 1.0).abs() < most, "{kind}: g'/g at {s}: {got} against {wanted}");
            }
        }
        let curvature = slope(&|t| d.slope(t), 1.0, h);
        assert!((curvature - d.curvature()).abs() < h, "{kind}: f''(1)");
    }
}

#[test]
fn path_values_are_the_generator_over_the_ratio_and_keep_their_digits_near_none() {
    for kind in kinds() {
        let d = kind.get();
        for i in -60..=60 {
            let l = f64::from(i) / 10.0;
            let (got, want) = (d.path_value(l), d.f(l.exp()) * (-l).exp());
            assert!(got >= 0.0, "{kind}: φ({l}) = {got}");
            // the naive form cancels terms of size 1 and t before it divides, and orders near 0 and 1 divide by a(a − 1)
            assert!((got - want).abs() < 1e-12 * (1.0 + (-l).exp() + got), "{kind}: φ({l}) = {got} against {want}");
        }
        for l in [1e-4, -1e-4, 1e-8, -1e-8] {
            let want = 0.5 * d.curvature() * l * l;
            // the next term is at most 6 |L|³, rounding a few ε|L|, 1/0.01 as much for orders near 0 and 1
            let most = 6.0 * l.abs().powi(3) + 400.0 * f64::EPSILON * l.abs();
            assert!((d.path_value(l) - want).abs() < most, "{kind}: φ({l}) = {:e}", d.path_value(l));
        }
    }
}

#[test]
fn generators_are_convex_and_densities_rise() {
    for kind in kinds() {
        let d = kind.get();
        let all: Vec<f64> = ratios().collect();
        for pair in all.windows(2) {
            let (middle, ends) = (d.f(f64::midpoint(pair[0], pair[1])), 0.5 * (d.f(pair[0]) + d.f(pair[1])));
            // low orders are straight to the last digit at large ratios
            assert!(middle < ends * (1.0 + 1e-14), "{kind} at {pair:?}: {middle} against {ends}");
            assert!(d.slope(pair[0]) <= d.slope(pair[1]), "{kind}");
        }
        let densities: Vec<f64> = (-400..=400).map(|i| d.log_density(f64::from(i) / 20.0)).collect();
        assert!(densities.windows(2).all(|w| w[0] <= w[1]), "{kind}: g falls");
        assert!(densities.iter().all(|g| !g.is_nan()), "{kind}");
        assert!((-400..=400).all(|i| !d.conjugate(f64::from(i) / 20.0).is_nan()), "{kind}");
    }
}

#[test]
fn both_ends_are_the_limits_that_are_documented() {
    for kind in kinds() {
        let d = kind.get();
        let (bottom, pole, at_zero) = (d.slope_at_zero(), d.slope_at_infinity(), d.value_at_zero());
        assert_eq!(d.f(0.0), at_zero, "{kind}");
        if bottom.is_finite() {
            assert!((d.slope(0.0) - bottom).abs() < 1e-12, "{kind}: f'(0+)");
            for s in [bottom, bottom - 1.0, -1e12] {
                assert_eq!((d.density(s), d.log_density(s)), (0.0, f64::NEG_INFINITY), "{kind} at {s}");
                assert_eq!(d.log_density_slope(s), 0.0);
                assert!((d.conjugate(s) + at_zero).abs() < 1e-15, "{kind}: f* = −f(0) where truncated");
            }
        } else {
            // orders just above 0.01 reach −1e11 here, reverse KL −690
            assert!(d.slope(1e-300) < -100.0, "{kind}: f'(0+) = −∞");
            assert!(d.log_density(-1e6).is_finite(), "{kind}: full support");
        }
        if pole.is_finite() {
            // order 0.99 approaches its pole as t^(−0.01)
            assert!((pole - d.slope(1e300)).abs() < 0.11 * pole, "{kind}: f'(∞)");
            assert_eq!((d.density(pole), d.log_density(pole + 1.0)), (f64::INFINITY, f64::INFINITY), "{kind}");
            assert_eq!(d.log_density_slope(pole), f64::INFINITY);
            for distance in [0.9 * pole, 0.1 * pole, 1e-3 * pole] {
                let (near, plain) = (d.log_density_below_pole(distance), d.log_density(pole - distance));
                // the difference loses 1e3 ε, an order near 1 raises to the power 100
                assert!((near - plain).abs() < 1e-10, "{kind}: {near} against {plain}");
            }
            assert!(d.log_density_below_pole(1e-300) > 100.0 && d.log_density_below_pole(1e-300).is_finite());
        } else {
            assert!(d.density(1e6) > 1e2 || kind.to_string() == "order:5", "{kind}: no pole");
            assert!(d.slope(1e300) > 600.0, "{kind}: f'(∞) = ∞");
        }
    }
}

#[test]
fn orders_meet_the_generators_that_they_are_multiples_of() {
    let of = |a: f64| Order::new(a).unwrap();
    for t in ratios() {
        for (order, other, factor) in
            [(of(2.0), &Pearson as &dyn Divergence, 0.5), (of(-1.0), &Neyman, 0.5), (of(0.5), &Hellinger, 2.0)]
        {
            let (got, want) = (order.f(t), factor * other.f(t));
            assert!((got - want).abs() < 1e-12 * (1.0 + want), "{order:?} at {t}: {got} against {want}");
        }
        // the distance to a limit is |a − limit| times a third moment of ln t, which reaches 10³ here
        for (order, other) in [(of(1.002), &ReverseKl as &dyn Divergence), (of(0.002), &ForwardKl)] {
            assert!((order.f(t) - other.f(t)).abs() < 0.02 * other.f(t) + 1e-12, "{order:?} at {t}");
        }
    }
}
