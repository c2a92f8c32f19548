//! A control network for states of any shape.

use super::Form;
use crate::diffusion::{Memory, Move};
use crate::error::Result;
use crate::finetune::Control;
use crate::nn::{Linear, Mlp, Params, TimeEmbedding, gelu};
use candle_core::Tensor;

/// A perceptron of the flattened state and the step, whose last layer starts at 0, and with it the control:
///
/// ```text
/// u_k(x) = MLP(gelu(W x + φ(k/K)))
/// ```
/// For leads, which have no beliefs to tilt, and for problems of few dimensions. Parameters: `input`, `time`, `output`.
#[derive(Clone, Debug)]
pub struct StateControl {
    input: Linear,
    time: TimeEmbedding,
    output: Mlp,
    steps: usize,
}

impl StateControl {
    /// A control of `steps` steps over states of `shape`, `width` wide.
    ///
    /// # Errors
    /// When stored weights have another shape.
    pub fn new(params: &Params, shape: &[usize], steps: usize, width: usize) -> Result<Self> {
        let numbers = shape.iter().product();
        Ok(Self {
            input: Linear::new(&params.child("input"), numbers, width)?,
            time: TimeEmbedding::new(&params.child("time"), width)?,
            output: Mlp::zero_last(&params.child("output"), &[width, width, numbers])?,
            steps,
        })
    }

    /// The same as a [`Form`], for [`Forms`](super::Forms).
    #[must_use]
    pub fn form<'a>(shape: Vec<usize>, steps: usize, width: usize) -> Form<'a> {
        Box::new(move |params| Ok(Box::new(Self::new(params, &shape, steps, width)?)))
    }
}

impl Control for StateControl {
    fn control(&self, k: usize, x: &Tensor, _: &Move, _: &mut Memory) -> Result<Tensor> {
        let time = self.time.forward(&[k as f64 / self.steps as f64])?;
        let hidden = gelu(&self.input.forward(&x.flatten_from(1)?)?.broadcast_add(&time)?)?;
        Ok(self.output.forward(&hidden)?.reshape(x.shape())?)
    }
}
