//! Implicit tilt matching.

use super::{Objective, Run, Update};
use crate::diffusion::{Lettered, Memory};
use crate::error::{Error, Result};
use crate::finetune::replay::{Replay, Track};
use crate::finetune::rollout::{Draw, Noise};
use crate::finetune::{Control, FinetuneConfig, Rollout};
use crate::nn::{Gradients, Params, Tensors, gradients_with, over_shards, read};
use crate::random::{Rng, Seed};
use crate::reward::Needs;
use candle_core::{D, DType, Device, Tensor};

/// Implicit tilt matching (arXiv 2512.21829) on chains of letters. Ends of paths are noised anew, and what is known of the letters at the
/// noised state is tilted there:
///
/// ```text
/// x_k = signal_k E[x] + noise_k ε,   w̄ = w/mean w
/// fixed point  q(x_k) = E[w̄ 1{x} | x_k]/E[w̄ | x_k],     f = sg[f_old + (w̄ − 1)(U − f)] with U = 1{x}
/// loss = −E Σ_i [c q_old + (w̄ − c) 1{x_i}]·log q_θ,i(x_k)
/// ```
/// The published form regresses a velocity; the output of these networks is a belief over letters, and a velocity is linear in it, so
/// that the fixed point is the same one written in probabilities. Cross-entropy has it as its minimum in the logits, where squares of the
/// denoised estimate would have gradients that die where beliefs are sharp. Marginals of letters at every state are all that is learned,
/// and all that a control of this family can hold (`u = predict/std (q − p) E`).
///
/// Two ways through the tilts ([`TiltConfig`](crate::finetune::TiltConfig)), h = 1/tilts of r/α each:
///
/// - recentred: `w = e^{βr/α − L}` with L of the path that led to the end, so that ends stand for `p e^{βr/α}` exactly whatever control drew
///   them, errors of earlier tilts are made up for, and ends may be kept (Jarzynski's equality; β counts all tilts so far). q_old is the
///   present q_θ, whose term then has no gradient: with c = 1 the noise vanishes as weights become alike. That takes q_θ for the
///   posterior of its own ends, which is so for controls that tilt beliefs by one law of sequences (word tables, mixtures), up to the size
///   of the steps; of networks it is an assumption, and c = 0 makes none. Ends that are kept are not its own: with a buffer c is 0.
/// - not: `w = e^{h r/α}` on ends of the control that the tilt started from, q_old that control's. Nothing but values and ends is known, as
///   published, and errors add up from tilt to tilt.
///
/// Weights are cut at √n of n ends (truncated importance sampling, Ionides 2008).
///
/// # Cost
/// A walk of the fresh ends without gradients; then one call of the control with its gradient for every noised state (two where the
/// chain's context is held from an earlier step). Kept ends take L + 3 numbers each, whatever K.
pub struct ImplicitTilt {
    ends: Replay,
    keeps: bool,
    /// Number and starting weights of the present tilt, where ends are those of its start.
    stage: Option<(u64, Tensors)>,
}

pub(super) fn make(config: &FinetuneConfig) -> Box<dyn Objective> {
    let kept = config.replay.capacity.filter(|capacity| *capacity > 0);
    let ends = Replay::new(kept.unwrap_or(config.batch), config.replay.bytes());
    Box::new(ImplicitTilt { ends, keeps: kept.is_some(), stage: None })
}

/// What a tilt's starting weights and number are filed under.
const START: &str = "start/";
const STAGE: &str = "stage";

/// The ends that a step learns from, and what each counts.
struct Ends<'a> {
    tracks: Vec<&'a Track>,
    /// w̄.
    weights: Vec<f64>,
    /// c.
    baseline: f64,
}

