//! How good a consistency model is: figures, and its card.

use crate::cli::printer::columns;
use crate::diffusion::{
    Consistency, Decode, DistilConfig, Fidelity, Missed, PriorConfig, SampleConfig, elbo, few_steps, fidelity, sample,
};
use crate::error::{Error, Result};
use crate::eval::spectrum::Spectrum;
use crate::nn::Pool;
use crate::random::Seed;
use crate::sequence::Sequence;
use crate::store::RunInfo;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Write as _};
use std::path::Path;

pub(super) const FILE: &str = "fidelity.json";

/// What the card calls the share of letters that f guesses as the ODE ends, and the total variation.
pub(super) const AGREEMENT: &str = "letters that agree";
pub(super) const VARIATION: &str = "total variation";

/// Noise levels from the walk's start to the decode.
const LEVELS: usize = 9;
/// Sequences drawn in a few calls for each state of a level; the bound is taken of one of them.
const DRAWN: usize = 4;
/// Noise levels per sequence behind the bound.
const DRAWS: usize = 16;

/// Sequences drawn in so many steps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Few {
    /// Steps; 0 stands for a second set of the prior's own samples.
    pub(super) steps: usize,
    /// Total variation of 3-mer spectra to the prior's own samples.
    pub(super) spectrum: f64,
    /// The prior's bound, nats per token, and its standard error.
    pub(super) bound: [f64; 2],
}

/// What `fidelity.json` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Figures {
    states: usize,
    pub(super) levels: Vec<Fidelity>,
    pub(super) few: Vec<Few>,
}

impl Figures {
    pub(super) fn measure(f: &Consistency, states: usize, seed: Seed, pool: &Pool) -> Result<Self> {
        let levels = levels(f, states, seed, pool)?;
        let own = |name| sample(f.prior(), &SampleConfig::default(), DRAWN * states, seed.child(name), pool);
        let spectrum = Spectrum::new(&own("own")?, 3);
        let few = |steps: usize, drawn: &[Sequence]| -> Result<Few> {
            let bound = elbo(f.prior(), &drawn[..states], DRAWS, seed.child("elbo"), pool)?;
            Ok(Few {
                steps,
                spectrum: Spectrum::new(drawn, 3).total_variation(&spectrum),
                bound: [bound.nats_per_token, bound.standard_error],
            })
        };
        let mut rows = vec![few(0, &own("own again")?)?];
        for steps in 1..=4 {
            let drawn = few_steps(f, steps, DRAWN * states, Decode::Hard, seed.child("few").index(steps as u64), pool)?;
            rows.push(few(steps, &drawn)?);
        }
        Ok(Self { states, levels, few: rows })
    }

    /// Means over all levels below the decode, where f and the belief are the same.
    pub(super) fn means(&self, pick: impl Fn(&Fidelity) -> Missed) -> Missed {
        means(&self.levels, pick)
    }

