//! The whole benchmark on 256 sequences.

use super::*;
use crate::cli::bench::toy;

fn args(folder: &std::path::Path, methods: &[&str], seeds: &[u64]) -> Args {
    let table = toy::landscape(folder);
    Args {
        out: Some(folder.join("out")),
        judge: Some(format!("table:{table}")),
        data: Some(table),
        difficulty: Some(vec!["low".to_owned()]),
        methods: Some(methods.iter().map(|name| (*name).to_owned()).collect()),
        seeds: Some(seeds.to_vec()),
        max_mutations: Some(vec![1, 2]),
        count: Some(6),
        samples: Some(60),
        prior_steps: Some(2),
        network_steps: Some(3),
        tuning: Tuning { chain_steps: Some(8), ..toy::tuning() },
        ..Args::default()
    }
}
