//! One cell: one start set, one method within one region, one seed; learn, propose, then judge.

use super::NAME;
use super::figures::Referee;
use super::method::{METHODS, Method, Source};
use super::start::Start;
use crate::cli::bench::rows::Row;
use crate::cli::context::Context;
use crate::cli::finetune::Plan;
use crate::diffusion::{constrain, prior_of};
use crate::error::{Error, Result};
use crate::eval::rank::spearman;
use crate::random::Seed;
use crate::reward::{Surrogate, SurrogateConfig};
use crate::sequence::{Constraint, Sequence};
use crate::store::{ModelFolder, RunFolder, RunInfo};
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

const ROW: &str = "row.json";
const DESIGNS: &str = "designs.csv";

/// Measured sequences of the start set that the surrogate's figures are of.
const HELD_OUT: f64 = 0.1;

/// What decides the rows besides method, start set, region and seed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Setting {
    pub(super) data: String,
    pub(super) judge: String,
    pub(super) beside: Option<String>,
    pub(super) natural: Option<String>,
    pub(super) count: usize,
    pub(super) samples: usize,
    pub(super) caution: f64,
    pub(super) prior_steps: u64,
    pub(super) surrogate: SurrogateConfig,
    pub(super) plan: Plan,
}

/// What all cells share.
pub(super) struct Task<'a> {
    pub(super) setting: &'a Setting,
    pub(super) referee: &'a Referee,
    /// Fingerprints of oracles and data.
    pub(super) versions: &'a BTreeMap<String, String>,
    /// Surrogates by start set and seed: all methods of a seed share one.
    pub(super) learned: &'a BTreeMap<(String, u64), Learned>,
}

/// What is run.
pub(super) struct Cell<'a> {
    pub(super) start: &'a Start,
    pub(super) prior: Option<&'a ModelFolder>,
    pub(super) method: &'static str,
    /// Most mutations from the consensus; none where the method has no such bound.
    pub(super) region: Option<usize>,
    pub(super) seed: u64,
}

/// A surrogate of nine tenths of a start set.
///
/// # Errors
/// When the fit fails.
pub(super) fn learn(start: &Start, surrogate: &SurrogateConfig, number: u64, context: &Context) -> Result<Learned> {
    let seed = Seed::root(number).child("surrogate");
    let (held, rest) = start.set.hold_out(HELD_OUT, seed.child("hold-out"))?;
    let fitted = surrogate.fit(&rest, seed.child("fit"), &context.pool()?)?;
    let predicted: Vec<f64> = fitted.predict(held.sequences())?.into_iter().map(|p| p.mean).collect();
    Ok((Arc::from(fitted), spearman(&predicted, held.values())))
}

/// A fitted surrogate, and its rank correlation on what it did not see.
pub(super) type Learned = (Arc<dyn Surrogate>, Option<f64>);

