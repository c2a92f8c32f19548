//! A sampler seen as a chain of Gaussian steps, which is what fine-tuning tilts.

use super::{Coefficients, Grid, Prior, Scales, SolverKind};
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

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

    /// The step `k` from `x`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn advance(&self, k: usize, x: &Tensor) -> Result<Move>;
}

/// A prior's sampler as a [`Chain`]: from z ~ N(0, I) at t = 1 to the decode, at `eta` 1 (the memoryless schedule: the end
/// state does not depend on the initial one beyond signal(1), so that no initial law has to be learned).
#[derive(Clone, Debug)]
pub struct DiffusionChain {
    prior: Arc<Prior>,
    log_snrs: Vec<f64>,
    coefficients: Vec<Coefficients>,
}

impl DiffusionChain {
    /// A chain of `steps` steps.
    ///
    /// # Errors
    /// When `steps` is 0 or the solver is not a Gaussian step.
    pub fn new(prior: Arc<Prior>, steps: usize, grid: Grid, solver: SolverKind) -> Result<Self> {
        if solver.get().corrects() {
            return Err(Error::usage("solver `heun` has no Gaussian step to control; accepted: `ancestral`, `euler`"));
        }
        let config = prior.config();
        let (first, last) = config.range();
        let log_snrs = grid.log_snrs(steps, first, last, &config.schedule, &config.warp)?;
        let schedule = config.schedule.get();
        let coefficients = log_snrs
            .windows(2)
            .map(|pair| match solver {
                SolverKind::Euler => {
                    solver.get().coefficients(schedule, schedule.time(pair[0]), schedule.time(pair[1]), 1.0)
                }
                _ => super::solver::Ancestral::between(Scales::at_log_snr(pair[0]), Scales::at_log_snr(pair[1]), 1.0),
            })
            .collect();
        Ok(Self { prior, log_snrs, coefficients })
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

    /// Token logits of final states: the frozen head that base and tuned chains share.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn read(&self, x: &Tensor) -> Result<Tensor> {
        self.prior.belief(x, &self.log_snrs[self.coefficients.len()..])
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

    fn advance(&self, k: usize, x: &Tensor) -> Result<Move> {
        let belief = self.prior.belief(x, &self.log_snrs[k..=k])?;
        let Coefficients { keep, predict, std } = self.coefficients[k];
        let mean = ((x * keep)? + (self.prior.estimate(&belief)? * predict)?)?;
        Ok(Move { mean, std, belief: Some(belief) })
    }
}
