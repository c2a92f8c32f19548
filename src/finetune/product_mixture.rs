//! A mixture of products: the marginals that a tilt by a sum of products has.

use crate::diffusion::Change;
use crate::error::Result;
use crate::nn::{Init, Params, exact_product, fused, product_mixture, softmax};
use crate::random::Seed;
use candle_core::{D, Tensor};

/// Change of token logits by the posterior of a mixture of products of letters:
///
/// ```text
/// Δ_i(v) = log [ Σ_m b_m M_im(v) Π_{j≠i} Σ_v' p_j(v') M_jm(v') / Σ_m b_m Π_{j≠i} Σ_v' p_j(v') M_jm(v') ]
/// ```
/// For a prior with independent letters and exp(r/α) = Σ_m b_m Π_i M_im(x_i), which any reward of short sequences is with
/// enough components, this is, up to a constant per position, the exact tilt of the beliefs p at every noise level.
///
/// M_im = V softmax(G_im ∘ θ_im) with θ zero at the start, where every M is 1 and Δ exactly 0, and with fixed random gains G,
/// which tell the components apart from the first update on.
pub(super) struct ProductMixture {
    factors: Tensor,
    weights: Tensor,
}

impl ProductMixture {
    /// A mixture of `components` products over `length` positions and `letters` letters.
    pub(super) fn new(params: &Params, length: usize, letters: usize, components: usize) -> Result<Self> {
        let shape = (length, components, letters);
        let gains = Seed::root(0).child("product-mixture").rng().normals(length * components * letters);
        let gains = Tensor::from_vec(gains, shape, params.device())?.to_dtype(params.dtype())?;
        let logits = (params.get("factors", shape, Init::Zeros)? * gains)?;
        let factors = (softmax(&logits)?.transpose(1, 2)?.contiguous()? * letters as f64)?;
        let weights = params.get("weights", components, Init::Zeros)?;
        Ok(Self { factors, weights })
    }

    /// What a walk renews at every step.
    pub(super) fn change(&self) -> Change {
        Change::Renewed { factors: self.factors.clone(), weights: self.weights.clone() }
    }

    /// The change of the logits (B, L, V) of letter probabilities (B, L, V).
    pub(super) fn forward(&self, probabilities: &Tensor) -> Result<Tensor> {
        let change = marginals(probabilities, &self.factors, &self.weights)?;
        // a constant per position does not count, and equal numbers leave exactly zero
        Ok(change.broadcast_sub(&change.narrow(D::Minus1, 0, 1)?)?)
    }
}

/// log Σ_m w_im M_im(v) with w_im ∝ exp(b_m) Π_{j≠i} p_j·M_jm, for p (B, L, V), M (L, V, H), b (H).
fn marginals(p: &Tensor, factors: &Tensor, weights: &Tensor) -> Result<Tensor> {
    if fused(&[p, factors, weights]) {
        return Ok(product_mixture(p, factors, weights)?);
    }
    let overlaps = exact_product(&p.transpose(0, 1)?.contiguous()?, factors)?.log()?;
    let all = overlaps.sum(0)?.broadcast_add(weights)?;
    let others = softmax(&all.unsqueeze(0)?.broadcast_sub(&overlaps)?)?;
    let means = exact_product(&others, &factors.transpose(D::Minus2, D::Minus1)?.contiguous()?)?;
    Ok(means.log()?.transpose(0, 1)?.contiguous()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check;

    #[test]
    fn it_starts_at_zero_and_its_gradients_are_right() {
        let params = check::params();
        let p = softmax(&check::normal(2, &[2, 3, 4])).unwrap();
        let build = || ProductMixture::new(&params, 3, 4, 5).unwrap();
        assert_eq!(build().forward(&p).unwrap().abs().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap(), 0.0);
        check::shake(&params);
        check::layer(&params, &p, |p| ProductMixture::new(&params, 3, 4, 5)?.forward(p));
    }

    #[test]
    fn it_starts_at_zero_to_the_last_bit_for_twenty_letters_too() {
        let p = softmax(&check::normal_f32(2, &[7, 9, 20])).unwrap();
        let change = ProductMixture::new(&check::params_f32(), 9, 20, 33).unwrap().forward(&p).unwrap();
        assert_eq!(change.abs().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap(), 0.0);
    }

    #[test]
    fn the_fused_form_agrees_with_the_composed_one() {
        let params = check::params_f32();
        ProductMixture::new(&params, 8, 4, 37).unwrap();
        check::shake(&params);
        let p = softmax(&(check::normal_f32(2, &[5, 8, 4]) * 2.0).unwrap()).unwrap();
        check::layer_against_composed(&params, &[p], |p| ProductMixture::new(&params, 8, 4, 37)?.forward(&p[0]));
    }

    #[test]
    fn it_holds_the_tilt_of_a_sum_of_products_exactly() {
        // two components over two positions of two letters against the sum over all four words
        let (p, m) = ([[0.3, 0.7], [0.6, 0.4]], [[[0.5, 1.5], [1.2, 0.8]], [[1.9, 0.1], [0.4, 1.6]]]);
        let b = [0.25_f64, 0.75];
        let factors: Vec<f64> = (0..8).map(|i| m[i % 2][i / 4][i / 2 % 2]).collect();
        let factors = Tensor::from_vec(factors, (2, 2, 2), &candle_core::Device::Cpu).unwrap();
        let weights = Tensor::new(&b.map(f64::ln), &candle_core::Device::Cpu).unwrap();
        let change = marginals(&Tensor::new(&[p], &candle_core::Device::Cpu).unwrap(), &factors, &weights).unwrap();
        let change = change.squeeze(0).unwrap().to_vec2::<f64>().unwrap();
        let tilt = |x: usize, y: usize| -> f64 { (0..2).map(|k| b[k] * m[k][0][x] * m[k][1][y]).sum() };
        let first = |x: usize| (0..2).map(|y| p[1][y] * tilt(x, y)).sum::<f64>();
        let second = |y: usize| (0..2).map(|x| p[0][x] * tilt(x, y)).sum::<f64>();
        assert!((change[0][1] - change[0][0] - (first(1) / first(0)).ln()).abs() < 1e-12);
        assert!((change[1][1] - change[1][0] - (second(1) / second(0)).ln()).abs() < 1e-12);
    }
}
