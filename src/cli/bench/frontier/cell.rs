//! The cells of the grid: methods by divergences by prices by seeds.

use super::{Args, NAME};
use crate::cli::bench::certified;
use crate::cli::bench::rows::Row;
use crate::cli::check::positive;
use crate::cli::finetune::{Outcome, Plan, Tuning};
use crate::cli::printer::quoted;
use crate::diffusion::PriorConfig;
use crate::error::{Error, Result};
use crate::finetune::divergence::DivergenceKind;
use crate::reward::enumerable;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Methods that pay no price for departing from the prior: alpha decides their certificate, not their training.
const UNPRICED: [&str; 4] = ["no-kl", "draft", "alignprop", "refl"];

/// Base paths behind all cells where sequences are enumerated, drawn once.
const BASE_PATHS: usize = 2_000_000;

/// One fine-tune of the grid.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    pub(super) method: String,
    pub(super) divergence: DivergenceKind,
    /// The price as it was asked for.
    pub(super) alpha: f64,
    pub(super) seed: u64,
    pub(super) tuning: Tuning,
    pub(super) plan: Plan,
}

/// The axes of a grid, checked.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    pub(super) alphas: Vec<f64>,
    pub(super) divergences: Vec<DivergenceKind>,
    pub(super) matched: bool,
    pub(super) cells: Vec<Cell>,
}

impl Grid {
    /// # Errors
    /// When an axis is empty, a name is unknown, a value out of range, or a cell is asked for twice.
    pub(super) fn new(args: &Args, prior: &PriorConfig) -> Result<Self> {
        let methods = args.methods.clone().unwrap_or_else(|| vec!["control".to_owned()]);
        let alphas = args.alphas.clone().unwrap_or_else(|| vec![0.5, 0.2, 0.1, 0.05, 0.02]);
        let divergences = args.divergences.clone().unwrap_or_else(|| vec!["kl".to_owned()]);
        let seeds = args.seeds.clone().unwrap_or_else(|| vec![0]);
        for (name, empty) in [
            ("methods", methods.is_empty()),
            ("divergences", divergences.is_empty()),
            ("alphas", alphas.is_empty()),
            ("seeds", seeds.is_empty()),
        ] {
            if empty {
                return Err(Error::usage(format!("`{name}` is empty: there is no cell"))
                    .hint(format!("name at least one, or leave out --{name}")));
            }
        }
        let divergences: Vec<DivergenceKind> = divergences.iter().map(|name| name.parse()).collect::<Result<_>>()?;
        let matched = !args.equal_alpha;
        let mut cells: Vec<Cell> = Vec::new();
        for method in &methods {
            for divergence in &divergences {
                for alpha in &alphas {
                    let tuning = Tuning {
                        alpha: Some(positive("alphas", *alpha)?),
                        objective: Some(method.clone()),
                        divergence: (*divergence != DivergenceKind::Kl).then(|| divergence.to_string()),
                        match_curvature: matched && *divergence != DivergenceKind::Kl,
                        base_paths: args
                            .tuning
                            .base_paths
                            .or(enumerable(prior.letters.len(), prior.length).then_some(BASE_PATHS)),
                        ..args.tuning.clone()
                    };
                    let plan = tuning.plan(prior)?;
                    cells.extend(seeds.iter().map(|seed| Cell {
                        method: plan.finetune.objective.clone(),
                        divergence: *divergence,
                        alpha: *alpha,
                        seed: *seed,
                        tuning: tuning.clone(),
                        plan: plan.clone(),
                    }));
                }
            }
        }
        for (index, cell) in cells.iter().enumerate() {
            if cells[..index].iter().any(|other| other.name() == cell.name()) {
                return Err(Error::usage(format!("cell `{}` is asked for twice", cell.name()))
                    .hint("name every method, divergence, price and seed once"));
            }
        }
        Ok(Self { alphas, divergences, matched, cells })
    }
}

impl Cell {
    /// The name of its folder.
    pub(super) fn name(&self) -> String {
        let divergence = self.divergence.to_string().replace(':', "");
        format!("{}-{divergence}-alpha{}-seed{}", self.method, self.alpha, self.seed)
    }

    /// Method and divergence: what the cells of one line share.
    pub(super) fn series(&self) -> String {
        series(&self.method, &self.divergence.to_string())
    }

    /// Whether alpha decides what is trained.
    pub(super) fn priced(&self) -> bool {
        !UNPRICED.contains(&self.method.as_str())
    }

    /// Its row: the certificate's numbers, then those of samples where the certificate has none of the name.
    pub(super) fn row(&self, outcome: &Outcome, drawn: BTreeMap<String, f64>) -> Result<Row> {
        let mut metrics = certified::metrics(&outcome.verdict);
        for (name, value) in drawn {
            metrics.entry(name).or_insert(value);
        }
        let plan = serde_json::to_value(&self.plan)
            .map_err(|error| Error::usage("the configuration cannot be written as JSON").because(error))?;
        let parameters = json!({
            "divergence": self.divergence.to_string(), "alpha": self.alpha, "price": self.plan.finetune.alpha,
            "prior": outcome.prior, "reward": outcome.reward, "plan": plan,
        });
        Ok(Row { benchmark: NAME.to_owned(), method: self.method.clone(), seed: self.seed, parameters, metrics })
    }

    /// The command that fine-tunes as this cell does, at another price.
    ///
    /// # Errors
    /// When the settings cannot be written.
    pub(super) fn command(&self, prior: &str, reward: &str, alpha: f64) -> Result<String> {
        let tuning = Tuning { alpha: Some(alpha), ..self.tuning.clone() };
        let settings = serde_json::to_value(&tuning)
            .map_err(|error| Error::usage("the settings cannot be written as JSON").because(error))?;
        let mut command = format!("seqtilt finetune --prior {} --reward {}", quoted(prior), quoted(reward));
        for (flag, value) in settings.as_object().into_iter().flatten() {
            let _ = match value {
                Value::Null | Value::Bool(false) => Ok(()),
                Value::Bool(true) => write!(command, " --{flag}"),
                Value::String(text) => write!(command, " --{flag} {}", quoted(text)),
                other => write!(command, " --{flag} {other}"),
            };
        }
        let name = self.divergence.to_string().replace(':', "");
        let _ = write!(command, " --seed {} --out {}-{name}-alpha{alpha}", self.seed, self.method);
        Ok(command)
    }
}

/// The name of a line of a front.
pub(super) fn series(method: &str, divergence: &str) -> String {
    format!("{method} {divergence}")
}
