//! A sampler seen as a chain of Gaussian steps, which is what fine-tuning tilts.

use super::{Coefficients, Grid, Lettered, Noised, Prior, Scales, SolverKind};
use crate::error::{Error, Result};
use crate::nn::{BeliefStep, MixtureWalk, belief_walk, fused, mixture_walk};
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

/// What a chain holds on to from the first step of a block to the others.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    /// The prior's context logits.
    pub context: Option<Tensor>,
    /// The control's change of the logits.
    pub change: Option<Tensor>,
}

/// One step of a base chain from a batch of states: a Gaussian with mean (B, …) and one standard deviation.
#[derive(Clone, Debug)]
pub struct Move {
    /// Mean of the next state.
    pub mean: Tensor,
    /// Standard deviation of the next state, per coordinate.
    pub std: f64,
    /// The prior's token logits at the present state, where the chain has any.
    pub belief: Option<Tensor>,
}

impl Move {
    /// The same step as numbers alone, whatever graph it is part of.
    #[must_use]
    pub fn detached(&self) -> Self {
        let belief = self.belief.as_ref().map(Tensor::detach);
        Self { mean: self.mean.detach(), std: self.std, belief }
    }
}

/// A discrete-time Gaussian chain:
///
/// ```text
/// x_{k+1} = m_k(x_k) + s_k ε_k,   k = 0 … K−1
/// ```
/// under control `x_{k+1} = m_k(x_k) + s_k (u_k(x_k) + ε_k)`, so that the path log-ratio is exactly
/// `L = Σ u_k·ε_k + ½|u_k|²` for the chain as it runs, however coarse.
pub trait Chain: Send + Sync {
    /// Number of steps, K.
    fn steps(&self) -> usize;

    /// Shape of one state, without the batch.
    fn shape(&self) -> Vec<usize>;

    /// Number type of the states.
    fn dtype(&self) -> DType;

    /// Where the states live.
    fn device(&self) -> &Device;

    /// The initial states that standard normal draws (B, …) stand for.
    ///
    /// # Errors
    /// When the tensor operation fails.
    fn start(&self, noise: &Tensor) -> Result<Tensor>;

    /// Steps are taken in blocks of this many, a fresh [`Memory`] for each; 1 is a chain without memory.
    fn block(&self) -> usize {
        1
    }

    /// The step `k` from `x`, within the block that `memory` belongs to.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn advance(&self, k: usize, x: &Tensor, memory: &mut Memory) -> Result<Move>;

    /// A block's steps from `x` at once: (B, N + 2) with the last state's N numbers, Σ ½|u|² and Σ u·ε per row; `None` where
    /// the chain has no such form for these operands.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn leap(&self, leap: &Leap<'_>) -> Result<Option<Tensor>> {
        let _ = leap;
        Ok(None)
    }

    /// The same chain with its letters, where its states stand for some.
    fn lettered(&self) -> Option<&dyn Lettered> {
        None
    }

    /// The same chain with the noising that it undoes, where that is known.
    fn undoes(&self) -> Option<&dyn Noised> {
        None
    }
}

/// A control's change of the token logits during a block.
#[derive(Clone, Debug)]
pub enum Change {
    /// Held from the first step on, (B, L, V).
    Held(Tensor),
    /// That of a mixture of products, renewed at every step.
    Renewed {
        /// Factors M, (L, V, H).
        factors: Tensor,
        /// Log weights of the components, (H).
        weights: Tensor,
    },
}

/// What a block is walked with.
#[derive(Clone, Debug)]
pub struct Leap<'a> {
    /// The steps.
    pub steps: std::ops::Range<usize>,
    /// States (B, …) before the first of them.
    pub x: &'a Tensor,
    /// What the first step left.
    pub memory: &'a Memory,
    /// The control's change of the token logits; nothing for the base chain.
    pub change: Option<&'a Change>,
    /// A twin with the same numbers that takes the gradient of Σ u·ε in its stead.
    pub twin: Option<&'a Change>,
    /// Noise, (steps, B, …).
    pub noise: &'a Tensor,
}

