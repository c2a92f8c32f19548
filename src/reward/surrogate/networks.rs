//! Several networks: bootstrap and deep ensembles.

use super::config::SurrogateConfig;
use super::{Acquisition, Surrogate, check_sequences, unknown_acquisition};
use crate::error::Result;
use crate::nn::Pool;
use crate::observe::Silent;
use crate::random::Seed;
use crate::reward::{Domain, Ensemble, EnsembleConfig, Posterior, Prediction, TrainConfig, Trainer, TrainingSet};
use crate::sequence::Sequence;
use candle_core::Tensor;

/// Sequences predicted at a time.
const BATCH: usize = 1024;

/// Networks that differ in their initial weights and, as a bootstrap, in their data: each sees its own draw of the labels
/// with replacement.
///
/// ```text
/// mean = f̄,  ucb = f̄ + κ √(1/(M−1) Σₘ (fₘ − f̄)²),  thompson = fₘ for one m drawn,  bootstrap-max = maxₘ fₘ
/// ```
///
/// The greatest of four bootstrapped networks is the optimism of SEIKO (Uehara et al., arXiv 2402.16359); here the networks
/// are not linear. Osband et al., arXiv 1602.04621; without resampling Lakshminarayanan et al., arXiv 1612.01474.
#[derive(Debug)]
pub struct Networks {
    ensemble: Ensemble,
    pool: Pool,
}

impl Networks {
    /// Trains the networks; each on one thread.
    ///
    /// # Errors
    /// When a setting is out of range, or training diverges.
    pub fn fit(config: &SurrogateConfig, bootstrap: bool, set: &TrainingSet, seed: Seed, pool: &Pool) -> Result<Self> {
        let ensemble = train(config, config.members, bootstrap, set, seed, pool)?;
        Ok(Self { ensemble, pool: Pool::new(pool.threads())? })
    }

    /// The networks.
    #[must_use]
    pub fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }
}

/// Networks of the configuration: `steps` optimiser steps for each, in whole passes over the data.
pub(super) fn train(
    config: &SurrogateConfig,
    members: usize,
    bootstrap: bool,
    set: &TrainingSet,
    seed: Seed,
    pool: &Pool,
) -> Result<Ensemble> {
    let shape = EnsembleConfig {
        members,
        architecture: config.architecture.clone(),
        both_strands: config.both_strands,
        pessimism: 0.0,
    };
    let rows = if config.both_strands { set.molecules()?.len() } else { set.len() };
    let training = TrainConfig {
        epochs: config.steps.div_ceil(rows.div_ceil(config.batch) as u64),
        batch: config.batch,
        learning_rate: config.learning_rate,
        bootstrap,
        ..TrainConfig::default()
    };
    Trainer { seed, pool, run: None, observer: &mut Silent }.train("surrogate", set, &shape, &training)
}

impl Surrogate for Networks {
    fn domain(&self) -> &Domain {
        self.ensemble.domain()
    }

    fn predict(&self, sequences: &[Sequence]) -> Result<Vec<Prediction>> {
        check_sequences(self.domain(), sequences)?;
        let batches: Vec<&[Sequence]> = sequences.chunks(BATCH).collect();
        Ok(self.pool.map(batches.len(), |index| self.ensemble.predict(batches[index]))?.concat())
    }

