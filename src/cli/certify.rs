//! Certificates of tuned chains, and the exact tilt where sequences can be enumerated.

mod certified;
mod exact;
mod priced;
mod weighed;

pub(super) use certified::Certified;
pub(super) use exact::Exact;
pub(super) use priced::{Priced, StandIn};
pub(super) use weighed::Weighing;

use super::context::Context;
use crate::diffusion::{Chain, Decode, DiffusionChain};
use crate::error::{Error, Result};
use crate::eval::certificate::{Certificate, PathSample};
use crate::eval::exact::Frontier;
use crate::eval::histogram::Histogram;
use crate::finetune::divergence::{Divergence, Tilting};
use crate::finetune::{Control, Paths, roll_out};
use crate::nn::Pool;
use crate::observe::{Event, Observer as _};
use crate::random::Seed;
use crate::reward::{Domain, Reward, enumerable};
use crate::sequence::Sequence;
use candle_core::{DType, Tensor};

/// Base paths that are in memory at a time.
const AT_ONCE: usize = 1 << 15;

/// A hard-decoded sequence and its reward.
pub(super) type Scored = (Sequence, f64);

/// A chain to walk, and its control if it has one.
pub(super) type Walkable<'a> = (&'a dyn Chain, Option<&'a dyn Control>);

/// Walks `count` paths that end in states of `chain`, decodes and scores them.
///
/// # Errors
/// When a tensor operation fails.
pub(super) fn scored_paths(
    chain: &DiffusionChain,
    walked: Walkable<'_>,
    reward: &dyn Reward,
    count: usize,
    seed: Seed,
    pool: &Pool,
) -> Result<Paths<Scored>> {
    roll_out(walked.0, walked.1, count, seed, pool, |x| {
        let sequences = Decode::Hard.read(&chain.read(chain.steps(), x)?, chain.prior(), &mut seed.rng())?;
        let values = rewards(reward, &sequences, chain)?;
        Ok(sequences.into_iter().zip(values).collect())
    })
}

/// The sequences of a chain.
fn domain(chain: &DiffusionChain) -> Domain {
    Domain { alphabet: chain.prior().alphabet().clone(), length: chain.prior().config().length }
}

/// No counts yet of the sequences of a chain.
fn histogram(chain: &DiffusionChain) -> Result<Histogram> {
    let Domain { alphabet, length } = domain(chain);
    Ok(Histogram::new(alphabet.len(), length)?.with_padding(alphabet.padding().is_some()))
}

fn rewards(reward: &dyn Reward, sequences: &[Sequence], chain: &DiffusionChain) -> Result<Vec<f64>> {
    let vertices = domain(chain).one_hot(sequences, chain.prior().device())?;
    Ok(reward.reward(&vertices)?.to_dtype(DType::F64)?.to_vec1::<f64>()?)
}

/// Walks `count` base paths a block at a time and hands every block's sequences to `take`. More paths begin with the same ones.
fn base_paths(
    chain: &DiffusionChain,
    count: usize,
    seed: Seed,
    pool: &Pool,
    context: &Context,
    mut take: impl FnMut(&[Sequence]) -> Result<()>,
) -> Result<()> {
    let read = |x: &Tensor| Decode::Hard.read(&chain.read(chain.steps(), x)?, chain.prior(), &mut seed.rng());
    let mut observer = context.observer();
    let stage = "base paths";
    let mut flow = observer.on_event(&Event::Start { stage, total: count as u64, done: 0 });
    for first in (0..count).step_by(AT_ONCE) {
        if flow.is_break() {
            return Err(Error::interrupted(format!("stopped after {first} of {count} base paths"))
                .hint("the same command draws them from the start"));
        }
        let block = AT_ONCE.min(count - first);
        take(&roll_out(chain, None, block, seed.index((first / AT_ONCE) as u64), pool, read)?.ends)?;
        flow = observer.on_event(&Event::Step { stage, done: (first + block) as u64, figures: &[] });
    }
    let _ = observer.on_event(&Event::Finish { stage });
    Ok(())
}

