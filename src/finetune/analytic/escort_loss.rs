//! What a learned escort is trained by.

use super::{EscortNetwork, TiltedPath};
use crate::error::{Error, Result};
use crate::nn::{read, softmax};
use crate::random::Rng;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A loss of an escort; A are the kernel-ratio weights of walks, and all but the last are zero-variance at a perfect escort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EscortLoss {
    /// `Var A` over the walks of a batch, held fixed (log-variance; CMCD, arXiv 2307.01050).
    #[default]
    LogVariance,
    /// `(A − log Z)²` with a learned log Z (trajectory balance), on walks held fixed.
    TrajectoryBalance,
    /// `−E[A]`, the KL of the walk to its reversal, with the gradient through the walk. Its A has the base's density, which these
    /// problems know: with that eliminated `E[e^A]` depends on the escort in discrete time, so that `−E[A]` has no lower bound, and
    /// training runs away (measured on fixture B: Var A from 1.4 to 5151).
    Kl,
    /// `∫ E (∂φ/∂τ + v ∂φ + ∂w + w (s + ∂φ) − dF/dτ)² dτ` with a learned rate of `F = log Z_τ` (the PINN residual of NETS,
    /// arXiv 2410.02711), on walks held fixed.
    Residual,
}

impl FromStr for EscortLoss {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "log-variance" => Ok(Self::LogVariance),
            "trajectory-balance" => Ok(Self::TrajectoryBalance),
            "kl" => Ok(Self::Kl),
            "residual" => Ok(Self::Residual),
            _ => Err(Error::usage(format!(
                "unknown loss of an escort `{name}`; accepted: `log-variance`, `trajectory-balance`"
            ))),
        }
    }
}

/// Tensors (1, parts) of the base's score at one time, and its rates.
struct Level {
    tau: f64,
    kappa: f64,
    eta: f64,
    half_noise: f64,
    centre: Tensor,
    half_precision: Tensor,
    log_weight: Tensor,
}

/// A [`TiltedPath`] with the linear ramp, as tensors.
pub(super) struct Taped<'a> {
    path: &'a TiltedPath,
    levels: Vec<Level>,
}

/// Drifts at one node: of the base's step, of its reversal, and what tilt and escort add to either.
struct Drifts {
    up: Tensor,
    down: Tensor,
    plus: Tensor,
    minus: Tensor,
}

impl<'a> Taped<'a> {
    pub(super) fn new(path: &'a TiltedPath) -> Result<Self> {
        let level = |k: usize| {
            let node = path.node(k);
            let row = |values: Vec<f64>| -> Result<Tensor> {
                let parts = values.len();
                Ok(Tensor::from_vec(values, (1, parts), &Device::Cpu)?)
            };
            let [centre, half_precision, log_weight] = node.base.columns();
            Ok(Level {
                tau: node.tau,
                kappa: node.kappa,
                eta: node.eta,
                half_noise: node.half_noise,
                centre: row(centre)?,
                half_precision: row(half_precision)?,
                log_weight: row(log_weight)?,
            })
        };
        Ok(Self { path, levels: (0..=path.steps()).map(level).collect::<Result<_>>()? })
    }

    fn drifts(&self, network: &EscortNetwork, k: usize, x: &Tensor) -> Result<Drifts> {
        let level = &self.levels[k];
        let distance = x.broadcast_sub(&level.centre)?;
        let bent = distance.broadcast_mul(&level.half_precision)?;
        let logits = (&distance * &bent)?.neg()?.broadcast_add(&level.log_weight)?;
        let score = (softmax(&logits)? * (bent * -2.0)?)?.sum_keepdim(1)?;
        let velocity = ((x * level.kappa)? + (&score * level.eta)?)?;
        let (factor, offset) = self.path.reward_slope();
        let (push, pull) = ((&score * level.half_noise)?, level.half_noise * level.tau);
        let tilt = x.affine(pull * factor, pull * offset)?;
        let (w, _) = network.at(level.tau, x)?;
        Ok(Drifts { up: (&velocity + &push)?, down: (&velocity - &push)?, plus: (&tilt + &w)?, minus: (&w - &tilt)? })
    }

