//! Trains an ensemble.

mod batch;
mod config;
mod member;

pub use config::{InputNoise, Loss, TrainConfig};

use super::ensemble::{Standardisation, member_name};
use super::{Ensemble, EnsembleConfig, TrainingSet};
use crate::error::{Error, Result};
use crate::nn::{Pool, Tensors};
use crate::observe::{Event, Observer};
use crate::random::Seed;
use crate::store::RunFolder;
use batch::Rows;
use member::Trainee;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};

const STAGE: &str = "train reward";

/// What a training run needs besides its configuration.
pub struct Trainer<'a> {
    /// The node of the seed tree that everything random is drawn below.
    pub seed: Seed,
    /// Members are trained in parallel, each on one thread: the same bytes for any number of threads.
    pub pool: &'a Pool,
    /// Where checkpoints go and are resumed from, if anywhere.
    pub run: Option<&'a mut RunFolder>,
    /// Told about progress; may stop the run at the next checkpoint interval.
    pub observer: &'a mut dyn Observer,
}

/// What a checkpoint holds besides tensors.
#[derive(Serialize, Deserialize)]
struct Resume {
    members: usize,
}

/// A line of `metrics.jsonl`.
#[derive(Serialize)]
struct Progress {
    step: u64,
    loss: f64,
}

