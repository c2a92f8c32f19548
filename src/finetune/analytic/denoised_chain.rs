//! The ancestral sampler of a mixture of Gaussians with its exact denoiser.

use super::{Interpolant, Mixing, Mixture};
use crate::diffusion::{Ancestral, Chain, Coefficients, Memory, Move, Scales};
use crate::error::{Error, Result};
use crate::finetune::Terminal;
use crate::nn::softmax;
use candle_core::{DType, Device, Tensor};

/// The ancestral chain (DDIM at `eta` 1) of a mixture of Gaussians in one dimension under the linear variance-preserving schedule, with the
/// exact denoiser, in f64 on the host:
///
/// ```text
/// signal²(t) = exp(−(0.1 t + 9.95 t²)),   K equal steps from t = 1 to 0,   x_0 ~ N(0, 1)
/// x̂₀ = E[x₀ | x] = Σ γ_i(x) (μ_i + aS_i/(a²S_i + b²) (x − aμ_i)),   a = signal, b = noise
/// ```
/// The last step has no noise: it ends in x̂₀. It is the chain of diffusion samplers of images, on which the guesses of soft-Q fine-tuning
/// (arXiv 2512.04559) have known answers.
#[derive(Clone, Debug)]
pub struct DenoisedChain {
    nodes: Vec<Node>,
    steps: Vec<Coefficients>,
}

/// What is known at one noise level.
#[derive(Clone, Debug)]
struct Node {
    /// Means a μ_i of the noised parts.
    centre: Tensor,
    half_precision: Tensor,
    log_weight: Tensor,
    mean: Tensor,
    /// aS/(a²S + b²).
    pull: Tensor,
}

impl Node {
    fn new(base: &Mixture, scales: Scales) -> Result<Self> {
        let (a, parts) = (scales.signal, base.parts());
        let variance = |i: usize| a * a * parts[i].1.variance + scales.noise.powi(2);
        let column = |of: &dyn Fn(usize) -> f64| -> Result<Tensor> {
            Ok(Tensor::from_vec((0..parts.len()).map(of).collect::<Vec<_>>(), parts.len(), &Device::Cpu)?)
        };
        Ok(Self {
            centre: column(&|i| a * parts[i].1.mean)?,
            half_precision: column(&|i| 0.5 / variance(i))?,
            log_weight: column(&|i| parts[i].0.ln() - 0.5 * variance(i).ln())?,
            mean: column(&|i| parts[i].1.mean)?,
            pull: column(&|i| a * parts[i].1.variance / variance(i))?,
        })
    }

    fn estimate(&self, x: &Tensor) -> Result<Tensor> {
        let distance = x.broadcast_sub(&self.centre)?;
        let each = distance.broadcast_mul(&self.pull)?.broadcast_add(&self.mean)?;
        if self.centre.dim(0)? == 1 {
            return Ok(each);
        }
        let logits = self.log_weight.broadcast_sub(&distance.sqr()?.broadcast_mul(&self.half_precision)?)?;
        Ok((softmax(&logits)? * each)?.sum_keepdim(1)?)
    }
}

impl DenoisedChain {
    /// The chain of `steps` steps.
    ///
    /// # Errors
    /// When there is no step.
    pub fn new(base: &Mixture, steps: usize) -> Result<Self> {
        if steps == 0 {
            return Err(Error::usage("a chain of 0 steps; at least 1 is needed"));
        }
        let at = |k: usize| {
            let Mixing { signal, noise, .. } = Interpolant::Vp.at(k as f64 / steps as f64);
            Scales { signal, noise }
        };
        let scales: Vec<Scales> = (0..=steps).map(at).collect();
        let nodes = scales.iter().map(|scales| Node::new(base, *scales)).collect::<Result<_>>()?;
        Ok(Self { nodes, steps: scales.windows(2).map(|pair| Ancestral::between(pair[0], pair[1], 1.0)).collect() })
    }

    /// The same chain without its last step, which has no noise: it ends in states whose denoised estimate is the end of the whole.
    ///
    /// # Errors
    /// When no step is left.
    pub fn noisy(&self) -> Result<Self> {
        let left = self.steps.len() - 1;
        if left == 0 {
            return Err(Error::usage("a chain of 1 step has no noise"));
        }
        Ok(Self { nodes: self.nodes[..=left].to_vec(), steps: self.steps[..left].to_vec() })
    }

