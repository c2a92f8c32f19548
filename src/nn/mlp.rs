//! The multi-layer perceptron.

use super::linear::Linear;
use super::params::Params;
use crate::error::{Error, Result};
use candle_core::Tensor;

/// Affine maps with GELU between them; parameters `0`, `1`, ….
#[derive(Clone, Debug)]
pub struct Mlp {
    layers: Vec<Linear>,
}

impl Mlp {
    /// One map for each step of `dims`: `[3, 16, 1]` has one hidden layer of 16.
    ///
    /// # Errors
    /// When `dims` has fewer than two entries, or the store holds other shapes.
    pub fn new(params: &Params, dims: &[usize]) -> Result<Self> {
        Self::build(params, dims, false)
    }

    /// As [`Mlp::new`] with the last map 0: the output is 0 until the first update.
    ///
    /// # Errors
    /// As [`Mlp::new`].
    pub fn zero_last(params: &Params, dims: &[usize]) -> Result<Self> {
        Self::build(params, dims, true)
    }

    fn build(params: &Params, dims: &[usize], zero_last: bool) -> Result<Self> {
        if dims.len() < 2 {
            return Err(Error::usage(format!("a perceptron needs two widths or more, got {dims:?}")));
        }
        let last = dims.len() - 2;
        let layers = dims
            .windows(2)
            .enumerate()
            .map(|(index, pair)| {
                let params = params.child(&index.to_string());
                let zeros = zero_last && index == last;
                if zeros { Linear::zeros(&params, pair[0], pair[1]) } else { Linear::new(&params, pair[0], pair[1]) }
            })
            .collect::<Result<_>>()?;
        Ok(Self { layers })
    }

    /// The network's output.
    ///
    /// # Shapes
    /// (…, first width) to (…, last width).
    ///
    /// # Errors
    /// When the last dimension is not the first width.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.hidden(x)?;
        self.layers.last().map_or_else(|| Ok(x.clone()), |layer| layer.forward(&x))
    }

    /// What the last map reads: the activations before it.
    ///
    /// # Shapes
    /// (…, first width) to (…, last width but one).
    ///
    /// # Errors
    /// As [`Mlp::forward`].
    pub fn hidden(&self, x: &Tensor) -> Result<Tensor> {
        let before = self.layers.len().saturating_sub(1);
        self.layers.iter().take(before).try_fold(x.clone(), |x, layer| layer.forward_gelu(&x))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check;

    #[test]
    fn gradients_are_right() {
        let params = check::params();
        let mlp = Mlp::new(&params, &[3, 5, 4, 2]).unwrap();
        check::layer(&params, &check::normal(1, &[4, 3]), |x| mlp.forward(x));
        assert_eq!(params.vars().len(), 6);
    }

    #[test]
    fn a_zero_last_layer_starts_at_zero_and_still_gets_its_gradient() {
        let params = check::params();
        let mlp = Mlp::zero_last(&params, &[3, 5, 2]).unwrap();
        let x = check::normal(1, &[4, 3]);
        assert_eq!(mlp.forward(&x).unwrap().to_vec2::<f64>().unwrap(), [[0.0; 2]; 4]);
        check::layer(&params, &x, |x| mlp.forward(x));
    }
}
