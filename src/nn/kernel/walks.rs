//! Both walks and the product mixture against the same of candle operations, at random sizes.

use super::{BeliefStep, MixtureWalk, belief_walk, fused, mixture_walk, product_mixture};
use crate::nn::{check, softmax};
use candle_core::{D, DType, Result, Tensor};
use proptest::prelude::*;

fn probabilities(logits: &Tensor) -> Result<Tensor> {
    softmax(logits).map_err(candle_core::Error::wrap)
}

/// log Σ_m w_im M_im(v) with w_im ∝ exp(b_m) Π_{j≠i} p_j·M_jm.
fn marginals(p: &Tensor, factors: &Tensor, weights: &Tensor) -> Result<Tensor> {
    let overlaps = p.transpose(0, 1)?.contiguous()?.matmul(factors)?.log()?;
    let all = overlaps.sum(0)?.broadcast_add(weights)?;
    let others = probabilities(&all.unsqueeze(0)?.broadcast_sub(&overlaps)?)?;
    let means = others.matmul(&factors.transpose(D::Minus2, D::Minus1)?.contiguous()?)?;
    means.log()?.transpose(0, 1)?.contiguous()
}

/// Three steps whose numbers differ.
fn steps() -> Vec<BeliefStep> {
    let step = |k: f32| BeliefStep {
        evidence: 0.3 + 0.1 * k,
        keep: 0.9 - 0.1 * k,
        predict: 0.2 + 0.1 * k,
        std: 0.5 + 0.2 * k,
    };
    (0..3_u8).map(|k| step(f32::from(k))).collect()
}

