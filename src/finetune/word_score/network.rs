//! Lean adjoints by a prior's network, against exact scores.

use super::law::dots;
use super::sampled::{SHARD, ends, evidence, normals, score};
use super::{Growth, Sampled, WordLaw};
use crate::diffusion::{Chain as _, DiffusionChain, Memory, Scales};
use crate::error::{Error, Result};
use crate::nn::{Pool, gradients_with, read};
use crate::random::Seed;
use candle_core::{DType, Tensor, Var};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

/// The lean target by the network of a chain: its own denoised estimate as the base score, its own vector-Jacobian products as adjoints, along
/// paths of the exact optimum, with the exact soft value at their ends.
///
/// ```text
/// ã_K = −∇V(x_K),   ã_k = (∂m_k/∂x)ᵀ ã_{k+1},   target_k = s_θ(x_k) − ã_k
/// I = Σ_k ½ (b⁴/a²)_k (snr_{k+1} − snr_k) E|target_k − s*(x_k)|²
/// ```
/// The mean of the target is not s* here, but what the network makes of it: squared errors are its variance and the square of what the
/// network is wrong by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NetworkLean {
    /// I, over the steps of the chain.
    pub total: Sampled,
    /// The same of exact estimates and covariances, on the same steps and paths.
    pub exact: Sampled,
    /// What the network's estimates alone are wrong by: the same sum of `|s_θ − s|²`.
    pub wrong: Sampled,
    /// The share of `∇V` that the adjoints recover, as in [`Window`](super::Window).
    pub recovered: Sampled,
    /// Log signal-to-noise ratio and norms of adjoints, step by step.
    pub levels: Vec<(f64, Growth)>,
}

/// What a shard measures: five numbers a path, and ratios of norms step by step.
type Part = ([Vec<f64>; 5], Vec<Vec<f64>>);

impl NetworkLean {
    /// Over so many paths.
    ///
    /// # Errors
    /// When the laws are of other words than the chain's, or a tensor operation fails.
    ///
    /// # Cost
    /// One walk of the base chain and one in reverse.
    pub fn sampled(
        chain: &DiffusionChain,
        base: &WordLaw,
        tilted: &WordLaw,
        paths: usize,
        seed: Seed,
        pool: &Pool,
    ) -> Result<Self> {
        let parts = pool.map(paths.div_ceil(SHARD), |i| {
            walk(chain, base, tilted, SHARD.min(paths - i * SHARD), seed.index(i as u64))
        })?;
        let all = |which: usize| -> Vec<f64> { parts.iter().flat_map(|part: &Part| part.0[which].clone()).collect() };
        let level = |k: usize| {
            let ratios = parts.iter().flat_map(|part| part.1[k].clone()).collect();
            (chain.log_snrs()[k], Growth::of(ratios, None))
        };
        Ok(Self {
            total: Sampled::of(&all(0)),
            exact: Sampled::of(&all(1)),
            wrong: Sampled::of(&all(2)),
            recovered: Sampled::ratio(&all(3), &all(4)),
            levels: (0..chain.steps()).map(level).collect(),
        })
    }
}

