//! The regression of a control on adjoints.

use super::matched::{Matched, squares};
use crate::diffusion::Memory;
use crate::error::{Error, Result};
use crate::finetune::Control;
use crate::nn::{Gradients, gradients_with};
use crate::random::Rng;
use candle_core::{Device, Tensor, Var};
use ndarray::{Array2, Axis};

/// How the steps and rows of a batch count in the regression.
pub(in crate::finetune) struct Counts<'a> {
    /// Times that a step counts, K numbers; 0 leaves it out.
    pub(in crate::finetune) steps: &'a [f64],
    /// Times that a path counts at each step, (K, B).
    pub(in crate::finetune) paths: &'a Array2<f64>,
    /// Residuals from here on are left out.
    pub(in crate::finetune) most: Option<f64>,
}

impl Matched {
    /// The gradient of
    ///
    /// ```text
    /// Σ_{k,i} c_k w_{k,i} ½|u_θ(x_k) + s_k ã|²
    /// ```
    /// one block's graph at a time; and `|u_θ + s ã|` of the steps that count, (B,) each.
    ///
    /// # Errors
    /// When no step counts or a tensor operation fails.
    pub(in crate::finetune) fn gradient(
        &self,
        control: &dyn Control,
        vars: &[(String, Var)],
        counts: &Counts<'_>,
    ) -> Result<(Gradients, Vec<Tensor>)> {
        let (mut total, mut residuals): (Option<Gradients>, _) = (None, Vec::new());
        for block in self.trace.blocks() {
            let (mut memory, mut loss): (_, Option<Tensor>) = (Memory::default(), None);
            let Some(last) = block.iter().rposition(|step| counts.steps[step.k] > 0.0) else { continue };
            for (index, step) in block[..=last].iter().enumerate() {
                let count = counts.steps[step.k];
                // the first of a block is asked whether it counts or not: it may leave something for the others
                if count == 0.0 && index > 0 {
                    continue;
                }
                let u = control.control(step.k, &step.x, &step.base, &mut memory)?;
                if count == 0.0 {
                    continue;
                }
                let square = squares(&(u - &self.targets[step.k])?)?;
                let residual = square.detach().sqrt()?;
                let paths: Vec<f64> = counts.paths.row(step.k).iter().map(|weight| 0.5 * count * weight).collect();
                let paths = Tensor::from_vec(paths, square.shape(), &Device::Cpu)?.to_device(square.device())?;
                let mut paths = paths.to_dtype(square.dtype())?;
                if let Some(most) = counts.most {
                    paths = (paths * residual.lt(most)?.to_dtype(square.dtype())?)?;
                }
                let more = (square * paths)?.sum_all()?;
                loss = Some(match loss {
                    None => more,
                    Some(loss) => (loss + more)?,
                });
                residuals.push(residual);
            }
            let Some(loss) = loss else { continue };
            let gradients = gradients_with(&loss, vars, &[])?.0;
            match &mut total {
                None => total = Some(gradients),
                Some(total) => total.add(gradients)?,
            }
        }
        let total = total.ok_or_else(|| Error::usage("a path is learned from at one step at least"))?;
        Ok((total, residuals))
    }

    /// Times that every path counts at every step, (K, B), under a control that has left the one that drew them: the density ratio of the path
    /// up to where the stretch of the step ends, all that state and adjoint depend on.
    ///
    /// ```text
    /// w_{k,i} = exp Σ_{j < end of k's stretch} (ℓ^θ_{j,i} − ℓ_{j,i})
    /// ```
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(in crate::finetune) fn weights(&self, control: &dyn Control, most: f64) -> Result<Array2<f64>> {
        let mut sums = self.trace.under(control)? - &self.trace.increments;
        sums.accumulate_axis_inplace(Axis(0), |before, here| *here += before);
        let weight = |k: usize, i: usize| sums[[self.until[k] - 1, i]].clamp(-most, most).exp();
        Ok(Array2::from_shape_fn(sums.dim(), |(k, i)| weight(k, i)))
    }
}

/// Times that every one of `steps` steps counts, where a share of them is learned from: the last quarter once, of the others as many at random as
/// the share leaves, each for as many as it stands for.
pub(in crate::finetune) fn chosen(steps: usize, share: f64, rng: &mut Rng) -> Vec<f64> {
    let early = steps - steps.div_ceil(4);
    let wanted = ((share * steps as f64).round() as usize).saturating_sub(steps - early).clamp(early.min(1), early);
    let mut order: Vec<usize> = (0..early).collect();
    rng.shuffle(&mut order);
    let mut counts = vec![0.0; steps];
    order[..wanted].iter().for_each(|k| counts[*k] = early as f64 / wanted as f64);
    counts[early..].fill(1.0);
    counts
}
