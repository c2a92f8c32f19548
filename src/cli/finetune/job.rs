//! One fine-tune from prior and reward to a certified sampler on disk.

use super::learned::{Learned, LearnedReport};
use super::page;
use super::settings::Plan;
use super::start::{Finished, StartReport};
use super::training::{Parts, Watched};
use crate::cli::certify::{Base, Certified, StandIn, Weighing, scored_paths};
use crate::cli::context::Context;
use crate::cli::drive::drive;
use crate::cli::memory;
use crate::cli::oracle_score::OracleScore;
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
    /// How a reward without a gradient was climbed by a method that needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) learned: Option<LearnedReport>,
    /// Evaluations of an oracle without a gradient, those of the certificate counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) evaluations: Option<u64>,
}

/// What a run reads beside its reward.
#[derive(Clone, Copy, Default)]
pub(super) struct Sources<'a> {
    /// What is climbed in the place of the reward, which the certificate is about in any case.
    pub(super) climbed: Option<&'a dyn Reward>,
    /// Where that was learned, and how it is said.
    pub(super) learned: Option<(&'a Learned, &'a str)>,
    /// The oracle behind the reward, where it is asked.
    pub(super) asked: Option<&'a OracleScore>,
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
    ///
    /// # Errors
    /// When a model cannot be read.
    pub(super) fn info(&self) -> Result<RunInfo> {
        let recorded = Recorded { prior: self.prior_name, reward: &self.reward_name, plan: &self.plan };
        let mut info = RunInfo::new("finetune", self.seed, &recorded)?
            .with_version("prior", fingerprint(self.prior_folder)?)
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
        let info = self.info()?;
        match self.begin(&info, context)? {
            Some(folder) => self.proceed(folder, &info, Sources::default(), context),
            None => Outcome::read(self.out),
        }
    }

    /// Opens the folder of the run; none where it is complete.
    ///
    /// # Errors
    /// When the run does not fit into memory, or the folder is of another one.
    pub(super) fn begin(&self, info: &RunInfo, context: &Context) -> Result<Option<RunFolder>> {
        self.keep(context)?;
        let folder = RunFolder::open(self.out, info)?;
        if folder.is_finished() {
            context.note(format!("`{}` is complete: this is its certificate", self.out.display()));
            return Ok(None);
        }
        self.caution(context)?;
        Ok(Some(folder))
    }

    /// Runs it in a folder that was begun, or goes on with it.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(super) fn proceed(
        &self,
        mut folder: RunFolder,
        info: &RunInfo,
        sources: Sources<'_>,
        context: &Context,
    ) -> Result<Outcome> {
        let (keep, seed) = (self.keep(context)?, Seed::root(self.seed));
        let from = sources.learned.and_then(|(learned, _)| learned.from.as_ref()).or(self.from);
        let climbed = sources.climbed.unwrap_or(self.reward);
        let limited = sources.asked.is_some_and(OracleScore::is_limited);
        let pool = context.pool()?;
        let chain = self.plan.chain.chain(self.prior.clone())?;
        let config = self.plan.finetune.clone();
        let (letters, length) = (self.prior.alphabet().len(), self.prior.config().length);
        let draw = || match self.base {
            Some((counts, _)) => Base::counted(&chain, self.reward, counts.clone(), &pool),
            // what is counted is not spent on sequences that the prior hardly draws
            None if limited => {
                Base::sampled(&chain, self.reward, self.plan.base_paths, seed.child("base"), &pool, context)
            }
            None => Base::draw(&chain, self.reward, self.plan.base_paths, seed.child("base"), &pool, context),
        };
        // another divergence than KL is met through the base chain's rewards, which come first then
        let mut base = None;
        let (mut stand_in, mut turned) = (None, None);
        if config.divergence != DivergenceKind::Kl {
            let drawn = draw()?;
            let tilting = drawn.tilting(config.alpha, config.divergence.get())?;
            tilting.warnings().iter().for_each(|warning| context.note(format!("warning: {warning}")));
            turned = Some(StandIn::new(climbed, &self.plan.finetune.divergence, tilting.clone()));
            stand_in = Some(StandIn::new(self.reward, &self.plan.finetune.divergence, tilting));
            base = Some(drawn);
        }
        let objective = (OBJECTIVES.get(&config.objective)?.make)(&config);
        let route = objective.route();
        let turned = turned.as_ref().filter(|_| route == Route::Surrogate);
        let source = turned.map_or(climbed, |stand_in| &stand_in.surrogate as &dyn Reward);
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
        let parts = Parts { plan: &self.plan, chain: &chain, source: self.prior_folder, from, pool: &pool };
        let inner = parts.begin(&terminal, keep, seed.child("finetune"))?;
        // what is learned is not what is meant, and what is counted is not spent on looking
        let watches = sources.climbed.is_none() && !limited;
        let mut training = Watched { inner, parts, reward: self.reward, seed: seed.child("watch"), watches };
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
        let learned =
            sources.learned.map(|(learned, route)| learned.report(route.to_owned(), &paths.ends)).transpose()?;
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
        let end =
            Point { step: config.steps, reward: verdict.mean_reward().value, kl: verdict.certificate.path_kl.value };
        let outcome = Outcome {
            objective: config.objective.clone(),
            prior: self.prior_name.to_owned(),
            reward: self.reward_name.clone(),
            verdict,
            start: started,
            path: std::iter::once(start).chain(read_path(self.out)?).chain((!watches).then_some(end)).collect(),
            frontier,
            learned,
            evaluations: sources.asked.map(OracleScore::spent),
        };
        self.write(folder, info, weights, &outcome)?;
        Ok(outcome)
    }

    /// Writes the sampler, its outcome and the page.
    fn write(&self, folder: RunFolder, info: &RunInfo, weights: Tensors, outcome: &Outcome) -> Result<()> {
        let stored = Tilted {
            prior: self.prior_name.to_owned(),
            prior_fingerprint: fingerprint(self.prior_folder)?,
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
        if let Some(learned) = &self.learned {
            write!(f, "\n{learned}")?;
        }
        if let Some(evaluations) = self.evaluations {
            write!(f, "\nthe oracle evaluated {evaluations} sequences, those of the certificate counted")?;
        }
        self.start.as_ref().map_or(Ok(()), |start| write!(f, "\n{start}"))
    }
}
