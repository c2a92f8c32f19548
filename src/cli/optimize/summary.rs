//! What a search answers.

use super::rows::Design;
use super::settings::Plan;
use super::start::Known;
use crate::campaign::{Campaign, Foresight, Journal, Round, Standing, TOP};
use crate::cli::finetune::Outcome;
use crate::cli::printer::columns;
use crate::error::{Error, Result};
use crate::eval::diversity::{cluster_count, mean_pairwise};
use crate::eval::novelty::Novelty;
use crate::eval::quantile::quantile;
use crate::eval::{Estimate, Metric};
use crate::sequence::Sequence;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

pub(super) const FILE: &str = "summary.json";

/// The sampler of a round, by its certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tilt {
    pub(super) round: usize,
    /// Path KL to the prior, nats.
    pub(super) path_kl: Estimate,
    /// KL to the exact tilt, nats, where enough effective samples of the prior are behind it.
    pub(super) gap: Option<Estimate>,
    /// Mean acquisition of its draws, with what the rounds before weigh.
    pub(super) mean_reward: Estimate,
}

/// The samplers of the rounds that had one.
///
/// # Errors
/// When a certificate cannot be read.
pub(super) fn tilts(campaign: &Campaign, journal: &Journal) -> Result<Vec<Tilt>> {
    let mut tilts = Vec::new();
    for round in campaign.rounds().iter().map(|round| round.round) {
        let Some(folder) = journal.round(round).map(|folder| folder.join("finetune")) else { continue };
        if !folder.join("done.json").exists() {
            continue;
        }
        let verdict = Outcome::read(&folder)?.verdict;
        let c = &verdict.certificate;
        tilts.push(Tilt {
            round,
            path_kl: c.path_kl,
            gap: c.is_reliable().then_some(c.gap),
            mean_reward: verdict.mean_reward(),
        });
    }
    Ok(tilts)
}

/// One line of the list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Line {
    pub(super) id: String,
    pub(super) sequence: String,
    pub(super) measured: f64,
    pub(super) round: usize,
    pub(super) expected: Option<f64>,
    pub(super) sd: Option<f64>,
    /// What a surrogate that has seen all labels expects, where that ranks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) posterior: Option<f64>,
}

/// What a search answers, as `summary.json` keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) oracle: String,
    pub(super) proposer: String,
    /// Labels spent.
    pub(super) labels: usize,
    /// Of them without a value.
    pub(super) without_value: usize,
    /// What ended the search.
    pub(super) ended: String,
    pub(super) start: Standing,
    pub(super) start_sequences: usize,
    /// With the start data.
    pub(super) standing: Standing,
    /// Without the start data.
    pub(super) found: Standing,
    /// Median of the top 128, start data included.
    pub(super) top_median: Option<f64>,
    /// Mean letters between two of the top 128.
    pub(super) diversity: Option<f64>,
    /// Clusters of the top 128 by single linkage within two letters.
    pub(super) clusters: usize,
    /// Mean letters from the top 128 to the nearest of the start table.
    pub(super) novelty: Option<f64>,
    pub(super) novelty_median: Option<f64>,
    /// Expected against measured, all rounds together.
    pub(super) foresight: Option<Foresight>,
    pub(super) rounds: Vec<Round>,
    pub(super) tilts: Vec<Tilt>,
    pub(super) top: Vec<Line>,
}

