//! What a design job answers.

use super::goal::Goal;
use super::pick::Picked;
use super::prepare::Parts;
use super::settings::Plan;
use super::table::id;
use crate::cli::certify::Certified;
use crate::cli::finetune::Outcome;
use crate::cli::printer::columns;
use crate::error::{Error, Result};
use crate::eval::Estimate;
use crate::eval::diversity::{cluster_count, mean_pairwise};
use crate::eval::quantile::quantile;
use crate::eval::rank::{rmse, spearman};
use crate::oracle::Trial;
use crate::reward::HeldOut;
use crate::sequence::{Sequence, format_mutations};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// Letters from which on mutations are shown in the place of sequences.
const LONG: usize = 60;

pub(super) const FILE: &str = "summary.json";

/// A design in the summary.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) id: String,
    pub(super) sequence: String,
    /// From the wild type, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mutations: Option<String>,
    pub(super) predicted: f64,
    pub(super) sd: Option<f64>,
    pub(super) judge: Option<f64>,
    pub(super) measured: Option<f64>,
}

impl Line {
    /// The sequence, or, of a long one, its mutations where they are known.
    fn shown(&self) -> String {
        self.mutations.clone().filter(|_| self.sequence.len() > LONG).unwrap_or_else(|| self.sequence.clone())
    }
}

/// How predictions compare with another view of the same designs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Against {
    pub(super) name: String,
    pub(super) designs: usize,
    pub(super) mean: f64,
    pub(super) median: f64,
    pub(super) best: f64,
    /// Mean of predicted minus this view.
    pub(super) optimism: f64,
    pub(super) rmse: Option<f64>,
    pub(super) spearman: Option<f64>,
}

/// What `summary.json` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) prior: String,
    pub(super) reward: String,
    pub(super) judge: String,
    pub(super) designs: usize,
    pub(super) drawn: usize,
    pub(super) unique: usize,
    pub(super) new: usize,
    /// Most letters to a measured sequence, and how many samples had no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) trust: Option<[usize; 2]>,
    pub(super) min_distance: usize,
    pub(super) predicted_mean: Option<f64>,
    pub(super) predicted_best: Option<f64>,
    pub(super) mean_pairwise_distance: Option<f64>,
    pub(super) clusters: usize,
    pub(super) by_judge: Option<Against>,
    pub(super) by_measurement: Option<Against>,
    pub(super) held_out: Option<HeldOut>,
    /// What the designs are worth by further goals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) goals: Vec<ByGoal>,
    /// Families of models that were tried on the table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) models: Vec<Trial>,
    pub(super) verdict: Certified,
    pub(super) top: Vec<Line>,
}

/// A further goal in the summary.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ByGoal {
    name: String,
    mean: Option<f64>,
    best: Option<f64>,
    /// Designs that nothing drawn beats in one value without losing in another.
    front: usize,
}

fn goals(parts: &Parts, picked: &Picked) -> Vec<ByGoal> {
    let front = picked.rows.iter().filter(|row| row.layer == Some(0)).count();
    let by = |(place, goal): (usize, &Goal)| {
        let values: Vec<f64> = picked.rows.iter().filter_map(|row| row.goals[place].0).collect();
        ByGoal {
            name: goal.name.clone(),
            mean: (!values.is_empty()).then(|| Estimate::mean(&values).value),
            best: values.iter().copied().reduce(f64::max),
            front,
        }
    };
    parts.goals.iter().enumerate().map(by).collect()
}

impl Summary {
    pub(super) fn new(plan: &Plan, parts: &Parts, outcome: &Outcome, picked: &Picked) -> Self {
        let predicted: Vec<f64> = picked.rows.iter().map(|row| row.mean).collect();
        let sequences: Vec<Sequence> = picked.rows.iter().map(|row| row.sequence.clone()).collect();
        let top = picked.rows.iter().take(10).map(|row| Line {
            id: id(row),
            sequence: row.sequence.text(parts.prior.alphabet()),
            mutations: parts.mutations(&row.sequence).map(|mutations| format_mutations(&mutations)),
            predicted: row.mean,
            sd: row.sd,
            judge: row.judge,
            measured: row.truth,
        });
        let judged: Vec<_> = picked.rows.iter().map(|row| row.judge).collect();
        let measured: Vec<_> = picked.rows.iter().map(|row| row.truth).collect();
        Self {
            prior: parts.prior_name.clone(),
            reward: parts.reward_name.clone(),
            judge: parts.judge_name.clone(),
            designs: picked.rows.len(),
            drawn: picked.samples.len(),
            unique: picked.passed(0),
            new: picked.passed(1),
            trust: plan.trust.map(|limit| [limit, picked.passed(2)]),
            goals: goals(parts, picked),
            models: parts.trials.clone(),
            min_distance: picked.kept_distance,
            predicted_mean: (!predicted.is_empty()).then(|| Estimate::mean(&predicted).value),
            predicted_best: predicted.iter().copied().reduce(f64::max),
            mean_pairwise_distance: mean_pairwise(&sequences, parts.metric()),
            clusters: cluster_count(&sequences, parts.metric(), 2),
            by_judge: against(&parts.judge_name, &predicted, &judged),
            by_measurement: against(plan.truth.as_deref().unwrap_or("measured"), &predicted, &measured),
            held_out: parts.held_out.clone(),
            verdict: outcome.verdict.clone(),
            top: top.collect(),
        }
    }

