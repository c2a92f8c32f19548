//! Adjoint matching.

mod cut;
mod matched;
mod matching;

pub(in crate::finetune) use matched::{Drawing, Matched};
pub(in crate::finetune) use matching::{Counts, chosen};

use super::{MOST, Objective, Run, Update};
use crate::error::{Error, Result};
use crate::finetune::rollout::Draw;
use crate::finetune::{AdjointConfig, FinetuneConfig, Problem};
use crate::nn::{Params, Tensors, over_shards, read};
use crate::reward::Needs;
use candle_core::{Device, Tensor};
use cut::Cut;
use ndarray::Array2;

/// Adjoint matching (Domingo-Enrich et al. 2024, arXiv 2409.08861): the control is regressed on lean adjoints of paths of its own that are held
/// fixed.
///
/// ```text
/// ã_K = −∇V(x_K)/α,   ã_k = (∂m_k/∂x)ᵀ ã_{k+1}
/// loss = E Σ_k ½|u_θ(x_k) + s_k ã_{k+1}|²,   ∂loss/∂θ = E Σ_k (u_θ + s_k ã_{k+1}) · ∂u_θ(x_k)/∂θ
/// ```
/// Nothing of the control is differentiated on the way: the terms that back-propagation has on top, `(∂u_k/∂x)ᵀ (s_k p_{k+1} + u_k)`
/// with the full adjoint p, have expectation 0 at every state of the best control. So both have the same fixed point, the best
/// control of the chain as it runs; away from it their expectations differ, but where no u depends on the state. V is the value that back-propagation
/// takes, and a `lookahead` cuts paths into stretches that end in it as there. Departures from the paper: the chain's own Gaussian steps, the
/// index of the adjoint ([`Alignment`](crate::finetune::Alignment)), earlier steps counted for those that are left out
/// ([`AdjointConfig::share`]), paths that are reused weighed by their densities.
///
/// # Cost
/// A batch: one walk, and one reverse walk of the base chain. An optimiser step: one evaluation of the control at each step that is learned
/// from, forward and in reverse, and from the second pass on another of all steps. Memory of 4 L D + L V numbers a step and path.
pub(super) struct AdjointMatching {
    config: AdjointConfig,
    batch: Option<Vec<Matched>>,
    drawn: Option<Drawn>,
    cut: Cut,
}

/// What a batch that is used again was drawn with.
struct Drawn {
    weights: Tensors,
    steps: usize,
    alpha: f64,
}

pub(super) fn make(config: &FinetuneConfig) -> Box<dyn Objective> {
    let cut = Cut::new(config.adjoint.clip);
    Box::new(AdjointMatching { config: config.adjoint, batch: None, drawn: None, cut })
}

impl AdjointMatching {
    /// Draws the batch that belongs to optimiser step `first`.
    fn draw(&self, run: &Run<'_>, first: u64) -> Result<Vec<Matched>> {
        let terminal = run.terminal.ok_or_else(|| Error::usage("this objective needs the reward's gradient"))?;
        let (behaviour, steps, alpha) = match &self.drawn {
            Some(drawn) => {
                let device = run.learner.params().device();
                (Params::frozen(drawn.weights.clone(), device), drawn.steps, drawn.alpha)
            }
            None if first == run.done() => (run.learner.held(), run.steps, run.alpha),
            None => return Err(Error::integrity("the checkpoint does not say which control drew its paths")),
        };
        let problem = Problem { chain: run.chain, terminal, alpha: Some(alpha) };
        let (lookahead, keep) = (run.method.lookahead, run.method.keep);
        let drawing = Drawing { steps, lookahead, keep, alignment: self.config.alignment };
        let draws = run.draws(first);
        let graphs: Vec<&[Draw]> = draws.chunks(if run.joined { draws.len() } else { 1 }).collect();
        run.pool.map(graphs.len(), |i| Matched::draw(&problem, (run.control)(&behaviour)?.as_ref(), drawing, graphs[i]))
    }
}

impl Objective for AdjointMatching {
    fn needs(&self) -> Needs {
        Needs::Gradient
    }

    fn ramps(&self) -> bool {
        true
    }

    fn kept_states(&self) -> usize {
        4
    }