impl ImplicitTilt {
    /// Walks fresh paths and keeps their ends.
    fn refill(&mut self, run: &Run<'_>, lettered: &dyn Lettered, walker: &Params) -> Result<()> {
        let batch = run.config.batch;
        let mut left = if self.keeps { run.config.replay.fresh_of(batch, self.ends.is_empty()) } else { batch };
        let draws = run.draws(run.done()).into_iter().map(|(seed, rows)| {
            let rows = rows.min(left);
            left -= rows;
            (seed, rows)
        });
        let draws: Vec<Draw> = draws.filter(|(_, rows)| *rows > 0).collect();
        let fresh = run.pool.map(draws.len(), |i| {
            let control = (run.control)(walker)?;
            let (seed, rows) = draws[i];
            let path = Rollout::draw(run.chain, Some(control.as_ref()), run.steps, rows, seed, false)?;
            let letters = lettered.letters(path.last())?.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
            let (values, ratios) = (run.values.values(path.last())?, read(&[&path.log_ratio])?.remove(0));
            let track = |row: usize| {
                let (states, behaviour) = (letters.narrow(0, row, 1)?.contiguous()?, vec![ratios[row]]);
                Ok(Track { states, innovations: None, behaviour, value: values[row], epoch: run.done() })
            };
            (0..rows).map(track).collect::<Result<Vec<_>>>()
        })?;
        if !self.keeps {
            self.ends.clear();
        }
        self.ends.push(fresh.into_iter().flatten().collect());
        Ok(())
    }

    /// The ends of an optimiser step.
    fn recall(&self, run: &Run<'_>, share: f64, rng: &mut Rng) -> Result<Ends<'_>> {
        let (config, tracks) = (run.config, self.ends.tracks());
        let mut corrections = vec![0.0; tracks.len()];
        let tracks: Vec<&Track> = if self.keeps {
            let shares = self.ends.shares(&config.replay, 1.0, config.batch)?;
            let drawn = shares.draw(config.batch, rng);
            let correct = |path: usize| if config.replay.corrected { shares.log_share(path) } else { 0.0 };
            corrections = drawn.iter().map(|drawn| correct(drawn.path)).collect();
            drawn.iter().map(|drawn| &tracks[drawn.path]).collect()
        } else {
            tracks.iter().collect()
        };
        let log = |(track, correction): (&&Track, &f64)| {
            let drawn = if config.tilt.recentred { track.behaviour[0] } else { 0.0 };
            share * track.value / run.alpha - drawn - correction
        };
        let logs: Vec<f64> = tracks.iter().zip(&corrections).map(log).collect();
        // kept ends are not the present control's own, so that its posterior cannot stand in for theirs
        let baseline = if self.keeps { 0.0 } else { config.tilt.baseline };
        Ok(Ends { weights: relative(&logs), tracks, baseline })
    }
}

/// `e^log/mean e^log`.
fn relative(logs: &[f64]) -> Vec<f64> {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs.iter().map(|log| (log - most).exp()).collect();
    let mean = weights.iter().sum::<f64>() / weights.len() as f64;
    weights.iter().map(|w| w / mean).collect()
}

/// Weights cut at √n, and the share that was cut.
fn truncated(weights: Vec<f64>) -> (Vec<f64>, f64) {
    let (n, most) = (weights.len() as f64, (weights.len() as f64).sqrt());
    let cut = weights.iter().filter(|w| **w > most).count() as f64 / n;
    (weights.into_iter().map(|w| w.min(most)).collect(), cut)
}

/// `−Σ labels·log q` per row, (B,).
pub(in crate::finetune) fn cross_entropy(q: &Tensor, labels: &Tensor) -> Result<Tensor> {
    // of beliefs in f32 that are exactly 0 nothing can be learned
    Ok((labels * (q + 1e-12)?.log()?)?.flatten_from(1)?.sum(D::Minus1)?.neg()?)
}

/// `c q_old + (w̄ − c) 1{x}`, (B, L, V); without q_old its term, whose gradient is nothing, is left out.
pub(in crate::finetune) fn labels(
    ends: &Tensor,
    weights: &[f64],
    baseline: f64,
    old: Option<&Tensor>,
) -> Result<Tensor> {
    let excess: Vec<f64> = weights.iter().map(|w| w - baseline).collect();
    let excess = Tensor::from_vec(excess, (weights.len(), 1, 1), &Device::Cpu)?;
    let labels = ends.broadcast_mul(&excess.to_device(ends.device())?.to_dtype(ends.dtype())?)?;
    Ok(match old {
        Some(old) => (labels + (old.detach() * baseline)?)?,
        None => labels,
    })
}

/// States of the same level that share a graph.
struct Group {
    step: usize,
    first: usize,
    rows: usize,
    seed: Seed,
}

/// Every end `noisings` times, each time before a step of its own: half of the steps are drawn alike, half by what errors cost there.
fn groups(run: &Run<'_>, lettered: &dyn Lettered, n: usize, seed: Seed) -> Vec<Group> {
    let prices: Vec<f64> = (0..run.steps).map(|k| lettered.price(k)).collect();
    let total: f64 = prices.iter().sum();
    let shares: Vec<f64> = prices.iter().map(|price| 0.5 * price / total + 0.5 / run.steps as f64).collect();
    let parts = n.div_ceil(run.config.shard);
    let count = parts * run.config.tilt.noisings;
    let mut rng = seed.rng();
    let mut strata: Vec<usize> = (0..count).collect();
    rng.shuffle(&mut strata);
    let group = |(index, stratum): (usize, usize)| {
        let mut left = (stratum as f64 + rng.uniform()) / count as f64;
        let step = shares.iter().position(|share| {
            left -= share;
            left < 0.0
        });
        let first = index % parts * run.config.shard;
        let rows = run.config.shard.min(n - first);
        Group { step: step.unwrap_or(run.steps - 1), first, rows, seed: seed.index(index as u64) }
    };
    strata.into_iter().enumerate().map(group).collect()
}

impl Group {
    /// Beliefs of a control about the letters at these states, (B, L, V).
    fn beliefs(&self, run: &Run<'_>, control: &dyn Control, states: (&Tensor, Option<&Tensor>)) -> Result<Tensor> {
        let mut memory = Memory::default();
        if let Some(x) = states.1 {
            let head = self.step - self.step % run.chain.block();
            let base = run.chain.advance(head, x, &mut memory)?;
            control.beliefs(head, x, &base, &mut memory)?;
        }
        let base = run.chain.advance(self.step, states.0, &mut memory)?;
        control
            .beliefs(self.step, states.0, &base, &mut memory)?
            .ok_or_else(|| Error::usage("implicit tilt matching needs a control that tilts beliefs over letters"))
    }

