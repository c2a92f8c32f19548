//! What an initial state is worth.

use crate::error::Result;
use crate::finetune::Terminal;
use crate::nn::{Init, Linear, Mlp, Params};
use candle_core::Tensor;

/// Where a value starts from: the targets' level and their spread, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale {
    /// The value everywhere at first.
    pub level: f64,
    /// What a change of the network by 1 is worth.
    pub unit: f64,
}

/// The soft value of an initial state, in reward units: a quadratic form and a network for what bends otherwise.
///
/// ```text
/// v₀(x) = α (level + unit · (Σ slope x + bend x² + MLP(x)))  ≈  α log E[e^{r(x_K)/α} | x_0 = x]
/// ```
/// Slope, bend and the network's last layer start at 0. As a [`Terminal`] it is what a [`Lead`](super::Lead) is controlled
/// towards. Parameters: `level`, `unit`, `form`, `network`.
#[derive(Clone, Debug)]
pub struct ValueFunction {
    level: Tensor,
    unit: Tensor,
    form: Linear,
    network: Mlp,
    alpha: f64,
}

impl ValueFunction {
    /// A value of states of `shape` at the price `alpha`, `width` wide, that starts at the level of `scale` everywhere.
    ///
    /// # Errors
    /// When stored weights have another shape.
    pub fn new(params: &Params, shape: &[usize], width: usize, alpha: f64, scale: Scale) -> Result<Self> {
        let numbers: usize = shape.iter().product();
        Ok(Self {
            level: params.get("level", 1, Init::Const(scale.level))?,
            unit: params.get("unit", 1, Init::Const(scale.unit))?,
            form: Linear::zeros(&params.child("form"), 2 * numbers, 1)?,
            network: Mlp::zero_last(&params.child("network"), &[numbers, width, width, 1])?,
            alpha,
        })
    }

    /// Values of states (B, …) over alpha: (B,), in nats.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn nats(&self, x: &Tensor) -> Result<Tensor> {
        let x = x.flatten_from(1)?;
        let form = self.form.forward(&Tensor::cat(&[&x, &x.sqr()?], 1)?)?;
        let bent = (form + self.network.forward(&x)?)?.squeeze(1)?;
        Ok(bent.broadcast_mul(&self.unit)?.broadcast_add(&self.level)?)
    }
}

impl Terminal for ValueFunction {
    fn reward(&self, _: usize, x: &Tensor) -> Result<Tensor> {
        Ok((self.nats(x)? * self.alpha)?)
    }
}
