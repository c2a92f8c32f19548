//! The whole sweep on 256 sequences.

use super::*;
use crate::cli::bench::toy;
use crate::diffusion::PriorConfig;
use crate::sequence::Alphabet;
use std::path::Path;

fn args(folder: &Path, divergences: &[&str]) -> Args {
    let landscape = format!("table:{}", toy::landscape(folder));
    Args {
        out: Some(folder.join("out")),
        prior: Some(toy::prior(folder)),
        reward: Some(landscape.clone()),
        judge: Some(landscape),
        alphas: Some(vec![0.5]),
        divergences: Some(divergences.iter().map(|name| (*name).to_owned()).collect()),
        samples: Some(200),
        kl_budget: Some(1.0),
        diversity_budget: Some(3.9),
        tuning: Tuning { certificate_paths: Some(300), base_paths: Some(2_000), ..toy::tuning() },
        ..Args::default()
    }
}

#[test]
fn fronts_are_measured_picked_from_and_not_run_twice() {
    let folder = tempfile::tempdir().unwrap();
    let context = toy::context();
    let first = execute(&args(folder.path(), &["kl"]), &context).unwrap();
    let out = folder.path().join("out");
    let manifest = |cell: &str| std::fs::read(out.join(cell).join("manifest.json")).unwrap();
    let weights = manifest("control-kl-alpha0.5-seed0");

    let second = execute(&args(folder.path(), &["kl", "pearson"]), &context).unwrap();
    assert_eq!(second.results.rows.len(), 2);
    assert_eq!(second.results.rows[0], first.results.rows[0], "read, not run again");
    assert_eq!(manifest("control-kl-alpha0.5-seed0"), weights);
    assert_eq!(second.seconds["control-kl-alpha0.5-seed0"], first.seconds["control-kl-alpha0.5-seed0"]);
    let row = &second.results.rows[1];
    let parameter = |name: &str| row.parameters[name].as_f64();
    assert_eq!(row.parameters["divergence"], "pearson");
    assert_eq!((parameter("alpha"), parameter("price")), (Some(0.5), Some(0.25)), "f''(1) is 2");
    let at = |name: &str| row.metrics[name];
    // the judge is the reward itself here
    assert!(at("judge_minus_reward").abs() < 1e-12 && (at("judge_mean") - at("sample_reward_mean")).abs() < 1e-12);
    assert!(at("sample_reward_best") >= at("sample_reward_median"));
    // 200 of 256 words by a prior that has barely seen them: nearly 3 of 4 letters differ
    assert!((2.0..3.2).contains(&at("diversity")) && (0.3..=0.9).contains(&at("unique_share")), "{:?}", row.metrics);
    for name in ["path_divergence", "optimum_divergence", "optimum_reward", "lambda", "max_weight", "dropped_share"] {
        assert!(at(name).is_finite(), "{name}");
    }
    assert_eq!(at("judge_known_share"), 1.0);

    // a barely trained control stays near the prior, within a nat
    let [kl, diversity] = &second.advice[..] else { panic!("two budgets") };
    assert!(kl.picked.is_some() && kl.exact.is_some_and(|exact| exact.kl <= 1.0 + 1e-6), "{kl:?}");
    assert!(diversity.picked.is_none() && diversity.command.is_none(), "more than the prior has");
    let said = second.to_string();
    assert!(
        said.contains("picked within 1 nats of path KL: control ") && said.contains("no cell is with at least 3.9")
    );
    assert_eq!(second.fronts.iter().map(|f| f.divergence.as_str()).collect::<Vec<_>>(), ["kl", "pearson"]);
    assert!(second.fronts.iter().all(|front| front.points.len() > 20));
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    for says in ["control pearson", "Judge against reward", "Diversity against path KL", "picked within 1 nats"] {
        assert!(page.contains(says), "{says}");
    }
    let stored: serde_json::Value = serde_json::from_slice(&std::fs::read(out.join("fronts.json")).unwrap()).unwrap();
    assert_eq!(stored["fronts"].as_array().map(Vec::len), Some(2));
}

#[test]
fn the_command_for_a_price_carries_every_setting_of_the_cell() {
    let prior = PriorConfig::new(&Alphabet::dna(), 8);
    let tuning = Tuning { control: Some("word-table".to_owned()), tuning_steps: Some(20), ..Tuning::default() };
    let args = Args {
        divergences: Some(vec!["order:1.5".to_owned(), "kl".to_owned()]),
        alphas: Some(vec![0.2]),
        seeds: Some(vec![3]),
        tuning,
        ..Args::default()
    };
    let grid = Grid::new(&args, &prior).unwrap();
    let said = grid.cells[0].command("my prior", "table:tfbind8", 0.07).unwrap();
    assert!(said.starts_with("seqtilt finetune --prior 'my prior' --reward table:tfbind8 --"), "{said}");
    for part in [
        "--alpha 0.07",
        "--objective control",
        "--divergence order:1.5",
        "--match-curvature",
        "--control word-table",
        "--tuning-steps 20",
        "--base-paths 2000000",
        "--seed 3",
        "--out control-order1.5-alpha0.07",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("null"), "{said}");
    assert!(!grid.cells[1].command("p", "r", 0.1).unwrap().contains("--match-curvature"), "kl has curvature 1");
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let context = toy::context();
    let base = args(folder.path(), &["kl"]);
    let divergences = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    for (broken, says) in vec![
        (Args { tuning: Tuning { alpha: Some(0.1), ..base.tuning.clone() }, ..base.clone() }, "bench frontier"),
        (
            Args { equal_alpha: true, tuning: Tuning { match_curvature: true, ..base.tuning.clone() }, ..base.clone() },
            "exclude each other",
        ),
        (Args { alphas: Some(Vec::new()), ..base.clone() }, "`alphas` is empty"),
        (Args { seeds: Some(Vec::new()), ..base.clone() }, "`seeds` is empty"),
        (Args { methods: Some(Vec::new()), ..base.clone() }, "`methods` is empty"),
        (Args { divergences: Some(Vec::new()), ..base.clone() }, "`divergences` is empty"),
        (Args { alphas: Some(vec![0.1, 0.0]), ..base.clone() }, "`alphas` is 0"),
        (Args { alphas: Some(vec![f64::NAN]), ..base.clone() }, "`alphas` is NaN"),
        (Args { alphas: Some(vec![0.1, 0.1]), ..base.clone() }, "asked for twice"),
        (Args { seeds: Some(vec![1, 1]), ..base.clone() }, "asked for twice"),
        (Args { divergences: divergences(&["order:1.5", "order:1.50"]), ..base.clone() }, "asked for twice"),
        (Args { divergences: divergences(&["tv"]), ..base.clone() }, "a metric, not a divergence"),
        (Args { divergences: divergences(&["magic"]), ..base.clone() }, "magic"),
        (Args { methods: Some(vec!["magic".to_owned()]), ..base.clone() }, "magic"),
        (Args { kl_budget: Some(0.0), ..base.clone() }, "`kl-budget` is 0"),
        (Args { diversity_budget: Some(f64::INFINITY), ..base.clone() }, "`diversity-budget` is inf"),
        (Args { samples: Some(1), ..base.clone() }, "`samples` is 1"),
        (Args { out: None, ..base.clone() }, "needs `--out`"),
    ] {
        let error = execute(&broken, &context).unwrap_err();
        assert!(error.kind() == crate::Kind::Usage && error.message().contains(says), "{error}");
    }
    assert!(execute(&Args { judge: Some("table:nowhere.csv".to_owned()), ..base.clone() }, &context).is_err());
    assert!(!folder.path().join("out").exists());
}
