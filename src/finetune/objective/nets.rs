//! Non-equilibrium transport sampling, for tilting.

use super::{Objective, Run, Update};
use crate::error::{Error, Result};
use crate::finetune::potential::Potential;
use crate::finetune::residual::Residual;
use crate::finetune::rollout::Noise;
use crate::finetune::trace::{Kept, Trace};
use crate::finetune::{EscortConfig, FinetuneConfig};
use crate::nn::{Gradients, Tensors, gradients_with, over_shards, read};
use crate::random::Rng;
use crate::reward::Needs;
use candle_core::{Device, Tensor};

/// Non-equilibrium transport sampling (NETS, Albergo and Vanden-Eijnden 2024, arXiv 2410.02711) for tilting a prior; a derived form in the frame
/// of arXiv 2605.00229. The base's velocity v carries its laws p_t, so that an escort w carries the tilted `p_t e^φ/Z_t` where
///
/// ```text
/// ∂φ/∂t + v·∂φ + ∇·w + w·(s + ∂φ) = dF/dt,   F = log Z_t
/// loss = ∫ E_q (left − dF/dt)² dt = K Σ_k E[R_k R'_k],   R_k less the learned F_{k+1} − F_k
/// ```
/// for any law q of the states: here that of the control's own paths, at a share of their steps. No path is weighed, no reward is asked for but
/// through values of states: the reward as decoded is not in the loss. At the tilt φ = V the equation holds for w = η ∂V, which is the
/// equation of optimality, and u is then the optimal control; with other tilts and with what w may hold besides, see
/// [`EscortConfig::ramp`](crate::finetune::EscortConfig::ramp). A step of F goes a share
/// [`log_z_rate`](crate::finetune::BalanceConfig::log_z_rate) of the way to the batch's mean residual; where a step is seen for the first time, to the
/// shard's own. The control in R is the whole forward one, as in `cmcd`.
///
/// # Cost
/// A walk without gradients. Then for every state that is learned from five of the denoiser with a gradient in the state, one without, and five
/// of the control with a gradient.
pub(super) struct Nets {
    config: EscortConfig,
    rate: f64,
    /// `F_{k+1} − F_k`, once step k was seen.
    rises: Vec<Option<f64>>,
}

pub(super) fn make(config: &FinetuneConfig) -> Box<dyn Objective> {
    Box::new(Nets { config: config.escort, rate: config.balance.log_z_rate, rises: Vec::new() })
}

/// What the learned rises are filed under: whether a step was seen, and its rise.
const RISES: &str = "rises";

/// What a shard learned.
struct Learned {
    value: f64,
    nats: f64,
    /// Mean φ_0.
    start: f64,
    /// R less the rise, averaged over both probes, (B,) for every step.
    residuals: Vec<Tensor>,
    /// Products of both.
    products: Vec<Tensor>,
}

impl Nets {
    /// The gradient of a shard's part of the loss.
    fn learn(&self, run: &Run<'_>, shard: usize, steps: &[usize]) -> Result<(Gradients, Learned)> {
        let terminal = run.terminal.ok_or_else(|| Error::usage("this objective needs the reward's gradient"))?;
        let undone = run.chain.undoes().ok_or_else(|| Error::usage("this chain undoes no noising that is known"))?;
        let potential = Potential { terminal, alpha: run.alpha, ramp: self.config.ramp, steps: run.steps };
        let residual = Residual { chain: run.chain, noised: undone, potential, probe: self.config.probe };
        let (draws, vars) = (run.draws(run.done()), run.learner.params().vars());
        let draw = &draws[shard..=shard];
        let trace = {
            let held = run.learner.held();
            Trace::draw(run.chain, Some((run.control)(&held)?.as_ref()), run.values, run.steps, draw)?
        };
        let kept: Vec<&Kept> = trace.blocks().flatten().collect();
        let mut probes = Noise::new(run.chain, &[(draw[0].0.child("probes"), draw[0].1)]);
        let control = (run.control)(run.learner.params())?;
        // K Σ_k over steps of which some stand for all, and the mean over paths
        let weight = (run.steps * run.steps) as f64 / steps.len() as f64 / run.config.batch as f64;
        let (mut total, mut residuals, mut products): (Option<Gradients>, _, _) = (None, Vec::new(), Vec::new());
        for k in steps {
            let signs = probes.next(2)?.ge(0.0)?.to_dtype(run.chain.dtype())?.affine(2.0, -1.0)?;
            let [one, other] = residual.at(*k, &kept[*k].x, &signs, control.as_ref())?;
            let both = ((&one + &other)?.detach() * 0.5)?;
            let rise = match self.rises.get(*k).copied().flatten() {
                Some(rise) => Tensor::new(rise, both.device())?.to_dtype(both.dtype())?,
                None => both.mean_all()?,
            };
            let product = (one.broadcast_sub(&rise)? * other.broadcast_sub(&rise)?)?;
            let gradients = gradients_with(&(product.sum_all()? * weight)?, &vars, &[])?.0;
            match &mut total {
                None => total = Some(gradients),
                Some(total) => total.add(gradients)?,
            }
            residuals.push(both);
            products.push(product.detach());
        }
        let total = total.ok_or_else(|| Error::usage("a path needs at least one step"))?;
        let start = read(&[&potential.value(0, &kept[0].x)?])?.concat().iter().sum();
        let (value, nats) = (trace.values.iter().sum(), trace.increments.sum());
        Ok((total, Learned { value, nats, start, residuals, products }))
    }
}

