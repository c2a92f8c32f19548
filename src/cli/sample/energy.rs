//! `seqtilt sample --energy`: a density without data.

mod guided;
mod outcome;
mod way;

use crate::cli::check::{positive, required, within};
use crate::cli::context::Context;
use crate::cli::finetune::{Job, Tuning, decided};
use crate::cli::oracle_score::OracleScore;
use crate::cli::printer;
use crate::cli::tilted::Sampler;
use crate::diffusion::{uniform_name, uniform_prior};
use crate::error::{Error, Result};
use crate::finetune::OBJECTIVES;
use crate::nn::Pool;
use crate::oracle::{OracleInfo, OracleName};
use crate::reward::{Multilinear, Needs, Reward, Score as _, Whole, enumerable};
use crate::store::write_atomic;
use guided::Walked;
use outcome::Outcome;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;
use way::Way;

/// File of the sequences in the run's folder.
const FILE: &str = "samples.csv";
/// Paths of base and tuned chain behind the run's own certificate: the base's law is known.
const PATHS: usize = 4096;

/// What is sampled, and how a control towards it is trained.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "Energies")]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::cli) struct EnergyArgs {
    /// Draw from the density exp(score/T) of an oracle, KIND:ARGUMENT, without any data, by tilting independent uniform letters; see
    /// --method. The score is the negative of an energy: higher is more probable
    #[arg(long, value_name = "ORACLE", conflicts_with_all = ["prior", "control"])]
    pub(in crate::cli) energy: Option<String>,
    /// Temperature T, in units of the score [default: 1]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Number of letters, where the oracle takes several
    #[arg(long, value_name = "N")]
    length: Option<usize>,
    /// How: trained, a control is trained in --out and draws; guidance, soft values in closed form lead the walk and nothing is trained; or
    /// auto, guidance where the score has them (couplings of neighbours) and words are too many to enumerate [default: auto]
    #[arg(long, value_name = "NAME")]
    method: Option<String>,
    /// Method of the training: one of `seqtilt list objectives`, or auto [default: control]
    #[arg(long, value_name = "NAME")]
    objective: Option<String>,
    /// Optimiser steps [default: 260]
    #[arg(long, value_name = "N")]
    tuning_steps: Option<u64>,
    /// Paths an optimiser step [default: 256]
    #[arg(long, value_name = "N")]
    paths: Option<usize>,
    /// Peak learning rate of the control [default: 0.1 for product-mixture, else 0.005]
    #[arg(long, value_name = "RATE")]
    tuning_rate: Option<f64>,
    /// Steps between two calls of the control [default: 4]
    #[arg(long, value_name = "N")]
    hold: Option<usize>,
    /// Cut the path into stretches of so many steps that end in soft values [default: two blocks of --hold where the score has them in
    /// closed form or all sequences can be enumerated, else whole paths]
    #[arg(long, value_name = "N")]
    lookahead: Option<usize>,
    /// Control network: one of `seqtilt list` [default: product-mixture]
    #[arg(long = "network", value_name = "NAME")]
    network: Option<String>,
    /// Width of the control network [default: 128]
    #[arg(long, value_name = "N")]
    control_dim: Option<usize>,
}

/// What is asked for beside the energy.
pub(super) struct Asked<'a> {
    pub(super) count: usize,
    pub(super) out: Option<&'a Path>,
    pub(super) steps: Option<usize>,
}

impl EnergyArgs {
    /// Whether nothing was given.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// A setting of the training that was given.
    fn training(&self) -> Option<&'static str> {
        let given = [
            ("objective", self.objective.is_some()),
            ("tuning-steps", self.tuning_steps.is_some()),
            ("paths", self.paths.is_some()),
            ("tuning-rate", self.tuning_rate.is_some()),
            ("lookahead", self.lookahead.is_some()),
            ("network", self.network.is_some()),
            ("control-dim", self.control_dim.is_some()),
        ];
        given.into_iter().find(|(_, given)| *given).map(|(key, _)| key)
    }

    /// The settings of the fine-tune at a temperature.
    fn tuning(&self, alpha: f64, steps: Option<usize>) -> Tuning {
        Tuning {
            alpha: Some(alpha),
            objective: self.objective.clone(),
            tuning_steps: self.tuning_steps,
            paths: self.paths,
            tuning_rate: self.tuning_rate,
            chain_steps: steps,
            hold: self.hold,
            lookahead: self.lookahead,
            control: self.network.clone(),
            control_dim: self.control_dim,
            certificate_paths: Some(PATHS),
            base_paths: Some(PATHS),
            ..Tuning::default()
        }
    }
}