    pub(super) fn json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|error| Error::data("the figures cannot be written").because(error))
    }

    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        Self::parse(&std::fs::read(&path).map_err(|error| Error::io("read", &path, error))?, &path)
    }

    /// Figures that were read from `path`.
    pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| Error::integrity("not fidelity figures").at(path).because(error))
    }

    pub(super) fn card(&self, prior: &str, info: &RunInfo, shape: &PriorConfig, training: &DistilConfig) -> String {
        let mut card = format!("# A consistency model over {} letters of {}\n\n", shape.length, shape.alphabet);
        let _ = writeln!(card, "Distilled from `{prior}` by `seqtilt distil`, seed {}.\n", info.seed);
        let _ = writeln!(card, "```text\n{}\n```\n", crate::cli::printer::command_line());
        for (what, version) in &info.versions {
            let _ = writeln!(card, "- {what}: `{version}`");
        }
        let _ = writeln!(
            card,
            "- steps {}, batch {}, peak learning rate {}, averaging {}; target {} of {} steps of the ODE ahead; {} % of \
             the states with letters drawn anew",
            training.steps,
            training.batch,
            training.learning_rate,
            training.ema,
            training.skip,
            training.ode_steps,
            100.0 * training.astray
        );
        let _ = writeln!(card, "\n## Figures\n\n```text\n{self}```\n");
        let _ = writeln!(
            card,
            "## Limits\n\nIt follows the ODE of that very prior, and is refused around another. The ODE ends in nearly \
            one letter per position, which the figures measure; the prior's belief answers another question, the average \
            over all ends of the noisy walk. Figures are on states of the prior's own law.\n"
        );
        card
    }

    /// Everything as rows of text.
    fn tables(&self) -> [Vec<Vec<String>>; 3] {
        let (f, belief) = (self.means(|level| level.consistency), self.means(|level| level.tweedie));
        let both = |f: f64, belief: f64| format!("{f:.4} by f, {belief:.4} by the prior's belief");
        let short = vec![
            vec![AGREEMENT.to_owned(), both(f.agreement[0], belief.agreement[0])],
            vec![VARIATION.to_owned(), both(f.variation[0], belief.variation[0])],
            vec!["cross-entropy".to_owned(), format!("{}, nats per token", both(f.nats[0], belief.nats[0]))],
        ];
        let mut levels = vec![
            ["log SNR", "agree: f", "belief", "variation: f", "belief", "cross-entropy: f", "belief"]
                .map(str::to_owned)
                .to_vec(),
        ];
        let cell = |[mean, se]: [f64; 2]| format!("{mean:.4} ± {se:.4}");
        levels.extend(self.levels.iter().map(|level| {
            let (f, belief) = (level.consistency, level.tweedie);
            let cells = [f.agreement, belief.agreement, f.variation, belief.variation, f.nats, belief.nats].map(cell);
            [vec![format!("{:.2}", level.log_snr)], cells.to_vec()].concat()
        }));
        let mut few =
            vec![["drawn in", "3-mer distance", "bound under the prior, nats per token"].map(str::to_owned).to_vec()];
        few.extend(self.few.iter().map(|few| {
            let name = match few.steps {
                0 => "the prior's steps".to_owned(),
                1 => "1 call".to_owned(),
                n => format!("{n} calls"),
            };
            vec![name, format!("{:.4}", few.spectrum), cell(few.bound)]
        }));
        [short, levels, few]
    }
}

/// The errors by noise level; `seed` is that of all figures.
pub(super) fn levels(f: &Consistency, states: usize, seed: Seed, pool: &Pool) -> Result<Vec<Fidelity>> {
    fidelity(f, LEVELS, states, seed.child("fidelity"), pool)
}

/// Means over all levels but the decode.
pub(super) fn means(levels: &[Fidelity], pick: impl Fn(&Fidelity) -> Missed) -> Missed {
    let levels = &levels[..levels.len().saturating_sub(1)];
    let n = levels.len().max(1) as f64;
    let mean = |of: fn(Missed) -> [f64; 2]| {
        let (mut sum, mut squares) = (0.0, 0.0);
        for [mean, se] in levels.iter().map(|level| of(pick(level))) {
            sum += mean / n;
            squares += (se / n).powi(2);
        }
        [sum, squares.sqrt()]
    };
    Missed { nats: mean(|m| m.nats), variation: mean(|m| m.variation), agreement: mean(|m| m.agreement) }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [short, levels, few] = self.tables();
        writeln!(f, "{}", columns(&short, "").trim_end())?;
        writeln!(f, "\nagainst 64 deterministic steps from the same state, {} states a level\n", self.states)?;
        write!(f, "{}", columns(&levels, ""))?;
        writeln!(f, "\n{} sequences against as many of the prior's own\n", DRAWN * self.states)?;
        write!(f, "{}", columns(&few, ""))
    }
}
