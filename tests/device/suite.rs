//! The same work on a device as on the CPU: `cargo bench --bench device -- --device cuda`, or `tests/device/run`.
//!
//! Prints a table of differences with a verdict for each row, then times; fails where a row does. `tests/device/README.md`
//! says what the columns mean.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the tables are what it is for")]

mod compare;
mod layers;
#[path = "../bench/engine/measure.rs"]
#[allow(dead_code, reason = "the other benchmark also measures memory")]
mod measure;
mod side;
mod steps;
mod times;

use candle_core::Device;
use compare::Row;
use seqtilt::nn::cuda;
use seqtilt::{Error, Result};
use std::path::PathBuf;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// candle's backward pass recurses over the graph.
const STACK: usize = 256 << 20;

const USAGE: &str = "\
device [--device cpu|cuda|cuda:N] [--only checks|times] [--seconds S] [--quick] [--out FILE]
  --quick   times of small batches only: shows that they work
  --out     appends times as JSON lines, for tests/device/table.py";

struct Options {
    device: String,
    checks: bool,
    times: bool,
    seconds: f64,
    quick: bool,
    out: Option<PathBuf>,
}

impl Options {
    fn read() -> Result<Self> {
        let mut options =
            Self { device: "cpu".to_owned(), checks: true, times: true, seconds: 3.0, quick: false, out: None };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| Error::usage(format!("`{word}` wants a value")));
            match word.as_str() {
                // what cargo adds
                "--bench" => {}
                "--device" => options.device = value()?,
                "--only" => {
                    let part = value()?;
                    (options.checks, options.times) = (part == "checks", part == "times");
                }
                "--seconds" => {
                    let text = value()?;
                    options.seconds = text.parse().map_err(|_| Error::usage(format!("`{text}` is not a number")))?;
                }
                "--quick" => options.quick = true,
                "--out" => options.out = Some(value()?.into()),
                _ => return Err(Error::usage(format!("unknown argument `{word}`\n{USAGE}"))),
            }
        }
        Ok(options)
    }

    fn device(&self) -> Result<Device> {
        let number = match self.device.as_str() {
            "cpu" => return Ok(Device::Cpu),
            "cuda" => 0,
            name => name
                .strip_prefix("cuda:")
                .and_then(|number| number.parse().ok())
                .ok_or_else(|| Error::usage(format!("unknown device `{name}`; accepted: `cpu`, `cuda`, `cuda:N`")))?,
        };
        cuda(number)
    }
}

fn main() -> ExitCode {
    one_thread_per_shard();
    let work =
        std::thread::Builder::new().stack_size(STACK).spawn(|| Options::read().and_then(|options| run(&options)));
    match work.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(true))) => ExitCode::SUCCESS,
        Ok(Ok(Err(error))) => {
            eprintln!("error: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                eprintln!("  because: {}", error.to_string().lines().next().unwrap_or_default());
                cause = error.source();
            }
            ExitCode::FAILURE
        }
        _ => ExitCode::FAILURE,
    }
}

/// As the `seqtilt` command does: threads are those of the pool alone.
#[allow(unsafe_code, reason = "set_var is unsound beside other threads; this is the first statement of main")]
fn one_thread_per_shard() {
    for pool in ["CANDLE_NUM_THREADS", "RAYON_NUM_THREADS"] {
        // SAFETY: no other thread was started yet
        unsafe { std::env::set_var(pool, "1") };
    }
}

fn run(options: &Options) -> Result<bool> {
    let device = options.device()?;
    let mut good = true;
    if options.checks {
        println!(
            "device {}{}",
            options.device,
            if device.is_cpu() { ": composed forms, precisions emulated" } else { "" }
        );
        println!("{}", Row::head());
        for check in layers::checks().into_iter().chain(steps::checks()) {
            let row = Row::of(&check, &device);
            println!("{row}");
            good &= row.passed;
        }
        println!("{}", if good { "every row within its tolerances" } else { "FAILED: see the rows above" });
    }
    if options.times {
        times::print(&device, options.seconds, options.quick, options.out.as_deref())?;
    }
    Ok(good)
}
