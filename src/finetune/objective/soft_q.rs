//! Soft-Q fine-tuning.

use super::{Objective, Run, Update};
use crate::diffusion::Memory;
use crate::error::{Error, Result};
use crate::finetune::replay::{Drawn, Replay, Track};
use crate::finetune::rollout::{Draw, Noise};
use crate::finetune::trace::Trace;
use crate::finetune::{Control, FinetuneConfig};
use crate::nn::{Gradients, Tensors, gradients_with, over_shards};
use crate::random::Seed;
use crate::reward::Needs;
use candle_core::{Device, Tensor, Var};
use std::collections::BTreeMap;

/// Soft-Q diffusion fine-tuning (SQDF, arXiv 2512.04559). The soft value of a state on the way is replaced by the reward of a guess
/// x̂₀ at the end, by the frozen prior, so that one step at a time can be learned, with nothing back-propagated through the chain:
///
/// ```text
/// x_{k+1} = m_k(x_k) + s_k (u_θ(x_k) + ε),   x_k held
/// loss = K E_{x_k, k, ε}[ −γ^k' r(x̂₀(x_{k+1}))/α + ½|u_θ(x_k)|² ],   k' = K − 1 − k
/// ∂loss/∂θ = K E[ (−γ^k' s_k/α ∇r(x̂₀(x_{k+1})) + u_θ) · ∂u_θ(x_k)/∂θ ]
/// ```
/// over states of kept paths and steps k drawn alike, or as a rule of the buffer says. After the last step x̂₀ is the state itself, read by
/// the frozen head. α is the price of a nat, as everywhere here; the published code's is a mean over dimensions without ½, so that
/// its α is D/2 of ours at D numbers a state. Departures are from the prior, never discounted. With an earlier control v
/// ([`Anchor`](crate::finetune::Anchor)) `β/α ½|u − v|²` comes on top.
///
/// # Cost
/// The walk of the fresh paths; then, for every pair of path and step, one call of the control with its gradient, and one of the denoiser with
/// that of the state. Pairs of the same step share a graph.
pub(super) struct SoftQ {
    replay: Replay,
}

/// Paths that are kept by default.
const CAPACITY: usize = 1024;

/// Paths that the settings keep.
pub(in crate::finetune) fn capacity(config: &FinetuneConfig) -> usize {
    config.replay.capacity.unwrap_or(CAPACITY)
}

pub(super) fn make(config: &FinetuneConfig) -> Box<dyn Objective> {
    Box::new(SoftQ { replay: Replay::new(capacity(config), config.replay.bytes()) })
}

/// The pairs of one step that share a graph.
struct Group {
    step: usize,
    /// Their numbers among the draws, which their noise goes by, and the draws.
    pairs: Vec<(usize, Drawn)>,
}

impl SoftQ {
    /// Walks fresh paths with the control as it stands.
    fn walk(run: &Run<'_>, count: usize) -> Result<Vec<Track>> {
        let mut left = count;
        let draws = run.draws(run.done()).into_iter().filter_map(|(seed, rows)| {
            let rows = rows.min(left);
            left -= rows;
            (rows > 0).then_some((seed, rows))
        });
        let draws: Vec<Draw> = draws.collect();
        let held = run.learner.held();
        let tracks = run.pool.map(draws.len(), |i| {
            let control = (run.control)(&held)?;
            let trace = Trace::draw(run.chain, Some(control.as_ref()), run.values, run.steps, &draws[i..=i])?;
            trace.tracks(run.done(), false)
        })?;
        Ok(tracks.into_iter().flatten().collect())
    }

    /// Which pairs are learned from, in groups.
    fn pairs(&self, run: &Run<'_>, fresh: &[Track]) -> Result<Vec<Group>> {
        let config = &run.config.replay;
        let mut rng = run.seed_at(run.done()).child("replay").rng();
        let count = run.config.soft_q.pairs.unwrap_or(run.config.batch);
        let discount = run.config.soft_q.of_step(run.steps);
        let drawn = if capacity(run.config) == 0 {
            // every path in turn, at a step of its own
            let pair = |d: usize| Drawn { path: d % fresh.len(), step: rng.below(run.steps), weight: 1.0 };
            (0..count).map(pair).collect()
        } else {
            self.replay.shares(config, discount, run.config.batch)?.draw(count, &mut rng)
        };
        let mut steps: BTreeMap<usize, Vec<(usize, Drawn)>> = BTreeMap::new();
        for (index, pair) in drawn.into_iter().enumerate() {
            steps.entry(pair.step).or_default().push((index, pair));
        }
        let groups = steps.into_iter().flat_map(|(step, pairs)| {
            let parts: Vec<Group> =
                pairs.chunks(run.config.shard).map(|pairs| Group { step, pairs: pairs.to_vec() }).collect();
            parts
        });
        Ok(groups.collect())
    }
}

