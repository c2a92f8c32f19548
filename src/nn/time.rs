//! Embedding of diffusion time.

use super::mlp::Mlp;
use super::params::Params;
use crate::error::Result;
use candle_core::{DType, Device, Tensor};

/// Times are multiplied by this before the sinusoids, so that [0, 1] covers many periods of the fastest.
const TIME_SCALE: f64 = 1000.0;

/// Sinusoidal features of a scalar for each row, through a small perceptron.
///
/// ```text
/// φ(t) = [cos(1000 t ωᵢ), sin(1000 t ωᵢ)],  ωᵢ = 10⁴^(−i/n), i = 0 … n−1, n = dim/2
/// y = MLP(φ(t))
/// ```
///
/// Ho, Jain and Abbeel, arXiv 2006.11239, from the position encoding of arXiv 1706.03762. Parameters: `mlp`.
#[derive(Clone, Debug)]
pub struct TimeEmbedding {
    frequencies: Vec<f64>,
    mlp: Mlp,
    dtype: DType,
    device: Device,
}

impl TimeEmbedding {
    /// An embedding of width `dim`.
    ///
    /// # Errors
    /// When the store holds other shapes.
    pub fn new(params: &Params, dim: usize) -> Result<Self> {
        let n = (dim / 2).max(1);
        let frequencies = (0..n).map(|i| 1e4_f64.powf(-(i as f64) / n as f64)).collect();
        let mlp = Mlp::new(&params.child("mlp"), &[2 * n, dim, dim])?;
        Ok(Self { frequencies, mlp, dtype: params.dtype(), device: params.device().clone() })
    }

    /// One row for each time.
    ///
    /// # Shapes
    /// B times to (B, dim).
    ///
    /// # Errors
    /// When the tensor operation fails.
    pub fn forward(&self, times: &[f64]) -> Result<Tensor> {
        self.mlp.forward(&self.features(times)?)
    }

    fn features(&self, times: &[f64]) -> Result<Tensor> {
        if self.device.is_cpu() { self.features_here(times) } else { self.features_there(times) }
    }

    fn features_here(&self, times: &[f64]) -> Result<Tensor> {
        let mut values = Vec::with_capacity(2 * times.len() * self.frequencies.len());
        for time in times {
            values.extend(self.frequencies.iter().map(|frequency| (TIME_SCALE * time * frequency).cos()));
            values.extend(self.frequencies.iter().map(|frequency| (TIME_SCALE * time * frequency).sin()));
        }
        let features = Tensor::from_vec(values, (times.len(), 2 * self.frequencies.len()), &Device::Cpu)?;
        Ok(features.to_dtype(self.dtype)?)
    }

    /// Only the times travel to the device, in f64: their phases go to 1000.
    fn features_there(&self, times: &[f64]) -> Result<Tensor> {
        let column = Tensor::new(times, &self.device)?.unsqueeze(1)?;
        let phases = (column.broadcast_mul(&Tensor::new(self.frequencies.as_slice(), &self.device)?)? * TIME_SCALE)?;
        Ok(Tensor::cat(&[phases.cos()?, phases.sin()?], 1)?.to_dtype(self.dtype)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check;

    #[test]
    fn gradients_reach_every_parameter_and_times_are_told_apart() {
        let params = check::params();
        let embedding = TimeEmbedding::new(&params, 8).unwrap();
        check::weights(&params, || embedding.forward(&[0.0, 0.25, 1.0]));
        let rows = embedding.features(&[0.0, 0.25]).unwrap().to_vec2::<f64>().unwrap();
        assert_eq!(rows[0], [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
        assert!((rows[1][5] - 25.0_f64.sin()).abs() < 1e-12);
    }

    #[test]
    fn a_device_makes_the_same_features() {
        let embedding = TimeEmbedding::new(&check::params(), 8).unwrap();
        let times = [0.0, 0.037, 0.99];
        let (here, there) = (embedding.features_here(&times).unwrap(), embedding.features_there(&times).unwrap());
        // another order of the two factors moves a phase of up to 1000 by a unit of 1e-13
        assert!(check::distance(&here, &there) < 1e-12);
    }

    #[test]
    fn odd_and_tiny_widths_work() {
        for dim in [1, 3] {
            let embedding = TimeEmbedding::new(&check::params().child(&dim.to_string()), dim).unwrap();
            assert_eq!(embedding.forward(&[0.5]).unwrap().dims(), [1, dim]);
        }
    }
}
