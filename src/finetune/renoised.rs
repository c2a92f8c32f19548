//! A control of a memoryless chain at another share of noise.

use super::Control;
use crate::diffusion::{Chain, DiffusionChain, Memory, Move};
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// A tuned chain walked with another share η of noise than it was trained with, as a chain without control of its own.
///
/// ```text
/// u* = σ ∂V/∂x = σ (s* − s)        so that s + u/σ is the score of the tilt's laws on the way, and
/// dX = [v + ½σ²(s* − s) + ½η²σ² s*] dτ + ησ dW                    has these laws for every η: 0 is the probability-flow ODE
/// x_{k+1} = m^η_k(x_k) + g_k s_k u_k(x_k) + η-share of noise,      g_k = predict^η_k / predict_k   (½(1 + η²) of Euler's steps)
/// ```
/// for base steps `m^η_k` at the new share, and push `s_k u_k` of the trained chain (arXiv 2605.00229; derived here for steps). Of a sequence
/// chain it is the walk of the tuned denoised estimate `ẑ₀ + s_k u_k/predict_k`. Only a memoryless chain from its frozen start has a
/// control of this form: with other noise V is not the difference of the laws' logarithms, and a learned initial law is not that of the
/// level. The end is read as the trained chain's is. Exact as steps get short: one step at the share η errs by its own order.
pub struct Renoised<'a> {
    trained: Box<dyn Chain + 'a>,
    walked: Box<dyn Chain + 'a>,
    gains: Vec<f64>,
    control: &'a dyn Control,
}

impl<'a> Renoised<'a> {
    /// The `control` of the chain `trained` on the steps of the chain `walked`, its push in step k counted `gains[k]` times.
    ///
    /// # Errors
    /// When there is not one gain per step of both chains.
    pub fn new(
        trained: Box<dyn Chain + 'a>,
        walked: Box<dyn Chain + 'a>,
        gains: Vec<f64>,
        control: &'a dyn Control,
    ) -> Result<Self> {
        let steps = (trained.steps(), walked.steps(), gains.len());
        if steps.0 != steps.1 || steps.0 != steps.2 {
            return Err(Error::usage(format!(
                "a chain of {} steps on one of {} with {} gains; as many of each are needed",
                steps.0, steps.1, steps.2
            )));
        }
        Ok(Self { trained, walked, gains, control })
    }

    /// The control of a sequence chain at the share `eta` of noise, 0 to [`MOST_NOISE`](crate::diffusion::MOST_NOISE).
    ///
    /// # Errors
    /// When the share is out of range, or the chain that the control was trained on is not memoryless.
    pub fn of_letters(chain: &DiffusionChain, control: &'a dyn Control, eta: f64) -> Result<Self> {
        if chain.eta() < 1.0 {
            return Err(Error::usage(format!(
                "the control was trained on a chain of eta {}, which remembers its start; another `eta` is for those of eta 1",
                chain.eta()
            ))
            .hint("leave `--eta` out, or run `seqtilt finetune` without it"));
        }
        let walked = chain.walked_at(eta)?;
        let gain = |k| walked.coefficients(k).predict / chain.coefficients(k).predict;
        let gains = (0..chain.steps()).map(gain).collect();
        Self::new(Box::new(chain.clone()), Box::new(walked), gains, control)
    }
}

impl Chain for Renoised<'_> {
    fn steps(&self) -> usize {
        self.gains.len()
    }

    fn shape(&self) -> Vec<usize> {
        self.walked.shape()
    }

    fn dtype(&self) -> DType {
        self.walked.dtype()
    }

    fn device(&self) -> &Device {
        self.walked.device()
    }

    fn start(&self, noise: &Tensor) -> Result<Tensor> {
        self.walked.start(noise)
    }

    fn block(&self) -> usize {
        self.walked.block()
    }

    fn advance(&self, k: usize, x: &Tensor, memory: &mut Memory) -> Result<Move> {
        // the context that the first of the two leaves in the memory is the other's too
        let base = self.trained.advance(k, x, memory)?;
        let u = self.control.control(k, x, &base, memory)?;
        let step = self.walked.advance(k, x, memory)?;
        let mean = (step.mean + (u * (self.gains[k] * base.std))?)?;
        Ok(Move { mean, std: step.std, belief: None })
    }
}