    fn acquire(&self, probs: &Tensor, acquisition: Acquisition, draw: Seed) -> Result<Tensor> {
        match acquisition {
            Acquisition::Mean => Ok(self.ensemble.each(probs)?.mean(0)?),
            Acquisition::Ucb { .. } if self.ensemble.members().len() < 2 => {
                Err(unknown_acquisition("networks", acquisition, "`mean`, `thompson`, `bootstrap-max` of one network")
                    .hint("2 or more `members` have a spread"))
            }
            Acquisition::Ucb { bonus } => {
                let Posterior { mean, sd } = self.ensemble.posterior(probs)?;
                Ok((mean + (sd * bonus)?)?)
            }
            Acquisition::Thompson => self.ensemble.one(draw.rng().below(self.ensemble.members().len()), probs),
            Acquisition::BootstrapMax => Ok(self.ensemble.each(probs)?.max(0)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::{Architecture, CnnConfig, ResidualConfig, one_hot};
    use crate::sequence::Alphabet;
    use candle_core::Device;

    fn set(n: usize) -> TrainingSet {
        let mut rng = Seed::root(1).rng();
        let pairs = (0..n).map(|_| {
            let ids: Vec<u8> = (0..5).map(|_| rng.below(4) as u8).collect();
            let value = f64::from(ids[0]) + if ids[1] == ids[3] { 3.0 } else { 0.0 };
            (Sequence::from_ids(ids, &Alphabet::dna()).unwrap(), value)
        });
        TrainingSet::new(Alphabet::dna(), pairs.collect::<Vec<_>>()).unwrap()
    }

    fn small() -> SurrogateConfig {
        let cnn = CnnConfig { channels: 8, hidden: 8, ..CnnConfig::default() };
        SurrogateConfig {
            kind: "bootstrap".to_owned(),
            architecture: Architecture::Cnn(cnn),
            steps: 30,
            ..SurrogateConfig::default()
        }
    }

    #[test]
    fn acquisitions_are_made_of_the_members() {
        let set = set(60);
        let networks = Networks::fit(&small(), true, &set, Seed::root(2), Pool::inline()).unwrap();
        let words = &set.sequences()[..3];
        let probs = one_hot(words, 4, &Device::Cpu).unwrap();
        let each = networks.ensemble().each(&probs).unwrap().to_vec2::<f32>().unwrap();
        let value = |acquisition, draw| {
            networks.acquire(&probs, acquisition, Seed::root(draw)).unwrap().to_vec1::<f32>().unwrap()
        };
        let predictions = networks.predict(words).unwrap();
        for column in 0..3 {
            let members: Vec<f32> = each.iter().map(|row| row[column]).collect();
            let greatest = members.iter().copied().fold(f32::MIN, f32::max);
            assert_eq!(value(Acquisition::BootstrapMax, 0)[column], greatest);
            assert!(members.contains(&value(Acquisition::Thompson, 5)[column]));
            let Prediction { mean, sd } = predictions[column];
            let ucb = f64::from(value(Acquisition::Ucb { bonus: 2.0 }, 0)[column]);
            assert!((ucb - mean - 2.0 * sd.unwrap()).abs() < 1e-5, "rounding to f32");
            assert!(sd.unwrap() > 1e-4 && (f64::from(value(Acquisition::Mean, 0)[column]) - mean).abs() < 1e-6);
        }
        let drawn: std::collections::BTreeSet<u32> =
            (0..40).map(|draw| value(Acquisition::Thompson, draw)[0].to_bits()).collect();
        assert_eq!(drawn.len(), 5, "forty draws miss one of five members with probability 0.0007");
    }

    #[test]
    fn only_the_bootstrap_resamples_and_threads_change_nothing() {
        let (set, pool) = (set(60), Pool::new(2).unwrap());
        let predict = |bootstrap, pool: &Pool| {
            let networks = Networks::fit(&small(), bootstrap, &set, Seed::root(2), pool).unwrap();
            networks.predict(set.sequences()).unwrap()
        };
        assert_eq!(predict(true, &pool), predict(true, Pool::inline()));
        assert_ne!(predict(true, &pool), predict(false, &pool));
    }

    #[test]
    fn networks_learn_what_letters_do_together() {
        let architecture = Architecture::Mlp(ResidualConfig { width: 32, blocks: 1 });
        let config = SurrogateConfig { steps: 150, members: 2, learning_rate: 0.01, architecture, ..small() };
        let set = set(200);
        let networks = Networks::fit(&config, true, &set, Seed::root(2), Pool::inline()).unwrap();
        let predictions = networks.predict(set.sequences()).unwrap();
        let figures = crate::reward::held_out(&predictions, set.values()).unwrap();
        // a model of single letters cannot tell the pairs, which are more than half of the variance
        assert!(figures.spearman.unwrap() > 0.9, "{figures:?}");
    }
}
