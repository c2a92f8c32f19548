//! One way to compute: a device, a type of numbers, a form of the layers and a precision.

use candle_core::{DType, Device, Tensor, Var};
use seqtilt::nn::{Params, Precision, Tensors, composed, emulated, set_precision};
use seqtilt::{Result, Seed};

/// Where and how something is computed.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    pub(crate) device: Device,
    pub(crate) dtype: DType,
    pub(crate) composed: bool,
    pub(crate) precision: Precision,
}

impl Side {
    /// The CPU as everyone uses it.
    pub(crate) fn cpu() -> Self {
        Self { device: Device::Cpu, dtype: DType::F32, composed: false, precision: Precision::F32 }
    }

    /// As exact as it gets.
    pub(crate) fn exact() -> Self {
        Self { dtype: DType::F64, ..Self::cpu() }
    }

    /// What is tested: on the CPU, the form that devices take.
    pub(crate) fn tested(device: &Device, precision: Precision) -> Self {
        Self { device: device.clone(), dtype: DType::F32, composed: true, precision }
    }

    /// Whether the form or the precision would be lost on the way to a pool's threads.
    pub(crate) fn is_pretended(&self) -> bool {
        self.composed && self.device.is_cpu()
    }

    /// Runs `work` in this form and with this precision.
    pub(crate) fn run<T>(&self, work: impl FnOnce() -> T) -> T {
        if self.is_pretended() {
            return composed(|| emulated(self.precision, work));
        }
        set_precision(self.precision);
        let result = work();
        set_precision(Precision::F32);
        result
    }

    /// A tensor of this side with the numbers of another.
    pub(crate) fn take(&self, tensor: &Tensor) -> Result<Tensor> {
        Ok(tensor.to_dtype(self.dtype)?.to_device(&self.device)?)
    }

    /// Standard normal numbers, the same on every side.
    pub(crate) fn normal(&self, seed: Seed, dims: &[usize]) -> Result<Tensor> {
        let values = seed.rng().normals(dims.iter().product());
        self.take(&Tensor::from_vec(values, dims, &Device::Cpu)?)
    }

    /// The same as something that has a gradient.
    pub(crate) fn variable(&self, seed: Seed, dims: &[usize]) -> Result<Var> {
        Ok(Var::from_tensor(&self.normal(seed, dims)?)?)
    }

    /// Trainable weights of whatever `build` makes, away from zero and the same on every side.
    pub(crate) fn weights(&self, build: impl Fn(&Params) -> Result<()>) -> Result<Params> {
        let params = Params::trainable_from(self.tensors(&build)?, &self.device);
        build(&params)?;
        Ok(params)
    }

    /// The same, held fixed.
    pub(crate) fn held(&self, build: impl Fn(&Params) -> Result<()>) -> Result<Params> {
        Ok(Params::frozen(self.tensors(&build)?, &self.device))
    }

    fn tensors(&self, build: &impl Fn(&Params) -> Result<()>) -> Result<Tensors> {
        let drawn = Params::trainable(Seed::root(1), DType::F32, &Device::Cpu);
        build(&drawn)?;
        let here = Self::cpu();
        drawn
            .vars()
            .into_iter()
            .enumerate()
            .map(|(index, (name, var))| {
                let noise = (here.normal(Seed::root(2).index(index as u64), var.dims())? * 0.1)?;
                Ok((name, self.take(&(var.as_detached_tensor() + noise)?)?))
            })
            .collect()
    }
}