/// Draws from the density, by a control that is trained towards it or by guidance.
///
/// # Errors
/// When the oracle cannot be opened, a setting is out of range, or the run fails or is interrupted.
pub(super) fn run(args: &EnergyArgs, asked: &Asked<'_>, context: &Context) -> Result<()> {
    let name: OracleName = required("sample", "energy", args.energy.clone())?.parse()?;
    let out = required("sample", "out", asked.out)?;
    if out.extension().is_some_and(|kind| kind.eq_ignore_ascii_case("csv") || kind.eq_ignore_ascii_case("fasta")) {
        let message = format!("`--out` is `{}`; with `--energy` a folder is accepted", out.display());
        return Err(Error::usage(message).hint(format!("the sequences are in `{FILE}` there")));
    }
    let temperature = positive("temperature", args.temperature.unwrap_or(1.0))?;
    let options = context.oracle_options();
    let oracle = name.open(&options)?;
    let info = oracle.info().clone();
    let length = length(args.length, &info)?;
    let device = context.device()?;
    let (prior, prior_folder) = uniform_prior(&info.alphabet, length, &device)?;
    let letters = prior.alphabet().len();
    let score = OracleScore::new(oracle, None);
    let whole = Whole::new(&score, &info.alphabet);
    let opened = name.reward(&options);
    let way = Way::of(args, opened.as_deref().ok(), letters, length)?;
    let pool = context.pool()?;
    let (reward, drawn) = if let (Way::Guidance, Ok(reward)) = (way, &opened) {
        let named = (name.to_string(), info.fingerprint.clone());
        let walked = Walked {
            prior,
            reward: reward.as_ref(),
            score: &score,
            named: (&named.0, &named.1),
            temperature,
            steps: asked.steps.map(|steps| within("steps", steps, 1..=10_000)).transpose()?,
            hold: args.hold,
        };
        (reward.as_ref(), walked.draw(out, asked.count, &pool, context)?)
    } else {
        let tuning = decided(&args.tuning(temperature, asked.steps), prior.config(), opened.is_ok(), context);
        let soft = opened.as_ref().is_ok_and(|reward| reward.has_soft_value());
        let plan = tuning.plan_for(prior.config(), soft)?;
        let needs = (OBJECTIVES.get(&plan.finetune.objective)?.make)(&plan.finetune).needs();
        if needs == Needs::Gradient && opened.is_err() {
            return opened.map(drop);
        }
        let reward = opened.as_deref().unwrap_or(&whole);
        let prior_name = uniform_name(&info.alphabet, length);
        let job = Job {
            out,
            prior: Arc::new(prior),
            prior_name: &prior_name,
            prior_folder: &prior_folder,
            reward,
            reward_name: name.to_string(),
            reward_fingerprint: info.fingerprint.clone(),
            plan,
            seed: context.seed_number,
            base: None,
            from: None,
            weighs_base: true,
        };
        job.run(context)?;
        let drawn = Sampler::open(out, &device)?.draw(asked.count, context.seed().child("energy"), &pool)?;
        (reward, drawn)
    };
    let exact = partition(reward, letters, length, temperature, &pool)?;
    let scores = score.scores(&drawn.ends)?;
    let outcome = Outcome::new(&name.to_string(), &info.alphabet, temperature, &drawn, &scores, exact);
    let file = out.join(FILE);
    write_atomic(&file, outcome.table().as_bytes())?;
    context.note(format!("wrote {} sequences to `{}`", drawn.ends.len(), file.display()));
    if context.json { printer::json(&outcome) } else { printer::text(&outcome) }
}

/// The number of letters to draw.
fn length(asked: Option<usize>, info: &OracleInfo) -> Result<usize> {
    let (least, most) = info.length;
    match asked {
        Some(length) => within("length", length, least..=most),
        None if least == most => Ok(least),
        None => Err(Error::usage(format!(
            "oracle `{}` takes {} letters; `--length` says how many",
            info.name,
            info.lengths()
        ))
        .hint(format!("for example --length {}", 2 * least))),
    }
}

/// log Z where it is known exactly: in closed form, or over all sequences.
fn partition(reward: &dyn Reward, letters: usize, length: usize, temperature: f64, pool: &Pool) -> Result<Option<f64>> {
    if let Some(known) = reward.log_partition(length, temperature) {
        return Ok(Some(known));
    }
    if !enumerable(letters, length) {
        return Ok(None);
    }
    let table = Multilinear::tabulate(reward, letters, length, pool)?;
    let most = table.values().iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = table.values().iter().map(|score| ((score - most) / temperature).exp()).sum();
    Ok(Some(most / temperature + sum.ln()))
}