    /// The gradient of this group's share of the loss, and the loss's rows.
    fn learn(
        &self,
        run: &Run<'_>,
        lettered: &dyn Lettered,
        ends: &Ends<'_>,
        old: Option<&Params>,
    ) -> Result<(Gradients, Tensor)> {
        let (chain, config) = (run.chain, run.config);
        let tracks = &ends.tracks[self.first..self.first + self.rows];
        let letters = tracks.iter().map(|track| &track.states).collect::<Vec<_>>();
        let letters = Tensor::cat(&letters, 0)?.to_dtype(DType::U32)?.to_device(chain.device())?;
        let mut noise = Noise::new(chain, &[(self.seed, self.rows)]);
        let x = lettered.noised(self.step, &letters, &noise.next(1)?.squeeze(0)?)?;
        let head = self.step - self.step % chain.block();
        let before = (head < self.step)
            .then(|| lettered.noisier(head, self.step, &x, &noise.next(1)?.squeeze(0)?))
            .transpose()?;
        let states = (&x, before.as_ref());
        let control = (run.control)(run.learner.params())?;
        let q = self.beliefs(run, control.as_ref(), states)?;
        let old = match old {
            Some(old) => Some(self.beliefs(run, (run.control)(old)?.as_ref(), states)?),
            None => None,
        };
        let vertices = one_hot(&letters, lettered.alphabet(), chain)?;
        let weights = &ends.weights[self.first..self.first + self.rows];
        let rows = cross_entropy(&q, &labels(&vertices, weights, ends.baseline, old.as_ref())?)?;
        let count = ends.tracks.len() * config.tilt.noisings;
        let loss = (rows.sum_all()? / count as f64)?;
        Ok((gradients_with(&loss, &run.learner.params().vars(), &[])?.0, rows.detach()))
    }
}

/// Letters (B, L) as vertices of the simplex, (B, L, V).
fn one_hot(letters: &Tensor, alphabet: usize, chain: &dyn crate::diffusion::Chain) -> Result<Tensor> {
    let all = Tensor::arange(0, alphabet as u32, chain.device())?;
    Ok(letters.unsqueeze(2)?.broadcast_eq(&all.reshape((1, 1, alphabet))?)?.to_dtype(chain.dtype())?)
}

impl Objective for ImplicitTilt {
    fn needs(&self) -> Needs {
        Needs::Score
    }

