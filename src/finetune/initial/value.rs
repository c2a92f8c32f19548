//! What an initial state is worth.

use crate::error::Result;
use crate::finetune::Terminal;
use crate::nn::{Init, Mlp, Params};
use candle_core::Tensor;

/// A network for the soft value of an initial state, in reward units:
///
/// ```text
/// v₀(x) = α (level + MLP(x))  ≈  α log E[e^{r(x_K)/α} | x_0 = x]
/// ```
/// The network works in nats and starts at 0, the level at any number. As a [`Terminal`] it is what a [`Lead`](super::Lead) is
/// controlled towards. Parameters: `level`, `network`.
#[derive(Clone, Debug)]
pub struct ValueFunction {
    level: Tensor,
    network: Mlp,
    alpha: f64,
}

impl ValueFunction {
    /// A value of states of `shape` at the price `alpha`, `width` wide, that starts at `level` nats everywhere.
    ///
    /// # Errors
    /// When stored weights have another shape.
    pub fn new(params: &Params, shape: &[usize], width: usize, alpha: f64, level: f64) -> Result<Self> {
        let dims = [shape.iter().product(), width, width, 1];
        let network = Mlp::zero_last(&params.child("network"), &dims)?;
        Ok(Self { level: params.get("level", 1, Init::Const(level))?, network, alpha })
    }

    /// Values of states (B, …) over alpha: (B,), in nats.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn nats(&self, x: &Tensor) -> Result<Tensor> {
        Ok(self.network.forward(&x.flatten_from(1)?)?.squeeze(1)?.broadcast_add(&self.level)?)
    }
}

impl Terminal for ValueFunction {
    fn reward(&self, _: usize, x: &Tensor) -> Result<Tensor> {
        Ok((self.nats(x)? * self.alpha)?)
    }
}
