//! Arguments of `optimize`, and what they amount to.

use super::learner::Learner;
use super::ranking::{RANKINGS, Ranking};
use super::searcher::{SEARCHES, Search};
use crate::baseline::{PROPOSERS, ProposerConfig};
use crate::campaign::{self, SELECTIONS, Selection};
use crate::cli::asking::Asking;
use crate::cli::check::{required, within};
use crate::cli::constraining::Constraining;
use crate::cli::finetune::Tuning;
use crate::cli::input::{Reading, wild_type};
use crate::diffusion::PriorConfig;
use crate::error::{Error, Result};
use crate::registry::unknown;
use crate::reward::{Acquisition, Domain, SurrogateConfig, enumerable};
use crate::sequence::Constraint;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  seqtilt optimize --oracle table:tfbind8 --start start.csv --prior tfbind8-prior --out search
                                    10 rounds of 128 labels: surrogate, tilted prior, batch, measurement
  seqtilt optimize --oracle table:tfbind8 --start tfbind8-hard-start --prior tfbind8-prior-hard --both-strands --shifts 2 \\
      --label-noise 0.03 --selection top --out motif
                                    a motif may sit on either strand and some letters to the side: say so, it is worth
                                    half of the labels
  seqtilt optimize --oracle model:tfbind8-fit --prior tfbind8-prior --rounds 4 --batch 48 --out search
                                    from nothing but a prior, with the models inside the program
  seqtilt optimize --oracle table:tfbind8 --start start.csv --proposer gp-ucb --out floor
                                    the same labels spent by a search without a generator
  seqtilt optimize --oracle table:tfbind8 --start start.csv --prior tfbind8-prior \\
      --batches 86,171,341,682 --alpha 0.01 --beta 0.02 --out growing
                                    growing batches; the sampler also pays for leaving the last round's

Every round fits a surrogate to all labels, tilts the prior towards its acquisition at --alpha a nat, draws from the tilted \
sampler and measures the best new draws. A failed evaluation is never read as a low value. After an interruption the same \
command goes on, without paying for a label twice, and ends in the same bytes.";

/// Spend labels of a black box in rounds: propose, measure, learn, again
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::cli) struct Args {
    /// What measures, as KIND:ARGUMENT (see `seqtilt oracle list`)
    #[arg(long, value_name = "ORACLE")]
    oracle: Option<String>,
    /// Table of sequences and values that are known before the first round: a file, or the name of a data set
    #[arg(long, value_name = "TABLE")]
    start: Option<String>,
    /// Prior of `tilted` and the like: a folder, or a built-in one by name [default: trained on the start table]
    #[arg(long, value_name = "NAME|FOLDER")]
    prior: Option<String>,
    /// Folder of the results
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Who proposes: tilted, non-adaptive, guided, prior, or one of `seqtilt list proposers` [default: tilted]
    #[arg(long, value_name = "NAME")]
    proposer: Option<String>,
    /// What learns from the labels: one of `seqtilt list surrogates` [default: gp]
    #[arg(long, value_name = "NAME")]
    surrogate: Option<String>,
    /// What is climbed: mean, ucb:K, thompson or bootstrap-max; `mean` is greedy [default: ucb:1 for tilted and gp-ucb]
    #[arg(long, value_name = "NAME", allow_negative_numbers = true)]
    acquisition: Option<String>,
    /// Rounds [default: 10]
    #[arg(long, value_name = "N", conflicts_with = "batches")]
    rounds: Option<usize>,
    /// Labels a round [default: 128]
    #[arg(long, value_name = "N", conflicts_with = "batches")]
    batch: Option<usize>,
    /// Labels of every round, instead of --rounds and --batch
    #[arg(long, value_name = "N,N,...", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    batches: Vec<usize>,
    /// Labels to spend at most [default: all rounds]
    #[arg(long, value_name = "N")]
    max_evals: Option<usize>,
    /// Stop after the round that measures at least this value [default: spend all labels]
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    target: Option<f64>,
    /// Ask once more, in the next round, for what failed
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    retry_failed: bool,
    /// Labels asked for, and kept on the disk, at a time [default: 16]
    #[arg(long, value_name = "N")]
    chunk: Option<usize>,
    /// Price of a nat of departure from the last round's sampler, beside --alpha for departure from the prior [default: 0]
    #[arg(long, value_name = "BETA", allow_negative_numbers = true)]
    beta: Option<f64>,
    /// Train the control of every round from its start instead of from the last round's; a word-table always starts at the tilt
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    reset: bool,
    /// Tilt towards what was measured too; without it measured words are worth the least where all words are enumerated
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    keep_known: bool,
    /// How a batch is chosen from the draws: one of `seqtilt list selections` [default: diverse]
    #[arg(long, value_name = "NAME")]
    selection: Option<String>,
    /// Least letters between two sequences of a batch; relaxed, and said so, where it cannot be met [default: 2]
    #[arg(long, value_name = "N")]
    min_distance: Option<usize>,
    /// Sequences drawn from the tilted sampler every round [default: 4000]
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Best measured sequences that are written as designs [default: 128]
    #[arg(long, value_name = "N")]
    designs: Option<usize>,
    /// What the designs are ranked by: auto, measured or posterior, see `seqtilt list rankings` [default: auto]
    #[arg(long, value_name = "NAME")]
    ranking: Option<String>,
    /// Optimiser steps of the prior, where one is trained [default: 4000]
    #[arg(long, value_name = "N")]
    prior_steps: Option<u64>,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    learner: Learner,
    #[command(flatten)]
    tuning: Tuning,
    #[command(flatten)]
    constraining: Constraining,
    #[command(flatten)]
    reading: Reading,
}