impl Cell<'_> {
    /// Its folder.
    pub(super) fn name(&self) -> String {
        let region = self.region.map_or_else(String::new, |most| format!("-{most}"));
        format!("{}-{}{region}-seed{}", self.start.folder(), self.method, self.seed)
    }

    fn parameters(&self, setting: &Setting) -> Result<Value> {
        let plan = serde_json::to_value(setting)
            .map_err(|error| Error::usage("the configuration cannot be written as JSON").because(error))?;
        let mut parameters = json!({ "difficulty": self.start.name, "setting": plan });
        if let Some(most) = self.region {
            parameters["max_mutations"] = json!(most);
        }
        Ok(parameters)
    }

    /// Runs the cell in its folder, or reads its row where it is complete.
    ///
    /// # Errors
    /// When the folder is of another setting, a part fails, or Ctrl-C was pressed.
    pub(super) fn run(&self, task: &Task<'_>, path: &Path, context: &Context, threads: usize) -> Result<Row> {
        let parameters = self.parameters(task.setting)?;
        let mut info = RunInfo::new(NAME, self.seed, &json!({ "method": self.method, "parameters": parameters }))?
            .with_version("start", self.start.fingerprint.clone());
        for (what, version) in task.versions {
            info = info.with_version(what, version);
        }
        let folder = RunFolder::open(path, &info)?;
        if folder.is_finished() {
            let file = path.join(ROW);
            let bytes = std::fs::read(&file).map_err(|error| Error::io("read", &file, error))?;
            return serde_json::from_slice(&bytes)
                .map_err(|error| Error::integrity("not a row of a benchmark").at(file).because(error));
        }
        let started = Instant::now();
        let own = context.beside(self.seed, threads);
        let method = METHODS.get(self.method)?.make;
        let learned = if method.learns() { Some(self.learned(task, &own)?) } else { None };
        let (designs, more) = self.propose(task, method, learned.as_ref(), path, &own)?;
        // the designs are fixed: only now are they judged
        let seed = Seed::root(self.seed).child("naturalness");
        let mut metrics = task.referee.figures(&designs, self.start, seed, &own.pool()?)?;
        metrics.extend(more);
        let mut expected = vec![None; designs.len()];
        if let Some((surrogate, held)) = &learned {
            let predicted = surrogate.predict(&designs)?;
            let mean = predicted.iter().map(|p| p.mean).sum::<f64>() / predicted.len() as f64;
            metrics.insert("predicted_mean".to_owned(), mean);
            metrics.extend(held.map(|held| ("surrogate_held_out_spearman".to_owned(), held)));
            expected = predicted.into_iter().map(|p| Some((p.mean, p.sd))).collect();
        }
        let row =
            Row { benchmark: NAME.to_owned(), method: self.method.to_owned(), seed: self.seed, parameters, metrics };
        let bytes = serde_json::to_vec_pretty(&row)
            .map_err(|error| Error::data("the row cannot be written as JSON").because(error))?;
        folder.write(ROW, &bytes)?;
        folder.write(DESIGNS, self.table(&designs, &expected).as_bytes())?;
        folder.finish(&[ROW, DESIGNS])?;
        let (median, seconds) = (row.metrics["judge_percentile_50"], started.elapsed().as_secs_f64());
        context.note(format!("{}: judged median {median:.3} ({seconds:.0} s)", self.name()));
        Ok(row)
    }

    /// The surrogate of the start set and the seed.
    fn learned(&self, task: &Task<'_>, context: &Context) -> Result<Learned> {
        match task.learned.get(&(self.start.name.clone(), self.seed)) {
            Some(learned) => Ok(learned.clone()),
            None => learn(self.start, &task.setting.surrogate, self.seed, context),
        }
    }

    fn propose(
        &self,
        task: &Task<'_>,
        method: Method,
        learned: Option<&Learned>,
        path: &Path,
        context: &Context,
    ) -> Result<super::method::Proposed> {
        let alphabet = &self.start.set.domain().alphabet;
        let region = self.region.unwrap_or(self.start.origin.len());
        let prior = match self.prior.filter(|_| method.draws()) {
            Some(folder) => {
                let wild_type = Some(self.start.origin.text(alphabet));
                let rules = Constraint { wild_type, max_mutations: Some(region), ..Constraint::default() };
                let folder = constrain(folder, &rules)?;
                Some((Arc::new(prior_of(&folder, &context.device()?)?), folder))
            }
            None => None,
        };
        let settings = serde_json::to_string(&(&task.setting.surrogate, task.setting.caution))
            .map_err(|error| Error::usage("the surrogate's settings are not JSON").because(error))?;
        let source = Source {
            task,
            start: self.start,
            prior,
            region,
            surrogate: learned.map(|(surrogate, _)| surrogate.clone()),
            learned: format!("{} {settings}", self.start.fingerprint),
            number: self.seed,
        };
        source.propose(method, path, context)
    }

    fn table(&self, designs: &[Sequence], expected: &[Option<(f64, Option<f64>)>]) -> String {
        let alphabet = &self.start.set.domain().alphabet;
        let mut text = "sequence,predicted_mean,predicted_sd\n".to_owned();
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        for (design, expected) in designs.iter().zip(expected) {
            let (mean, sd) = (expected.map(|(mean, _)| mean), expected.and_then(|(_, sd)| sd));
            let _ = writeln!(text, "{},{},{}", design.text(alphabet), number(mean), number(sd));
        }
        text
    }
}