    fn update(&mut self, run: &Run<'_>) -> Result<Update> {
        let age = run.done() % self.config.passes;
        if age == 0 {
            let again = self.config.passes > 1;
            let weights = again.then(|| run.learner.params().snapshot()).transpose()?;
            (self.batch, self.drawn) =
                (None, weights.map(|weights| Drawn { weights, steps: run.steps, alpha: run.alpha }));
        }
        let batch = match self.batch.take() {
            Some(batch) => batch,
            None => self.draw(run, run.done() - age)?,
        };
        let held = run.learner.held();
        let weights: Vec<Array2<f64>> = if age == 0 {
            batch.iter().map(|part| Array2::ones(part.norms.raw_dim())).collect()
        } else {
            run.pool.map(batch.len(), |i| batch[i].weights((run.control)(&held)?.as_ref(), MOST))?
        };
        let (vars, total) = (run.learner.params().vars(), run.config.batch as f64);
        let seed = run.seed_at(run.done()).child("adjoint-steps");
        let most = self.cut.most();
        let (sums, residuals) = over_shards(run.pool, batch.len(), |i| {
            let control = (run.control)(run.learner.params())?;
            let steps = chosen(batch[i].norms.nrows(), self.config.share, &mut seed.index(i as u64).rng());
            let steps: Vec<f64> = steps.into_iter().map(|count| count / total).collect();
            let counts = Counts { steps: &steps, paths: &weights[i], most };
            batch[i].gradient(control.as_ref(), &vars, &counts)
        })?;
        let residuals = read(&residuals.iter().flatten().collect::<Vec<_>>())?.concat();
        let mean = |of: &dyn Fn(&Matched) -> f64| batch.iter().map(of).sum::<f64>() / total;
        let known = (mean(&|part| part.trace.values.iter().sum()), mean(&|part| part.costs.iter().sum()));
        let entries: f64 = batch.iter().map(|part| part.norms.len() as f64).sum();
        let last = |part: &Matched| part.norms.rows().into_iter().next_back().map_or(0.0, |row| row.sum());
        let mut figures = vec![
            ("adjoint_norm", batch.iter().map(|part| part.norms.sum()).sum::<f64>() / entries),
            ("adjoint_norm_last", mean(&last)),
            ("residual", residuals.iter().sum::<f64>() / residuals.len() as f64),
        ];
        if self.config.clip.is_some() {
            figures.push(("clipped", self.cut.share(&residuals)));
        }
        if self.config.passes > 1 {
            let paths =
                weights.iter().flat_map(|part| part.rows().into_iter().next_back().map_or(vec![], |r| r.to_vec()));
            let (sum, squares) = paths.fold((0.0, 0.0), |(s, q), w| (s + w, q + w * w));
            figures.extend([("path_age", age as f64), ("weights_ess_share", sum * sum / squares / total)]);
        }
        self.cut.see(&residuals);
        self.batch = (self.config.passes > 1).then_some(batch);
        Ok(Update { sums, rows: Vec::new(), known: Some(known), figures })
    }

    fn state(&self) -> Result<Tensors> {
        let mut state = Tensors::default();
        if let Some(drawn) = &self.drawn {
            state.extend(drawn.weights.iter().map(|(name, tensor)| (format!("{BEHAVIOUR}{name}"), tensor.clone())));
            state.insert(DRAWN.to_owned(), Tensor::new(&[drawn.steps as f64, drawn.alpha], &Device::Cpu)?);
        }
        if let Some(most) = self.cut.most() {
            state.insert(MOST_RESIDUAL.to_owned(), Tensor::new(&[most], &Device::Cpu)?);
        }
        Ok(state)
    }

    fn restore(&mut self, state: Tensors) -> Result<()> {
        let numbers = |name: &str| -> Result<Option<Vec<f64>>> {
            state.get(name).map(|tensor| Ok(read(&[tensor])?.remove(0))).transpose()
        };
        self.batch = None;
        self.cut.restore(numbers(MOST_RESIDUAL)?.and_then(|numbers| numbers.first().copied()));
        self.drawn = match numbers(DRAWN)?.as_deref() {
            None => None,
            Some([steps, alpha]) => {
                let weights = state
                    .iter()
                    .filter_map(|(name, tensor)| Some((name.strip_prefix(BEHAVIOUR)?.to_owned(), tensor.clone())));
                Some(Drawn { weights: weights.collect(), steps: *steps as usize, alpha: *alpha })
            }
            Some(_) => return Err(Error::integrity("the checkpoint does not say how its paths were drawn")),
        };
        Ok(())
    }
}

/// What the weights that drew a batch are filed under.
const BEHAVIOUR: &str = "behaviour/";
/// The steps and the price that it was drawn with.
const DRAWN: &str = "drawn";
/// Where residuals are cut.
const MOST_RESIDUAL: &str = "most-residual";