/// Price of a nat unless told otherwise.
const ALPHA: f64 = 0.02;

/// Everything that decides a search's result.
#[derive(Clone, Debug, Serialize)]
pub(in crate::cli) struct Plan {
    pub(super) oracle: String,
    #[serde(skip)]
    pub(super) asking: Asking,
    pub(super) start: Option<String>,
    pub(super) prior: Option<String>,
    pub(super) proposer: String,
    pub(super) surrogate: SurrogateConfig,
    /// What was asked for; a proposer has its own default.
    pub(super) acquisition: Option<Acquisition>,
    pub(super) rounds: campaign::Plan,
    pub(super) alpha: f64,
    pub(super) beta: f64,
    pub(super) reset: bool,
    pub(super) keep_known: bool,
    pub(super) selection: Selection,
    pub(super) min_distance: usize,
    pub(super) samples: usize,
    pub(super) designs: usize,
    pub(super) ranking: Ranking,
    pub(super) prior_steps: u64,
    pub(super) tuning: Tuning,
    pub(super) reading: Reading,
    /// What every proposal keeps.
    #[serde(skip_serializing_if = "Constraint::is_empty")]
    pub(super) constraint: Constraint,
}

impl Plan {
    /// What decides a proposal, without the names of files.
    pub(in crate::cli) fn method(&self) -> impl Serialize + '_ {
        let (learning, rounds) =
            ((&self.surrogate, self.climbed()), (&self.rounds, self.samples, self.reset, self.keep_known));
        (&self.proposer, learning, rounds, self.alpha, self.beta, self.selection, self.min_distance, &self.tuning)
    }

    /// The same with what learns and what is climbed.
    pub(in crate::cli) fn learning(self, surrogate: SurrogateConfig, acquisition: Acquisition) -> Self {
        Self { surrogate, acquisition: Some(acquisition), ..self }
    }

    /// What a tilted prior is tilted towards.
    pub(super) fn climbed(&self) -> Acquisition {
        self.acquisition.unwrap_or(Acquisition::Ucb { bonus: 1.0 })
    }

    /// The settings of a proposer that draws from no prior.
    pub(super) fn floor(&self) -> ProposerConfig {
        ProposerConfig { acquisition: self.acquisition, surrogate: self.surrogate.clone(), ..ProposerConfig::default() }
    }

    /// Whether the proposer draws from a prior.
    pub(in crate::cli) fn has_prior(&self) -> bool {
        SEARCHES.get(&self.proposer).is_ok()
    }

    /// Whether the proposer pays for departure from its prior.
    pub(in crate::cli) fn pays(&self) -> bool {
        SEARCHES.get(&self.proposer).is_ok_and(|entry| entry.make != Search::Prior)
    }

    /// Optimiser steps of all rounds, for a search that tunes a sampler in each.
    ///
    /// # Errors
    /// When the fine-tuning's settings are out of range.
    pub(in crate::cli) fn gradient_steps(&self, domain: &Domain) -> Result<Option<u64>> {
        let rounds = match SEARCHES.get(&self.proposer).map(|entry| entry.make) {
            Ok(Search::Adaptive) => self.rounds.rounds() as u64,
            Ok(Search::NonAdaptive) => 1,
            Ok(Search::Guided | Search::Prior) | Err(_) => return Ok(None),
        };
        let (letters, length) = (domain.alphabet.len(), domain.length);
        let plan = self.round_tuning(letters, length).plan(&PriorConfig::new(&domain.alphabet, length))?;
        Ok(Some(rounds * plan.finetune.steps))
    }

    /// Price of a nat of departure from the prior.
    pub(in crate::cli) fn alpha(&self) -> f64 {
        self.alpha
    }

    /// The fine-tuning of a round: what was given, and defaults that are small enough to be paid every round.
    pub(super) fn round_tuning(&self, letters: usize, length: usize) -> Tuning {
        let mut tuning = self.tuning.clone();
        tuning.alpha = Some(self.alpha + self.beta);
        let table = enumerable(letters, length) && tuning.control.is_none() && tuning.initial_law.initial.is_none();
        if table {
            tuning.control = Some("word-table".to_owned());
        }
        let steps = if tuning.control.as_deref() == Some("word-table") { 8 } else { 200 };
        tuning.tuning_steps.get_or_insert(steps);
        tuning.paths.get_or_insert(128);
        tuning.tuning_checkpoint.get_or_insert(4);
        tuning.certificate_paths.get_or_insert(4_000);
        tuning.base_paths.get_or_insert(50_000);
        tuning
    }
}

