//! A learnt weight for every sequence.

use crate::error::Result;
use crate::nn::{Init, Params, exact_product, fused, words};
use candle_core::{D, Device, Tensor};

/// Tilted beliefs under a table of weights over all sequences:
///
/// ```text
/// q_i(v) = Σ_{x: x_i = v} W(x) Π_j p_j(x_j) / Σ_x W(x) Π_j p_j(x_j),   W = exp(θ)
/// ```
/// For a prior whose letters are independent given the state this is the exact tilt of the beliefs p at every noise level, with
/// `θ = r/α` up to a constant: the control of most capacity, for sequences few enough to enumerate. θ starts at zero, where q is p up to
/// rounding.
///
/// # Cost
/// The sequence is cut in two halves of V^(L/2) words each; a state costs two products with the V^(L/2) × V^(L/2) table.
pub(super) struct WordTable {
    weights: Tensor,
    transposed: Tensor,
    halves: [Half; 2],
}

/// One half of the positions.
struct Half {
    first: usize,
    length: usize,
    /// (V^length, length · V): which words have which letter where.
    sums: Tensor,
}

impl Half {
    fn new(first: usize, length: usize, letters: usize, params: &Params) -> Result<Self> {
        let words = letters.pow(length as u32);
        let mut sums = vec![0_f32; words * length * letters];
        for word in 0..words {
            for i in 0..length {
                let letter = word / letters.pow((length - 1 - i) as u32) % letters;
                sums[(word * length + i) * letters + letter] = 1.0;
            }
        }
        let sums = Tensor::from_vec(sums, (words, length * letters), params.device())?.to_dtype(params.dtype())?;
        Ok(Self { first, length, sums })
    }

    /// Π_i p_i(x_i) of all words of the half, (B, V^length).
    fn words(&self, p: &Tensor) -> Result<Tensor> {
        if fused(&[p]) {
            return Ok(words(p, self.first, self.length)?);
        }
        let rows = p.dim(0)?;
        let letter = |i: usize| -> Result<Tensor> { Ok(p.narrow(1, self.first + i, 1)?.squeeze(1)?) };
        let mut all = letter(0)?;
        for i in 1..self.length {
            let next = all.unsqueeze(2)?.broadcast_mul(&letter(i)?.unsqueeze(1)?)?;
            all = next.reshape((rows, ()))?;
        }
        Ok(all)
    }
}

impl WordTable {
    /// A table over all sequences of `length` letters out of `letters`.
    pub(super) fn new(params: &Params, length: usize, letters: usize) -> Result<Self> {
        let left = length.div_ceil(2);
        let halves = [Half::new(0, left, letters, params)?, Half::new(left, length - left, letters, params)?];
        let shape = (letters.pow(left as u32), letters.pow((length - left) as u32));
        let logs = params.get("weights", shape, Init::Zeros)?;
        // a common factor does not count
        let most = logs.detach().max_all()?;
        let weights = logs.broadcast_sub(&most)?.exp()?;
        Ok(Self { transposed: weights.t()?.contiguous()?, weights, halves })
    }

    /// Sets the weights of all words to exp(logs), the first position most significant.
    pub(super) fn start(params: &Params, logs: &[f64]) -> Result<()> {
        for (_, var) in params.vars() {
            let logs = Tensor::from_slice(logs, var.shape(), &Device::Cpu)?.to_dtype(var.dtype())?;
            var.set(&logs.to_device(var.device())?)?;
        }
        Ok(())
    }

    /// The tilted probabilities (B, L, V) of letter probabilities (B, L, V).
    pub(super) fn forward(&self, p: &Tensor) -> Result<Tensor> {
        let (b, _, v) = p.dims3()?;
        let [left, right] = &self.halves;
        let (first, second) = (left.words(p)?, right.words(p)?);
        let ahead = exact_product(&first, &self.weights)?;
        let back = exact_product(&second, &self.transposed)?;
        let masses = |half: &Half, mass: Tensor| -> Result<Tensor> {
            Ok(exact_product(&mass, &half.sums)?.reshape((b, half.length, v))?)
        };
        let mass = Tensor::cat(&[masses(left, (first * back)?)?, masses(right, (second * ahead)?)?], 1)?;
        Ok(mass.broadcast_div(&mass.sum_keepdim(D::Minus1)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{check, softmax};
    use crate::random::Seed;
    use crate::reward::{Multilinear, Reward as _};

    #[test]
    fn it_leaves_beliefs_alone_at_first_and_its_gradients_are_right() {
        for length in [4, 5] {
            let params = check::params();
            let p = softmax(&check::normal(2, &[3, length, 3])).unwrap();
            let fresh = WordTable::new(&params, length, 3).unwrap().forward(&p).unwrap();
            let moved = (fresh - &p).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
            // a sum of 243 products that is 1 up to its rounding
            assert!(moved < 1e-14, "{moved}");
            check::shake(&params);
            check::layer(&params, &p, |p| WordTable::new(&params, length, 3)?.forward(p));
        }
    }

    #[test]
    fn at_the_tilt_it_gives_the_slope_of_the_soft_value() {
        // ∂/∂p_i(v) of α log Σ_x Π p e^{r/α}, times p_i(v)/α, is q_i(v)
        let mut rng = Seed::root(1).rng();
        let values: Vec<f64> = (0..243).map(|_| rng.normal()).collect();
        let (reward, alpha) = (Multilinear::new("case", &values, 3, 5).unwrap(), 0.4);
        let params = check::params();
        WordTable::new(&params, 5, 3).unwrap();
        WordTable::start(&params, &values.iter().map(|r| r / alpha).collect::<Vec<_>>()).unwrap();
        let p = candle_core::Var::from_tensor(&softmax(&check::normal(3, &[2, 5, 3])).unwrap()).unwrap();
        let value = reward.soft_value(p.as_tensor(), alpha).unwrap().unwrap().sum_all().unwrap();
        let slope = crate::nn::gradients_with(&value, &[], &[&p]).unwrap().1.remove(0);
        let expected = (slope * p.as_tensor()).unwrap().affine(1.0 / alpha, 0.0).unwrap();
        let got = WordTable::new(&params, 5, 3).unwrap().forward(p.as_tensor()).unwrap();
        let error = (got - expected).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
        assert!(error < 1e-12, "{error}");
    }
}