/// How often each sequence occurs among `count` base samples.
///
/// # Errors
/// When there are too many sequences, a tensor operation fails, or Ctrl-C was pressed.
pub(super) fn count_base(
    chain: &DiffusionChain,
    count: usize,
    seed: Seed,
    pool: &Pool,
    context: &Context,
) -> Result<Histogram> {
    let mut counts = histogram(chain)?;
    base_paths(chain, count, seed, pool, context, |block| block.iter().try_for_each(|x| counts.add(x)))?;
    Ok(counts)
}

/// Samples of the base chain, with everything that is known about its law.
pub(super) enum Base {
    /// Counted by sequence, where all can be enumerated.
    Counted(Law),
    /// The rewards of the samples.
    Sampled(Vec<f64>),
}

/// The base chain's law over all sequences, estimated from its samples.
pub(super) struct Law {
    counts: Histogram,
    reward: Vec<f64>,
}

impl Base {
    /// Draws `count` base samples; enumerates all sequences where there are few enough.
    ///
    /// # Errors
    /// When a tensor operation fails, or Ctrl-C was pressed.
    pub(super) fn draw(
        chain: &DiffusionChain,
        reward: &dyn Reward,
        count: usize,
        seed: Seed,
        pool: &Pool,
        context: &Context,
    ) -> Result<Self> {
        if enumerable(chain.prior().alphabet().len(), chain.prior().config().length) {
            let counts = count_base(chain, count, seed, pool, context)?;
            return Self::counted(chain, reward, counts, pool);
        }
        Self::sampled(chain, reward, count, seed, pool, context)
    }

    /// Draws `count` base samples and asks for the reward of those alone, however few sequences there are.
    ///
    /// # Errors
    /// When a tensor operation or the reward fails, or Ctrl-C was pressed.
    pub(super) fn sampled(
        chain: &DiffusionChain,
        reward: &dyn Reward,
        count: usize,
        seed: Seed,
        pool: &Pool,
        context: &Context,
    ) -> Result<Self> {
        let mut values = Vec::with_capacity(count);
        base_paths(chain, count, seed, pool, context, |block| {
            const SHARD: usize = 512;
            let parts: Vec<&[Sequence]> = block.chunks(SHARD).collect();
            for part in pool.map(parts.len(), |i| rewards(reward, parts[i], chain))? {
                values.extend(part);
            }
            Ok(())
        })?;
        Ok(Self::Sampled(values))
    }