impl Summary {
    /// Of a search that is over.
    pub(super) fn new(plan: &Plan, known: &Known, campaign: &Campaign, tilts: &[Tilt], designs: &[Design]) -> Self {
        let measured = campaign.measured();
        let ranked = measured.ranked();
        let spent = campaign.spent();
        let top: Vec<Sequence> = ranked.iter().take(TOP).map(|(x, _)| x.clone()).collect();
        let values: Vec<f64> = ranked.iter().take(TOP).map(|(_, value)| *value).collect();
        let novelty = Novelty::new(&top, &known.sequences(), Metric::Hamming);
        let alphabet = &measured.domain().alphabet;
        let lines = designs.iter().take(10).map(|design| Line {
            id: design.id.clone(),
            sequence: design.sequence.text(alphabet),
            measured: design.measured,
            round: design.round,
            expected: design.expected.map(|p| p.mean),
            sd: design.expected.and_then(|p| p.sd),
            posterior: design.posterior.map(|p| p.mean),
        });
        let ended = if campaign.has_reached_target() {
            "the target was reached"
        } else if campaign.is_exhausted() {
            "nothing new was left to propose"
        } else if spent < plan.rounds.batches.iter().sum() && plan.rounds.budget.is_some_and(|most| spent >= most) {
            "the budget was spent"
        } else {
            "the plan was done"
        };
        Self {
            oracle: plan.oracle.clone(),
            proposer: plan.proposer.clone(),
            labels: spent,
            without_value: campaign.rounds().iter().map(|round| round.asked - round.valued).sum(),
            ended: ended.to_owned(),
            start: campaign.start().clone(),
            start_sequences: known.rows.len(),
            standing: campaign.standing().clone(),
            found: Standing::of(&measured.ranked_since(1), spent),
            top_median: quantile(&values, 0.5),
            diversity: mean_pairwise(&top, Metric::Hamming),
            clusters: cluster_count(&top, Metric::Hamming, 2),
            novelty: novelty.as_ref().map(|novelty| novelty.mean),
            novelty_median: novelty.as_ref().map(|novelty| novelty.median),
            foresight: Foresight::of(campaign.evaluations().iter().filter(|e| e.round > 0)),
            rounds: campaign.rounds().to_vec(),
            tilts: tilts.to_vec(),
            top: lines.collect(),
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

    /// The one thing to know, if there is one.
    pub(super) fn warning(&self) -> Option<String> {
        let last = self.rounds.last()?;
        if last.valued == 0 {
            return Some("The last batch has no value at all: look at the notes in measured.csv.".to_owned());
        }
        if self.without_value * 5 > self.labels {
            return Some(format!(
                "{} of {} labels have no value; they were paid for and taught nothing.",
                self.without_value, self.labels
            ));
        }
        if self.found.best < self.start.best {
            return Some("Nothing better than the best of the start table was found.".to_owned());
        }
        let seen = last.foresight.as_ref()?;
        if seen.covered.is_some_and(|covered| covered < 0.5) {
            return Some(format!(
                "The surrogate was too sure of the last batch: {:.0} % of its values lie within two standard deviations.",
                100.0 * seen.covered.unwrap_or(0.0)
            ));
        }
        None
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
        writeln!(
            f,
            "{} labels of {} spent by {} in {} rounds: {}\n",
            self.labels,
            self.oracle,
            self.proposer,
            self.rounds.len(),
            self.ended
        )?;
        let mut lines = vec![
            ["round", "labels", "best", "batch mean", "top-128 mean", "Spearman", "within 2 sd", "KL"]
                .map(str::to_owned),
        ];
        lines.push(
            ["start", "0", &number(self.start.best), "-", &number(self.start.top_mean), "-", "-", "-"]
                .map(str::to_owned),
        );
        for round in &self.rounds {
            let seen = round.foresight.as_ref();
            let tilt = self.tilts.iter().find(|tilt| tilt.round == round.round);
            lines.push([
                round.round.to_string(),
                round.standing.spent.to_string(),
                number(round.standing.best),
                number(round.batch_mean),
                number(round.standing.top_mean),
                number(seen.and_then(|seen| seen.spearman)),
                number(seen.and_then(|seen| seen.covered)),
                tilt.map_or_else(|| "-".to_owned(), |tilt| format!("{:.2}", tilt.path_kl.value)),
            ]);
        }
        writeln!(f, "{}", columns(&lines, ""))?;
        let by_posterior = self.top.iter().any(|line| line.posterior.is_some());
        let mut header = vec!["id", "sequence", "measured", "round", "expected", "sd"];
        header.extend(by_posterior.then_some("posterior"));
        let mut lines: Vec<Vec<String>> = vec![header.into_iter().map(str::to_owned).collect()];
        lines.extend(self.top.iter().map(|line| {
            let mut row = vec![
                line.id.clone(),
                line.sequence.clone(),
                format!("{:.4}", line.measured),
                line.round.to_string(),
                number(line.expected),
                number(line.sd),
            ];
            row.extend(by_posterior.then(|| number(line.posterior)));
            row
        }));
        writeln!(f, "{}", columns(&lines, ""))?;
        if by_posterior {
            writeln!(
                f,
                "Ranked by posterior: what a surrogate expects that has seen all labels. Of noisy labels the best are the luckiest.\n"
            )?;
        }
        let rows = [
            [
                "top 128".to_owned(),
                format!(
                    "mean {}, median {}; {} letters apart on average, {} clusters; {} letters from the start table",
                    number(self.standing.top_mean),
                    number(self.top_median),
                    number(self.diversity),
                    self.clusters,
                    number(self.novelty)
                ),
            ],
            [
                "without the start".to_owned(),
                format!(
                    "top-128 mean {}, top-100 mean {}",
                    number(self.found.top_mean),
                    number(self.found.top_100_mean)
                ),
            ],
            ["no value".to_owned(), format!("{} of {} labels", self.without_value, self.labels)],
        ];
        write!(f, "{}", columns(&rows, ""))?;
        if let Some(warning) = self.warning() {
            writeln!(f, "\nwarning: {warning}")?;
        }
        Ok(())
    }
}