    pub(super) fn json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|error| Error::data("the summary cannot be written").because(error))
    }

    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        let bytes = std::fs::read(&path).map_err(|error| Error::io("read", &path, error))?;
        serde_json::from_slice(&bytes).map_err(|error| Error::integrity("not a summary").at(path).because(error))
    }

    /// The one thing to know before ordering, if there is one.
    pub(super) fn warning(&self) -> Option<String> {
        let spread = self.top.iter().filter_map(|line| line.sd).fold(0.0, f64::max);
        if let Some(view) = self.by_measurement.as_ref().or(self.by_judge.as_ref()) {
            if view.optimism > 2.0 * spread.max(0.02) {
                return Some(format!(
                    "The reward puts the designs {:.3} above {}: it is being exploited. Trust the order more than the values, \
                     and prefer a larger alpha.",
                    view.optimism, view.name
                ));
            }
            if -view.optimism > 2.0 * spread.max(0.02) {
                return Some(format!(
                    "{} puts the designs {:.3} above the reward: the predicted values are too low here and their spread does \
                     not cover it. Trust the order, not the values.",
                    view.name, -view.optimism
                ));
            }
        }
        (!self.verdict.certificate.is_reliable())
            .then(|| "The certificate rests on too few effective base samples; raise --base-paths or alpha.".to_owned())
    }
}

fn against(name: &str, predicted: &[f64], other: &[Option<f64>]) -> Option<Against> {
    let pairs: Vec<(f64, f64)> = predicted.iter().zip(other).filter_map(|(p, o)| Some((*p, (*o)?))).collect();
    let (p, o): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    Some(Against {
        name: name.to_owned(),
        designs: o.len(),
        mean: (!o.is_empty()).then(|| Estimate::mean(&o).value)?,
        median: quantile(&o, 0.5)?,
        best: o.iter().copied().reduce(f64::max)?,
        optimism: pairs.iter().map(|(p, o)| p - o).sum::<f64>() / pairs.len() as f64,
        rmse: rmse(&p, &o),
        spearman: spearman(&p, &o),
    })
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
        writeln!(f, "{} designs from {} tilted towards {}\n", self.designs, self.prior, self.reward)?;
        let what = if self.top.iter().any(|line| line.shown() != line.sequence) { "mutations" } else { "sequence" };
        let mut lines = vec![["id", what, "predicted", "sd", "judge", "measured"].map(str::to_owned)];
        lines.extend(self.top.iter().map(|line| {
            let cells = [Some(line.predicted), line.sd, line.judge, line.measured].map(number);
            let [a, b, c, d] = cells;
            [line.id.clone(), line.shown(), a, b, c, d]
        }));
        writeln!(f, "{}", columns(&lines, ""))?;
        let trusted = self.trust.map_or_else(String::new, |[limit, count]| {
            format!(", {count} of them within {limit} letters of a measured sequence")
        });
        let mut rows = vec![
            [
                "samples".to_owned(),
                format!("{} drawn, {} unique, {} not known before{trusted}", self.drawn, self.unique, self.new),
            ],
            [
                "designs".to_owned(),
                format!(
                    "predicted mean {}, best {}; at least {} letters apart, {} on average, {} clusters",
                    number(self.predicted_mean),
                    number(self.predicted_best),
                    self.min_distance,
                    number(self.mean_pairwise_distance),
                    self.clusters
                ),
            ],
        ];
        for (title, view) in [("judge", &self.by_judge), ("measured", &self.by_measurement)] {
            if let Some(view) = view {
                rows.push([
                    title.to_owned(),
                    format!(
                        "{}: mean {:.4}, median {:.4}, best {:.4} over {} designs; predicted - this {:+.4}, RMSE {}, Spearman {}",
                        view.name,
                        view.mean,
                        view.median,
                        view.best,
                        view.designs,
                        view.optimism,
                        number(view.rmse),
                        number(view.spearman)
                    ),
                ]);
            }
        }
        for goal in &self.goals {
            let text = format!(
                "mean {}, best {}; {} designs on the Pareto front",
                number(goal.mean),
                number(goal.best),
                goal.front
            );
            rows.push([format!("goal {}", goal.name), text]);
        }
        if let Some(held) = &self.held_out {
            rows.push([
                "reward, held out".to_owned(),
                format!("Spearman {}, RMSE {:.4} on {} sequences", number(held.spearman), held.rmse, held.n),
            ]);
        }
        writeln!(f, "{}", columns(&rows, ""))?;
        writeln!(f, "{}", self.verdict)?;
        if let Some(warning) = self.warning() {
            writeln!(f, "\nwarning: {warning}")?;
        }
        Ok(())
    }
}
