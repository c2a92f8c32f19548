//! A Gaussian chain with every law on the way in closed form.

use crate::diffusion::{Chain, Memory};
use crate::error::{Error, Result};
use crate::finetune::analytic::Normal;
use crate::nn::read;
use candle_core::Tensor;

/// The laws of a chain of one number with affine steps from a Gaussian start.
///
/// ```text
/// x_{k+1} = c_k + a_k x_k + s_k ε        A_k = Π_{j≥k} a_j
/// x_k ~ N(m_k, v_k)        x_k | x_K ~ N(m_k + v_k A_k/v_K (x_K − m_K),  v_k − (v_k A_k)²/v_K)
/// ```
/// A_k is what the lean adjoint of [`lean_adjoints`](super::lean_adjoints) keeps of the end's slope back to step k.
///
/// ```
/// use seqtilt::finetune::analytic::{Interpolant, MixtureChain, MixtureProblem, Fixture, Noise, Reference};
/// # fn main() -> seqtilt::Result<()> {
/// let problem = MixtureProblem { interpolant: Interpolant::Vp, noise: Noise::Memoryless, ..MixtureProblem::fixture(Fixture::A) };
/// let reference = Reference::of(&MixtureChain::euler(&problem, 100)?)?;
/// // the published numbers of the discrete chain
/// assert!((reference.end().mean - 0.5033557817).abs() < 1e-9);
/// assert!((reference.end().variance - 0.6493618813).abs() < 1e-9);
/// assert!((reference.carry(50) - 0.1742817711).abs() < 1e-9);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Reference {
    /// Laws of the states 0 … K.
    laws: Vec<Normal>,
    /// A_0 … A_K.
    carry: Vec<f64>,
    /// s_0 … s_{K−1}
    std: Vec<f64>,
}

impl Reference {
    /// The laws of a chain, whose steps are probed at three states.
    ///
    /// # Errors
    /// When a state is not one number, steps come in blocks, or a mean is not affine in the state.
    pub fn of(chain: &dyn Chain) -> Result<Self> {
        if chain.shape() != [1] || chain.block() != 1 {
            return Err(Error::usage("a chain of one number without blocks is accepted"));
        }
        let column = |values: &[f64]| -> Result<Tensor> {
            Ok(Tensor::from_slice(values, (values.len(), 1), chain.device())?.to_dtype(chain.dtype())?)
        };
        let probes = [0.0, 1.0, -3.0];
        let start = read(&[&chain.start(&column(&probes)?)?])?.remove(0);
        let spread = start[1] - start[0];
        let mut laws = vec![Normal { mean: start[0], variance: spread * spread }];
        let (mut keeps, mut stds) = (Vec::new(), Vec::new());
        for k in 0..chain.steps() {
            let step = chain.advance(k, &column(&probes)?, &mut Memory::default())?;
            let means = read(&[&step.mean])?.remove(0);
            let keep = means[1] - means[0];
            let bend = means[2] - (means[0] - 3.0 * keep);
            if bend.abs() > 1e-6 * (1.0 + means[2].abs()) {
                return Err(Error::usage(format!("the mean of step {k} bends by {bend}; an affine one is accepted"))
                    .hint("a reference is one Gaussian, whose drift is linear"));
            }
            let Normal { mean, variance } = laws[k];
            laws.push(Normal { mean: means[0] + keep * mean, variance: keep * keep * variance + step.std * step.std });
            keeps.push(keep);
            stds.push(step.std);
        }
        let mut carry = vec![1.0; keeps.len() + 1];
        for (k, keep) in keeps.iter().enumerate().rev() {
            carry[k] = keep * carry[k + 1];
        }
        Ok(Self { laws, carry, std: stds })
    }

    /// Number of steps, K.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.std.len()
    }

    /// The law of the end.
    #[must_use]
    pub fn end(&self) -> Normal {
        self.laws[self.steps()]
    }

    /// A_k.
    #[must_use]
    pub fn carry(&self, k: usize) -> f64 {
        self.carry[k]
    }

    /// s_k.
    #[must_use]
    pub fn std(&self, k: usize) -> f64 {
        self.std[k]
    }

    /// The law of the state after `k` steps, given the end.
    #[must_use]
    pub fn bridge(&self, k: usize, end: f64) -> Normal {
        let (law, last) = (self.laws[k], self.end());
        let shared = law.variance * self.carry[k];
        Normal {
            mean: law.mean + shared / last.variance * (end - last.mean),
            // the difference of two near numbers at the end
            variance: (law.variance - shared * shared / last.variance).max(0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finetune::analytic::{Fixture, Interpolant, Lattice, MixtureChain, MixtureProblem, Noise, Quadratic};

    fn chain(fixture: Fixture, steps: usize) -> MixtureChain {
        let problem = MixtureProblem::fixture(fixture);
        let vp = MixtureProblem { interpolant: Interpolant::Vp, noise: Noise::Memoryless, ..problem };
        MixtureChain::euler(&vp, steps).unwrap()
    }

    #[test]
    fn bridges_put_together_give_the_law_back() {
        let chain = chain(Fixture::A, 30);
        let reference = Reference::of(&chain).unwrap();
        let line = Quadratic { slope: 0.0, ..Quadratic::default() };
        let tilting = Lattice::new(&chain, &line, 1.0, (-8.0, 9.0)).unwrap().tilting();
        // without a reward the tilt is the base itself; sums over a lattice
        assert!((tilting.learned.mean - reference.end().mean).abs() < 1e-9);
        assert!((tilting.learned.variance - reference.end().variance).abs() < 1e-9);
        let last = reference.end();
        for k in [0, 10, 29] {
            let (at, off) = (reference.bridge(k, last.mean), reference.bridge(k, last.mean + 1.0));
            let slope = off.mean - at.mean;
            // mean of the conditional means, and the law of total variance
            assert!((at.mean - reference.laws[k].mean).abs() < 1e-12);
            let total = at.variance + slope * slope * last.variance;
            assert!((total - reference.laws[k].variance).abs() < 1e-12);
        }
        assert_eq!(reference.bridge(30, 2.5), Normal { mean: 2.5, variance: 0.0 });
    }

    #[test]
    fn two_gaussians_are_no_reference() {
        let error = Reference::of(&chain(Fixture::C, 10)).unwrap_err();
        assert!(error.message().contains("an affine one is accepted"), "{error}");
    }
}