/// The most noise that is walked with, as a share of what a memoryless chain has.
pub const MOST_NOISE: f64 = 2.0;

/// A prior's sampler as a [`Chain`]: from z ~ N(0, I) at t = 1 to the decode, at a share `eta` of noise in (0, 1].
///
/// At `eta` 1 (the memoryless schedule) the end depends on the initial state through signal(1) alone, so that an initial law hardly
/// has to be learned; below, it remembers its start, and a control from the frozen N(0, I) misses the tilt
/// ([`initial`](crate::finetune::initial)). The prior's law at the end is the same for every share, up to the size of the steps.
///
/// The denoiser is called once per block of `hold` steps: its context logits are held while every position's own, closed-form
/// evidence is renewed at each step. What is tilted, sampled and certified is this discrete chain itself.
#[derive(Clone, Debug)]
pub struct DiffusionChain {
    prior: Arc<Prior>,
    hold: usize,
    solver: SolverKind,
    eta: f64,
    log_snrs: Vec<f64>,
    coefficients: Vec<Coefficients>,
}

impl DiffusionChain {
    /// A chain of `steps` steps at `eta` 1, the denoiser called every `hold` steps.
    ///
    /// # Errors
    /// When `steps` is 0, not a multiple of `hold`, or the solver is not a Gaussian step.
    pub fn new(prior: Arc<Prior>, steps: usize, hold: usize, grid: Grid, solver: SolverKind) -> Result<Self> {
        if hold == 0 || !steps.is_multiple_of(hold) {
            return Err(Error::usage(format!("`hold` is {hold}; a divisor of the {steps} steps is accepted")));
        }
        if solver.get().corrects() {
            return Err(Error::usage("solver `heun` has no Gaussian step to control; accepted: `ancestral`, `euler`"));
        }
        let config = prior.config();
        let (first, last) = config.walk();
        let log_snrs = grid.log_snrs(steps, first, last, &config.schedule, &config.warp)?;
        Self { prior, hold, solver, eta: 1.0, log_snrs, coefficients: Vec::new() }.with_eta(1.0)
    }

    /// The same chain with another share of noise.
    ///
    /// # Errors
    /// When `eta` is not above 0 and at most 1.
    pub fn with_eta(self, eta: f64) -> Result<Self> {
        if eta == 0.0 {
            return Err(Error::usage(
                "`eta` is 0: a chain without noise has nothing to control; above 0 to 1 is accepted",
            ));
        }
        if !(eta > 0.0 && eta <= 1.0) {
            return Err(Error::usage(format!("`eta` is {eta}; above 0 to 1 is accepted")));
        }
        let coefficients = self.coefficients_at(eta);
        Ok(Self { eta, coefficients, ..self })
    }

    /// The same steps with any share of noise, 0 to [`MOST_NOISE`], for walks that are not controlled.
    ///
    /// # Errors
    /// When the share is out of range.
    pub fn walked_at(&self, eta: f64) -> Result<Self> {
        if !(0.0..=MOST_NOISE).contains(&eta) {
            return Err(Error::usage(format!("`eta` is {eta}; 0 to {MOST_NOISE} is accepted")));
        }
        Ok(Self { eta, coefficients: self.coefficients_at(eta), ..self.clone() })
    }

    fn coefficients_at(&self, eta: f64) -> Vec<Coefficients> {
        let schedule = self.prior.config().schedule.get();
        let step = |pair: &[f64]| match self.solver {
            SolverKind::Euler => {
                self.solver.get().coefficients(schedule, schedule.time(pair[0]), schedule.time(pair[1]), eta)
            }
            _ => super::solver::Ancestral::between(Scales::at_log_snr(pair[0]), Scales::at_log_snr(pair[1]), eta),
        };
        self.log_snrs.windows(2).map(step).collect()
    }

    /// Share of noise.
    #[must_use]
    pub fn eta(&self) -> f64 {
        self.eta
    }

    /// The prior.
    #[must_use]
    pub fn prior(&self) -> &Arc<Prior> {
        &self.prior
    }