/// The gradient of one group's share of the loss, and the sum of its guessed rewards.
fn learn(run: &Run<'_>, control: &dyn Control, group: &Group, tracks: &[&Track], seed: Seed) -> Result<Learned> {
    let terminal = run.terminal.ok_or_else(|| Error::usage("this objective needs the reward's gradient"))?;
    let (k, config, chain) = (group.step, run.config, run.chain);
    let head = k - k % chain.block();
    let states = |k: usize| -> Result<Tensor> {
        let rows = tracks.iter().map(|track| Ok(track.states.get(k)?)).collect::<Result<Vec<_>>>()?;
        Ok(Tensor::stack(&rows, 0)?.to_device(chain.device())?)
    };
    let (mut memory, mut earlier) = (Memory::default(), Memory::default());
    if head < k {
        // what a block's first state leaves for its other steps, in prior and control alike
        let x = states(head)?;
        let base = chain.advance(head, &x, &mut memory)?.detached();
        control.control(head, &x, &base, &mut memory)?;
        if let Some(anchor) = &run.anchor {
            anchor.control.control(head, &x, &base, &mut earlier)?;
        }
    }
    let x = states(k)?;
    let base = chain.advance(k, &x, &mut memory)?.detached();
    let u = control.control(k, &x, &base, &mut memory)?;
    let draws: Vec<Draw> = group.pairs.iter().map(|(index, _)| (seed.index(*index as u64), 1)).collect();
    let noise = Noise::new(chain, &draws).next(1)?.squeeze(0)?;
    let next = Var::from_tensor(&(&base.mean + ((u.detach() + noise)? * base.std)?)?)?;
    let price = run.alpha + run.anchor.map_or(0.0, |anchor| anchor.beta);
    let value = config.soft_q.glimpse.value(run.glimpse, terminal, (k + 1, run.steps), next.as_tensor(), price)?;
    // the gradient goes through guess and reward to the state, and to nothing on the way
    let slope = gradients_with(&value.sum_all()?, &[], &[&next])?.1.remove(0);
    let left = (run.steps - 1 - k) as f64;
    let trust = config.soft_q.of_step(run.steps).powf(left) * base.std / run.alpha;
    let mut loss = ((u.sqr()? * 0.5)? - (&u * (slope * trust)?)?)?;
    if let Some(anchor) = &run.anchor {
        let v = anchor.control.control(k, &x, &base, &mut earlier)?.detach();
        loss = (loss + ((&u - v)?.sqr()? * (0.5 * anchor.beta / run.alpha))?)?;
    }
    let count = config.soft_q.pairs.unwrap_or(config.batch);
    let weight = |pair: &Drawn| if config.replay.corrected { pair.weight } else { 1.0 };
    let weights: Vec<f64> =
        group.pairs.iter().map(|(_, pair)| weight(pair) * run.steps as f64 / count as f64).collect();
    let rows = loss.flatten_from(1)?.sum(1)?;
    let weights = Tensor::from_vec(weights, rows.shape(), &Device::Cpu)?.to_device(chain.device())?;
    let loss = (rows * weights.to_dtype(chain.dtype())?)?.sum_all()?;
    let gradients = gradients_with(&loss, &run.learner.params().vars(), &[])?.0;
    Ok(Learned { gradients, value: value.detach() })
}

struct Learned {
    gradients: Gradients,
    value: Tensor,
}

impl Objective for SoftQ {
    fn needs(&self) -> Needs {
        Needs::Gradient
    }

    fn anchors(&self) -> bool {
        true
    }

    fn replays(&self) -> bool {
        true
    }

    fn update(&mut self, run: &Run<'_>) -> Result<Update> {
        let keeps = capacity(run.config) > 0;
        let mut fresh =
            Self::walk(run, run.config.replay.fresh_of(run.config.batch, !keeps || self.replay.is_empty()))?;
        let n = fresh.len() as f64;
        let nats: f64 = fresh.iter().flat_map(|track| &track.behaviour).sum();
        let known = (fresh.iter().map(|track| track.value).sum::<f64>() / n, nats / n);
        if keeps {
            self.replay.push(std::mem::take(&mut fresh));
        }
        let groups = self.pairs(run, &fresh)?;
        let track = |path: usize| if keeps { &self.replay.tracks()[path] } else { &fresh[path] };
        let seed = run.seed_at(run.done()).child("pairs");
        let (sums, values) = over_shards(run.pool, groups.len(), |i| {
            let tracks: Vec<&Track> = groups[i].pairs.iter().map(|(_, pair)| track(pair.path)).collect();
            let control = (run.control)(run.learner.params())?;
            let learned = learn(run, control.as_ref(), &groups[i], &tracks, seed)?;
            Ok((learned.gradients, learned.value))
        })?;
        let values: Vec<&Tensor> = values.iter().collect();
        let values = crate::nn::read(&values)?.concat();
        let pairs: Vec<&Drawn> = groups.iter().flat_map(|group| &group.pairs).map(|(_, pair)| pair).collect();
        let ages = pairs.iter().map(|pair| (run.done() - track(pair.path).epoch) as f64);
        let mut figures = vec![
            ("glimpsed", values.iter().sum::<f64>() / values.len() as f64),
            ("kept_paths", if keeps { self.replay.tracks().len() as f64 } else { n }),
            ("path_age", ages.sum::<f64>() / pairs.len() as f64),
        ];
        if run.config.replay.corrected {
            let (sum, squares) =
                pairs.iter().fold((0.0, 0.0), |(s, q), pair| (s + pair.weight, q + pair.weight.powi(2)));
            figures.push(("weights_ess_share", sum * sum / squares / pairs.len() as f64));
        }
        Ok(Update { sums, rows: Vec::new(), known: Some(known), figures })
    }

    fn state(&self) -> Result<Tensors> {
        self.replay.state()
    }

    fn restore(&mut self, state: Tensors) -> Result<()> {
        self.replay.restore(&state)
    }
}
