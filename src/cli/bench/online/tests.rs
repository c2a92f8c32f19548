//! The whole benchmark on 256 sequences.

use super::*;
use crate::cli::bench::toy;

/// Twelve poor words of the landscape that `toy` writes, one of them twice, and one that failed.
fn start(folder: &std::path::Path, landscape: &str) -> String {
    let table = std::fs::read_to_string(landscape).unwrap();
    let mut rows: Vec<(&str, f64)> = table
        .lines()
        .skip(1)
        .map(|line| line.split_once(',').unwrap())
        .map(|(word, value)| (word, value.parse().unwrap()))
        .filter(|(_, value)| *value < 0.3)
        .collect();
    rows.truncate(12);
    rows.push(rows[0]);
    let lines: Vec<String> = rows.iter().map(|(word, value)| format!("{word},{value}")).collect();
    let path = folder.join("start.csv");
    std::fs::write(&path, format!("sequence,value\n{}\n", lines.join("\n"))).unwrap();
    path.display().to_string()
}

fn args(folder: &std::path::Path, methods: &[&str], seeds: &[u64]) -> Args {
    let landscape = toy::landscape(folder);
    Args {
        out: Some(folder.join("out")),
        methods: Some(methods.iter().map(|name| (*name).to_owned()).collect()),
        seeds: Some(seeds.to_vec()),
        start: Some(start(folder, &landscape)),
        oracle: Some(format!("table:{landscape}")),
        batches: Some(vec![8, 16, 24]),
        threshold: Some(0.8),
        ..Args::default()
    }
}

#[test]
fn rounds_are_measured_figures_written_and_finished_cells_not_run_again() {
    let folder = tempfile::tempdir().unwrap();
    let context = toy::context();
    let prior = Some(toy::prior(folder.path()));
    let first =
        execute(&TFBIND8, &Args { prior: prior.clone(), ..args(folder.path(), &["random", "gp-ucb"], &[3]) }, &context)
            .unwrap();
    let [random, guided] = &first.results.rows[..] else { panic!("two cells") };
    let at = |name: &str| guided.metrics[name];
    assert_eq!((at("labels"), at("failed")), (48.0, 0.0));
    assert!(at("naturalness") < 0.0 && !random.metrics.contains_key("gradient_steps"));
    assert!(at("max") >= at("top_100_median") && at("area_top_128_mean") < at("top_128_mean"));
    assert!(at("new_top_128_mean") > at("top_128_mean"), "the start is poor");
    // the landscape is a sum over positions: a model finds more of its best than chance, which finds 48 of 244
    assert!(at("recall") > random.metrics["recall"], "{} {}", at("recall"), random.metrics["recall"]);
    // labels and curve are files of the cell, and agree with the landscape and the row
    let cell = folder.path().join("out/gp-ucb-seed3");
    let labels = std::fs::read_to_string(cell.join("labels.csv")).unwrap();
    let table = std::fs::read_to_string(folder.path().join("landscape.csv")).unwrap();
    assert_eq!(labels.lines().count(), 49);
    for line in labels.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        assert!(table.contains(&format!("{},{}\n", fields[1], fields[2])), "{line}");
    }
    let curve = cell::curve(&cell, "top_128_mean").unwrap();
    assert_eq!(curve.iter().map(|(labels, _)| *labels).collect::<Vec<_>>(), [0.0, 8.0, 24.0, 48.0]);
    assert_eq!(curve[3].1, at("top_128_mean"));

    let again = Args { prior, ..args(folder.path(), &["random", "gp-ucb"], &[3, 4]) };
    let second = execute(&TFBIND8, &again, &context).unwrap();
    assert_eq!((&second.results.rows[0], &second.results.rows[2]), (random, guided), "read, not run again");
    assert_eq!(second.seconds["gp-ucb-seed3"], first.seconds["gp-ucb-seed3"]);
    assert_ne!(second.results.rows[3].metrics, guided.metrics);
    let text = second.to_string();
    assert!(text.contains("gp-ucb") && text.contains(" ± ") && !text.contains("elsewhere"), "{text}");
    let page = std::fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(page.contains("Mean of the best 128 against labels") && page.contains("Recall"));
}

