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
        let standardisation = standardise(set.values());
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
            self.checkpoint(done, loss, &trainees, stop || done % config.checkpoint_every.max(1) == 0)?;
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

/// Mean and standard deviation; a constant set has scale 1.
fn standardise(values: &[f64]) -> Standardisation {
    let n = values.len() as f64;
    let centre = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|value| (value - centre).powi(2)).sum::<f64>() / n;
    Standardisation { centre, scale: if variance > 0.0 { variance.sqrt() } else { 1.0 } }
}
