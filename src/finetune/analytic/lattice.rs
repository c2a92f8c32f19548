//! Exact answers about chains of one number, by dynamic programming over a lattice of states.

mod best;
mod kernel;
mod tilting;

pub use tilting::Tilting;

use super::{Normal, Outcome};
use crate::diffusion::{Chain, Memory};
use crate::error::{Error, Result};
use crate::finetune::{Control, Terminal};
use crate::nn::read;
use candle_core::Tensor;
use kernel::Kernel;

/// Lattice points per standard deviation of the narrowest step: the error of the trapezoidal rule for a Gaussian is
/// `2 exp(−2π² n²)`, 1e-19 at 1.5.
const RESOLUTION: f64 = 1.5;

/// Most points that are made.
const MOST: usize = 20_000;

/// A chain of one number with its reward, whose every integral over a state is a sum over lattice points.
///
/// ```text
/// ∫ f(x') N(x'; m, s²) dx' = Δ Σ_j f(x_j) N(x_j; m, s²)
/// ```
/// Three exact answers stand beside each other: the tilt of the chain ([`tilting`](Self::tilting)), which may bend the noise of a
/// step too; the best control of its means ([`best`](Self::best)); and what any given control does ([`outcome`](Self::outcome)).
///
/// ```
/// use seqtilt::finetune::analytic::{Fixture, Lattice, MixtureChain, MixtureProblem};
/// # fn main() -> seqtilt::Result<()> {
/// let problem = MixtureProblem::fixture(Fixture::A);
/// let chain = MixtureChain::euler(&problem, 200)?;
/// let tilting = Lattice::new(&chain, &problem.reward, problem.alpha, (-8.0, 9.0))?.tilting();
/// // a frozen start stays short of the tilted law, whose mean is 1.78
/// assert!((tilting.frozen.mean - 1.59772).abs() < 1e-5 && (tilting.learned.mean - 1.77415).abs() < 1e-5);
/// # Ok(()) }
/// ```
pub struct Lattice<'a> {
    chain: &'a dyn Chain,
    alpha: f64,
    points: Vec<f64>,
    spacing: f64,
    /// Density of the initial law at the points; a fixed point is 1/Δ at one of them.
    start: Vec<f64>,
    /// Base means and the noise of every step.
    moves: Vec<(Vec<f64>, Kernel)>,
    /// Rewards of the points, over alpha.
    gains: Vec<f64>,
}

/// Values of a tensor of one number a row.
fn column(tensor: &Tensor) -> Result<Vec<f64>> {
    Ok(read(&[tensor])?.swap_remove(0))
}

impl<'a> Lattice<'a> {
    /// The lattice of a chain over the states of `range`, outside of which neither the base nor any tilt may have mass.
    ///
    /// # Errors
    /// When states have more than one number, steps come in blocks with memory, or the range holds more points than are made.
    pub fn new(chain: &'a dyn Chain, terminal: &dyn Terminal, alpha: f64, range: (f64, f64)) -> Result<Self> {
        if chain.shape() != [1] || chain.block() != 1 {
            let (shape, block) = (chain.shape(), chain.block());
            return Err(Error::usage(format!(
                "states of shape {shape:?} in blocks of {block}; [1] and 1 are accepted"
            )));
        }
        let at = |noise: f64| -> Result<f64> {
            let noise = Tensor::new(&[[noise]], chain.device())?.to_dtype(chain.dtype())?;
            Ok(column(&chain.start(&noise)?)?[0])
        };
        let (centre, spread) = (at(0.0)?, at(1.0)? - at(0.0)?);
        let probe = Tensor::zeros((1, 1), chain.dtype(), chain.device())?;
        let stds = (0..chain.steps()).map(|k| Ok(chain.advance(k, &probe, &mut Memory::default())?.std));
        let least = stds.collect::<Result<Vec<f64>>>()?.into_iter().fold(f64::INFINITY, f64::min);
        let spacing = least / RESOLUTION;
        let (below, above) = (((centre - range.0) / spacing).ceil(), ((range.1 - centre) / spacing).ceil());
        if !(below + above < MOST as f64 && below >= 0.0 && above >= 0.0) {
            return Err(Error::usage(format!(
                "a lattice from {} to {} in steps of {spacing} around the start {centre}; at most {MOST} points are made",
                range.0, range.1
            )));
        }
        let points: Vec<f64> = (0..=(below + above) as usize).map(|i| centre + (i as f64 - below) * spacing).collect();
        let start = if spread.abs() > 0.0 {
            Kernel::new(spread.abs(), spacing).density(&points, centre)
        } else {
            points.iter().map(|x| if *x == centre { 1.0 / spacing } else { 0.0 }).collect()
        };
        let states = Tensor::from_vec(points.clone(), (points.len(), 1), chain.device())?.to_dtype(chain.dtype())?;
        let moves = (0..chain.steps()).map(|k| {
            let step = chain.advance(k, &states, &mut Memory::default())?;
            Ok((column(&step.mean)?, Kernel::new(step.std, spacing)))
        });
        let moves = moves.collect::<Result<_>>()?;
        let gains = column(&terminal.reward(chain.steps(), &states)?)?.into_iter().map(|r| r / alpha).collect();
        Ok(Self { chain, alpha, points, spacing, start, moves, gains })
    }