    /// A of `rows` walks under the network, (B,). Where they are `attached` the gradient goes through the states too, and A is
    /// `log p(x_K) e^{r/α} Π B_w − log p_0(x_0) Π F_w`, whose mean exponential is Z for every escort; else with the base eliminated
    ///
    /// ```text
    /// log F/F_w = (−2 δ r + h δ²)/4ε,   r = x' − x − h up(x),   δ = ε ∂φ + w
    /// log B_w/B = (2 δ' r' − h δ'²)/4ε', r' = x' − x − h down(x'), δ' = w − ε' ∂φ
    /// ```
    pub(super) fn works(&self, network: &EscortNetwork, rows: usize, attached: bool, rng: &mut Rng) -> Result<Tensor> {
        let h = 1.0 / self.path.steps() as f64;
        let normals = |rng: &mut Rng| -> Result<Tensor> {
            Ok(Tensor::from_vec((0..rows).map(|_| rng.normal()).collect::<Vec<f64>>(), (rows, 1), &Device::Cpu)?)
        };
        let mut x = normals(rng)?;
        let start = x.clone();
        let mut here = self.drifts(network, 0, &x)?;
        let mut work: Option<Tensor> = None;
        for k in 0..self.path.steps() {
            let (noise, ahead_noise) = (self.levels[k].half_noise, self.levels[k + 1].half_noise);
            let drift = (&here.up + &here.plus)?;
            let kick = (normals(rng)? * (2.0 * noise * h).sqrt())?;
            let walked = ((&x + (drift * h)?)? + kick)?;
            let next = if attached { walked } else { walked.detach() };
            let ahead = self.drifts(network, k + 1, &next)?;
            let step = (&next - &x)?;
            let ratio = |delta: &Tensor, rest: Tensor, noise: f64| -> Result<Tensor> {
                Ok(((delta * (rest * 2.0)?)? - (delta.sqr()? * h)?)?.affine(1.0 / (4.0 * noise), 0.0)?)
            };
            let gained = if attached {
                let log = |drift: Tensor, noise: f64| -> Result<Tensor> {
                    Ok((&step - (drift * h)?)?.sqr()?.affine(-1.0 / (4.0 * noise * h), 0.0)?)
                };
                let back = log((&ahead.down + &ahead.minus)?, ahead_noise)?;
                let there = log((&here.up + &here.plus)?, noise)?;
                (back - there)?.affine(1.0, 0.5 * (noise / ahead_noise).ln())?
            } else {
                let back = ratio(&ahead.minus, (&step - (&ahead.down * h)?)?, ahead_noise)?;
                (back - ratio(&here.plus, (&step - (&here.up * h)?)?, noise)?)?
            };
            work = Some(match work {
                None => gained,
                Some(work) => (work + gained)?,
            });
            (x, here) = (next, ahead);
        }
        let (factor, offset) = self.path.reward_slope();
        // r/α = r(0)/α + offset x + ½ factor x²
        let gain = ((x.sqr()? * (0.5 * factor))? + x.affine(offset, self.path.gain(0.0))?)?;
        let total = match work {
            None => gain,
            Some(work) => (work + gain)?,
        };
        let ends = if attached { (total + self.ends(&start, &x)?)? } else { total };
        Ok(ends.squeeze(1)?)
    }

    /// `log p(x_K) − log N(x_0; 0, 1)`, (B, 1).
    fn ends(&self, start: &Tensor, end: &Tensor) -> Result<Tensor> {
        let level = &self.levels[self.path.steps()];
        let distance = end.broadcast_sub(&level.centre)?;
        let logs = (distance.sqr()?.broadcast_mul(&level.half_precision)?.neg()?).broadcast_add(&level.log_weight)?;
        let top = logs.max_keepdim(1)?.detach();
        let base = (logs.broadcast_sub(&top)?.exp()?.sum_keepdim(1)?.log()? + top)?;
        Ok((base + start.sqr()?.affine(0.5, 0.5 * std::f64::consts::TAU.ln())?)?)
    }