/// What a walk is.
fn composed(
    (x, context): (&Tensor, &Tensor),
    noise: &Tensor,
    points: &Tensor,
    change: impl Fn(&Tensor) -> Result<Tensor>,
    twin: impl Fn(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let relax = |p: &Tensor| p.broadcast_matmul(points);
    let per_row = |x: &Tensor| x.flatten_from(1)?.sum_keepdim(1);
    let mut x = x.clone();
    let mut sums = Vec::new();
    for (k, step) in steps().iter().enumerate() {
        let [evidence, keep, predict, std] = [step.evidence, step.keep, step.predict, step.std].map(f64::from);
        let epsilon = noise.get(k)?;
        let logits = ((x.broadcast_matmul(&points.t()?)? * evidence)? + context)?;
        let p = probabilities(&logits)?;
        let q = probabilities(&(&logits + change(&p)?)?)?;
        let u = (relax(&(&q - &p)?)? * (predict / std))?;
        let of_twin = (relax(&(probabilities(&(&logits + twin(&p)?)?)? - &p)?)? * (predict / std))?;
        sums.push((per_row(&(u.sqr()? * 0.5)?)?, per_row(&(of_twin * &epsilon)?)?));
        x = (((x * keep)? + (relax(&q)? * predict)?)? + (epsilon * std)?)?;
    }
    let (squares, products): (Vec<_>, Vec<_>) = sums.into_iter().unzip();
    let sum = |parts: &[Tensor]| Tensor::cat(parts, 1)?.sum_keepdim(1);
    Tensor::cat(&[x.flatten_from(1)?, sum(&squares)?, sum(&products)?], 1)
}

/// Batch, length, letters and dimension.
type Sizes = (usize, usize, usize, usize);

/// Noise and points.
fn constants((batch, length, letters, dim): Sizes, seed: u64, dtype: DType) -> (Tensor, Tensor) {
    let noise = check::normal(seed, &[3, batch, length, dim]).to_dtype(dtype).unwrap();
    (noise, check::normal(seed + 1, &[letters, dim]).to_dtype(dtype).unwrap())
}

/// A walk under a mixture, from states, context, logarithms of factors and log weights.
fn under_mixture(inputs: &[Tensor], noise: &Tensor, points: &Tensor, landing: bool) -> crate::Result<Tensor> {
    let [x, context, logs, weights] = inputs else { panic!("four inputs") };
    let factors = logs.exp()?;
    if fused(&[x]) {
        let walk = MixtureWalk { steps: steps(), noise: noise.clone(), points: points.clone(), landing };
        return Ok(mixture_walk(x, context, &factors, weights, walk)?);
    }
    let held = if landing { (factors.detach(), weights.detach()) } else { (factors.clone(), weights.clone()) };
    let change = |p: &Tensor| marginals(p, &factors, weights);
    Ok(composed((x, context), noise, points, change, |p| marginals(p, &held.0, &held.1))?)
}

/// A walk under held changes, from states and one to three groups of logits.
fn under_beliefs(inputs: &[Tensor], noise: &Tensor, points: &Tensor) -> crate::Result<Tensor> {
    let (x, held) = (&inputs[0], &inputs[1..]);
    if fused(&[x]) {
        return Ok(belief_walk(x, &Tensor::cat(held, 2)?, noise, points, steps())?);
    }
    let none = held[0].zeros_like()?;
    let change = held.get(1).unwrap_or(&none);
    let twin = held.get(2).unwrap_or(change);
    Ok(composed((x, &held[0]), noise, points, |_| Ok(change.clone()), |_| Ok(twin.clone()))?)
}

fn some_sizes() -> impl Strategy<Value = Sizes> {
    (1_usize..9, prop_oneof![1_usize..10, Just(40)], 1_usize..9, 1_usize..6)
}

proptest! {
    #![proptest_config(check::cases())]

    #[test]
    fn the_mixture_agrees_with_the_composed_form(
        (batch, length, letters, _) in some_sizes(), components in 1_usize..40, seed in 0_u64..1000,
    ) {
        let p = check::normal_f32(seed, &[batch, length, letters]);
        let logs = (check::normal_f32(seed + 1, &[length, letters, components]) * 0.5).unwrap();
        check::against_composed(&[p, logs, check::normal_f32(seed + 2, &[components])], |x| {
            let (p, factors) = (softmax(&x[0])?, x[1].exp()?);
            Ok(if fused(&[&p]) { product_mixture(&p, &factors, &x[2])? } else { marginals(&p, &factors, &x[2])? })
        });
    }

    #[test]
    fn a_walk_under_a_mixture_agrees_with_the_composed_form(
        sizes in some_sizes(), components in 1_usize..40, landing: bool, seed in 0_u64..1000,
    ) {
        let (batch, length, letters, dim) = sizes;
        let (noise, points) = constants(sizes, seed, DType::F32);
        let inputs = [
            check::normal_f32(seed + 2, &[batch, length, dim]),
            check::normal_f32(seed + 3, &[batch, length, letters]),
            (check::normal_f32(seed + 4, &[length, letters, components]) * 0.5).unwrap(),
            check::normal_f32(seed + 5, &[components]),
        ];
        check::against_composed(&inputs, |x| under_mixture(x, &noise, &points, landing));
    }

    #[test]
    fn a_walk_under_held_changes_agrees_with_the_composed_form(
        sizes in some_sizes(), groups in 1_usize..4, seed in 0_u64..1000,
    ) {
        let (batch, length, letters, dim) = sizes;
        let (noise, points) = constants(sizes, seed, DType::F32);
        let mut inputs = vec![check::normal_f32(seed + 2, &[batch, length, dim])];
        // the twin has the numbers of the change
        inputs.extend([3, 4, 4][..groups].iter().map(|n| check::normal_f32(seed + n, &[batch, length, letters])));
        check::against_composed(&inputs, |x| under_beliefs(x, &noise, &points));
    }
}

#[test]
fn the_composed_forms_have_the_right_gradients() {
    let sizes = (2, 3, 4, 2);
    let (noise, points) = constants(sizes, 1, DType::F64);
    let mixture = [
        check::normal(2, &[2, 3, 2]),
        check::normal(3, &[2, 3, 4]),
        check::normal(4, &[3, 4, 5]),
        check::normal(5, &[5]),
    ];
    let held = [check::normal(2, &[2, 3, 2]), check::normal(3, &[2, 3, 4]), check::normal(4, &[2, 3, 4])];
    let with = |inputs: &[Tensor], index: usize, x: &Tensor| {
        let mut inputs = inputs.to_vec();
        inputs[index] = x.clone();
        inputs
    };
    for (index, input) in mixture.iter().enumerate() {
        check::input(input, |x| under_mixture(&with(&mixture, index, x), &noise, &points, false));
    }
    for (index, input) in held.iter().enumerate() {
        check::input(input, |x| under_beliefs(&with(&held, index, x), &noise, &points));
    }
}

#[test]
fn long_products_neither_vanish_nor_overflow() {
    // 300 overlaps far below 1, or far above
    for scale in [-6.0, 6.0] {
        let p = softmax(&check::normal(1, &[3, 300, 4])).unwrap();
        let factors = (check::normal(2, &[300, 4, 20]) + scale).unwrap().exp().unwrap();
        let weights = check::normal(3, &[20]);
        let exact = marginals(&p, &factors, &weights).unwrap();
        let single = |x: &Tensor| candle_core::Var::from_tensor(&x.to_dtype(DType::F32).unwrap()).unwrap();
        let (p, factors, weights) = (single(&p), single(&factors), single(&weights));
        let value = product_mixture(&p, &factors, &weights).unwrap();
        assert!(check::distance(&value.to_dtype(DType::F64).unwrap(), &exact) < 1e-4);
        let (_, slopes) = crate::nn::gradients_with(&value.sum_all().unwrap(), &[], &[&p, &factors, &weights]).unwrap();
        for slopes in slopes {
            assert!(slopes.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().all(|x| x.is_finite()));
        }
    }
}