    fn replays(&self) -> bool {
        true
    }

    fn kept_states(&self) -> usize {
        0
    }

    fn update(&mut self, run: &Run<'_>) -> Result<Update> {
        let lettered = run
            .chain
            .lettered()
            .ok_or_else(|| Error::usage("implicit tilt matching is for chains whose states stand for letters"))?;
        let (config, done) = (run.config.tilt, run.done());
        let tilt = config.tilt_at(done, run.config.steps);
        let begins = !config.recentred && self.stage.as_ref().is_none_or(|(stage, _)| *stage != tilt);
        if begins {
            self.stage = Some((tilt, run.learner.params().snapshot()?));
        }
        let start = self.stage.as_ref().map(|(_, weights)| Params::frozen(weights.clone(), run.chain.device()));
        if begins || done.is_multiple_of(run.config.reuse) || self.ends.is_empty() {
            let held = run.learner.held();
            self.refill(run, lettered, start.as_ref().unwrap_or(&held))?;
        }
        let tilts = if config.recentred { tilt + 1 } else { 1 };
        let share = tilts as f64 / config.tilts as f64;
        let seed = run.seed_at(done).child("tilt");
        let mut ends = self.recall(run, share, &mut seed.child("ends").rng())?;
        let n = ends.tracks.len();
        let ess = n as f64 / ends.weights.iter().map(|w| w * w).sum::<f64>();
        let (weights, cut) = truncated(std::mem::take(&mut ends.weights));
        ends.weights = weights;
        let groups = groups(run, lettered, n, seed);
        let (sums, rows) =
            over_shards(run.pool, groups.len(), |i| groups[i].learn(run, lettered, &ends, start.as_ref()))?;
        let losses = read(&rows.iter().collect::<Vec<_>>())?.concat();
        let mean = |of: &dyn Fn(&Track) -> f64| ends.tracks.iter().map(|track| of(track)).sum::<f64>() / n as f64;
        let figures = vec![
            ("cross_entropy", losses.iter().sum::<f64>() / losses.len() as f64),
            ("tilt", (tilt + 1) as f64 / config.tilts as f64),
            ("weights_ess_share", ess),
            ("truncated_share", cut),
            ("path_age", mean(&|track| (done - track.epoch) as f64)),
        ];
        let known = Some((mean(&|track| track.value), mean(&|track| track.behaviour[0])));
        Ok(Update { sums, rows: Vec::new(), known, figures })
    }

    fn state(&self) -> Result<Tensors> {
        let mut state = self.ends.state()?;
        if let Some((stage, weights)) = &self.stage {
            // a number of tilts is exact in f64
            state.insert(STAGE.to_owned(), Tensor::from_slice(&[*stage as f64], 1, &Device::Cpu)?);
            state.extend(weights.iter().map(|(name, tensor)| (format!("{START}{name}"), tensor.clone())));
        }
        Ok(state)
    }

    fn restore(&mut self, state: Tensors) -> Result<()> {
        self.ends.restore(&state)?;
        let number = state.get(STAGE).map(|stage| read(&[stage])).transpose()?;
        let weights =
            state.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(START)?.to_owned(), tensor.clone())));
        self.stage = number.and_then(|number| Some((*number.first()?.first()? as u64, weights.collect())));
        Ok(())
    }
}
