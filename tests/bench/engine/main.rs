//! Our side of the comparison with PyTorch: `cargo bench --bench engine`.
//!
//! Prints one JSON line for each case of `tests/bench/cases.json`. A case runs in a process of its own, so that its peak
//! memory is its own. `tests/bench/README.md` says what the figures mean.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the lines are what it is for")]

mod bytes;
mod case;
mod measure;
mod parity;
mod peak;
mod rollout;
mod sampling;
mod tiny;
mod train;

use case::{Case, Kind, cases, named};
use measure::{Memory, measure};
use seqtilt::nn::Pool;
use seqtilt::{Error, Result};
use serde_json::json;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "\
engine [--only PART] [--threads N] [--seconds S] [--shards N]
                         every case whose name has PART, each in a process of its own
engine case NAME [...]   one case in this process
engine peak [...]        fused multiply-adds that the processor can do
engine bytes             hashes of trained weights on 1, 2 and 4 threads
engine parity FOLDER     writes a small network with its gradients, for step.py --check
engine tiny              a small fixed amount of work on one thread, for counting instructions";

struct Options {
    command: Option<(String, Option<String>)>,
    only: String,
    threads: usize,
    seconds: f64,
    shards: usize,
}

impl Options {
    fn read() -> Result<Self> {
        let mut options = Self { command: None, only: String::new(), threads: 4, seconds: 5.0, shards: 4 };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| Error::usage(format!("`{word}` wants a value")));
            match word.as_str() {
                // what cargo adds
                "--bench" => {}
                "--only" => options.only = value()?,
                "--threads" => options.threads = number(&value()?)?,
                "--seconds" => options.seconds = number(&value()?)?,
                "--shards" => options.shards = number(&value()?)?,
                "case" | "parity" => options.command = Some((word.clone(), Some(value()?))),
                "peak" | "bytes" | "tiny" => options.command = Some((word, None)),
                _ => return Err(Error::usage(format!("unknown argument `{word}`\n{USAGE}"))),
            }
        }
        Ok(options)
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::usage(format!("`{text}` is not a number that fits")))
}

fn main() -> ExitCode {
    one_thread_per_shard();
    match Options::read().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// As the `seqtilt` command does: threads are those of [`Pool`] alone.
#[allow(unsafe_code, reason = "set_var is unsound beside other threads; this is the first statement of main")]
fn one_thread_per_shard() {
    for pool in ["CANDLE_NUM_THREADS", "RAYON_NUM_THREADS"] {
        // SAFETY: no other thread was started yet
        unsafe { std::env::set_var(pool, "1") };
    }
}

fn run(options: &Options) -> Result<()> {
    match &options.command {
        None => every(options),
        Some((command, Some(name))) if command == "case" => one(&named(name)?, options),
        Some((command, Some(folder))) if command == "parity" => parity::write(&PathBuf::from(folder)),
        Some((command, _)) if command == "peak" => peak::print(options.threads, options.seconds),
        Some((command, _)) if command == "bytes" => bytes::print(options.shards),
        Some(_) => tiny::run(),
    }
}

fn every(options: &Options) -> Result<()> {
    let program = std::env::current_exe().map_err(|error| Error::io("find", "engine", error))?;
    for case in cases()?.into_iter().filter(|case| case.name.contains(&options.only)) {
        let status = Command::new(&program)
            .args(["case", &case.name])
            .args(["--threads", &options.threads.to_string()])
            .args(["--seconds", &options.seconds.to_string()])
            .args(["--shards", &options.shards.to_string()])
            .status()
            .map_err(|error| Error::io("run", &program, error))?;
        if !status.success() {
            return Err(Error::device(format!("case `{}` failed: {status}", case.name)));
        }
    }
    Ok(())
}

fn one(case: &Case, options: &Options) -> Result<()> {
    let pool = Pool::new(options.threads)?;
    let start = Memory::now();
    let measured = match case.kind {
        Kind::Train => {
            let mut train = train::Train::new(case, options.shards, &pool)?;
            measure(options.seconds, || train.step())?
        }
        Kind::Rollout => {
            let mut rollout = rollout::Descent::new(case, options.shards, &pool)?;
            measure(options.seconds, || rollout.step())?
        }
        Kind::Sample => {
            let prior = sampling::prior(case)?;
            measure(options.seconds, || sampling::draw(case, &prior, &pool))?
        }
    };
    println!(
        "{}",
        json!({
            "side": "seqtilt",
            "case": case.name,
            "threads": options.threads,
            "best_ms": measured.best_ms,
            "median_ms": measured.median_ms,
            "repeats": measured.repeats,
            "start_mb": start.resident_mb,
            "peak_mb": Memory::now().peak_mb,
        })
    );
    Ok(())
}
