//! Arguments of `steer`, and what they amount to.

use crate::cli::asking::Asking;
use crate::cli::check::{positive, required, within};
use crate::cli::constraining::{Constraining, Origin};
use crate::cli::tilted::ChainConfig;
use crate::diffusion::{Grid, PriorConfig, SolverKind};
use crate::error::{Error, Result};
use crate::inference::{BestOfN, GUIDES, Guide, Guided, OUTLOOKS, Outlook, Smc, Steering, SteeringKind, Svdd};
use crate::oracle::OracleName;
use crate::reward::Needs;
use crate::sequence::Constraint;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  seqtilt steer --prior tfbind8-prior --reward model:tfbind8-reward --count 1000 --out designs.csv
  seqtilt steer --prior tfbind8-prior-full --reward table:tfbind8 --method guidance --count 5000
                                    a complete table: drift by its exact soft value, certified
  seqtilt steer --prior prior --reward table:assay.csv --missing 0 --method svdd --candidates 10
                                    an oracle without gradient; gaps in the table count as 0
  seqtilt steer --prior prior --reward model:reward --method best-of-n --candidates 64 --greedy

Nothing is trained: the prior's own sampler is steered towards p(x) exp(r(x)/alpha). Rows carry \
weights that add up to 1 and make them an exact sample of that law as their number grows (those of \
--greedy do not). log Z is that of the chain as it runs, unbiased in Z. `seqtilt list steerings` \
shows the methods.";

/// Steer a prior towards a reward while it samples, without training
#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::cli) struct Args {
    /// Prior: a folder, or a built-in one by name
    #[arg(long, value_name = "NAME|FOLDER")]
    prior: Option<String>,
    /// Reward, as KIND:ARGUMENT (see `seqtilt oracle list`)
    #[arg(long, value_name = "ORACLE")]
    reward: Option<String>,
    /// Method: best-of-n, svdd, smc or guidance [default: smc]
    #[arg(long, value_name = "NAME")]
    method: Option<String>,
    /// Price of a nat, in reward units [default: 0.1]
    #[arg(long, value_name = "ALPHA", allow_negative_numbers = true)]
    alpha: Option<f64>,
    /// Sequences to draw; smc rounds up to whole islands [default: 100]
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// File to write, .csv or .fasta [default: FASTA on standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Candidates: prior samples per sequence of best-of-n, or candidates per block of svdd [default: 16 and 8]
    #[arg(long, value_name = "N")]
    candidates: Option<usize>,
    /// Keep the best candidate instead of choosing by exp(r/alpha); best-of-n only
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    greedy: bool,
    /// Particles of an island that are resampled together; smc only [default: an eighth of --count, 4 to 256]
    #[arg(long, value_name = "N")]
    particles: Option<usize>,
    /// Walk particles by guidance between weighings; smc only
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    guided: bool,
    /// What states on the way are valued by: soft, relaxed or decoded; smc and svdd only [default: the first that the reward has]
    #[arg(long, value_name = "NAME")]
    outlook: Option<String>,
    /// What the drift is the slope of: soft or mean; guidance and --guided only [default: soft where the reward has it]
    #[arg(long, value_name = "NAME")]
    guide: Option<String>,
    /// Factor of the drift; guidance and --guided only [default: 1]
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    scale: Option<f64>,
    /// Reward of sequences that the oracle has no value for [default: stop]
    #[arg(long, value_name = "REWARD", allow_negative_numbers = true)]
    missing: Option<f64>,
    /// Steps of the chain, K [default: the prior's]
    #[arg(long, value_name = "K")]
    chain_steps: Option<usize>,
    /// Steps between two calls of the prior's network, and between two weighings [default: the prior's]
    #[arg(long, value_name = "N")]
    hold: Option<usize>,
    /// Spread of the steps: time, log-snr or information [default: the prior's]
    #[arg(long, value_name = "NAME")]
    grid: Option<String>,
    /// Paths of the base chain behind the certificate of guidance; 0 for none [default: 20000]
    #[arg(long, value_name = "N")]
    base_paths: Option<usize>,
    /// Evaluate at most so many sequences of an oracle without a gradient; once they are spent, what was drawn is written
    /// [default: as many as are drawn]
    #[arg(long, value_name = "N")]
    max_evals: Option<u64>,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    constraining: Constraining,
    #[command(flatten)]
    origin: Origin,
}

/// Everything that decides what is drawn.
pub(super) struct Plan {
    pub(super) kind: SteeringKind,
    pub(super) reward: OracleName,
    pub(super) alpha: f64,
    pub(super) count: usize,
    pub(super) candidates: usize,
    pub(super) greedy: bool,
    pub(super) particles: usize,
    pub(super) guided: Option<Guided>,
    pub(super) outlook: Option<Outlook>,
    pub(super) missing: Option<f64>,
    pub(super) chain: ChainConfig,
    pub(super) base_paths: usize,
    pub(super) max_evals: Option<u64>,
    pub(super) asking: Asking,
}

