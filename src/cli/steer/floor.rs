//! How close a chain of so many Gaussian steps comes to the tilt under the best control that is known for it. Run by hand:
//!
//! ```text
//! SEQTILT_DATA=… FLOOR_CHAINS=time:64:4,time:192:8 FLOOR_ALPHAS=0.2,0.1 FLOOR_PATHS=50000 FLOOR_BASE=1000000 \
//!     cargo test --release --lib -- --ignored --nocapture the_floor_of_chains
//! ```

use crate::cli::certify::{Base, scored_paths};
use crate::cli::context::{Context, Global};
use crate::diffusion::{DiffusionChain, Grid, SolverKind, open_prior};
use crate::eval::{Estimate, log_mean_exp};
use crate::inference::{Guidance, Guide};
use crate::oracle::{OracleName, OracleOptions};
use crate::random::Seed;
use std::io::Write as _;
use std::sync::Arc;

fn variable(name: &str, default: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| default.to_owned())
}

#[test]
#[ignore = "a measurement of many minutes"]
fn the_floor_of_chains() {
    let context = Context::resolve(Global { quiet: true, ..Global::default() }).unwrap();
    let pool = context.pool().unwrap();
    let name: OracleName = variable("FLOOR_REWARD", "table:tfbind8").parse().unwrap();
    let data_dir = context.data_dir().ok().map(std::path::Path::to_owned);
    let reward = name.reward(&OracleOptions { data_dir, ..OracleOptions::default() }).unwrap();
    let (prior, _) = open_prior(&variable("FLOOR_PRIOR", "tfbind8-prior-full"), &candle_core::Device::Cpu).unwrap();
    let prior = Arc::new(prior);
    let paths: usize = variable("FLOOR_PATHS", "50000").parse().unwrap();
    let base_paths: usize = variable("FLOOR_BASE", "1000000").parse().unwrap();
    let guide = if variable("FLOOR_GUIDE", "soft") == "mean" { Guide::Mean } else { Guide::Soft };
    let scale: f64 = variable("FLOOR_SCALE", "1").parse().unwrap();
    for chain in variable("FLOOR_CHAINS", "time:64:4").split(',') {
        let parts: Vec<&str> = chain.split(':').collect();
        let (grid, steps, hold) =
            (Grid::named(parts[0]).unwrap(), parts[1].parse().unwrap(), parts[2].parse().unwrap());
        let walk = DiffusionChain::new(prior.clone(), steps, hold, grid, SolverKind::Ancestral).unwrap();
        let walk = walk.with_eta(variable("FLOOR_ETA", "1").parse().unwrap()).unwrap();
        let started = std::time::Instant::now();
        let base = Base::draw(&walk, reward.as_ref(), base_paths, Seed::root(1), &pool, &context).unwrap();
        let base_seconds = started.elapsed().as_secs_f64();
        for alpha in variable("FLOOR_ALPHAS", "0.2,0.1,0.05,0.02,0.01").split(',') {
            let alpha: f64 = alpha.parse().unwrap();
            let started = std::time::Instant::now();
            let control = Guidance::new(&walk, reward.as_ref(), Some(guide), alpha, scale).unwrap();
            let tuned =
                scored_paths(&walk, (&walk, Some(&control)), reward.as_ref(), paths, Seed::root(2), &pool).unwrap();
            let verdict = base.certify(alpha, &tuned, None).unwrap();
            // log Z from the same paths: both errors at once, by the delta method
            let work: Vec<f64> =
                tuned.ends.iter().zip(&tuned.log_ratio).map(|((_, reward), ratio)| reward / alpha - ratio).collect();
            let log_z = log_mean_exp(&work).log.value;
            let own = Estimate::of(work.iter().map(|work| (work - log_z).exp() - 1.0 - (work - log_z)));
            let (c, e) = (&verdict.certificate, verdict.exact.as_ref().unwrap());
            let figures = [
                ("gap", c.gap.value, c.gap.se),
                ("own", own.value, own.se),
                ("log-z", c.log_z.value, c.log_z.se),
                ("tuned", c.log_z_tuned.value, c.log_z_tuned.se),
                ("reward", c.mean_reward.value, e.mean_reward),
                ("kl", c.path_kl.value, e.kl),
                ("ess", c.ess_base, c.ess_tuned_share()),
                ("tv", e.total_variation.corrected, c.agreement),
                ("seconds", started.elapsed().as_secs_f64(), base_seconds),
            ];
            let figures = figures.map(|(name, a, b)| format!(" | {name} {a:.4} {b:.4}")).concat();
            writeln!(std::io::stderr(), "FLOOR {} {} {} {alpha}{figures}", parts[0], parts[1], parts[2]).unwrap();
        }
    }
}
