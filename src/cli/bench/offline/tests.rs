//! The whole benchmark on 256 sequences.

use super::*;
use crate::cli::bench::toy;

fn args(folder: &std::path::Path, seeds: &[u64]) -> Args {
    Args {
        out: Some(folder.join("out")),
        prior: Some(toy::prior(folder)),
        data: Some(toy::landscape(folder)),
        seeds: Some(seeds.to_vec()),
        reward_epochs: Some(2),
        samples: Some(200),
        count: Some(10),
        tuning: Tuning { certificate_paths: Some(150), base_paths: Some(300), ..toy::tuning() },
        ..Args::default()
    }
}

#[test]
fn designs_are_scored_by_the_truth_and_seeds_are_not_run_twice() {
    let folder = tempfile::tempdir().unwrap();
    let context = toy::context();
    let first = execute(&args(folder.path(), &[3]), &context).unwrap();
    let row = &first.results.rows[0];
    let at = |name: &str| row.metrics[name];
    assert_eq!((row.seed, at("designs")), (3, 10.0));
    assert!(at("percentile_50") <= at("percentile_100") && at("strand_pairs") <= 10.0);
    assert!(at("unique") > 10.0 && at("unique") <= 200.0);
    assert!(row.parameters["value_below"].as_f64().unwrap() < 0.6, "the median of the landscape");
    // the percentiles are those of the designs, by the landscape that `toy` wrote
    let designs = std::fs::read_to_string(folder.path().join("out/seed3/designs.csv")).unwrap();
    let table = std::fs::read_to_string(toy::landscape(folder.path())).unwrap();
    let mut truth: Vec<f64> = Vec::new();
    for line in designs.lines().skip(1) {
        let word = line.split(',').next().unwrap();
        let value = table.lines().find_map(|row| row.strip_prefix(&format!("{word},"))).unwrap();
        truth.push(value.parse().unwrap());
    }
    truth.sort_by(f64::total_cmp);
    assert_eq!(truth.len(), 10);
    assert!((at("percentile_50") - f64::midpoint(truth[4], truth[5])).abs() < 1e-12);
    assert!((at("percentile_100") - truth[9]).abs() < 1e-12);

    let second = execute(&args(folder.path(), &[3, 4]), &context).unwrap();
    assert_eq!(second.results.rows[0], *row, "read, not run again");
    assert_eq!(second.seconds["seed3"], first.seconds["seed3"]);
    assert_ne!(second.results.rows[1].metrics, row.metrics);
    let text = second.to_string();
    assert!(text.contains("seqtilt, 2 seeds") && text.contains("BootGen (published)"), "{text}");
    let page = std::fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(page.contains("BDI (published)"));
}

#[test]
fn another_setting_in_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let context = toy::context();
    assert!(execute(&args(folder.path(), &[1, 1]), &context).unwrap_err().message().contains("twice"));
    execute(&args(folder.path(), &[0]), &context).unwrap();
    let other = Args { caution: Some(0.0), ..args(folder.path(), &[0]) };
    let error = execute(&other, &context).unwrap_err();
    assert!(error.message().contains("different configuration") && error.message().contains("caution"), "{error}");
}