/// What a protocol decides for every method.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Protocol {
    pub(in crate::cli) oracle: String,
    pub(in crate::cli) start: String,
    /// Prior of methods that draw from one and name none.
    pub(in crate::cli) prior: Option<String>,
    /// Labels of every round.
    pub(in crate::cli) batches: Vec<usize>,
    pub(in crate::cli) reading: Reading,
}

impl Args {
    /// These settings of a method under a protocol; an `alpha` replaces that of methods that pay one.
    pub(in crate::cli) fn under(self, protocol: &Protocol, alpha: Option<f64>) -> Self {
        let protocol = protocol.clone();
        let draws = self.draws();
        let mut args = Self {
            oracle: Some(protocol.oracle),
            start: Some(protocol.start),
            batches: protocol.batches,
            reading: protocol.reading,
            ..self
        };
        if draws {
            args.prior = args.prior.or(protocol.prior);
            args.tuning.alpha = alpha.or(args.tuning.alpha);
        }
        args
    }

    /// Rounds that label what a tilted sampler draws, for a reward to be learned from: a batch is a sample of the sampler's law, and
    /// what was labelled before is tilted towards like everything else.
    pub(in crate::cli) fn labelling(oracle: String, prior: String, batches: Vec<usize>, tuning: Tuning) -> Self {
        Self {
            samples: batches.iter().max().map(|most| 4 * most),
            keep_known: true,
            selection: Some("sampled".to_owned()),
            ..Self::drawing("tilted", oracle, prior, batches, tuning)
        }
    }

    /// The same with what learns, what is climbed, and how a batch is chosen from how many draws.
    pub(in crate::cli) fn choosing(self, learner: Learner, acquisition: &str, samples: usize, distance: usize) -> Self {
        let acquisition = Some(acquisition.to_owned());
        Self { learner, acquisition, samples: Some(samples), min_distance: Some(distance), ..self }
    }

    /// A search that draws from a prior, in batches.
    pub(in crate::cli) fn drawing(
        search: &str,
        oracle: String,
        prior: String,
        batches: Vec<usize>,
        tuning: Tuning,
    ) -> Self {
        Self { oracle: Some(oracle), prior: Some(prior), batches, tuning, ..Self::of(search) }
    }

    /// With a proposer and nothing else.
    pub(in crate::cli) fn of(proposer: &str) -> Self {
        Self { proposer: Some(proposer.to_owned()), ..Self::default() }
    }

    /// Whether the proposer draws from a prior.
    fn draws(&self) -> bool {
        self.proposer.as_ref().is_none_or(|name| SEARCHES.get(name).is_ok())
    }

