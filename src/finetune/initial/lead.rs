//! The chain that draws an initial state.

use crate::diffusion::{Chain, Memory, Move};
use crate::error::{Error, Result};
use crate::nn::read;
use candle_core::{DType, Device, Tensor};

/// A random walk from a fixed point to the initial law of a chain, `N(c, S² I)`, in J steps:
///
/// ```text
/// z_0 = c,   z ← z + S/√J ε
/// ```
/// Controlled towards a value of its end it draws `ν₀ e^{v/α}/Z`: it starts at a point, so nothing is left to bias it (Uehara et
/// al. 2024, arXiv 2402.15194, where the second diffusion's clock runs up to the noise; here its steps come first).
#[derive(Clone, Debug)]
pub struct Lead {
    centre: Tensor,
    spread: f64,
    steps: usize,
    block: usize,
}

impl Lead {
    /// The lead to the initial law of `main`, in `steps` steps.
    ///
    /// # Errors
    /// When there is no step, or the initial law is not `N(c, S² I)` with S above 0.
    pub fn to(main: &dyn Chain, steps: usize) -> Result<Self> {
        if steps == 0 {
            return Err(Error::usage("a lead of 0 steps; at least 1 is needed"));
        }
        let shape = [vec![1], main.shape()].concat();
        let at = |value: f64| -> Result<Tensor> {
            let noise = (Tensor::ones(shape.as_slice(), main.dtype(), main.device())? * value)?;
            main.start(&noise)
        };
        let (centre, one, two) = (at(0.0)?, at(1.0)?, at(-2.0)?);
        let rows = read(&[&(one - &centre)?, &((two - &centre)? * -0.5)?])?;
        let spread = rows[0].first().copied().unwrap_or_default();
        // numbers of single precision that were added and taken away again
        let same = |value: &f64| (value - spread).abs() <= 1e-5 * spread.abs();
        if spread == 0.0 || !rows.iter().flatten().all(same) {
            return Err(Error::usage(
                "the chain's initial law cannot be led to; N(c, S² I) with S above 0 is accepted",
            )
            .hint("a chain that starts at a fixed point has no initial law to learn"));
        }
        Ok(Self { centre, spread: spread.abs(), steps, block: 1 })
    }

    /// The same with steps in blocks of `block`, whole ones.
    pub(super) fn in_blocks(self, block: usize) -> Self {
        Self { steps: self.steps.next_multiple_of(block), block, ..self }
    }

    /// Standard deviation S of the initial law.
    #[must_use]
    pub fn spread(&self) -> f64 {
        self.spread
    }
}

impl Chain for Lead {
    fn steps(&self) -> usize {
        self.steps
    }

    fn shape(&self) -> Vec<usize> {
        self.centre.dims()[1..].to_vec()
    }

    fn dtype(&self) -> DType {
        self.centre.dtype()
    }

    fn device(&self) -> &Device {
        self.centre.device()
    }

    fn start(&self, noise: &Tensor) -> Result<Tensor> {
        Ok(self.centre.broadcast_as(noise.shape())?.contiguous()?)
    }

    fn block(&self) -> usize {
        self.block
    }

    fn advance(&self, _: usize, x: &Tensor, _: &mut Memory) -> Result<Move> {
        Ok(Move { mean: x.clone(), std: self.spread / (self.steps as f64).sqrt(), belief: None })
    }
}
