//! One path that is kept.

use candle_core::Tensor;

/// A whole path, on the host.
#[derive(Clone, Debug)]
pub struct Track {
    /// Its states x_0 … x_K, (K + 1, …), in the chain's number type; or, of a method that learns from ends alone, the end's letters,
    /// (1, L).
    pub states: Tensor,
    /// Its base innovations `z_k = (x_{k+1} − m_k(x_k))/s_k`, (K, …); kept for methods of log-densities only.
    pub innovations: Option<Tensor>,
    /// ℓ_k of the control that drew it, K numbers; or their sum alone.
    pub behaviour: Vec<f64>,
    /// Reward of its end, as decoded.
    pub value: f64,
    /// The optimiser step that it was drawn at.
    pub epoch: u64,
}

impl Track {
    /// Bytes that it takes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let of = |tensor: &Tensor| (tensor.elem_count() * tensor.dtype().size_in_bytes()) as u64;
        of(&self.states) + self.innovations.as_ref().map_or(0, of) + 8 * self.behaviour.len() as u64
    }
}