    /// The folder of the results.
    ///
    /// # Errors
    /// When none was named.
    pub(super) fn out(&self) -> Result<PathBuf> {
        required("optimize", "out", self.out.clone())
    }

    /// Defaults filled in and checked.
    ///
    /// # Errors
    /// When a value is out of range, a name unknown, or a setting would not be read.
    pub(in crate::cli) fn plan(self) -> Result<Plan> {
        let oracle = required("optimize", "oracle", self.oracle)?;
        let proposer = self.proposer.unwrap_or_else(|| "tilted".to_owned());
        let own = SEARCHES.get(&proposer).is_ok();
        if !own && PROPOSERS.get(&proposer).is_err() {
            let names = SEARCHES.entries().iter().map(|entry| entry.name);
            return Err(unknown("proposer", &proposer, names.chain(PROPOSERS.entries().iter().map(|e| e.name))));
        }
        if !own {
            let given = [
                ("prior", self.prior.is_some()),
                ("surrogate", self.surrogate.is_some() && ["random", "genetic", "gp-ucb"].contains(&proposer.as_str())),
                ("acquisition", self.acquisition.is_some() && ["random", "genetic"].contains(&proposer.as_str())),
                ("beta", self.beta.is_some()),
                ("selection", self.selection.is_some()),
                ("samples", self.samples.is_some()),
                ("alpha", self.tuning.alpha.is_some()),
                ("objective", self.tuning.objective.is_some()),
            ];
            if let Some((key, _)) = given.into_iter().find(|(_, given)| *given) {
                let message = format!("`{key}` is not read by proposer `{proposer}`");
                return Err(Error::usage(message).hint("leave it out, or propose with `tilted`"));
            }
        }
        let surrogate = self.learner.config(self.surrogate.as_deref())?;
        let even = campaign::Plan::even(
            within("rounds", self.rounds.unwrap_or(10), 1..=10_000)?,
            within("batch", self.batch.unwrap_or(128), 1..=10_000_000)?,
        );
        let given = !self.batches.is_empty();
        if given && (self.rounds.is_some() || self.batch.is_some()) {
            return Err(Error::usage("`batches` already says how many rounds there are, and of how many labels")
                .hint("leave out --rounds and --batch"));
        }
        let rounds = campaign::Plan {
            batches: if given { self.batches } else { even.batches },
            budget: self.max_evals,
            target: self.target,
            retry: self.retry_failed,
            chunk: within("chunk", self.chunk.unwrap_or(16), 1..=1_000_000)?,
        };
        rounds.check()?;
        let alpha = self.tuning.alpha.unwrap_or(ALPHA);
        let beta = within("beta", self.beta.unwrap_or(0.0), 0.0..=1e6)?;
        // released SEIKO pays for the last round alone
        if !((alpha > 0.0 || alpha == 0.0 && beta > 0.0) && alpha <= 1e6) {
            return Err(Error::usage(format!(
                "`alpha` is {alpha}; above 0 to 1000000 is accepted, or 0 with a `beta`"
            )));
        }
        let constraint = if self.constraining == Constraining::default() {
            Constraint::default()
        } else {
            let wild_type = self.reading.wild_type.as_deref().map(wild_type).transpose()?;
            self.constraining.rules(wild_type, None, self.reading.first_position)?
        };
        Ok(Plan {
            oracle,
            asking: self.asking,
            constraint,
            start: self.start,
            prior: self.prior,
            proposer,
            surrogate,
            acquisition: self.acquisition.map(|text| text.parse()).transpose()?,
            rounds,
            alpha,
            reset: self.reset,
            keep_known: self.keep_known,
            beta,
            selection: match &self.selection {
                Some(name) => SELECTIONS.get(name)?.make,
                None => Selection::default(),
            },
            min_distance: within("min-distance", self.min_distance.unwrap_or(2), 0..=10_000)?,
            samples: within("samples", self.samples.unwrap_or(4000), 1..=10_000_000)?,
            designs: within("designs", self.designs.unwrap_or(128), 1..=1_000_000)?,
            ranking: match &self.ranking {
                Some(name) => RANKINGS.get(name)?.make,
                None => Ranking::default(),
            },
            prior_steps: within("prior-steps", self.prior_steps.unwrap_or(4000), 1..=100_000_000)?,
            tuning: self.tuning,
            reading: self.reading,
        })
    }
}