    /// From samples that were counted before.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(super) fn counted(chain: &DiffusionChain, reward: &dyn Reward, counts: Histogram, pool: &Pool) -> Result<Self> {
        let reward = Self::enumerate(chain, reward, counts.counts().len(), pool)?;
        Ok(Self::Counted(Law { counts, reward }))
    }

    /// The reward of every sequence, in the order of [`Histogram::cell`]; the least of them where letters go on after padding, which no
    /// sequence does.
    fn enumerate(chain: &DiffusionChain, reward: &dyn Reward, count: usize, pool: &Pool) -> Result<Vec<f64>> {
        const SHARD: usize = 512;
        let (letters, length) = (chain.prior().alphabet().len(), chain.prior().config().length);
        let alphabet = chain.prior().alphabet();
        let parts = pool.map(count.div_ceil(SHARD), |part| {
            let range = part * SHARD..((part + 1) * SHARD).min(count);
            let sequences: Vec<Option<Sequence>> = range
                .map(|cell| {
                    let mut left = cell;
                    let mut ids = vec![0_u8; length];
                    for id in ids.iter_mut().rev() {
                        *id = (left % letters) as u8;
                        left /= letters;
                    }
                    Sequence::unpadded(&ids, alphabet).ok()
                })
                .collect();
            let words: Vec<Sequence> = sequences.iter().flatten().cloned().collect();
            let mut values = if words.is_empty() { Vec::new() } else { rewards(reward, &words, chain)? }.into_iter();
            Ok(sequences.iter().map(|x| x.as_ref().and_then(|_| values.next())).collect::<Vec<Option<f64>>>())
        })?;
        let least = parts.iter().flatten().flatten().copied().fold(f64::INFINITY, f64::min);
        Ok(parts.into_iter().flatten().map(|value| value.unwrap_or(least)).collect())
    }

    /// The exact frontier of the estimated law, where sequences are enumerated.
    ///
    /// # Errors
    /// When the law is degenerate.
    pub(super) fn frontier(&self) -> Result<Option<Frontier>> {
        match self {
            Self::Counted(law) => Frontier::new(&law.counts.probabilities(0.0), &law.reward).map(Some),
            Self::Sampled(_) => Ok(None),
        }
    }

    /// The estimated law over all sequences and the reward of each, where sequences are enumerated.
    pub(super) fn enumerated(&self) -> Option<(Vec<f64>, &[f64])> {
        match self {
            Self::Counted(law) => Some((law.counts.probabilities(0.0), &law.reward)),
            Self::Sampled(_) => None,
        }
    }

    /// Mean reward of the base samples.
    pub(super) fn mean_reward(&self) -> f64 {
        match self {
            Self::Counted(law) => law.counts.mean(&law.reward).value,
            Self::Sampled(rewards) => rewards.iter().sum::<f64>() / rewards.len() as f64,
        }
    }

    /// How far samples without known paths are from the exact tilt, where sequences are enumerated.
    ///
    /// # Errors
    /// When the law is degenerate.
    pub(super) fn exact(&self, alpha: f64, ends: &[Scored]) -> Result<Option<Exact>> {
        match self {
            Self::Counted(law) => Exact::new(law, alpha, ends, f64::INFINITY, None).map(Some),
            Self::Sampled(_) => Ok(None),
        }
    }

    /// λ and the tilt that a divergence asks for, from these samples.
    ///
    /// # Errors
    /// When a reward is not finite or alpha out of range.
    pub(super) fn tilting(&self, alpha: f64, divergence: &dyn Divergence) -> Result<Tilting> {
        match self {
            Self::Counted(law) => {
                let weights: Vec<f64> = law.counts.counts().iter().map(|count| *count as f64).collect();
                Tilting::solve(&law.reward, Some(&weights), alpha, divergence)
            }
            Self::Sampled(rewards) => Tilting::solve(rewards, None, alpha, divergence),
        }
    }

    /// The certificate of tuned paths, and how far their sequences are from the exact tilt. Under another divergence than KL both
    /// are about the optimum of that, which the reward in `stand_in` makes the optimum of KL control.
    ///
    /// # Errors
    /// When numbers are not finite.
    pub(super) fn certify(
        &self,
        alpha: f64,
        tuned: &Paths<Scored>,
        stand_in: Option<&StandIn<'_>>,
    ) -> Result<Certified> {
        let turned = |reward: f64| stand_in.map_or(Ok(reward), |stand_in| stand_in.surrogate.value(reward));
        let samples = tuned.ends.iter().zip(tuned.log_ratio.iter().zip(&tuned.cost));
        let samples: Vec<PathSample> = samples
            .map(|((_, reward), (log_ratio, cost))| {
                Ok(PathSample { reward: turned(*reward)?, log_ratio: *log_ratio, cost: *cost })
            })
            .collect::<Result<_>>()?;
        let base = |rewards: &[f64]| rewards.iter().map(|r| turned(*r)).collect::<Result<Vec<f64>>>();
        let certificate = match self {
            Self::Counted(law) => Certificate::counted(alpha, &samples, &base(&law.reward)?, law.counts.counts())?,
            Self::Sampled(rewards) => Certificate::new(alpha, &samples, &base(rewards)?)?,
        };
        let priced = stand_in.map(|stand_in| Priced::new(stand_in, tuned));
        let exact = match self {
            Self::Counted(law) => Some(Exact::new(law, alpha, &tuned.ends, certificate.path_kl.value, stand_in)?),
            Self::Sampled(_) => None,
        };
        let weights = Some(weighed::forward(alpha, tuned, stand_in)?);
        Ok(Certified { certificate, exact, priced, weights })
    }
}
