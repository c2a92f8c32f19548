//! The loss of Adjoint Matching.

use super::lean_adjoints;
use crate::diffusion::{Chain, Memory};
use crate::error::{Error, Result};
use crate::finetune::Alignment;
use crate::finetune::{Control, Rollout, Terminal};
use crate::nn::{Gradients, gradients};
use crate::random::Seed;
use candle_core::{Tensor, Var};

/// What is matched, on which paths.
pub struct Matching<'a> {
    /// The base chain.
    pub chain: &'a dyn Chain,
    /// The reward at its end.
    pub terminal: &'a dyn Terminal,
    /// Price of a nat, in reward units.
    pub alpha: f64,
    /// Which adjoint a step is paired with.
    pub alignment: Alignment,
    /// Steps that are learned from.
    pub steps: &'a [usize],
    /// Losses whose root is this or more count nothing.
    pub level: Option<f64>,
}

/// One shard's share of a gradient step.
pub struct Matched {
    /// Gradients of the loss, already divided by all entries of the batch.
    pub gradients: Gradients,
    /// Roots of the losses of every path and step, (B · steps).
    pub roots: Tensor,
    /// Rewards of the ends, (B).
    pub reward: Tensor,
    /// Quadratic costs Σ ½|u|² of the paths, (B).
    pub cost: Tensor,
}

impl Matching<'_> {
    /// The gradient over `rows` fresh paths of a batch of `total`:
    ///
    /// ```text
    /// loss = mean over paths and chosen steps of ½ |u_θ(x_k) + s_k ã_{k+1}|²,    x ~ Pᵘ, u = u_θ held
    /// ```
    /// u in units of the step's noise, `x_{k+1} = m_k + s_k (u + ε)`, so that this is `½ h |u + σ ã|²` of continuous time
    /// (Domingo-Enrich et al. 2024, arXiv 2409.08861). `control` holds the weights `vars`; `held` is the same control, held fixed.
    ///
    /// # Errors
    /// When a tensor operation fails or there is no step to learn from.
    pub fn gradient(
        &self,
        control: &dyn Control,
        held: &dyn Control,
        vars: &[(String, Var)],
        rows: usize,
        total: usize,
        seed: Seed,
    ) -> Result<Matched> {
        let chain = self.chain;
        let paths = Rollout::draw(chain, Some(held), chain.steps(), rows, seed, true)?;
        let adjoints = lean_adjoints(chain, self.terminal, self.alpha, &paths.states)?;
        let (mut sum, mut roots): (Option<Tensor>, Vec<Tensor>) = (None, Vec::with_capacity(self.steps.len()));
        for &k in self.steps {
            let x = paths.states[k].detach();
            let mut memory = Memory::default();
            let base = chain.advance(k, &x, &mut memory)?;
            let adjoint = match self.alignment {
                Alignment::Exact => &adjoints[k + 1],
                Alignment::Released => &adjoints[k],
            };
            let pull = (adjoint.detach() * base.std)?;
            let loss = (control.control(k, &x, &base, &mut memory)? + pull)?.sqr()?.flatten_from(1)?.sum(1)?;
            let root = loss.detach().sqrt()?;
            let loss = match self.level {
                Some(level) => (loss * root.lt(level)?.to_dtype(root.dtype())?)?,
                None => loss,
            };
            roots.push(root);
            let loss = loss.sum_all()?;
            sum = Some(sum.map_or_else(|| Ok(loss.clone()), |sum| sum + &loss)?);
        }
        let sum = sum.ok_or_else(|| Error::usage("no step to learn from; at least 1 is needed"))?;
        let loss = (sum * (0.5 / (total * self.steps.len()) as f64))?;
        Ok(Matched {
            gradients: gradients(&loss, vars)?,
            roots: Tensor::cat(&roots, 0)?,
            reward: self.terminal.reward(chain.steps(), paths.last())?.detach(),
            cost: paths.cost,
        })
    }
}