#[test]
fn an_interrupted_cell_goes_on_to_the_same_bytes() {
    let (whole, stopped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let calm = toy::context();
    let files = |folder: &std::path::Path| {
        ["row.json", "labels.csv", "curve.csv", "rounds/003/batch.csv"]
            .map(|name| std::fs::read_to_string(folder.join("out/gp-ucb-seed1").join(name)).unwrap())
    };
    let args_in = |folder: &std::path::Path| {
        let paths = args(whole.path(), &["gp-ucb"], &[1]);
        Args { out: Some(folder.join("out")), ..paths }
    };
    execute(&TFBIND8, &args_in(whole.path()), &calm).unwrap();
    let hasty = toy::context();
    hasty.stop();
    let error = execute(&TFBIND8, &args_in(stopped.path()), &hasty).unwrap_err();
    assert_eq!(error.kind(), crate::Kind::Interrupted);
    assert!(error.message().contains("labels of round 1"), "{error}");
    execute(&TFBIND8, &args_in(stopped.path()), &calm).unwrap();
    assert_eq!(files(stopped.path()), files(whole.path()));
}

#[test]
fn a_space_that_is_used_up_ends_the_rounds() {
    let folder = tempfile::tempdir().unwrap();
    let few = Args { batches: Some(vec![200; 4]), ..args(folder.path(), &["random"], &[0]) };
    let report = execute(&TFBIND8, &few, &toy::context()).unwrap();
    let at = |name: &str| report.results.rows[0].metrics[name];
    assert_eq!((at("labels"), at("recall")), (256.0 - 12.0, 1.0));
}

#[test]
fn settings_that_contradict_or_repeat_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let context = toy::context();
    let refused = |args: Args| execute(&TFBIND8, &args, &context).unwrap_err().message().to_owned();
    assert!(refused(args(folder.path(), &["random"], &[1, 1])).contains("twice"));
    assert!(refused(args(folder.path(), &["rnadom"], &[1])).contains("unknown method"));
    let both = Args { rounds: Some(2), ..args(folder.path(), &["random"], &[1]) };
    assert!(refused(both).contains("exclude each other"));
    let none = Args { batches: Some(vec![0]), ..args(folder.path(), &["random"], &[1]) };
    assert!(refused(none).contains("is 0"));
    execute(&TFBIND8, &args(folder.path(), &["random"], &[0]), &context).unwrap();
    let other = Args { threshold: Some(0.7), ..args(folder.path(), &["random"], &[0]) };
    assert!(refused(other).contains("different configuration"));
}

#[test]
fn a_poor_part_of_a_table_is_known_and_a_judge_looks_at_the_best() {
    let folder = tempfile::tempdir().unwrap();
    let context = toy::context();
    let landscape = toy::landscape(folder.path());
    let args = Args {
        start: Some(landscape.clone()),
        difficulty: Some("0:0.3:2".to_owned()),
        judge: Some(format!("table:{landscape}")),
        ..args(folder.path(), &["random"], &[1])
    };
    let report = execute(&GFP, &args, &context).unwrap();
    let at = |name: &str| report.results.rows[0].metrics[name];
    // what measures judges here, so that both are the same number
    assert!((at("judge_mean") - at("top_128_mean")).abs() < 1e-12);
    assert!(at("wild_type_distance_mean") > 0.0 && at("wild_type_distance_mean") <= 4.0);
    let text = report.to_string();
    assert!(text.contains("to wild type") && !text.contains("recall:  "), "{text}");
    let start = std::fs::read_to_string(folder.path().join("out/start-0-0.3-2.csv")).unwrap();
    let all = args.reading.records(&landscape, &context).unwrap();
    let known = Difficulty::named("0:0.3:2").unwrap().start(&all).unwrap();
    assert_eq!(start.lines().count(), known.len() + 1);
    assert!(execute(&GFP, &Args { difficulty: Some("easy".to_owned()), ..args }, &context).is_err());
}
