//! Certificates of tuned chains, and the exact tilt where sequences can be enumerated.

use super::context::Context;
use super::printer::columns;
use crate::diffusion::{Chain, Decode, DiffusionChain};
use crate::error::{Error, Result};
use crate::eval::certificate::{Certificate, PathSample};
use crate::eval::exact::{Frontier, Tilt};
use crate::eval::histogram::{Histogram, SampledKl, TotalVariation};
use crate::finetune::{Control, Paths, roll_out};
use crate::nn::Pool;
use crate::observe::{Event, Observer as _};
use crate::random::Seed;
use crate::reward::{Reward, enumerable, one_hot};
use crate::sequence::Sequence;
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Base paths that are in memory at a time.
const AT_ONCE: usize = 1 << 15;

/// A hard-decoded sequence and its reward.
pub(super) type Scored = (Sequence, f64);

/// Walks `count` paths, decodes and scores them.
///
/// # Errors
/// When a tensor operation fails.
pub(super) fn scored_paths(
    chain: &DiffusionChain,
    control: Option<&dyn Control>,
    reward: &dyn Reward,
    count: usize,
    seed: Seed,
    pool: &Pool,
) -> Result<Paths<Scored>> {
    let read = |x: &Tensor| -> Result<Vec<Scored>> {
        let logits = chain.read(chain.steps(), x)?;
        let sequences = Decode::Hard.read(&logits, chain.prior(), &mut seed.rng())?;
        let values = rewards(reward, &sequences, chain)?;
        Ok(sequences.into_iter().zip(values).collect())
    };
    roll_out(chain, control, count, seed, pool, read)
}

fn rewards(reward: &dyn Reward, sequences: &[Sequence], chain: &DiffusionChain) -> Result<Vec<f64>> {
    let vertices = one_hot(sequences, chain.prior().alphabet().len(), chain.prior().device())?;
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
    let mut counts = Histogram::new(chain.prior().alphabet().len(), chain.prior().config().length)?;
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
    letters: usize,
    length: usize,
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
        let (letters, length) = (chain.prior().alphabet().len(), chain.prior().config().length);
        let reward = Self::enumerate(chain, reward, counts.counts().len(), pool)?;
        Ok(Self::Counted(Law { letters, length, counts, reward }))
    }

    /// The reward of every sequence, in the order of [`Histogram::cell`].
    fn enumerate(chain: &DiffusionChain, reward: &dyn Reward, count: usize, pool: &Pool) -> Result<Vec<f64>> {
        const SHARD: usize = 512;
        let (letters, length) = (chain.prior().alphabet().len(), chain.prior().config().length);
        let cells = Histogram::new(letters, length)?;
        let parts = pool.map(count.div_ceil(SHARD), |part| {
            let range = part * SHARD..((part + 1) * SHARD).min(count);
            let sequences: Vec<Sequence> = range
                .map(|cell| {
                    let mut left = cell;
                    let mut ids = vec![0_u8; length];
                    for id in ids.iter_mut().rev() {
                        *id = (left % letters) as u8;
                        left /= letters;
                    }
                    Sequence::from_ids(ids, chain.prior().alphabet())
                })
                .collect::<Result<_>>()?;
            if let (0, Some(last)) = (part, sequences.last()) {
                debug_assert_eq!(cells.cell(last)?, sequences.len() - 1);
            }
            rewards(reward, &sequences, chain)
        })?;
        Ok(parts.into_iter().flatten().collect())
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

    /// Mean reward of the base samples.
    pub(super) fn mean_reward(&self) -> f64 {
        match self {
            Self::Counted(law) => law.counts.mean(&law.reward).value,
            Self::Sampled(rewards) => rewards.iter().sum::<f64>() / rewards.len() as f64,
        }
    }

    /// The certificate of tuned paths, and how far their sequences are from the exact tilt.
    ///
    /// # Errors
    /// When numbers are not finite.
    pub(super) fn certify(&self, alpha: f64, tuned: &Paths<Scored>) -> Result<Verdict> {
        let samples: Vec<PathSample> = tuned
            .ends
            .iter()
            .zip(tuned.log_ratio.iter().zip(&tuned.cost))
            .map(|((_, reward), (log_ratio, cost))| PathSample { reward: *reward, log_ratio: *log_ratio, cost: *cost })
            .collect();
        match self {
            Self::Counted(law) => {
                let certificate = Certificate::counted(alpha, &samples, &law.reward, law.counts.counts())?;
                let exact = Some(Exact::new(law, alpha, tuned, &certificate)?);
                Ok(Verdict { certificate, exact })
            }
            Self::Sampled(rewards) => {
                Ok(Verdict { certificate: Certificate::new(alpha, &samples, rewards)?, exact: None })
            }
        }
    }
}

