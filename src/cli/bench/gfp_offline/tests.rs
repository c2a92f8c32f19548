//! The whole benchmark on 256 sequences.

use super::*;
use crate::cli::bench::toy;

fn args(folder: &std::path::Path, methods: &[&str], seeds: &[u64]) -> Args {
    let table = toy::landscape(folder);
    Args {
        out: Some(folder.join("out")),
        judge: Some(format!("table:{table}")),
        data: Some(table),
        difficulty: Some(vec!["0.2:0.4:2".to_owned()]),
        methods: Some(methods.iter().map(|name| (*name).to_owned()).collect()),
        seeds: Some(seeds.to_vec()),
        max_mutations: Some(vec![2]),
        count: Some(6),
        samples: Some(60),
        prior_steps: Some(2),
        network_steps: Some(3),
        tuning: Tuning { chain_steps: Some(8), ..toy::tuning() },
        ..Args::default()
    }
}

#[test]
fn designs_are_proposed_without_and_judged_with_the_whole_table() {
    let folder = tempfile::tempdir().unwrap();
    let context = toy::context();
    let names: Vec<&str> = METHODS.names().collect();
    let report = execute(&args(folder.path(), &names, &[3]), &context).unwrap();
    assert_eq!(report.results.rows.len(), names.len());
    let landscape = std::fs::read_to_string(toy::landscape(folder.path())).unwrap();
    let value = |word: &str| -> f64 {
        landscape.lines().find_map(|row| row.strip_prefix(&format!("{word},"))).unwrap().parse().unwrap()
    };
    for row in &report.results.rows {
        let at = |name: &str| row.metrics[name];
        let method = METHODS.get(&row.method).unwrap().make;
        let region = if method.has_region() { "-2" } else { "" };
        let file = format!("out/0.2-0.4-2-{}{region}-seed3/designs.csv", row.method);
        let designs = std::fs::read_to_string(folder.path().join(file)).unwrap();
        let words: Vec<&str> = designs.lines().skip(1).map(|line| line.split(',').next().unwrap()).collect();
        let distinct: BTreeSet<&&str> = words.iter().collect();
        assert_eq!((words.len(), distinct.len(), at("designs")), (6, 6, 6.0), "{}", row.method);
        // the landscape runs from 0 to 1, so that normalised values are its own
        let mean = words.iter().map(|word| value(word)).sum::<f64>() / 6.0;
        assert!((at("judge_mean") - mean).abs() < 1e-12, "{}", row.method);
        assert_eq!((at("measured"), at("measured_mean")), (6.0, at("judge_mean")), "the table is complete");
        assert!(at("judge_percentile_50") <= at("judge_percentile_100"));
        assert_eq!(at("start_distance_mean") > 0.0, row.method != "start", "{}", row.method);
        assert_eq!(row.metrics.contains_key("predicted_mean"), method.learns());
    }
    let again = execute(&args(folder.path(), &names, &[3]), &context).unwrap();
    assert_eq!((&again.results.rows, &again.seconds), (&report.results.rows, &report.seconds), "read, not run again");
    let text = again.to_string();
    assert!(text.contains("tilted") && text.contains("naturalness: - nats per letter"), "{text}");
    assert!(std::fs::read_to_string(folder.path().join("out/report.html")).unwrap().contains("exploited oracle"));
}

#[test]
fn a_region_bounds_what_is_proposed_and_other_settings_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let context = toy::context();
    let near = |most: &[usize]| Args {
        max_mutations: Some(most.to_vec()),
        ..args(folder.path(), &["prior", "consensus"], &[0])
    };
    let report = execute(&near(&[1, 2]), &context).unwrap();
    assert_eq!(report.results.summary.len(), 4);
    let all = Args::default().reading.records(&toy::landscape(folder.path()), &context).unwrap();
    let start = Start::of("0.2:0.4:2", &all).unwrap();
    for (method, most) in [("prior", 1), ("prior", 2), ("consensus", 1), ("consensus", 2)] {
        let file = folder.path().join(format!("out/0.2-0.4-2-{method}-{most}-seed0/designs.csv"));
        for line in std::fs::read_to_string(file).unwrap().lines().skip(1) {
            let word = crate::sequence::Sequence::parse(line.split(',').next().unwrap(), &all.alphabet).unwrap();
            let far = crate::sequence::hamming(&word, &start.origin).unwrap();
            assert!(far <= most && (method == "prior" || far == most), "{method} within {most}: {far}");
            assert!(!start.set.sequences().contains(&word));
        }
    }
    let other = Args { samples: Some(61), ..near(&[1]) };
    assert!(execute(&other, &context).unwrap_err().message().contains("samples"));
    let wrong = |args: Args| execute(&args, &context).unwrap_err().message().to_owned();
    assert!(wrong(near(&[1, 1])).contains("twice"));
    assert!(wrong(Args { judge: None, ..near(&[1]) }).contains("needs `--judge`"));
    assert!(wrong(Args { methods: Some(vec!["tildet".to_owned()]), ..near(&[1]) }).contains("`tilted`"));
    assert!(wrong(Args { difficulty: Some(vec!["hard".to_owned()]), ..near(&[1]) }).contains("start set `hard`"));
}
