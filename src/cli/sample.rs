//! `seqtilt sample`

mod energy;

use super::check::within;
use super::constraining::{Constraining, Origin, open_constrained, verify};
use super::context::Context;
use super::printer;
use super::tilted::Sampler;
use crate::diffusion::{Chain, Decode, Grid, SampleConfig, SolverKind, sample};
use crate::diffusion::{few_steps, open_consistency};
use crate::error::{Error, Result};
use crate::finetune::roll_out;
use crate::sequence::{Alphabet, Sequence};
use crate::store::write_atomic;
use candle_core::Tensor;
use energy::{Asked, EnergyArgs};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  seqtilt sample --prior tfbind8-prior --count 1000 > samples.fasta
  seqtilt sample --control tilted --count 5000 --out designs.csv
                                    from a fine-tuned sampler, with each path's log-ratio
  seqtilt sample --control tilted --count 5000 --eta 0 --out flow.csv
                                    the same tilt by the probability-flow ODE
  seqtilt sample --prior prior --eta 0 --solver heun --steps 20
                                    the probability-flow ODE, second order
  seqtilt sample --consistency fast --steps 2
                                    two calls of a distilled model
  seqtilt sample --energy potts:model.csv --temperature 0.5 --count 1000 --out drawn
                                    a density given by its score, without data
  seqtilt sample --energy pwm:motif.meme --length 20 --out sites";

/// Calls of a consistency model at most: more would not make it better than the walk.
const MOST_CALLS: usize = 16;

/// Draw sequences from a prior, a fine-tuned sampler, or an unnormalised density
#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Args {
    /// Prior: a folder, or a built-in one by name
    #[arg(long, value_name = "NAME|FOLDER", conflicts_with = "control")]
    prior: Option<String>,
    /// Consistency model that `distil` wrote, or a built-in one by name: sequences in one to a few calls
    #[arg(long, value_name = "NAME|FOLDER", conflicts_with = "control")]
    consistency: Option<String>,
    /// Folder that `finetune` wrote
    #[arg(long, value_name = "FOLDER")]
    control: Option<PathBuf>,
    /// Sequences to draw [default: 100; 1000 with --energy]
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// File to write, .csv or .fasta [default: FASTA on standard output]; with --energy the folder of its run, where the same command
    /// goes on after an interruption
    #[arg(long, value_name = "FILE|FOLDER")]
    out: Option<PathBuf>,
    /// Share of noise: 1 the reverse SDE, 0 the probability-flow ODE; with --control up to 2, without log-ratios, for controls that
    /// were trained at 1 from the frozen start [default: 1; with --control the chain's own]
    #[arg(long, value_name = "ETA", allow_negative_numbers = true)]
    eta: Option<f64>,
    /// Steps; calls of a consistency model [default: the prior's; 1 with --consistency]
    #[arg(long, value_name = "K")]
    steps: Option<usize>,
    /// Solver: ancestral, euler or heun; priors only [default: the prior's]
    #[arg(long, value_name = "NAME")]
    solver: Option<String>,
    /// Spread of the steps: time, log-snr or information; priors only [default: the prior's]
    #[arg(long, value_name = "NAME")]
    grid: Option<String>,
    /// How letters are read off: hard or draw [default: hard]
    #[arg(long, value_name = "NAME")]
    decode: Option<String>,
    #[command(flatten)]
    #[serde(skip_serializing_if = "EnergyArgs::is_empty")]
    density: EnergyArgs,
    #[command(flatten)]
    constraining: Constraining,
    #[command(flatten)]
    origin: Origin,
}