    /// The mean squared residual over all nodes but the last of `rows` walks, against `rates` (K), the learned dF/dτ.
    pub(super) fn residual(
        &self,
        network: &EscortNetwork,
        rates: &Tensor,
        rows: usize,
        rng: &mut Rng,
    ) -> Result<Tensor> {
        let (path, h) = (self.path, 1.0 / self.path.steps() as f64);
        let mut x: Vec<f64> = (0..rows).map(|_| rng.normal()).collect();
        let mut total: Option<Tensor> = None;
        for k in 0..path.steps() {
            let states = Tensor::from_slice(&x, (rows, 1), &Device::Cpu)?;
            let (w, slope) = network.at(self.levels[k].tau, &states)?;
            let locals: Vec<_> = x.iter().map(|x| path.local(k, *x)).collect();
            let column = |f: &dyn Fn(usize) -> f64| -> Result<Tensor> {
                Ok(Tensor::from_vec((0..rows).map(f).collect::<Vec<f64>>(), (rows, 1), &Device::Cpu)?)
            };
            let own = column(&|i| TiltedPath::work_rate(&locals[i], (0.0, 0.0)))?;
            let push = column(&|i| locals[i].score + locals[i].tilt_slope)?;
            let rate = ((own + slope)? + (&w * push)?)?.broadcast_sub(&rates.narrow(0, k, 1)?)?;
            let square = (rate.sqr()?.sum_all()? * (h / rows as f64))?;
            total = Some(match total {
                None => square,
                Some(total) => (total + square)?,
            });
            let noise = self.levels[k].half_noise;
            let escort = read(&[&w.detach()])?.swap_remove(0);
            for ((x, local), w) in x.iter_mut().zip(&locals).zip(escort) {
                let drift = local.velocity + noise * (local.score + local.tilt_slope) + w;
                *x += h * drift + (2.0 * noise * h).sqrt() * rng.normal();
            }
        }
        total.ok_or_else(|| crate::Error::usage("a path of 0 steps; at least 1 is needed"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Fixture, Interpolant, MixtureProblem, Noise, Ramp, Weighting};
    use super::*;
    use crate::nn::check;
    use crate::random::Seed;

    #[test]
    fn works_of_tensors_are_those_of_the_walk() {
        let problem = MixtureProblem {
            interpolant: Interpolant::Vp,
            noise: Noise::Memoryless,
            ..MixtureProblem::fixture(Fixture::C)
        };
        let path = TiltedPath::new(&problem, Ramp::Line, 1.0, 8).unwrap();
        let params = check::params();
        EscortNetwork::new(&params, 5).unwrap();
        check::shake(&params);
        let network = EscortNetwork::new(&params, 5).unwrap();
        let taped = Taped::new(&path).unwrap();
        let works = taped.works(&network, 7, false, &mut Seed::root(4).rng()).unwrap();
        // both draw row by row, the start first
        let walked = path.walk(&network, Weighting::Kernel, 7, &mut Seed::root(4).rng(), |_| None).unwrap();
        for (got, expected) in read(&[&works]).unwrap()[0].iter().zip(&walked.log_weights) {
            assert!((got - expected).abs() < 1e-9 * (1.0 + expected.abs()), "{got} {expected}");
        }
        // gradients through the walk, against differences
        check::weights(&params, || taped.works(&EscortNetwork::new(&params, 5)?, 3, true, &mut Seed::root(4).rng()));
    }

    #[test]
    fn works_with_the_bases_density_have_its_z_whatever_the_steps() {
        let problem = MixtureProblem {
            interpolant: Interpolant::Vp,
            noise: Noise::Memoryless,
            ..MixtureProblem::fixture(Fixture::C)
        };
        let path = TiltedPath::new(&problem, Ramp::Line, 1.0, 64).unwrap();
        let network = EscortNetwork::new(&check::params(), 5).unwrap();
        let works = Taped::new(&path).unwrap().works(&network, 8000, true, &mut Seed::root(6).rng()).unwrap();
        let weights: Vec<f64> = read(&[&works]).unwrap()[0].iter().map(|a| a.exp()).collect();
        let n = weights.len() as f64;
        let mean = weights.iter().sum::<f64>() / n;
        let se = (weights.iter().map(|w| (w - mean).powi(2)).sum::<f64>()).sqrt() / n;
        // e^{0.5309302221}, with no error of the steps: only the weights' spread
        assert!((mean - 1.700_513).abs() < 3.0 * se && se < 0.2, "{mean} ± {se}");
    }

    #[test]
    fn the_residual_is_the_spread_of_the_rate() {
        let problem = MixtureProblem {
            interpolant: Interpolant::Vp,
            noise: Noise::Memoryless,
            ..MixtureProblem::fixture(Fixture::B)
        };
        let path = TiltedPath::new(&problem, Ramp::Line, 1.0, 4).unwrap();
        let params = check::params();
        EscortNetwork::new(&params, 5).unwrap();
        check::shake(&params);
        let network = EscortNetwork::new(&params, 5).unwrap();
        let rates = Tensor::new(&[0.3, -0.2, 0.5, 0.1], &Device::Cpu).unwrap();
        let taped = Taped::new(&path).unwrap();
        let got = taped.residual(&network, &rates, 6, &mut Seed::root(4).rng()).unwrap().to_scalar::<f64>().unwrap();
        let mut expected = 0.0;
        path.follow(&network, Weighting::Rate, 6, &mut Seed::root(4).rng(), |k, x, _| {
            if k < 4 {
                let f = [0.3, -0.2, 0.5, 0.1][k];
                let rates = path.rates(&network, k, x).unwrap();
                expected += rates.iter().map(|rate| (rate - f).powi(2)).sum::<f64>() / 24.0;
            }
            false
        })
        .unwrap();
        assert!((got - expected).abs() < 1e-9 * expected, "{got} {expected}");
    }
}
