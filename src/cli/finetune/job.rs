//! One fine-tune from prior and reward to a certified sampler on disk.

use super::page;
use super::settings::Plan;
use super::start::{Finished, StartReport};
use super::training::{Parts, Watched};
use crate::cli::certify::{Base, Certified, StandIn, Weighing, scored_paths};
use crate::cli::context::Context;
use crate::cli::drive::drive;
use crate::cli::memory;
use crate::cli::tilted::{CONTROL, PRIOR_FOLDER, Tilted};
use crate::diffusion::Prior;
use crate::diffusion::{CONSISTENCY, fingerprint};
use crate::error::{Error, Result};
use crate::eval::exact::FrontierPoint;
use crate::eval::histogram::Histogram;
use crate::finetune::divergence::DivergenceKind;
use crate::finetune::{ControlStart, GlimpseKind, OBJECTIVES, Route, SequenceTerminal, Walked};
use crate::nn::{Tensors, Training as _};
use crate::random::Seed;
use crate::reward::Needs;
use crate::reward::{Multilinear, Reward, enumerable};
use crate::store::{ModelFolder, RunFolder, RunInfo, open_model};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Points of the path that a run is watched at.
pub(in crate::cli) const POINTS: u64 = 12;

const FILE: &str = "certificate.json";

/// Prior, reward and settings of one fine-tune.
pub(in crate::cli) struct Job<'a> {
    pub(in crate::cli) out: &'a Path,
    pub(in crate::cli) prior: Arc<Prior>,
    pub(in crate::cli) prior_name: &'a str,
    pub(in crate::cli) prior_folder: &'a ModelFolder,
    pub(in crate::cli) reward: &'a dyn Reward,
    pub(in crate::cli) reward_name: String,
    pub(in crate::cli) reward_fingerprint: String,
    pub(in crate::cli) plan: Plan,
    pub(in crate::cli) seed: u64,
    /// Samples of the base chain, where they were drawn before, and what identifies them.
    pub(in crate::cli) base: Option<(&'a Histogram, &'a str)>,
    /// The sampler whose control this one goes on from.
    pub(in crate::cli) from: Option<&'a ModelFolder>,
    /// Whether the control is also weighed on base paths, as many as the certificate has tuned ones, which costs as much again.
    pub(in crate::cli) weighs_base: bool,
}

/// A watched point of a run: hard-decoded, averaged weights.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Point {
    pub(in crate::cli) step: u64,
    pub(in crate::cli) reward: f64,
    pub(in crate::cli) kl: f64,
}

/// What a fine-tune answers, as `certificate.json` keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Outcome {
    pub(in crate::cli) objective: String,
    pub(in crate::cli) prior: String,
    pub(in crate::cli) reward: String,
    #[serde(flatten)]
    pub(in crate::cli) verdict: Certified,
    /// What the initial law matters, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) start: Option<StartReport>,
    /// The run's path from the prior on.
    pub(in crate::cli) path: Vec<Point>,
    /// The exact frontier, where sequences can be enumerated.
    pub(in crate::cli) frontier: Vec<FrontierPoint>,
}

#[derive(Serialize)]
struct Recorded<'a> {
    prior: &'a str,
    reward: &'a str,
    plan: &'a Plan,
}