impl Args {
    /// The prior's name.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn prior(&self) -> Result<&str> {
        required("steer", "prior", self.prior.as_deref())
    }

    /// The rules that sequences keep.
    ///
    /// # Errors
    /// As [`Origin::rules`].
    pub(super) fn rules(&self) -> Result<Constraint> {
        self.origin.rules(&self.constraining)
    }

    /// The file to write.
    pub(super) fn out(&self) -> Option<&Path> {
        self.out.as_deref()
    }

    /// Refuses settings that the method does not read.
    fn refuse_idle(&self, kind: SteeringKind) -> Result<()> {
        use SteeringKind::{BestOfN, Guidance, Smc, Svdd};
        let guiding = kind == Guidance || (kind == Smc && self.guided);
        let given = [
            ("candidates", self.candidates.is_some(), matches!(kind, BestOfN | Svdd), "best-of-n and svdd"),
            ("greedy", self.greedy, kind == BestOfN, "best-of-n"),
            ("particles", self.particles.is_some(), kind == Smc, "smc"),
            ("guided", self.guided, kind == Smc, "smc"),
            ("outlook", self.outlook.is_some(), matches!(kind, Smc | Svdd), "smc and svdd"),
            ("guide", self.guide.is_some(), guiding, "guidance and --guided"),
            ("scale", self.scale.is_some(), guiding, "guidance and --guided"),
            ("base-paths", self.base_paths.is_some(), kind == Guidance, "guidance"),
        ];
        match given.into_iter().find(|(_, given, read, _)| *given && !read) {
            Some((key, _, _, who)) => {
                Err(Error::usage(format!("`--{key}` is for {who}")).hint("leave it out, or name another --method"))
            }
            None => Ok(()),
        }
    }

    /// Defaults, the prior's own, and what was given.
    ///
    /// # Errors
    /// When a value is out of range or for another method.
    pub(super) fn plan(&self, prior: &PriorConfig) -> Result<Plan> {
        let reward = required("steer", "reward", self.reward.as_deref())?.parse()?;
        let kind = self.method.as_deref().map_or(Ok(SteeringKind::default()), SteeringKind::named)?;
        self.refuse_idle(kind)?;
        let count = within("count", self.count.unwrap_or(100), 1..=100_000_000)?;
        let candidates = self.candidates.unwrap_or(if kind == SteeringKind::Svdd { 8 } else { 16 });
        let particles = self.particles.unwrap_or((count / 8).clamp(4, 256));
        let steps = within("chain-steps", self.chain_steps.unwrap_or(prior.steps), 1..=10_000)?;
        let fitting = (1..=prior.hold).rev().find(|hold| steps.is_multiple_of(*hold)).unwrap_or(1);
        let grid = self.grid.as_deref().map_or(Ok(prior.grid), Grid::named)?;
        let solver = if prior.solver == SolverKind::Heun { SolverKind::Ancestral } else { prior.solver };
        let guide = self.guide.as_deref().map(|name| GUIDES.get(name)).transpose()?.map(|entry| entry.make);
        let outlook = self.outlook.as_deref().map(|name| OUTLOOKS.get(name)).transpose()?.map(|entry| entry.make);
        let scale = self.scale.unwrap_or(1.0);
        let missing = self.missing.unwrap_or(0.0);
        for (key, value) in [("scale", scale), ("missing", missing)] {
            if !value.is_finite() {
                return Err(Error::usage(format!("`{key}` is {value}; a finite number is accepted")));
            }
        }
        let guiding = kind == SteeringKind::Guidance || self.guided;
        Ok(Plan {
            kind,
            reward,
            alpha: positive("alpha", self.alpha.unwrap_or(0.1))?,
            count,
            candidates: within("candidates", candidates, 1..=1 << 16)?,
            greedy: self.greedy,
            particles: within("particles", particles, 2..=1 << 20)?,
            guided: guiding.then_some(Guided { guide, scale }),
            outlook,
            missing: self.missing,
            chain: ChainConfig { steps, hold: self.hold.unwrap_or(fitting), grid, solver, eta: 1.0 },
            base_paths: within("base-paths", self.base_paths.unwrap_or(20_000), 0..=100_000_000)?,
            max_evals: self.max_evals,
            asking: self.asking.clone(),
        })
    }
}

impl Plan {
    /// The method.
    pub(super) fn method(&self) -> Box<dyn Steering> {
        match self.kind {
            SteeringKind::BestOfN => Box::new(BestOfN { candidates: self.candidates, greedy: self.greedy }),
            SteeringKind::Svdd => Box::new(Svdd { candidates: self.candidates }),
            SteeringKind::Smc => Box::new(Smc { particles: self.particles, proposal: self.guided.clone() }),
            SteeringKind::Guidance => Box::new(self.guided.clone().unwrap_or_default()),
        }
    }

    /// Whether there is no way around a gradient.
    pub(super) fn wants_gradient(&self) -> bool {
        self.method().needs() == Needs::Gradient || matches!(self.outlook, Some(Outlook::Soft | Outlook::Relaxed))
    }

    /// Whether a soft value would be used if there were one.
    pub(super) fn wants_soft(&self) -> bool {
        let guide = self.guided.as_ref().is_some_and(|guided| guided.guide != Some(Guide::Mean));
        let valued = matches!(self.kind, SteeringKind::Smc | SteeringKind::Svdd);
        guide || (valued && matches!(self.outlook, None | Some(Outlook::Soft)))
    }
}