fn walk(chain: &DiffusionChain, base: &WordLaw, tilted: &WordLaw, rows: usize, seed: Seed) -> Result<Part> {
    let (steps, mut rng) = (chain.steps(), seed.rng());
    let scales: Vec<Scales> = chain.log_snrs().iter().map(|level| Scales::at_log_snr(*level)).collect();
    let [_, end] = ends(tilted, scales[steps], rows, &mut rng)?;
    let z = &end * evidence(scales[steps]);
    let (of_base, of_tilted) = (base.beliefs(&z)?, tilted.beliefs(&z)?);
    let gradient = of_tilted.mean() - of_base.mean();
    let mut states = vec![end];
    for k in (0..steps).rev() {
        let keep = scales[k].signal / scales[k + 1].signal;
        let noise = (1.0 - keep * keep).max(0.0).sqrt();
        let next = &states[states.len() - 1] * keep + normals(rows, tilted.dim(), &mut rng) * noise;
        states.push(next);
    }
    states.reverse();
    let learned = by_network(chain, &states, &(&gradient * -evidence(scales[steps])))?;
    let first: Vec<f64> = dots(&gradient, &gradient).iter().map(|g| g.sqrt() * evidence(scales[steps])).collect();
    let mut sums: [Vec<f64>; 5] = std::array::from_fn(|_| vec![0.0; rows]);
    let mut ratios = vec![Vec::new(); steps];
    let mut y = gradient;
    for k in (0..steps).rev() {
        let (x, at) = (&states[k], scales[k]);
        let z = x * evidence(at);
        let (of_base, of_tilted) = (base.beliefs(&z)?, tilted.beliefs(&z)?);
        let piece = scales[k + 1].snr() - at.snr();
        y = &y + &(of_base.covariance(&y) * piece);
        let (estimate, adjoint) = &learned[k];
        let (goal, exact) = (score(at, of_tilted.mean(), x), score(at, of_base.mean(), x));
        let network = score(at, estimate, x);
        let errors = [&network - adjoint - &goal, &exact + &(&y * evidence(at)) - &goal, &network - &exact];
        let control = &goal - &exact;
        let recovered = dots(&(adjoint * -1.0), &control);
        let weight = 0.5 * piece / evidence(at).powi(2);
        let numbers = errors.iter().map(|error| dots(error, error)).chain([recovered, dots(&control, &control)]);
        for (sums, numbers) in sums.iter_mut().zip(numbers) {
            sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += weight * number);
        }
        let norms = dots(adjoint, adjoint);
        ratios[k] = norms.iter().zip(&first).map(|(norm, first)| norm.sqrt() / first).collect();
    }
    Ok((sums, ratios))
}

/// The network's estimates `E[e|x_k]` and lean adjoints of all states but the last, given the adjoint of that.
///
/// A block with its held context is one graph, as in adjoint matching: the adjoint of a state inside a block leaves the context alone, that of
/// a block's first state does not.
fn by_network(
    chain: &DiffusionChain,
    states: &[Array2<f64>],
    last: &Array2<f64>,
) -> Result<Vec<(Array2<f64>, Array2<f64>)>> {
    let (steps, block, rows) = (chain.steps(), chain.block(), last.nrows());
    let shape: Vec<usize> = std::iter::once(rows).chain(chain.shape()).collect();
    let tensor = |x: &Array2<f64>| -> Result<Tensor> {
        let numbers: Vec<f64> = x.iter().copied().collect();
        Ok(Tensor::from_vec(numbers, shape.clone(), chain.device())?.to_dtype(chain.dtype())?)
    };
    let matrix = |x: &Tensor| -> Result<Array2<f64>> {
        Array2::from_shape_vec((rows, last.ncols()), read(&[&x.to_dtype(DType::F64)?])?.remove(0))
            .map_err(|error| Error::device("a matrix of states").because(error))
    };
    let (mut found, mut adjoint) = (Vec::with_capacity(steps), tensor(last)?);
    for from in (0..steps).step_by(block).rev() {
        let to = (from + block).min(steps);
        let head = Var::from_tensor(&tensor(&states[from])?)?;
        let (mut memory, mut x) = (Memory::default(), head.as_tensor().clone());
        let (mut pushes, mut estimates) = (Vec::new(), Vec::new());
        for k in from..to {
            let step = chain.advance(k, &x, &mut memory)?;
            let belief = step.belief.as_ref().ok_or_else(|| Error::usage("a chain without beliefs"))?;
            estimates.push(matrix(&chain.prior().estimate(&belief.detach())?)?);
            let push = Var::from_tensor(&(tensor(&states[k + 1])? - step.mean.detach())?)?;
            x = (step.mean + push.as_tensor())?;
            pushes.push(push);
        }
        let local = (x * &adjoint)?.sum_all()?;
        let inputs: Vec<&Var> = std::iter::once(&head).chain(pushes.iter().take(to - from - 1)).collect();
        let adjoints = gradients_with(&local, &[], &inputs)?.1;
        adjoint = adjoints[0].clone();
        for (estimate, adjoint) in estimates.into_iter().zip(&adjoints).rev() {
            found.push((estimate, matrix(adjoint)?));
        }
    }
    found.reverse();
    Ok(found)
}