/// One drawn sequence.
#[derive(Serialize)]
struct Drawn {
    id: String,
    sequence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_ratio: Option<f64>,
}

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let args = context.settings(&["sample"], args)?;
    let ruled = args.constraining != Constraining::default() || args.origin != Origin::default();
    if ruled && (!args.density.is_empty() || args.control.is_some() || args.consistency.is_some()) {
        return Err(Error::usage("constraints are for `--prior`: a fine-tuned sampler keeps those it was tuned under")
            .hint("give them to `seqtilt finetune`, or leave them out here"));
    }
    if !args.density.is_empty() {
        return density(&args, context);
    }
    let count = within("count", args.count.unwrap_or(100), 1..=100_000_000)?;
    let pool = context.pool()?;
    let seed = context.seed().child("sample");
    let decode = match args.decode.as_deref() {
        None | Some("hard") => Decode::Hard,
        Some("draw") => Decode::Draw,
        Some(name) => return Err(Error::usage(format!("unknown decode `{name}`; accepted: `hard`, `draw`"))),
    };
    let (alphabet, drawn) = match (&args.prior, &args.control) {
        (prior, None) if let Some(name) = &args.consistency => {
            if args.eta.is_some() || args.solver.is_some() || args.grid.is_some() {
                return Err(Error::usage(
                    "`--eta`, `--solver` and `--grid` are for walks; a consistency model takes none",
                )
                .hint("leave them out; --steps is the number of its calls"));
            }
            let steps = within("steps", args.steps.unwrap_or(1), 1..=MOST_CALLS)?;
            let (f, _, _) = open_consistency(name, prior.as_deref(), &context.device()?)?;
            let drawn = few_steps(&f, steps, count, decode, seed, &pool)?;
            (f.prior().alphabet().clone(), drawn.into_iter().map(|sequence| (sequence, None)).collect::<Vec<_>>())
        }
        (Some(name), None) => {
            let rules = args.origin.rules(&args.constraining)?;
            let (prior, _) = open_constrained(name, &rules, &context.device()?)?;
            let config = SampleConfig {
                steps: args.steps.map(|steps| within("steps", steps, 1..=100_000)).transpose()?,
                grid: args.grid.as_deref().map(Grid::named).transpose()?,
                solver: args.solver.as_deref().map(SolverKind::named).transpose()?,
                eta: args.eta,
                decode,
            };
            let drawn = sample(&prior, &config, count, seed, &pool)?;
            verify(&prior.config().constraint, &drawn, prior.alphabet())?;
            (prior.alphabet().clone(), drawn.into_iter().map(|sequence| (sequence, None)).collect::<Vec<_>>())
        }
        (None, Some(folder)) => {
            if args.steps.is_some() || args.solver.is_some() || args.grid.is_some() {
                let message = "a fine-tuned sampler runs on the steps that it was trained on; `--steps`, `--solver` and \
                               `--grid` are for priors";
                return Err(Error::usage(message).hint("leave them out, or run `seqtilt finetune` with --chain-steps"));
            }
            let sampler = Sampler::open(folder, &context.device()?)?;
            let chain = &sampler.chain;
            let logits = |x: &Tensor| -> Result<Vec<Tensor>> {
                let logits = chain.read(chain.steps(), x)?;
                Ok((0..logits.dim(0)?).map(|row| logits.get(row)).collect::<candle_core::Result<_>>()?)
            };
            let tuned = sampler.tuned()?;
            let other = args.eta.filter(|eta| eta.to_bits() != chain.eta().to_bits());
            let other = other.map(|eta| tuned.renoised(eta)).transpose()?;
            let (walked, control) = other.as_ref().map_or_else(|| tuned.walk(), |other| (other as &dyn Chain, None));
            let paths = roll_out(walked, control, count, seed, &pool, logits)?;
            let ends = decode.read(&Tensor::stack(&paths.ends, 0)?, chain.prior(), &mut seed.child("decode").rng())?;
            // against the chain that was trained on there is no ratio at another noise
            let ratios = paths.log_ratio.into_iter().map(|ratio| other.is_none().then_some(ratio));
            let rows = ends.into_iter().zip(ratios).collect();
            (chain.prior().alphabet().clone(), rows)
        }
        _ => {
            return Err(Error::usage("`sample` needs `--prior`, `--consistency`, `--control` or `--energy`")
                .hint("for example: seqtilt sample --prior tfbind8-prior --count 10"));
        }
    };
    write(&args, drawn, &alphabet, context)
}

/// From an energy: there is no prior, and the chain is the one that is trained.
fn density(args: &Args, context: &Context) -> Result<()> {
    let unread = [
        ("prior", args.prior.is_some()),
        ("consistency", args.consistency.is_some()),
        ("control", args.control.is_some()),
        ("eta", args.eta.is_some()),
        ("solver", args.solver.is_some()),
        ("grid", args.grid.is_some()),
        ("decode", args.decode.is_some()),
    ];
    if let Some((key, _)) = unread.iter().find(|(_, given)| *given) {
        let error = Error::usage(format!("`{key}` is not read with `--energy` and its settings"));
        return Err(error.hint("leave one of them out"));
    }
    let count = within("count", args.count.unwrap_or(1000), 2..=100_000_000)?;
    energy::run(&args.density, &Asked { count, out: args.out.as_deref(), steps: args.steps }, context)
}

fn write(args: &Args, drawn: Vec<(Sequence, Option<f64>)>, alphabet: &Alphabet, context: &Context) -> Result<()> {
    let rows: Vec<Drawn> = (1..)
        .zip(drawn)
        .map(|(n, (sequence, log_ratio))| Drawn { id: format!("s{n}"), sequence: sequence.text(alphabet), log_ratio })
        .collect();
    let csv = args.out.as_ref().and_then(|out| out.extension()).is_some_and(|kind| kind.eq_ignore_ascii_case("csv"));
    let mut text = String::new();
    if csv {
        text.push_str("id,sequence,log_ratio\n");
    }
    for row in &rows {
        let ratio = row.log_ratio.map_or_else(String::new, |ratio| format!("{ratio:.6}"));
        let _ = match (csv, row.log_ratio) {
            (true, _) => writeln!(text, "{},{},{ratio}", row.id, row.sequence),
            (false, Some(_)) => writeln!(text, ">{} log_ratio={ratio}\n{}", row.id, row.sequence),
            (false, None) => writeln!(text, ">{}\n{}", row.id, row.sequence),
        };
    }
    match &args.out {
        None if context.json => printer::json(&rows),
        None => printer::bytes(text.as_bytes()),
        Some(out) => {
            write_atomic(out, text.as_bytes())?;
            context.note(format!("wrote {} sequences to `{}`", rows.len(), out.display()));
            if context.json { printer::json(&rows) } else { Ok(()) }
        }
    }
}