impl Job<'_> {
    /// Blocks of steps whose activations are kept: those that fit into a quarter of the memory that is free.
    ///
    /// # Errors
    /// When the run does not fit even without any.
    fn keep(&self, context: &Context) -> Result<usize> {
        if !self.prior.device().is_cpu() {
            return Ok(0);
        }
        let (config, shape) = (&self.plan.finetune, self.prior.config());
        let lead = self.plan.initial.map_or(0, |law| law.lead.next_multiple_of(self.plan.chain.hold));
        let walked = Walked { steps: self.plan.chain.steps + lead, hold: self.plan.chain.hold };
        let need = config.footprint(shape, walked, context.threads, 0);
        memory::check("finetune", need, "use fewer --threads, fewer --paths, or a smaller --control-dim")?;
        if self.plan.recompute || self.plan.initial.is_some() {
            return Ok(0);
        }
        let free = memory::machine().1.unwrap_or(0);
        Ok(config.fitting(shape, walked, context.threads, free / 4))
    }

    /// Says what a method cannot see.
    fn caution(&self, context: &Context) -> Result<()> {
        let config = &self.plan.finetune;
        let relaxed = (OBJECTIVES.get(&config.objective)?.make)(config).needs() == Needs::Gradient;
        let decodes =
            relaxed || config.objective == "implicit-tilt-matching" || config.control.start == ControlStart::Tilt;
        if decodes && self.prior.config().constraint.is_joint() {
            context.note(format!(
                "warning: constraints on motifs, counts or runs are kept by the decode, which `{}` does not see while it learns; the certificate \
                 counts what that costs. `--objective log-variance` learns from decoded letters",
                config.objective
            ));
        }
        Ok(())
    }

    /// What decides the result.
    fn info(&self, prior_fingerprint: &str) -> Result<RunInfo> {
        let recorded = Recorded { prior: self.prior_name, reward: &self.reward_name, plan: &self.plan };
        let mut info = RunInfo::new("finetune", self.seed, &recorded)?
            .with_version("prior", prior_fingerprint)
            .with_version("reward", self.reward_fingerprint.clone());
        let rules = &self.prior.config().constraint;
        if !rules.is_empty() {
            info = info.with_version("constraints", rules.text());
        }
        if let Some(name) = &self.plan.consistency {
            info = info.with_version("consistency", fingerprint(&open_model(name, CONSISTENCY)?)?);
        }
        if let Some(folder) = self.from {
            info = info.with_version("from", fingerprint(folder)?);
        }
        if let Some((_, key)) = self.base {
            info = info.with_version("base", key);
        }
        Ok(info)
    }

    /// Runs it, or goes on with it, or reads its outcome where it is complete.
    ///
    /// # Errors
    /// When a step fails, a file cannot be written, or Ctrl-C was pressed.
    pub(in crate::cli) fn run(&self, context: &Context) -> Result<Outcome> {
        let prior_fingerprint = fingerprint(self.prior_folder)?;
        let seed = Seed::root(self.seed);
        let info = self.info(&prior_fingerprint)?;
        let keep = self.keep(context)?;
        let mut folder = RunFolder::open(self.out, &info)?;
        if folder.is_finished() {
            context.note(format!("`{}` is complete: this is its certificate", self.out.display()));
            return Outcome::read(self.out);
        }
        self.caution(context)?;
        let pool = context.pool()?;
        let chain = self.plan.chain.chain(self.prior.clone())?;
        let config = self.plan.finetune.clone();
        let (letters, length) = (self.prior.alphabet().len(), self.prior.config().length);
        let draw = || match self.base {
            Some((counts, _)) => Base::counted(&chain, self.reward, counts.clone(), &pool),
            None => Base::draw(&chain, self.reward, self.plan.base_paths, seed.child("base"), &pool, context),
        };
        // another divergence than KL is met through the base chain's rewards, which come first then
        let mut base = None;
        let mut stand_in = None;
        if config.divergence != DivergenceKind::Kl {
            let drawn = draw()?;
            let tilting = drawn.tilting(config.alpha, config.divergence.get())?;
            tilting.warnings().iter().for_each(|warning| context.note(format!("warning: {warning}")));
            stand_in = Some(StandIn::new(self.reward, &self.plan.finetune.divergence, tilting));
            base = Some(drawn);
        }
        let objective = (OBJECTIVES.get(&config.objective)?.make)(&config);
        let route = objective.route();
        let turned = stand_in.as_ref().filter(|_| route == Route::Surrogate);
        let source = turned.map_or(self.reward, |stand_in| &stand_in.surrogate as &dyn Reward);
        let exact = config.lookahead.is_some()
            || config.control.start == ControlStart::Tilt
            || config.soft_q.glimpse == GlimpseKind::Soft
            || objective.values_states()
            || self.plan.initial.is_some();
        let lacks = !source.has_soft_value() || config.control.start == ControlStart::Tilt && source.words().is_none();
        // a table of all rows of letters has rows that are no sequences where there is padding
        let padded = self.prior.alphabet().padding().is_some();
        let wanted = exact && lacks && enumerable(letters, length) && !padded;
        let table = wanted
            .then(|| match turned {
                Some(stand_in) => stand_in.surrogate.tabulate(letters, length, &pool),
                None => Multilinear::tabulate(source, letters, length, &pool),
            })
            .transpose()?;
        let terminal = SequenceTerminal::new(&chain, table.as_ref().map_or(source, |table| table as &dyn Reward));
        let parts = Parts { plan: &self.plan, chain: &chain, source: self.prior_folder, from: self.from, pool: &pool };
        let inner = parts.begin(&terminal, keep, seed.child("finetune"))?;
        let mut training = Watched { inner, parts, reward: self.reward, seed: seed.child("watch") };
        drive("finetune", &mut training, &mut folder, self.plan.checkpoint, context)?;
        context.note(format!(
            "certifying on {} tuned and {} base paths",
            self.plan.certificate_paths, self.plan.base_paths
        ));
        let base = base.map_or_else(draw, Ok)?;
        let weights = training.weights();
        let tuned = parts.tuned(weights.clone())?;
        let (count, seed) = (self.plan.certificate_paths, seed.child("certificate"));
        let paths = scored_paths(&chain, tuned.walk(), self.reward, count, seed, &pool)?;
        let mut verdict = base.certify(config.alpha, &paths, stand_in.as_ref())?;
        let (alpha, stand_in) = (config.alpha, stand_in.as_ref());
        if self.weighs_base {
            let weighing = Weighing { chain: &chain, reward: self.reward, alpha, stand_in, pool: &pool };
            weighing.weigh(&mut verdict, tuned.walk(), &paths, count, seed.child("weighed"))?;
        }
        let finished = Finished {
            parts,
            tuned: &tuned,
            weights: &weights,
            terminal: &terminal,
            soft: table.is_some() || source.has_soft_value(),
            base: &base,
            reward: self.reward,
            stand_in,
            certificate: &verdict.certificate,
            out: self.out,
            seed,
        };
        let started = finished.start()?;
        let frontier = base.frontier()?.map_or_else(Vec::new, |frontier| frontier.curve(80));
        let start = Point { step: 0, reward: base.mean_reward(), kl: 0.0 };
        let outcome = Outcome {
            objective: config.objective.clone(),
            prior: self.prior_name.to_owned(),
            reward: self.reward_name.clone(),
            verdict,
            start: started,
            path: std::iter::once(start).chain(read_path(self.out)?).collect(),
            frontier,
        };
        self.write(folder, &info, prior_fingerprint, weights, &outcome)?;
        Ok(outcome)
    }

    /// Writes the sampler, its outcome and the page.
    fn write(
        &self,
        folder: RunFolder,
        info: &RunInfo,
        prior_fingerprint: String,
        weights: Tensors,
        outcome: &Outcome,
    ) -> Result<()> {
        let stored = Tilted {
            prior: self.prior_name.to_owned(),
            prior_fingerprint,
            reward: self.reward_name.clone(),
            chain: self.plan.chain,
            finetune: self.plan.finetune.clone(),
            initial: self.plan.initial,
        };
        self.prior_folder.save(self.out.join(PRIOR_FOLDER))?;
        let mut model = ModelFolder::new(CONTROL, &stored, weights)?.with_card(self.card(outcome));
        model.tokenizer.clone_from(&self.prior_folder.tokenizer);
        let manifest = model.save(self.out)?;
        let json = serde_json::to_vec_pretty(outcome)
            .map_err(|error| Error::data("the certificate cannot be written as JSON").because(error))?;
        folder.write(FILE, &json)?;
        let report = page::report(outcome, info);
        folder.write("report.json", report.to_json()?.as_bytes())?;
        folder.write("report.html", report.html().as_bytes())?;
        let written = ["manifest.json", FILE, "report.json", "report.html"];
        let files: Vec<&str> = manifest.files.keys().map(String::as_str).chain(written).collect();
        folder.finish(&files)
    }

    fn card(&self, outcome: &Outcome) -> String {
        format!(
            "# A control that tilts `{}` towards `{}` at alpha {}\n\nMade by `seqtilt finetune`; the prior is in \
             `{PRIOR_FOLDER}/`.\n\n```text\n{outcome}\n```\n",
            self.prior_name, self.reward_name, self.plan.finetune.alpha
        )
    }
}

/// The watched points in `metrics.jsonl`.
fn read_path(out: &Path) -> Result<Vec<Point>> {
    #[derive(Deserialize)]
    struct Line {
        step: u64,
        hard_reward: Option<f64>,
        hard_path_kl: Option<f64>,
    }
    let path = out.join("metrics.jsonl");
    let text = std::fs::read_to_string(&path).map_err(|error| Error::io("read", &path, error))?;
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    Ok(lines
        .filter_map(|line| Some(Point { step: line.step, reward: line.hard_reward?, kl: line.hard_path_kl? }))
        .collect())
}

impl Outcome {
    /// From the folder of a complete run.
    ///
    /// # Errors
    /// When the file is missing or not a certificate.
    pub(in crate::cli) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let bytes = std::fs::read(&path).map_err(|error| Error::io("read", &path, error))?;
        serde_json::from_slice(&bytes).map_err(|error| Error::integrity("not a certificate").at(path).because(error))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} tilted towards {} ({})", self.prior, self.reward, self.objective)?;
        self.verdict.fmt(f)?;
        self.start.as_ref().map_or(Ok(()), |start| write!(f, "\n{start}"))
    }
}
