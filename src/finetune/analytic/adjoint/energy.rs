//! An unnormalised density as a reward.

use crate::error::Result;
use crate::finetune::Terminal;
use crate::finetune::analytic::{Mixture, Normal, Quadratic};
use candle_core::{D, Tensor};

/// The reward whose tilt of a Gaussian reference is a given density, in nats:
///
/// ```text
/// r(x) = −E(x) − log p_ref(x)        p_ref e^r = e^{−E} = Z p*
/// ```
/// The energy is that of a tilted mixture before it is normalised, `−E = log p(x) + q(x)/α`, so that log Z is known.
#[derive(Clone, Debug, PartialEq)]
pub struct EnergyReward {
    /// The mixture p.
    pub mixture: Mixture,
    /// What tilts it, over alpha.
    pub tilt: Quadratic,
    /// The law of the reference's end.
    pub reference: Normal,
}

impl EnergyReward {
    /// The reward of one state.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        self.mixture.log_density(x) + self.tilt.at(x)
            - Mixture::gaussian(self.reference.mean, self.reference.variance).log_density(x)
    }

    /// Its slope there.
    #[must_use]
    pub fn slope_at(&self, x: f64) -> f64 {
        self.mixture.score(x) + self.tilt.slope_at(x) + (x - self.reference.mean) / self.reference.variance
    }
}

impl Terminal for EnergyReward {
    fn reward(&self, k: usize, x: &Tensor) -> Result<Tensor> {
        let log_normal = |x: &Tensor, law: &Normal| -> Result<Tensor> {
            let bent = ((x - law.mean)?.sqr()? * (-0.5 / law.variance))?;
            Ok((bent - 0.5 * (std::f64::consts::TAU * law.variance).ln())?)
        };
        let parts = self.mixture.parts().iter().map(|(weight, law)| Ok((log_normal(x, law)? + weight.ln())?));
        let parts = Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 1)?;
        let top = parts.max_keepdim(D::Minus1)?.detach();
        let mixture = (parts.broadcast_sub(&top)?.exp()?.sum(1)?.log()? + top.squeeze(1)?)?;
        let reference = log_normal(x, &self.reference)?.squeeze(1)?;
        Ok(((mixture + self.tilt.reward(k, x)?)? - reference)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finetune::analytic::{Fixture, MixtureProblem};
    use crate::nn::check;
    use candle_core::Device;

    #[test]
    fn value_and_slope_are_those_of_the_tensor() {
        let problem = MixtureProblem::fixture(Fixture::C);
        let reward = EnergyReward {
            mixture: problem.base,
            tilt: problem.reward,
            reference: Normal { mean: 0.3, variance: 4.0 },
        };
        let states = [-6.0, -1.2, 0.0, 0.7, 5.0];
        let x = Tensor::from_slice(&states, (5, 1), &Device::Cpu).unwrap();
        let got = reward.reward(0, &x).unwrap().to_vec1::<f64>().unwrap();
        for (x, got) in states.iter().zip(got) {
            // rounding alone; central differences of h = 1e-5
            assert!((got - reward.at(*x)).abs() < 1e-12);
            let slope = (reward.at(x + 1e-5) - reward.at(x - 1e-5)) / 2e-5;
            assert!((slope - reward.slope_at(*x)).abs() < 1e-8, "{x}: {slope}");
        }
        check::input(&x, |x| reward.reward(0, x));
    }
}