/// A tuned sampler against the exact tilt of the base chain's law.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Exact {
    /// Number of sequences enumerated.
    pub(super) sequences: usize,
    /// log Z of the exact tilt.
    pub(super) log_z: f64,
    /// Mean reward of the exact tilt.
    pub(super) mean_reward: f64,
    /// KL of the exact tilt to the base law, in nats.
    pub(super) kl: f64,
    /// KL of the tuned sampler's sequences to the base law, in nats.
    pub(super) sequence_kl: SampledKl,
    /// The best mean reward at that KL, or at the path's where that is less.
    pub(super) frontier_reward: f64,
    /// How far below it the sampler is.
    pub(super) frontier_distance: f64,
    /// Total variation between the sampler and the exact tilt.
    pub(super) total_variation: TotalVariation,
    /// Mean number of letters in which two tuned samples differ.
    pub(super) diversity: f64,
}

impl Exact {
    /// The KL of sequences beside that of paths, which bounds it from above.
    fn sequence_line(&self, certificate: &Certificate) -> String {
        let (kl, path) = (self.sequence_kl.kl, certificate.path_kl.value);
        if kl.value > path {
            return format!(
                "{:.4} ± {:.4} nats by its histogram, more than the path's {path:.4}: too few samples per sequence, raise \
                 --certificate-paths and --base-paths",
                kl.value, kl.se
            );
        }
        format!("{:.4} ± {:.4} nats (the path spends {:+.4} more)", kl.value, kl.se, path - kl.value)
    }

    fn new(law: &Law, alpha: f64, tuned: &Paths<Scored>, certificate: &Certificate) -> Result<Self> {
        let base = law.counts.probabilities(0.0);
        let tilt = Tilt::kl(&base, &law.reward, alpha)?;
        let mut counts = Histogram::new(law.letters, law.length)?;
        for (sequence, _) in &tuned.ends {
            counts.add(sequence)?;
        }
        let sequence_kl = counts.kl_to_sampled(&law.counts);
        // sequences cannot be further from the base than their paths: an estimate beyond that is its own noise
        let kl = sequence_kl.kl.value.min(certificate.path_kl.value).max(0.0);
        let frontier_reward = Frontier::new(&base, &law.reward)?.reward_at(kl);
        Ok(Self {
            sequences: base.len(),
            log_z: tilt.log_z,
            mean_reward: tilt.mean_reward,
            kl: tilt.kl,
            frontier_reward,
            frontier_distance: frontier_reward - certificate.mean_reward.value,
            total_variation: counts.total_variation(&tilt.probabilities),
            diversity: counts.mean_pairwise().unwrap_or(0.0),
            sequence_kl,
        })
    }
}

/// What a fine-tune is told about itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Verdict {
    /// From the run's own numbers.
    pub(super) certificate: Certificate,
    /// Against the exact tilt, where sequences can be enumerated.
    pub(super) exact: Option<Exact>,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &self.certificate;
        let mut rows = vec![
            ["alpha".to_owned(), format!("{} reward units per nat", c.alpha)],
            ["E[r], hard decode".to_owned(), format!("{:.4} ± {:.4}", c.mean_reward.value, c.mean_reward.se)],
            [
                "path KL".to_owned(),
                format!(
                    "{:.4} ± {:.4} nats as E[L], {:.4} ± {:.4} as quadratic cost",
                    c.path_kl.value, c.path_kl.se, c.path_cost.value, c.path_cost.se
                ),
            ],
            [
                "log Z".to_owned(),
                format!(
                    "{:.4} ± {:.4} from {} base samples (effective {:.0}), {:.4} ± {:.4} from the tuned chain",
                    c.log_z.value, c.log_z.se, c.n_base, c.ess_base, c.log_z_tuned.value, c.log_z_tuned.se
                ),
            ],
            ["ESS, tuned".to_owned(), format!("{:.0} of {} ({:.1} %)", c.ess_tuned, c.n, 100.0 * c.ess_tuned_share())],
            ["KL(Pᵘ‖P*)".to_owned(), format!("{:.4} ± {:.4} nats (0 is the exact optimum)", c.gap.value, c.gap.se)],
        ];
        if let Some(e) = &self.exact {
            rows.extend([
                [
                    "exact tilt".to_owned(),
                    format!(
                        "E[r] {:.4}, KL {:.4}, log Z {:.4} over {} sequences",
                        e.mean_reward, e.kl, e.log_z, e.sequences
                    ),
                ],
                ["sequence KL".to_owned(), e.sequence_line(c)],
                [
                    "frontier".to_owned(),
                    format!("best E[r] at that KL {:.4}, distance {:.4}", e.frontier_reward, e.frontier_distance),
                ],
                [
                    "total variation".to_owned(),
                    format!(
                        "{:.4} ± {:.4} to the exact tilt (bias-corrected; raw {:.4}, sampling floor {:.4})",
                        e.total_variation.corrected,
                        e.total_variation.se,
                        e.total_variation.plain,
                        e.total_variation.floor
                    ),
                ],
            ]);
        }
        write!(f, "{}{}", columns(&rows, ""), c.verdict())
    }
}
