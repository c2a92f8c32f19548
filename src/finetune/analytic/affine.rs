//! Controls that are affine in the state.

use crate::diffusion::{Memory, Move};
use crate::error::Result;
use crate::finetune::Control;
use crate::nn::{Init, Params, Tensors};
use candle_core::{DType, Device, Tensor};

/// The control of one step, `u(x) = slope · x + offset`, in units of noise.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Gain {
    /// Factor of the state.
    pub slope: f64,
    /// What is added.
    pub offset: f64,
}

/// One [`Gain`] a step, as parameters `slope` and `offset` of shape (K,): it holds the optimum of a [`LinearChain`] exactly,
/// and starts at zero.
///
/// [`LinearChain`]: super::LinearChain
#[derive(Clone, Debug)]
pub struct Affine {
    slope: Tensor,
    offset: Tensor,
}

impl Affine {
    /// The control of `steps` steps on its parameters.
    ///
    /// # Errors
    /// When stored parameters have another shape.
    pub fn new(params: &Params, steps: usize) -> Result<Self> {
        Ok(Self { slope: params.get("slope", steps, Init::Zeros)?, offset: params.get("offset", steps, Init::Zeros)? })
    }

    /// The control that is held at these gains.
    ///
    /// # Errors
    /// When a tensor cannot be made.
    pub fn held(gains: &[Gain]) -> Result<Self> {
        let column = |pick: fn(&Gain) -> f64| -> Result<Tensor> {
            Ok(Tensor::from_vec(gains.iter().map(pick).collect::<Vec<_>>(), gains.len(), &Device::Cpu)?)
        };
        let tensors = [("slope", column(|gain| gain.slope)?), ("offset", column(|gain| gain.offset)?)];
        let tensors: Tensors = tensors.into_iter().map(|(name, tensor)| (name.to_owned(), tensor)).collect();
        Self::new(&Params::frozen(tensors, &Device::Cpu), gains.len())
    }

    /// The gains step by step.
    ///
    /// # Errors
    /// When the parameters cannot be read.
    pub fn gains(&self) -> Result<Vec<Gain>> {
        let read = |tensor: &Tensor| -> Result<Vec<f64>> { Ok(tensor.to_dtype(DType::F64)?.to_vec1::<f64>()?) };
        let pairs = read(&self.slope)?.into_iter().zip(read(&self.offset)?);
        Ok(pairs.map(|(slope, offset)| Gain { slope, offset }).collect())
    }
}

impl Control for Affine {
    fn control(&self, k: usize, x: &Tensor, _: &Move, _: &mut Memory) -> Result<Tensor> {
        Ok(x.broadcast_mul(&self.slope.narrow(0, k, 1)?)?.broadcast_add(&self.offset.narrow(0, k, 1)?)?)
    }
}
