//! `seqtilt oracle bench`

use crate::cli::asking::Asking;
use crate::cli::check::within;
use crate::cli::context::Context;
use crate::cli::printer::columns;
use crate::error::{Error, Result};
use crate::oracle::{Oracle, OracleName};
use crate::random::Rng;
use crate::sequence::Sequence;
use serde::Serialize;
use std::fmt;
use std::time::Instant;

const EXAMPLES: &str = "\
Examples:
  seqtilt oracle bench \"cmd:python3 score.py\" --length 237
  seqtilt oracle bench \"cmd:workers=4:python3 score.py\"
  seqtilt oracle bench model:reward --json";

/// Sizes of batches that are tried.
const SIZES: [usize; 8] = [1, 4, 16, 64, 256, 1024, 4096, 16_384];

/// Time for each size.
const SECONDS: f64 = 0.5;

/// A slow oracle is asked for no more than this many times the time.
const PATIENCE: f64 = 4.0;

/// Batches of each size, at least.
const REPEATS: usize = 3;

/// Measure an oracle: start-up, round trip, best batch size, sequences a second
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// Its name, such as cmd:COMMAND or model:DIR; `seqtilt oracle list` shows the kinds
    #[arg(value_name = "KIND:ARGUMENT")]
    oracle: String,
    /// Letters of the random sequences [default: the fewest that it takes, but at least 8]
    #[arg(long, value_name = "N")]
    length: Option<usize>,
    /// Time for each batch size [default: 0.5]
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// Ask for at most so many sequences: larger batches are not tried once they are spent [default: as many as there is time for]
    #[arg(long, value_name = "N")]
    max_evals: Option<usize>,
    #[command(flatten)]
    asking: Asking,
}

#[derive(Serialize)]
struct Batch {
    size: usize,
    /// Median time of a batch.
    milliseconds: f64,
    sequences_per_second: f64,
}

#[derive(Serialize)]
struct Figures {
    oracle: String,
    length: usize,
    startup_seconds: f64,
    round_trip_milliseconds: f64,
    best_batch: usize,
    sequences_per_second: f64,
    batches: Vec<Batch>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: random sequences of {} letters", self.oracle, self.length)?;
        writeln!(f, "start-up    {:.3} s", self.startup_seconds)?;
        writeln!(f, "round trip  {:.3} ms", self.round_trip_milliseconds)?;
        writeln!(f, "best batch  {}, {:.0} sequences a second", self.best_batch, self.sequences_per_second)?;
        let row = |batch: &Batch| {
            let (time, rate) =
                (format!("{:.3} ms", batch.milliseconds), format!("{:.0}/s", batch.sequences_per_second));
            [format!("batch of {}", batch.size), time, rate]
        };
        let rows: Vec<_> = self.batches.iter().map(row).collect();
        f.write_str(&columns(&rows, "  "))
    }
}

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    let name: OracleName = args.oracle.parse()?;
    let seconds = args.seconds.unwrap_or(SECONDS);
    if !(seconds > 0.0 && seconds <= 600.0) {
        return Err(Error::usage(format!("`seconds` is {seconds}; more than 0 and at most 600 is accepted")));
    }
    let options = args.asking.options(context)?;
    let started = Instant::now();
    let mut oracle = name.open(&options)?;
    let startup = started.elapsed().as_secs_f64();
    let (least, most) = oracle.info().length;
    let length = args.length.unwrap_or_else(|| least.max(8.min(most)));
    if !(least..=most).contains(&length) {
        let takes = oracle.info().lengths();
        return Err(Error::usage(format!("`length` is {length}; oracle `{name}` takes {takes} letters")));
    }
    let mut rng = context.seed().child("bench").rng();
    let mut batches = Vec::new();
    let mut left = within("max-evals", args.max_evals.unwrap_or(usize::MAX), 1..=usize::MAX)?;
    for size in SIZES {
        if size > left {
            context.note(format!("batches of {size} and more are not tried: {left} of --max-evals are left"));
            break;
        }
        let batch = time(oracle.as_mut(), size, length, seconds, &mut left, &mut rng)?;
        let slow = batch.milliseconds > PATIENCE * 1e3 * seconds;
        batches.push(batch);
        // where a batch takes that long, a larger one says nothing new
        if slow {
            break;
        }
    }
    let best = batches.iter().max_by(|a, b| a.sequences_per_second.total_cmp(&b.sequences_per_second));
    let figures = Figures {
        oracle: name.to_string(),
        length,
        startup_seconds: startup,
        round_trip_milliseconds: batches[0].milliseconds,
        best_batch: best.map_or(1, |batch| batch.size),
        sequences_per_second: best.map_or(0.0, |batch| batch.sequences_per_second),
        batches,
    };
    context.emit(&figures)
}

/// The median time of a batch of fresh random sequences; drawing them is not counted. No more than what is left is asked for.
fn time(
    oracle: &mut dyn Oracle,
    size: usize,
    length: usize,
    seconds: f64,
    left: &mut usize,
    rng: &mut Rng,
) -> Result<Batch> {
    let alphabet = oracle.info().alphabet.clone();
    let (mut times, mut spent) = (Vec::new(), 0.0);
    while size <= *left && (times.len() < REPEATS || spent < seconds) {
        *left -= size;
        let mut word = || {
            let ids: Vec<u8> = (0..length).map(|_| rng.below(alphabet.len()) as u8).collect();
            Sequence::from_ids(ids, &alphabet)
        };
        let batch = (0..size).map(|_| word()).collect::<Result<Vec<_>>>()?;
        let asked = Instant::now();
        oracle.evaluate(&batch)?;
        let took = asked.elapsed().as_secs_f64();
        spent += took;
        times.push(took);
        if spent > PATIENCE * seconds {
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    Ok(Batch { size, milliseconds: 1e3 * median, sequences_per_second: size as f64 / median })
}
