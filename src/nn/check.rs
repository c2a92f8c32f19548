//! Finite-difference checks of layers, in f64.

use super::grad::gradients_with;
use super::params::Params;
use crate::error::Result;
use crate::random::Seed;
use candle_core::{DType, Device, Tensor, Var};

/// Trainable f64 parameters.
pub(crate) fn params() -> Params {
    Params::trainable(Seed::root(11), DType::F64, &Device::Cpu)
}

/// Trainable f32 parameters.
pub(crate) fn params_f32() -> Params {
    Params::trainable(Seed::root(11), DType::F32, &Device::Cpu)
}

/// Standard normal numbers in f64.
pub(crate) fn normal(seed: u64, dims: &[usize]) -> Tensor {
    let mut rng = Seed::root(seed).child("check").rng();
    let values: Vec<f64> = (0..dims.iter().product()).map(|_| rng.normal()).collect();
    Tensor::from_vec(values, dims, &Device::Cpu).unwrap()
}

/// Standard normal numbers in f32.
pub(crate) fn normal_f32(seed: u64, dims: &[usize]) -> Tensor {
    normal(seed, dims).to_dtype(DType::F32).unwrap()
}

/// Gives every parameter a random value, so that zero-initialised ones are tested away from zero.
pub(crate) fn shake(params: &Params) {
    for (index, (_, var)) in params.vars().iter().enumerate() {
        let value = (normal(100 + index as u64, var.dims()) * 0.5).unwrap().to_dtype(var.dtype()).unwrap();
        var.set(&value).unwrap();
    }
}

/// The largest absolute difference.
pub(crate) fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.dims(), b.dims());
    let worst = (a - b).unwrap().abs().unwrap().flatten_all().unwrap().max(0).unwrap();
    worst.to_dtype(DType::F64).unwrap().to_scalar().unwrap()
}

/// Checks the gradients of a layer with respect to all its parameters and its input.
pub(crate) fn layer(params: &Params, x: &Tensor, forward: impl Fn(&Tensor) -> Result<Tensor>) {
    let x = Var::from_tensor(x).unwrap();
    let mut all = params.vars();
    assert!(!all.is_empty());
    all.push(("input".to_owned(), x.clone()));
    compare(&all, || forward(x.as_tensor()));
}

/// Checks the gradient of a function of one tensor.
pub(crate) fn input(x: &Tensor, forward: impl Fn(&Tensor) -> Result<Tensor>) {
    let x = Var::from_tensor(x).unwrap();
    compare(&[("input".to_owned(), x.clone())], || forward(x.as_tensor()));
}

/// Checks the gradients of a function with respect to the parameters.
pub(crate) fn weights(params: &Params, forward: impl Fn() -> Result<Tensor>) {
    compare(&params.vars(), forward);
}

/// Central differences with step h have an error of about h² f‴ + 1e-16/h: 1e-8 at h = 1e-5 with room for f‴.
fn compare(vars: &[(String, Var)], forward: impl Fn() -> Result<Tensor>) {
    const STEP: f64 = 1e-5;
    let direction = normal(77, forward().unwrap().dims());
    let loss = || (forward().unwrap() * &direction).unwrap().sum_all().unwrap();
    let (gradients, _) = gradients_with(&loss(), vars, &[]).unwrap();
    gradients.check_complete().unwrap();
    for ((name, gradient), (_, var)) in gradients.iter().zip(vars) {
        let gradient = gradient.unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let start = var.as_detached_tensor().copy().unwrap();
        let values = start.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        for (index, exact) in gradient.into_iter().enumerate() {
            let at = |step: f64| {
                let mut moved = values.clone();
                moved[index] += step;
                var.set(&Tensor::from_vec(moved, start.shape(), &Device::Cpu).unwrap()).unwrap();
                loss().to_scalar::<f64>().unwrap()
            };
            let slope = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            assert!(
                (slope - exact).abs() < 1e-7 * (1.0 + exact.abs()),
                "{name}[{index}]: {exact}, differences {slope}"
            );
        }
        var.set(&start).unwrap();
    }
}

/// Checks a fused f32 form against the composed one: the value, and the gradient with respect to every input.
pub(crate) fn against_composed(inputs: &[Tensor], forward: impl Fn(&[Tensor]) -> Result<Tensor>) {
    layer_against_composed(&params_f32(), inputs, forward);
}

/// As [`against_composed`], and the gradient with respect to every parameter. Sums of up to a few hundred f32 terms in
/// another order differ by a few units of 6e-8 times their size.
pub(crate) fn layer_against_composed(
    params: &Params,
    inputs: &[Tensor],
    forward: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    near_composed(1e-5, params, inputs, forward);
}

/// As [`layer_against_composed`] with another relative tolerance, for several layers in a row.
pub(crate) fn near_composed(
    tolerance: f64,
    params: &Params,
    inputs: &[Tensor],
    forward: impl Fn(&[Tensor]) -> Result<Tensor>,
) {
    let mut all = params.vars();
    let vars: Vec<Var> = inputs.iter().map(|input| Var::from_tensor(input).unwrap()).collect();
    all.extend(vars.iter().enumerate().map(|(index, var)| (format!("input {index}"), var.clone())));
    let inputs: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
    let run = || {
        let value = forward(&inputs).unwrap();
        let direction = normal_f32(78, value.dims());
        let loss = (&value * direction).unwrap().sum_all().unwrap();
        let (gradients, _) = gradients_with(&loss, &all, &[]).unwrap();
        gradients.check_complete().unwrap();
        let mut numbers = vec![("value".to_owned(), value.detach())];
        numbers.extend(gradients.iter().map(|(name, gradient)| (name.to_owned(), gradient.unwrap().clone())));
        numbers
    };
    let (fused, composed) = (run(), super::composed(run));
    for ((name, fused), (_, composed)) in fused.iter().zip(&composed) {
        let size = composed.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
        let error = distance(fused, composed);
        assert!(error <= tolerance * f64::from(size.max(1.0)), "{name}: {error} at size {size}");
    }
}

/// The settings of property tests: the same cases in every run, and no files.
pub(crate) fn cases() -> proptest::test_runner::Config {
    proptest::test_runner::Config {
        cases: 64,
        rng_seed: proptest::test_runner::RngSeed::Fixed(7),
        failure_persistence: None,
        ..Default::default()
    }
}
