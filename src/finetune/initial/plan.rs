//! What the stages of a run have in common.

use super::stage::{Stage, Work};
use super::{Delayed, InitialConfig, Joined, Pairs, Regression, Scale, Staged, ValueFunction, ValueLoss};
use crate::diffusion::Chain;
use crate::error::{Error, Result};
use crate::finetune::backprop::means;
use crate::finetune::{BackProp, Batch, Control, Problem, Terminal};
use crate::nn::{AdamWConfig, Figures, Learner, Params, Pool, Tensors, over_shards};
use crate::random::Seed;
use candle_core::Tensor;

/// Makes a control on its parameters.
pub type Form<'a> = Box<dyn Fn(&Params) -> Result<Box<dyn Control + 'a>> + Send + Sync + 'a>;

/// The networks of the two parts; each counts its own part's steps, those of the lead rounded up to whole blocks of the main chain.
pub struct Forms<'a> {
    /// Of the lead.
    pub lead: Form<'a>,
    /// Of the main chain.
    pub main: Form<'a>,
}

/// Steps of the main chain that are walked at a step of a stage.
pub(super) type End<'a> = Box<dyn Fn(u64) -> usize + Send + Sync + 'a>;

/// Everything of a run that does not change; `finished` are the averaged weights of the stages that are done.
pub(super) struct Plan<'a> {
    pub(super) config: InitialConfig,
    pub(super) chain: &'a dyn Chain,
    pub(super) terminal: &'a dyn Terminal,
    pub(super) joined: Joined<'a>,
    pub(super) delayed: Delayed<'a>,
    pub(super) forms: Forms<'a>,
    pub(super) end: Option<End<'a>>,
    pub(super) seed: Seed,
    pub(super) pool: &'a Pool,
}

impl<'a> Plan<'a> {
    pub(super) fn value_on(&self, weights: Tensors) -> Result<ValueFunction> {
        let params = Params::frozen(weights, self.chain.device()).child("value");
        let (width, alpha) = (self.config.value.width, self.config.alpha);
        ValueFunction::new(&params, &self.chain.shape(), width, alpha, Scale { level: 0.0, unit: 1.0 })
    }