    /// The states.
    #[must_use]
    pub fn points(&self) -> &[f64] {
        &self.points
    }

    /// What a control does.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn outcome(&self, control: &dyn Control) -> Result<Outcome> {
        Ok(self.pushed(&self.controls(control)?).0)
    }

    /// The law of the end under a control: its densities at the points.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn law(&self, control: &dyn Control) -> Result<Vec<f64>> {
        Ok(self.pushed(&self.controls(control)?).1)
    }

    /// A control at the points of every step.
    fn controls(&self, control: &dyn Control) -> Result<Vec<Vec<f64>>> {
        let (dtype, device) = (self.chain.dtype(), self.chain.device());
        let states = Tensor::from_vec(self.points.clone(), (self.points.len(), 1), device)?.to_dtype(dtype)?;
        let controls = (0..self.moves.len()).map(|k| {
            let base = self.chain.advance(k, &states, &mut Memory::default())?;
            column(&control.control(k, &states, &base, &mut Memory::default())?)
        });
        controls.collect()
    }

    /// What controls that are known at the points of every step do, and the law of the end.
    fn pushed(&self, controls: &[Vec<f64>]) -> (Outcome, Vec<f64>) {
        let (mut law, mut path_kl) = (self.start.clone(), 0.0);
        for ((means, kernel), controls) in self.moves.iter().zip(controls) {
            path_kl += self.mean_of(&law, |i| 0.5 * controls[i] * controls[i]);
            let means: Vec<f64> = means.iter().zip(controls).map(|(mean, u)| mean + kernel.std() * u).collect();
            law = kernel.push(&self.points, &law, &means);
        }
        let reward = self.alpha * self.mean_of(&law, |i| self.gains[i]);
        let value = reward - self.alpha * path_kl;
        let gap = self.log_z() - value / self.alpha;
        (Outcome { law: self.moments(&law), reward, path_kl, value, gap }, law)
    }

    /// The law of the end under controls that are known at the points of every step.
    pub(super) fn ends(&self, controls: &[Vec<f64>]) -> Vec<f64> {
        self.pushed(controls).1
    }

    /// Standard deviation of step `k`.
    pub(super) fn std(&self, k: usize) -> f64 {
        self.moves[k].1.std()
    }

    /// `∫ f dp`.
    fn mean_of(&self, law: &[f64], f: impl Fn(usize) -> f64) -> f64 {
        law.iter().enumerate().filter(|(_, p)| **p > 0.0).map(|(i, p)| p * f(i)).sum::<f64>() * self.spacing
    }

    fn moments(&self, law: &[f64]) -> Normal {
        let mass = self.mean_of(law, |_| 1.0);
        let mean = self.mean_of(law, |i| self.points[i]) / mass;
        Normal { mean, variance: self.mean_of(law, |i| (self.points[i] - mean).powi(2)) / mass }
    }
}

#[cfg(test)]
mod tests;