    /// Coefficients of step `k`.
    #[must_use]
    pub fn coefficients(&self, k: usize) -> Coefficients {
        self.steps[k]
    }

    /// The denoised estimate of states after `k` steps; at the end the states themselves.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn estimate(&self, k: usize, x: &Tensor) -> Result<Tensor> {
        self.nodes[k].estimate(x)
    }
}

impl Chain for DenoisedChain {
    fn steps(&self) -> usize {
        self.steps.len()
    }

    fn shape(&self) -> Vec<usize> {
        vec![1]
    }

    fn dtype(&self) -> DType {
        DType::F64
    }

    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn start(&self, noise: &Tensor) -> Result<Tensor> {
        Ok(noise.clone())
    }

    fn advance(&self, k: usize, x: &Tensor, _: &mut Memory) -> Result<Move> {
        let Coefficients { keep, predict, std } = self.steps[k];
        let mean = ((x * keep)? + (self.nodes[k].estimate(x)? * predict)?)?;
        Ok(Move { mean, std, belief: None })
    }
}

/// A reward of ends, read at states on the way through their denoised estimate.
#[derive(Clone, Copy)]
pub struct Guessed<'a> {
    /// The chain of the states.
    pub chain: &'a DenoisedChain,
    /// The reward of its ends.
    pub reward: &'a dyn Terminal,
}

impl Terminal for Guessed<'_> {
    fn reward(&self, k: usize, x: &Tensor) -> Result<Tensor> {
        self.reward.reward(k, &self.chain.estimate(k, x)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finetune::analytic::{Affine, Gain, Lattice, Normal, Quadratic};
    use crate::nn::check;

    fn two() -> Mixture {
        Mixture::new(&[(0.5, Normal { mean: -2.0, variance: 0.25 }), (0.5, Normal { mean: 2.0, variance: 0.25 })])
    }

    #[test]
    fn the_estimate_is_tweedies_and_the_end_is_its_own() {
        // E[x₀ | x] = (x + b² ∂ log p(x))/a with the score of the noised mixture
        let chain = DenoisedChain::new(&two(), 50).unwrap();
        let x = Tensor::new(&[[-1.5], [0.1], [0.8]], &Device::Cpu).unwrap();
        for k in [3, 30, 45] {
            let at = Interpolant::Vp.at(k as f64 / 50.0);
            let law = two().mixed(at);
            let got = chain.estimate(k, &x).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
            for (got, x) in got.iter().zip([-1.5, 0.1, 0.8]) {
                let tweedie = (x + at.noise.powi(2) * law.score(x)) / at.signal;
                assert!((got - tweedie).abs() < 1e-9, "{k}: {got} {tweedie}");
            }
        }
        assert!(check::distance(&chain.estimate(50, &x).unwrap(), &x) < 1e-12);
        let last = chain.advance(49, &x, &mut Memory::default()).unwrap();
        assert!(last.std == 0.0 && check::distance(&last.mean, &chain.estimate(49, &x).unwrap()) < 1e-12);
    }

    #[test]
    fn one_gaussian_has_the_published_variance() {
        // eta 1 under-disperses at 50 steps: 0.857552 instead of 1
        let chain = DenoisedChain::new(&Mixture::gaussian(0.0, 1.0), 50).unwrap();
        let mut variance = 1.0;
        for k in 0..50 {
            let one = Tensor::new(&[[1.0]], &Device::Cpu).unwrap();
            let step = chain.advance(k, &one, &mut Memory::default()).unwrap();
            let keep = step.mean.flatten_all().unwrap().to_vec1::<f64>().unwrap()[0];
            variance = keep * keep * variance + step.std * step.std;
        }
        assert!((variance - 0.857_552).abs() < 1e-6, "{variance}");
    }

    #[test]
    fn the_lattice_of_the_noisy_part_knows_the_moments_of_the_end() {
        let chain = DenoisedChain::new(&two(), 50).unwrap();
        let noisy = chain.noisy().unwrap();
        let reward = Quadratic { slope: 1.0, curvature: 0.0, centre: 0.0 };
        let guessed = Guessed { chain: &noisy, reward: &reward };
        let lattice = Lattice::new(&noisy, &guessed, 2.0, (-6.5, 6.5)).unwrap();
        let base = lattice.outcome(&Affine::held(&[Gain::default(); 49]).unwrap()).unwrap();
        // even in x: neither side is better
        assert!(base.reward.abs() < 1e-9 && base.path_kl == 0.0);
    }
}