    /// The control of the joined chain on held weights.
    pub(super) fn staged(&self, weights: &Tensors, main: &str, with_lead: bool) -> Result<Staged<'a>> {
        let params = Params::frozen(weights.clone(), self.chain.device());
        let part = |form: &Form<'a>, name: &str| {
            if has(weights, name) { form(&params.child(name)).map(Some) } else { Ok(None) }
        };
        let lead = if with_lead { part(&self.forms.lead, "lead")? } else { None };
        Ok(Staged::new(&self.joined, lead, part(&self.forms.main, main)?))
    }

    /// Steps of a stage.
    pub(super) fn steps(&self, stage: Stage) -> u64 {
        if stage == Stage::Value { self.config.value.updates } else { self.config.updates }
    }

    fn problem<'p>(&'p self, chain: &'p dyn Chain, terminal: &'p dyn Terminal) -> Problem<'p> {
        Problem { chain, terminal, alpha: Some(self.config.alpha) }
    }

    /// A stage at its step 0.
    pub(super) fn begin(&self, stage: Stage, finished: &Tensors) -> Result<Work<'a>> {
        let seed = self.seed.child(stage.name());
        if stage == Stage::Value {
            let (problem, pairs) = (self.problem(self.chain, self.terminal), self.config.value.pairs);
            let held = Params::frozen(finished.clone(), self.chain.device());
            let (loss, pairs) = if has(finished, "main") {
                let control = (self.forms.main)(&held.child("main"))?;
                let pairs = Pairs::on_policy(&problem, control.as_ref(), pairs, seed.child("pairs"), self.pool)?;
                (ValueLoss::Squares, pairs)
            } else {
                (ValueLoss::Linex, Pairs::of_base(&problem, pairs, seed.child("pairs"), self.pool)?)
            };
            let regression = Regression::new(self.config.value, loss, self.config.alpha, pairs, seed, self.pool)?;
            return Ok(Work::Value(Box::new(regression)));
        }
        let known = |(name, _): &(&String, &Tensor)| stage == Stage::Main && name.starts_with("main.");
        let known: Tensors = finished.iter().filter(known).map(|(name, t)| (name.clone(), t.clone())).collect();
        let params = if known.is_empty() {
            Params::trainable(self.seed.child("weights"), self.chain.dtype(), self.chain.device())
        } else {
            Params::trainable_from(known, self.chain.device())
        };
        self.build(stage, &params, finished)?;
        Ok(Work::Control(Box::new(learner(stage, params, &self.config)?)))
    }

    /// The control that a stage trains, on its parameters.
    fn build(&self, stage: Stage, params: &Params, finished: &Tensors) -> Result<Box<dyn Control + 'a>> {
        let lead = || (self.forms.lead)(&params.child("lead"));
        let main = || (self.forms.main)(&params.child("main"));
        Ok(match stage {
            Stage::Lead => lead()?,
            Stage::Both => Box::new(Staged::new(&self.joined, Some(lead()?), Some(main()?))),
            Stage::Main => {
                let held = Params::frozen(finished.clone(), self.chain.device());
                let lead = (self.forms.lead)(&held.child("lead"))?;
                Box::new(Staged::new(&self.joined, Some(lead), Some(main()?)))
            }
            Stage::Frozen | Stage::Value => main()?,
        })
    }

    /// One step of a stage that trains a control.
    pub(super) fn control_step(&self, stage: Stage, finished: &Tensors, learner: &mut Learner) -> Result<Figures> {
        let seed = self.seed.child(stage.name()).child("step").index(learner.done());
        let value = if stage == Stage::Lead { Some(self.value_on(finished.clone())?) } else { None };
        let problem = match (&value, stage) {
            (Some(value), _) => self.problem(self.joined.lead(), value),
            (None, Stage::Frozen) => self.problem(self.chain, self.terminal),
            (None, _) => self.problem(&self.joined, &self.delayed),
        };
        let InitialConfig { batch, shard, estimator, alpha, .. } = self.config;
        let last = self.chain.steps();
        let end = self.end.as_ref().filter(|_| stage != Stage::Lead).map_or(last, |end| end(learner.done()).min(last));
        let steps = problem.chain.steps() - (last - end);
        let (vars, held) = (learner.params().vars(), learner.held());
        let method = BackProp { estimator, ..BackProp::default() };
        let (sums, parts) = over_shards(self.pool, batch.div_ceil(shard), |i| {
            let (control, frozen) =
                (self.build(stage, learner.params(), finished)?, self.build(stage, &held, finished)?);
            let part = Batch { rows: shard.min(batch - i * shard), total: batch, steps, seed: seed.index(i as u64) };
            let part = method.gradient(&problem, control.as_ref(), frozen.as_ref(), &vars, &part)?;
            Ok((part.gradients, [part.value, part.cost]))
        })?;
        let (next, name) = (learner.done() + 1, stage.name());
        let figures: Vec<&Tensor> = parts.iter().flatten().collect();
        let learnt = learner.learn(&sums, self.pool, &figures, |rows| {
            let (value, cost) = means(&rows, batch);
            if value.is_finite() && cost.is_finite() {
                return Ok((value, cost));
            }
            let message = format!("value {value} or divergence {cost} is not finite at step {next} of stage `{name}`");
            Err(Error::device(message).hint("lower the learning rate or raise alpha"))
        })?;
        let (value, cost) = learnt.figures;
        Ok(vec![
            ("value", value),
            ("path_kl", cost),
            ("objective", value - alpha * cost),
            ("gradient_norm", learnt.norm),
            ("learning_rate", learnt.rate),
        ])
    }
}

/// Whether any weight lies below a name.
pub(super) fn has(weights: &Tensors, name: &str) -> bool {
    weights.keys().any(|known| known.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

fn learner(stage: Stage, params: Params, config: &InitialConfig) -> Result<Learner> {
    let of_lead = config.lead_learning_rate.unwrap_or(config.learning_rate);
    let lr = if stage == Stage::Lead { of_lead } else { config.learning_rate };
    let settings = AdamWConfig { lr, beta2: 0.99, clip_norm: Some(10.0), ..AdamWConfig::default() };
    Ok(Learner::new(params, settings, config.ema, config.updates)?.with_share("lead", of_lead / lr))
}
