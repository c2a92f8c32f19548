//! The reversal of kept paths that an escort amounts to.

use super::Control;
use super::potential::Potential;
use super::trace::{Kept, Trace, increment};
use crate::diffusion::{Chain, Memory, Move};
use crate::error::{Error, Result};
use crate::nn::{Gradients, gradients_with, read};
use candle_core::{Device, Tensor, Var};
use ndarray::Array2;

/// Kept paths walked backwards. A control is read as half the tilt's slope and an escort w; the chain's noising is shifted by the other half of
/// the slope and −w, in units of its noise:
///
/// ```text
/// u_k(x_k) = ½σ∂φ + w            x_k = keep x_{k+1} + std (b_k(x_{k+1}) + ε)
/// b_k = ½σ∂φ − w = std (∂φ_{k+1} − lift u_{k+1})(x_{k+1})
/// log B_w/B = Σ_k ℓᴮ_k,   ℓᴮ_k = b_k·y_k − ½|b_k|²,   y_k = (x_k − keep x_{k+1})/std
/// ```
/// `lift u` is the slope that the control stands for ([`NoisingStep`](crate::diffusion::NoisingStep)); where it is the tilt's, b vanishes. The network is
/// the whole forward control, so that chain, samples and certificate know nothing of escorts. The last step's reversal is the noising itself:
/// there is no control at the end. What context a block holds is worked out anew at every state, since a reversal may depend on nothing that
/// comes later in its own time.
pub(super) struct Reversal {
    backs: Vec<Back>,
    steps: usize,
    rows: usize,
    block: usize,
}

/// One step backwards.
struct Back {
    /// Steps before the state that it starts from.
    k: usize,
    x: Tensor,
    base: Move,
    /// std ∂φ.
    pull: Tensor,
    /// std lift.
    lift: f64,
    /// y.
    innovation: Tensor,
}

impl Back {
    /// ℓᴮ per row, (B,), in the control's graph.
    fn increment(&self, control: &dyn Control) -> Result<Tensor> {
        let u = control.control(self.k, &self.x, &self.base, &mut Memory::default())?;
        increment(&(&self.pull - (u * self.lift)?)?, &self.innovation)
    }
}

impl Reversal {
    /// The reversal of some paths under a tilt.
    ///
    /// # Errors
    /// When the noising of the chain is not known, or a tensor operation fails.
    ///
    /// # Cost
    /// A value with its slope for every state but the first and the last, which asks the denoiser there.
    pub(super) fn of(trace: &Trace, chain: &dyn Chain, potential: &Potential<'_>) -> Result<Self> {
        let noised = chain.undoes().ok_or_else(|| Error::usage("this chain undoes no noising that is known"))?;
        let steps: Vec<&Kept> = trace.blocks().flatten().collect();
        let back = |pair: &[&Kept]| {
            let [before, after] = pair else { return Err(Error::usage("a step backwards has two ends")) };
            let (step, own) = (noised.noising(before.k), noised.noising(after.k));
            let mut tilted = potential.at(after.k, &after.x)?;
            let base = chain.advance(after.k, &after.x, &mut tilted.memory)?.detached();
            Ok(Back {
                k: after.k,
                x: after.x.clone(),
                base,
                pull: (tilted.slope * step.std)?,
                lift: own.lift * step.std,
                innovation: ((&before.x - (&after.x * step.keep)?)? / step.std)?,
            })
        };
        let backs = steps.windows(2).map(back).collect::<Result<Vec<_>>>()?;
        Ok(Self { backs, steps: steps.len(), rows: trace.rows(), block: chain.block() })
    }

    /// ℓᴮ of a control, (K, B), without a gradient; 0 at the last step.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(super) fn under(&self, control: &dyn Control) -> Result<Array2<f64>> {
        let mut all = Array2::zeros((self.steps, self.rows));
        if self.backs.is_empty() {
            return Ok(all);
        }
        let rows = self.backs.iter().map(|back| Ok(back.increment(control)?.detach())).collect::<Result<Vec<_>>>()?;
        let values = read(&[&Tensor::stack(&rows, 0)?])?.remove(0);
        for (into, value) in all.iter_mut().zip(values) {
            *into = value;
        }
        Ok(all)
    }

    /// The gradient of `Σ_{k,i} w_{k,i} ℓᴮ_{k,i}(θ)` for weights (K, B), as many steps in a graph as a block has; none where there is but one step.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(super) fn gradient(
        &self,
        control: &dyn Control,
        vars: &[(String, Var)],
        weights: &Array2<f64>,
    ) -> Result<Option<Gradients>> {
        let mut total: Option<Gradients> = None;
        for (index, backs) in self.backs.chunks(self.block).enumerate() {
            let rows = backs.iter().map(|back| back.increment(control)).collect::<Result<Vec<_>>>()?;
            let ell = Tensor::stack(&rows, 0)?;
            let first = index * self.block;
            let weight = weights.slice(ndarray::s![first..first + backs.len(), ..]);
            let weight = Tensor::from_vec(weight.iter().copied().collect::<Vec<f64>>(), ell.shape(), &Device::Cpu)?;
            let loss = (&ell * weight.to_device(ell.device())?.to_dtype(ell.dtype())?)?.sum_all()?;
            let gradients = gradients_with(&loss, vars, &[])?.0;
            match &mut total {
                None => total = Some(gradients),
                Some(total) => total.add(gradients)?,
            }
        }
        Ok(total)
    }
}
