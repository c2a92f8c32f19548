use super::super::divergence::{DIVERGENCES, DivergenceKind, ForwardKl, Pearson, curvature_matched};
use super::*;
use crate::nn::gradients_with;
use crate::random::Seed;
use candle_core::{DType, Device, Var};

fn kinds() -> Vec<DivergenceKind> {
    let plain = DIVERGENCES.names().filter(|name| *name != "order");
    plain.chain(["order:-5", "order:0.5", "order:1.5"]).map(|name| name.parse().unwrap()).collect()
}

/// A table over three letters and four positions, in steps of 1/256 so that f32 holds it exactly.
fn table() -> Multilinear {
    let mut rng = Seed::root(5).rng();
    let values: Vec<f64> = (0..81).map(|_| rng.below(512) as f64 / 256.0).collect();
    Multilinear::new("case", &values, 3, 4).unwrap()
}

#[test]
fn the_kl_tilt_of_the_surrogate_is_the_tilt_of_the_divergence() {
    let table = table();
    for kind in kinds() {
        let alpha = curvature_matched(0.2, kind.get());
        let tilting = Tilting::solve(table.values(), None, alpha, kind.get()).unwrap();
        let surrogate = Surrogate::new(&table, kind.get(), &tilting).with_floor(1e-12).unwrap();
        let exact = surrogate.of_table(&table).unwrap();
        for (r_f, log) in exact.values().iter().zip(&tilting.log_density) {
            // the solver divides by the mass, which is 1 but for rounding
            assert!((r_f / alpha - log.max(1e-12_f64.ln())).abs() < 1e-11, "{kind}: {r_f} against {log}");
        }
        assert_eq!((surrogate.seen(), surrogate.clamps()), (81, 0), "{kind}: λ is that of the same rewards");
        assert_eq!(surrogate.floors() > 0, tilting.dropped > 0.0, "{kind}");
        // the optimum's KL value is α ln E_p g = 0; the uniform prior has independent letters, so the closed form applies
        let uniform = Tensor::full(1.0 / 3.0, (1, 4, 3), &Device::Cpu).unwrap();
        let value = read(&[&exact.soft_value(&uniform, alpha).unwrap().unwrap()]).unwrap()[0][0];
        assert!(value.abs() < 1e-11, "{kind}: {value:e}");
        let again = surrogate.tabulate(3, 4, Pool::inline()).unwrap();
        assert_eq!(again.values(), exact.values(), "{kind}");
    }
}

#[test]
fn values_and_gradients_are_those_of_the_composed_function() {
    let table = table();
    let mut rng = Seed::root(6).rng();
    let raw: Vec<f64> = (0..2 * 12).map(|_| rng.uniform() + 0.05).collect();
    let probs: Vec<f64> = raw.chunks(3).flat_map(|row| row.iter().map(|p| p / row.iter().sum::<f64>())).collect();
    let shape = (2, 4, 3);
    for kind in kinds() {
        let alpha = curvature_matched(1.0, kind.get());
        let tilting = Tilting::solve(table.values(), None, alpha, kind.get()).unwrap();
        let surrogate = Surrogate::new(&table, kind.get(), &tilting);
        let p = Var::from_tensor(&Tensor::from_slice(&probs, shape, &Device::Cpu).unwrap()).unwrap();
        let values = surrogate.reward(&p).unwrap();
        let rewards = read(&[&table.reward(&p).unwrap(), &values]).unwrap();
        for (r, got) in rewards[0].iter().zip(&rewards[1]) {
            let want = alpha * kind.get().log_density((r - tilting.lambda) / alpha);
            assert!((got - want).abs() < 1e-12, "{kind}: {got} against {want}");
        }
        let (_, gradient) = gradients_with(&values.sum_all().unwrap(), &[], &[&p]).unwrap();
        let gradient = read(&[&gradient[0]]).unwrap().concat();
        for entry in 0..probs.len() {
            let at = |step: f64| {
                let mut moved = probs.clone();
                moved[entry] += step;
                let moved = Tensor::from_slice(&moved, shape, &Device::Cpu).unwrap();
                read(&[&surrogate.reward(&moved).unwrap()]).unwrap()[0].iter().sum::<f64>()
            };
            // central difference: h² of a third derivative of size 1
            let slope = (at(1e-4) - at(-1e-4)) / 2e-4;
            assert!((gradient[entry] - slope).abs() < 1e-6, "{kind}: {} against {slope}", gradient[entry]);
        }
        let single = p.to_dtype(DType::F32).unwrap();
        assert_eq!(surrogate.reward(&single).unwrap().dtype(), DType::F32);
    }
}

#[test]
fn rewards_beyond_the_pole_are_held_and_dropped_ones_floored_and_both_counted() {
    let table = table();
    // λ from samples that are worse than what is seen later
    let tilting = Tilting::solve(&[0.0, 0.1, 0.2], None, 0.1, &ForwardKl).unwrap();
    let surrogate = Surrogate::new(&table, &ForwardKl, &tilting);
    let held = surrogate.value(5.0).unwrap();
    assert!((held - 0.1 * 1e6_f64.ln()).abs() < 1e-12, "ln g is −ln 10⁻⁶ there: {held}");
    assert_eq!(surrogate.value(6.0).unwrap(), held);
    assert!(surrogate.value(0.2).unwrap() < held);
    assert_eq!((surrogate.seen(), surrogate.clamps(), surrogate.floors()), (3, 2, 0));
    assert_eq!(surrogate.point(5.0).slope, 0.0);
    assert!(surrogate.value(f64::NAN).is_err());

    let tilting = Tilting::solve(&[0.0, 1.0, 2.0], None, 0.1, &Pearson).unwrap();
    let surrogate = Surrogate::new(&table, &Pearson, &tilting);
    assert!((surrogate.value(0.0).unwrap() - 0.1 * 1e-6_f64.ln()).abs() < 1e-14);
    assert_eq!((surrogate.point(0.0).slope, surrogate.floors(), surrogate.clamps()), (0.0, 1, 0));
    assert!(Surrogate::new(&table, &Pearson, &tilting).with_floor(0.0).is_err());
    assert_eq!(surrogate.name(), "case under pearson");
}