    /// The K + 1 log signal-to-noise ratios.
    #[must_use]
    pub fn log_snrs(&self) -> &[f64] {
        &self.log_snrs
    }

    /// Coefficients of step `k`.
    #[must_use]
    pub fn coefficients(&self, k: usize) -> Coefficients {
        self.coefficients[k]
    }

    /// Token logits of the states after `k` steps; after the last one, the frozen head that base and tuned chains share.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn read(&self, k: usize, x: &Tensor) -> Result<Tensor> {
        self.read_from(k, x, &mut Memory::default())
    }

    /// As [`read`](Self::read) with the context logits of `memory`, which are found and left there where it has none.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn read_from(&self, k: usize, x: &Tensor, memory: &mut Memory) -> Result<Tensor> {
        let level = &self.log_snrs[k..=k];
        let local = self.prior.local(x, level)?;
        let context = match memory.context.take() {
            Some(held) => held,
            None => self.prior.context(x, &local, level)?,
        };
        let belief = (local + &context)?;
        memory.context = Some(context);
        Ok(belief)
    }

    /// The first block boundary at or after a log signal-to-noise ratio, as a number of steps.
    #[must_use]
    pub fn steps_to(&self, log_snr: f64) -> usize {
        let k = self.log_snrs.iter().position(|node| *node >= log_snr).unwrap_or(self.steps());
        k.max(1).next_multiple_of(self.hold)
    }
}

impl Chain for DiffusionChain {
    fn steps(&self) -> usize {
        self.coefficients.len()
    }

    fn shape(&self) -> Vec<usize> {
        vec![self.prior.config().length, self.prior.config().embedding_dim]
    }

    fn dtype(&self) -> DType {
        self.prior.codec().table().dtype()
    }

    fn device(&self) -> &Device {
        self.prior.device()
    }

    fn start(&self, noise: &Tensor) -> Result<Tensor> {
        Ok(noise.clone())
    }

    fn block(&self) -> usize {
        self.hold
    }

    fn lettered(&self) -> Option<&dyn Lettered> {
        Some(self)
    }

    fn undoes(&self) -> Option<&dyn Noised> {
        Some(self)
    }

    fn advance(&self, k: usize, x: &Tensor, memory: &mut Memory) -> Result<Move> {
        let belief = self.read_from(k, x, memory)?;
        let Coefficients { keep, predict, std } = self.coefficients[k];
        let mean = ((x * keep)? + (self.prior.estimate(&belief)? * predict)?)?;
        Ok(Move { mean, std, belief: Some(belief) })
    }

    fn leap(&self, leap: &Leap<'_>) -> Result<Option<Tensor>> {
        let Leap { steps, x, memory, change, twin, noise } = leap;
        let (points, Some(context)) = (self.prior.codec().table(), &memory.context) else { return Ok(None) };
        if points.track_op() || !fused(&[x, context, noise, points]) {
            return Ok(None);
        }
        let steps = steps.clone().map(|k| {
            let (scales, c) = (Scales::at_log_snr(self.log_snrs[k]), self.coefficients[k]);
            BeliefStep {
                evidence: (scales.signal / scales.noise.powi(2)) as f32,
                keep: c.keep as f32,
                predict: c.predict as f32,
                std: c.std as f32,
            }
        });
        let steps = steps.collect();
        let logits = match (change, twin) {
            (None, _) => context.clone(),
            (Some(Change::Held(change)), None) => Tensor::cat(&[context, change], 2)?,
            (Some(Change::Held(change)), Some(Change::Held(twin))) => Tensor::cat(&[context, change, twin], 2)?,
            (Some(Change::Renewed { factors, weights }), twin) => {
                let landing = twin.is_some();
                let walk = MixtureWalk { steps, noise: (*noise).clone(), points: points.clone(), landing };
                return Ok(Some(mixture_walk(x, context, factors, weights, walk)?));
            }
            (Some(Change::Held(_)), Some(Change::Renewed { .. })) => return Ok(None),
        };
        Ok(Some(belief_walk(x, &logits, noise, points, steps)?))
    }
}
