//! Euler's chain of a mixture problem.

use super::{MixtureProblem, Noise};
use crate::diffusion::{Chain, MOST_NOISE, Memory, Move};
use crate::error::{Error, Result};
use crate::finetune::{Control, Renoised};
use crate::nn::softmax;
use candle_core::{DType, Device, Tensor};

/// Euler's chain of a [`MixtureProblem`] in K steps of `h = 1/K`, from `N(0, 1)`, in f64 on the host:
///
/// ```text
/// x ← x + h [v + ½σ² s](x, kh) + σ(kh) √h ε
/// ```
/// with the exact velocity and score. Differentiable in x.
#[derive(Clone, Debug)]
pub struct MixtureChain {
    steps: Vec<Step>,
}

/// `x + Σ_i γ_i(x) (push_i + pull_i (x − centre_i))`, `γ = softmax(log_weight − (x − centre)² half_precision)`.
#[derive(Clone, Debug)]
struct Step {
    centre: Tensor,
    half_precision: Tensor,
    log_weight: Tensor,
    push: Tensor,
    pull: Tensor,
    std: f64,
}

impl MixtureChain {
    /// The chain of `steps` steps.
    ///
    /// # Errors
    /// When a number of the problem is out of range or there is no step.
    pub fn euler(problem: &MixtureProblem, steps: usize) -> Result<Self> {
        problem.check()?;
        Self::walked(problem, steps)
    }

    /// The same where there may be no noise at all.
    fn walked(problem: &MixtureProblem, steps: usize) -> Result<Self> {
        if steps == 0 {
            return Err(Error::usage("a chain of 0 steps; at least 1 is needed"));
        }
        let h = 1.0 / steps as f64;
        let steps = (0..steps).map(|k| Step::new(problem, k as f64 * h, h)).collect::<Result<_>>()?;
        Ok(Self { steps })
    }
}

/// The `control` of a memoryless problem's chain of `steps` steps at the share `eta` of its noise, `σ² = 2η²·η_τ`: 0 is the
/// probability-flow ODE.
///
/// ```
/// use seqtilt::diffusion::{Chain, Memory};
/// use seqtilt::finetune::analytic::{Continuous, Fixture, Interpolant, MixtureProblem, Noise, renoised};
/// use candle_core::{Device, Tensor};
/// let fixture = MixtureProblem::fixture(Fixture::A);
/// let problem = MixtureProblem { interpolant: Interpolant::Vp, noise: Noise::Memoryless, ..fixture };
/// let control = Continuous::new(&problem, 100, 1.0)?;
/// let x = Tensor::new(&[[0.3_f64]], &Device::Cpu)?;
/// let mean = |eta| -> seqtilt::Result<f64> {
///     Ok(renoised(&problem, 100, &control, eta)?.advance(50, &x, &mut Memory::default())?.mean.to_vec2::<f64>()?[0][0])
/// };
/// // the ODE of the tilt: x + v*/100, where the walk of all the noise moves by (v* + η s*)/100
/// let tilted = MixtureProblem { base: problem.tilted().0, ..problem.clone() };
/// let (at, score) = (problem.interpolant.at(0.5), tilted.base.mixed(problem.interpolant.at(0.5)).score(0.3));
/// assert!((mean(1.0)? - mean(0.0)? - at.score_share() * score / 100.0).abs() < 1e-12);
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Errors
/// When the problem's own noise is not memoryless, a number of it is out of range, or the share is not 0 to [`MOST_NOISE`].
pub fn renoised<'a>(
    problem: &MixtureProblem,
    steps: usize,
    control: &'a dyn Control,
    eta: f64,
) -> Result<Renoised<'a>> {
    if problem.noise != Noise::Memoryless {
        let message =
            format!("the control's noise is {:?}; another share of noise is for memoryless ones", problem.noise);
        return Err(Error::usage(message));
    }
    if !(0.0..=MOST_NOISE).contains(&eta) {
        return Err(Error::usage(format!("`eta` is {eta}; 0 to {MOST_NOISE} is accepted")));
    }
    let other = MixtureProblem { noise: Noise::Scaled(eta * eta), ..problem.clone() };
    let (trained, walked) = (MixtureChain::euler(problem, steps)?, MixtureChain::walked(&other, steps)?);
    Renoised::new(Box::new(trained), Box::new(walked), vec![0.5 * (1.0 + eta * eta); steps], control)
}

impl Step {
    fn new(problem: &MixtureProblem, tau: f64, h: f64) -> Result<Self> {
        let at = problem.interpolant.at(tau);
        let square = problem.noise.square(problem.interpolant, tau, h);
        let (laws, ends) = (problem.base.mixed(at), problem.base.parts());
        let column = |of: &dyn Fn(usize) -> f64| -> Result<Tensor> {
            Ok(Tensor::from_vec((0..ends.len()).map(of).collect::<Vec<_>>(), ends.len(), &Device::Cpu)?)
        };
        let law = |i: usize| laws.parts()[i].1;
        Ok(Self {
            centre: column(&|i| law(i).mean)?,
            half_precision: column(&|i| 0.5 / law(i).variance)?,
            log_weight: column(&|i| laws.parts()[i].0.ln() - 0.5 * law(i).variance.ln())?,
            push: column(&|i| h * at.signal_rate * ends[i].1.mean)?,
            pull: column(&|i| {
                let widening = at.signal * at.signal_rate * ends[i].1.variance + at.half_noise_rate;
                h * (widening - 0.5 * square) / law(i).variance
            })?,
            std: (square * h).sqrt(),
        })
    }
}

impl Chain for MixtureChain {
    fn steps(&self) -> usize {
        self.steps.len()
    }

    fn shape(&self) -> Vec<usize> {
        vec![1]
    }

    fn dtype(&self) -> DType {
        DType::F64
    }

    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn start(&self, noise: &Tensor) -> Result<Tensor> {
        Ok(noise.clone())
    }

    fn advance(&self, k: usize, x: &Tensor, _: &mut Memory) -> Result<Move> {
        let Step { centre, half_precision, log_weight, push, pull, std } = &self.steps[k];
        let distance = x.broadcast_sub(centre)?;
        let drift = distance.broadcast_mul(pull)?.broadcast_add(push)?;
        let drift = if centre.dim(0)? == 1 {
            drift
        } else {
            let logits = log_weight.broadcast_sub(&distance.sqr()?.broadcast_mul(half_precision)?)?;
            (softmax(&logits)? * drift)?.sum_keepdim(1)?
        };
        Ok(Move { mean: (x + drift)?, std: *std, belief: None })
    }
}