impl Trainer<'_> {
    /// Trains the ensemble on the set.
    ///
    /// With both strands one molecule, the two rows of a strand pair are merged first.
    ///
    /// # Errors
    /// When a setting is out of range, training diverges, a checkpoint cannot be written, or the observer stops the run
    /// (then a checkpoint has been written, if there is a run folder).
    pub fn train(
        mut self,
        name: &str,
        set: &TrainingSet,
        ensemble: &EnsembleConfig,
        config: &TrainConfig,
    ) -> Result<Ensemble> {
        config.check()?;
        let merged = if ensemble.both_strands { Some(set.molecules()?) } else { None };
        let set = merged.as_ref().unwrap_or(set);
        let standardisation = Standardisation::of(set.values());
        let rows = Rows::new(set, standardisation, config);
        let trainees = (0..ensemble.members)
            .map(|index| Trainee::new(self.seed, index, set.domain(), ensemble, config, &rows).map(Mutex::new))
            .collect::<Result<Vec<_>>>()?;
        let total = config.steps(rows.len());
        let mut done = self.resume(&trainees)?;
        let _ = self.observer.on_event(&Event::Start { stage: STAGE, total, done });
        while done < total {
            let next = total.min(done + config.report_every);
            let losses = self.pool.map(trainees.len(), |index| {
                let mut trainee = trainees[index].lock().unwrap_or_else(PoisonError::into_inner);
                trainee.advance(&rows, next)
            })?;
            done = next;
            let loss = losses.iter().sum::<f64>() / losses.len().max(1) as f64;
            let stop =
                self.observer.on_event(&Event::Step { stage: STAGE, done, figures: &[("loss", loss)] }).is_break();
            self.checkpoint(done, loss, &trainees, stop || done.is_multiple_of(config.checkpoint_every.max(1)))?;
            if stop && done < total {
                return Err(Error::interrupted(format!("stopped after step {done} of {total}"))
                    .hint("run the same command again to go on"));
            }
        }
        let _ = self.observer.on_event(&Event::Finish { stage: STAGE });
        let mut weights = Tensors::new();
        for trainee in &trainees {
            weights.extend(trainee.lock().unwrap_or_else(PoisonError::into_inner).weights()?);
        }
        Ensemble::assemble(name, set.domain(), ensemble.clone(), standardisation, Some(config.clone()), weights)
    }

    /// Puts the members where the checkpoint left them; the number of steps done.
    fn resume(&self, trainees: &[Mutex<Trainee>]) -> Result<u64> {
        let Some(point) = self.run.as_ref().and_then(|run| run.checkpoint()) else { return Ok(0) };
        let Resume { members } = point.state()?;
        if members != trainees.len() {
            return Err(Error::integrity(format!("the checkpoint holds {members} members, not {}", trainees.len())));
        }
        for (index, trainee) in trainees.iter().enumerate() {
            let prefix = format!("{}/", member_name(index));
            let own = point
                .tensors
                .iter()
                .filter_map(|(name, tensor)| name.strip_prefix(&prefix).map(|name| (name.to_owned(), tensor.clone())));
            trainee.lock().unwrap_or_else(PoisonError::into_inner).restore(point.step, &own.collect())?;
        }
        Ok(point.step)
    }

    fn checkpoint(&mut self, done: u64, loss: f64, trainees: &[Mutex<Trainee>], save: bool) -> Result<()> {
        let Some(run) = self.run.as_mut() else { return Ok(()) };
        run.metric(&Progress { step: done, loss })?;
        if save {
            let mut tensors = Tensors::new();
            for (index, trainee) in trainees.iter().enumerate() {
                let state = trainee.lock().unwrap_or_else(PoisonError::into_inner).state()?;
                let prefix = member_name(index);
                tensors.extend(state.into_iter().map(|(name, tensor)| (format!("{prefix}/{name}"), tensor)));
            }
            run.save_checkpoint(done, &Resume { members: trainees.len() }, tensors)?;
            let _ = self.observer.on_event(&Event::Checkpoint { done });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Landscape;
    use crate::observe::Silent;
    use crate::reward::{Architecture, ResidualConfig, Reward, held_out, one_hot};
    use crate::sequence::Alphabet;
    use crate::store::{RunInfo, encode_tensors};
    use candle_core::Device;
    use std::ops::ControlFlow;

    /// Every word of 4 letters with a value that counts letters by place, and one pair of places that work together.
    fn set() -> TrainingSet {
        let dna = Alphabet::dna();
        let landscape = Landscape::new(dna.clone(), 4, vec![0.0; 256]).unwrap();
        let value = |ids: &[u8]| {
            let additive: f64 = ids.iter().enumerate().map(|(i, id)| f64::from(*id) * (i as f64 + 1.0)).sum();
            10.0 + additive + if ids[0] == ids[2] { 8.0 } else { 0.0 }
        };
        let words = (0..256).map(|index| landscape.sequence(index));
        TrainingSet::new(dna, words.map(|word| (word.clone(), value(word.ids())))).unwrap()
    }

    fn small() -> (EnsembleConfig, TrainConfig) {
        let architecture = Architecture::Mlp(ResidualConfig { width: 24, blocks: 1 });
        let ensemble = EnsembleConfig { members: 3, architecture, both_strands: false, pessimism: 0.0 };
        let config = TrainConfig {
            epochs: 40,
            batch: 32,
            learning_rate: 0.01,
            noise: InputNoise { share: 0.3, most: 0.2 },
            report_every: 20,
            checkpoint_every: 20,
            ..TrainConfig::default()
        };
        (ensemble, config)
    }

    fn train(
        set: &TrainingSet,
        threads: usize,
        change: impl FnOnce(&mut EnsembleConfig, &mut TrainConfig),
    ) -> Ensemble {
        let (mut ensemble, mut config) = small();
        change(&mut ensemble, &mut config);
        let pool = Pool::new(threads).unwrap();
        let trainer = Trainer { seed: Seed::root(4), pool: &pool, run: None, observer: &mut Silent };
        trainer.train("toy", set, &ensemble, &config).unwrap()
    }

    fn bytes(ensemble: &Ensemble) -> Vec<u8> {
        encode_tensors(&ensemble.to_folder().unwrap().weights, None).unwrap()
    }

    #[test]
    fn an_ensemble_learns_what_it_has_not_seen_and_comes_back_from_its_folder() {
        let (held, rest) = set().hold_out(0.2, Seed::root(1)).unwrap();
        let ensemble = train(&rest, 2, |_, config| {
            config.loss = Loss::Huber(1.0);
            config.ranking = 0.1;
            config.average = 0.9;
        });
        let predictions = ensemble.predict(held.sequences()).unwrap();
        let figures = held_out(&predictions, held.values()).unwrap();
        // the values have standard deviation 7; a constant prediction has that error and no rank correlation
        assert!(figures.spearman.unwrap() > 0.95 && figures.rmse < 2.0, "{figures:?}");
        let folder = tempfile::tempdir().unwrap();
        ensemble.to_folder().unwrap().save(folder.path()).unwrap();
        let loaded = crate::store::ModelFolder::load(folder.path(), "reward").unwrap();
        let again = Ensemble::from_folder("toy", &loaded).unwrap();
        assert_eq!(again.fingerprint(), ensemble.fingerprint());
        assert_eq!(again.predict(held.sequences()).unwrap(), predictions);
        let pessimistic = again.with_pessimism(2.0);
        let probs = one_hot(&held.sequences()[..3], 4, &Device::Cpu).unwrap();
        for (reward, prediction) in
            pessimistic.reward(&probs).unwrap().to_vec1::<f32>().unwrap().iter().zip(&predictions)
        {
            let want = prediction.mean - 2.0 * prediction.sd.unwrap();
            assert!((f64::from(*reward) - want).abs() < 1e-4, "{reward} against {want}");
        }
    }

    #[test]
    fn threads_do_not_change_a_byte_and_seeds_do() {
        let set = set();
        let short = |_: &mut EnsembleConfig, config: &mut TrainConfig| config.epochs = 2;
        let one = train(&set, 1, short);
        assert_eq!(bytes(&one), bytes(&train(&set, 2, short)));
        assert_eq!(bytes(&one), bytes(&train(&set, 3, short)));
        assert_ne!(
            bytes(&one),
            bytes(&train(&set, 3, |_, config| {
                config.epochs = 2;
                config.bootstrap = true;
            }))
        );
    }

    /// Stops at the given step.
    struct StopAt(u64);

    impl Observer for StopAt {
        fn on_event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
            match event {
                Event::Step { done, .. } if *done >= self.0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        }
    }

    #[test]
    fn a_stopped_run_goes_on_to_the_same_bytes() {
        let set = set();
        let (ensemble, config) = small();
        let config = TrainConfig { epochs: 10, average: 0.9, ..config };
        let folder = tempfile::tempdir().unwrap();
        let info = RunInfo::new("oracle train", 4, &config).unwrap();
        let pool = Pool::new(2).unwrap();
        let run = |observer: &mut dyn Observer| {
            let mut run = RunFolder::open(folder.path().join("run"), &info).unwrap();
            let trainer = Trainer { seed: Seed::root(4), pool: &pool, run: Some(&mut run), observer };
            trainer.train("toy", &set, &ensemble, &config)
        };
        let error = run(&mut StopAt(40)).unwrap_err();
        assert_eq!((error.kind(), error.message()), (crate::Kind::Interrupted, "stopped after step 40 of 80"));
        let resumed = run(&mut Silent).unwrap();
        let metrics = std::fs::read_to_string(folder.path().join("run/metrics.jsonl")).unwrap();
        assert_eq!(metrics.lines().count(), 4, "{metrics}");
        let straight = Trainer { seed: Seed::root(4), pool: &pool, run: None, observer: &mut Silent };
        let straight = straight.train("toy", &set, &ensemble, &config).unwrap();
        assert_eq!(bytes(&resumed), bytes(&straight));
    }
}
