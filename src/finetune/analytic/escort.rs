//! A learned escort.

use super::{Escort, TiltedPath};
use crate::error::Result;
use crate::nn::{Init, Linear, Params, read};
use candle_core::{DType, Device, Tensor};

/// A perceptron of state and time with its derivative in the state, both differentiable in the weights:
///
/// ```text
/// h₁ = tanh(x a + T φ(τ))    h₂ = tanh(M h₁ + b)    w = o·h₂ + c
/// h₁' = (1 − h₁²) a          h₂' = (1 − h₂²) M h₁'   dw/dx = o·h₂'
/// ```
/// The tangents are carried along by hand: with one number a state the divergence of w is exact, so that Hutchinson's estimate, which
/// more dimensions would need, has no place here, and no second derivative is asked of the engine. It starts at exactly 0. Parameters:
/// `state`, `time`, `inner`, `shift`, `output`, `offset`.
#[derive(Clone, Debug)]
pub struct EscortNetwork {
    state: Tensor,
    time: Linear,
    inner: Tensor,
    shift: Tensor,
    output: Tensor,
    offset: Tensor,
}

impl EscortNetwork {
    /// The network on its parameters, `width` wide.
    ///
    /// # Errors
    /// When stored weights have another shape.
    pub fn new(params: &Params, width: usize) -> Result<Self> {
        Ok(Self {
            state: params.get("state", (1, width), Init::Uniform(1.0))?,
            time: Linear::new(&params.child("time"), TIMES, width)?,
            inner: params.get("inner", (width, width), Init::FanIn)?,
            shift: params.get("shift", width, Init::Zeros)?,
            output: params.get("output", (width, 1), Init::Zeros)?,
            offset: params.get("offset", 1, Init::Zeros)?,
        })
    }

    /// `w` and `dw/dx`, (B, 1) each, at states (B, 1) and a time.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn at(&self, tau: f64, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let time = self.time.forward(&Tensor::new(&[times(tau)], &Device::Cpu)?)?;
        let first = x.matmul(&self.state)?.broadcast_add(&time)?.tanh()?;
        let first_slope = rise(&first)?.broadcast_mul(&self.state)?;
        let inner = self.inner.t()?;
        let second = first.matmul(&inner)?.broadcast_add(&self.shift)?.tanh()?;
        let second_slope = (rise(&second)? * first_slope.matmul(&inner)?)?;
        Ok((second.matmul(&self.output)?.broadcast_add(&self.offset)?, second_slope.matmul(&self.output)?))
    }
}

/// Functions of time that the network sees.
const TIMES: usize = 5;

fn times(tau: f64) -> [f64; TIMES] {
    let turn = std::f64::consts::PI * tau;
    [2.0 * tau - 1.0, turn.sin(), turn.cos(), (2.0 * turn).sin(), (2.0 * turn).cos()]
}

/// 1 − h².
fn rise(h: &Tensor) -> Result<Tensor> {
    Ok(h.sqr()?.affine(-1.0, 1.0)?)
}

impl Escort for EscortNetwork {
    fn escort(&self, path: &TiltedPath, k: usize, x: &[f64]) -> Result<Vec<(f64, f64)>> {
        let states = Tensor::from_slice(x, (x.len(), 1), &Device::Cpu)?.to_dtype(DType::F64)?;
        let (w, slope) = self.at(path.node(k).tau, &states)?;
        let columns = read(&[&w.detach(), &slope.detach()])?;
        Ok(columns[0].iter().copied().zip(columns[1].iter().copied()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check;

    #[test]
    fn the_tangent_is_the_slope_and_both_have_gradients() {
        let params = check::params();
        EscortNetwork::new(&params, 6).unwrap();
        check::shake(&params);
        let network = || EscortNetwork::new(&params, 6).unwrap();
        let x = Tensor::new(&[[-1.3], [0.2], [2.1]], &Device::Cpu).unwrap();
        let h = 1e-5;
        let slope = network().at(0.4, &x).unwrap().1;
        let w = |by: f64| network().at(0.4, &(&x + by).unwrap()).unwrap().0;
        let found = ((w(h) - w(-h)).unwrap() / (2.0 * h)).unwrap();
        // central differences: h² times a third derivative of the order of 1
        assert!(check::distance(&slope, &found) < 1e-8);
        // the offset is in w alone
        check::layer(&params, &x, |x| Ok((network().at(0.4, x)?.0 + network().at(0.4, x)?.1)?));
    }
}