/// A share of the steps of a chain, one from each of as many equal parts of it.
fn chosen(steps: usize, share: f64, rng: &mut Rng) -> Vec<usize> {
    let count = ((share * steps as f64).round() as usize).clamp(1, steps);
    let part = steps as f64 / count as f64;
    (0..count).map(|i| (((i as f64 + rng.uniform()) * part) as usize).min(steps - 1)).collect()
}

impl Objective for Nets {
    fn needs(&self) -> Needs {
        Needs::Gradient
    }

    fn kept_states(&self) -> usize {
        3
    }

    fn copies(&self) -> usize {
        // the state, and two ends of either probe
        5
    }

    fn values_states(&self) -> bool {
        true
    }

    fn update(&mut self, run: &Run<'_>) -> Result<Update> {
        self.rises.resize(run.steps, None);
        let steps = chosen(run.steps, self.config.share, &mut run.seed_at(run.done()).child("steps").rng());
        let shards = run.draws(run.done()).len();
        let (sums, learned) = over_shards(run.pool, shards, |shard| self.learn(run, shard, &steps))?;
        let mean = |of: &dyn Fn(&Learned) -> f64| learned.iter().map(of).sum::<f64>() / run.config.batch as f64;
        let known = (mean(&|part| part.value), mean(&|part| part.nats));
        let per_step = |of: &dyn Fn(&Learned) -> &[Tensor]| -> Result<Vec<f64>> {
            let mut means = vec![0.0; steps.len()];
            for part in &learned {
                for (mean, rows) in means.iter_mut().zip(read(&of(part).iter().collect::<Vec<_>>())?) {
                    *mean += rows.iter().sum::<f64>() / run.config.batch as f64;
                }
            }
            Ok(means)
        };
        let (residuals, products) = (per_step(&|part| &part.residuals)?, per_step(&|part| &part.products)?);
        for (k, mean) in steps.iter().zip(residuals) {
            let rise = &mut self.rises[*k];
            *rise = Some(rise.map_or(mean, |rise| rise + self.rate * (mean - rise)));
        }
        let mut figures = vec![("residual", products.iter().sum::<f64>() * run.steps as f64 / steps.len() as f64)];
        if let Some(rises) = self.rises.iter().copied().collect::<Option<Vec<f64>>>() {
            figures.push(("log_z", mean(&|part| part.start) + rises.iter().sum::<f64>()));
        }
        Ok(Update { sums, rows: Vec::new(), known: Some(known), figures })
    }

    fn state(&self) -> Result<Tensors> {
        let seen = self.rises.iter().map(|rise| f64::from(u8::from(rise.is_some())));
        let numbers: Vec<f64> = seen.chain(self.rises.iter().map(|rise| rise.unwrap_or(0.0))).collect();
        if numbers.is_empty() {
            return Ok(Tensors::default());
        }
        Ok([(RISES.to_owned(), Tensor::from_vec(numbers, (2, self.rises.len()), &Device::Cpu)?)].into())
    }

    fn restore(&mut self, state: Tensors) -> Result<()> {
        let Some(numbers) = state.get(RISES) else {
            self.rises.clear();
            return Ok(());
        };
        let numbers = read(&[numbers])?.concat();
        let (seen, rises) = numbers.split_at(numbers.len() / 2);
        self.rises = seen.iter().zip(rises).map(|(seen, rise)| (*seen > 0.0).then_some(*rise)).collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    #[test]
    fn learned_rises_survive_a_checkpoint() {
        let config = FinetuneConfig::default();
        let nets = |rises: Vec<Option<f64>>| Nets { config: config.escort, rate: 0.2, rises };
        let kept = nets(vec![Some(0.3), None, Some(-1.7)]);
        let mut fresh = nets(vec![Some(9.0)]);
        fresh.restore(kept.state().unwrap()).unwrap();
        assert_eq!(fresh.rises, kept.rises);
        fresh.restore(nets(Vec::new()).state().unwrap()).unwrap();
        assert!(fresh.rises.is_empty());
    }

    #[test]
    fn every_step_is_chosen_alike() {
        let mut rng = Seed::root(2).rng();
        let mut counts = [0.0; 10];
        let rounds = 4000;
        for _ in 0..rounds {
            let steps = chosen(10, 0.3, &mut rng);
            assert!(steps.len() == 3 && steps.windows(2).all(|pair| pair[0] <= pair[1]));
            for k in steps {
                counts[k] += 1.0 / f64::from(rounds);
            }
        }
        // a share of 0.3 each; 4 standard errors of √(0.3 · 0.7/4000) = 0.0072
        assert!(counts.iter().all(|share: &f64| (share - 0.3).abs() < 0.03), "{counts:?}");
        assert_eq!(chosen(4, 1.0, &mut rng), [0, 1, 2, 3]);
    }
}
