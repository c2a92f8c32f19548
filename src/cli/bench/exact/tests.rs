//! The whole benchmark on 256 sequences.

use super::*;
use crate::cli::bench::toy;

fn args(folder: &std::path::Path, seeds: &[u64]) -> Args {
    Args {
        out: Some(folder.join("out")),
        prior: Some(toy::prior(folder)),
        reward: Some(format!("table:{}", toy::landscape(folder))),
        alphas: Some(vec![0.5]),
        seeds: Some(seeds.to_vec()),
        methods: Some(["control", "no-kl", "best-of-n"].map(str::to_owned).into()),
        steered_samples: Some(2_000),
        // from zero, so that a barely trained one is the prior
        tuning: Tuning {
            control: Some("product-mixture".to_owned()),
            chain_steps: Some(8),
            certificate_paths: Some(300),
            base_paths: Some(2_000),
            ..toy::tuning()
        },
    }
}

#[test]
fn cells_are_scored_against_the_exact_tilt_and_not_run_twice() {
    let folder = tempfile::tempdir().unwrap();
    let context = toy::context();
    let first = execute(&args(folder.path(), &[0]), &context).unwrap();
    assert_eq!(first.results.rows.len(), 3);
    let row = &first.results.rows[0];
    assert_eq!((row.method.as_str(), row.parameters["alpha"].as_f64()), ("control", Some(0.5)));
    let at = |name: &str| row.metrics[name];
    // the same law in two ways: samples of the base chain, and their smoothed histogram
    assert!((at("log_z_base") - at("log_z_exact_law")).abs() < 0.1, "{:?}", row.metrics);
    // a barely trained control is the prior, whose gap is log Z − E[r]/α
    let gap = at("log_z_base") - at("mean_reward") / 0.5 + at("path_kl");
    assert!((at("gap_nats") - gap).abs() < 1e-9);
    assert!(at("optimum_reward") > at("mean_reward") && at("diversity") > 1.0);

    // one of 16 by exp(r/α) has more reward than the prior, for less than log 16 − 15/16 nats
    let chosen = &first.results.rows[2].metrics;
    assert!(chosen["mean_reward"] > at("mean_reward") && chosen["sequence_kl"] < 1.84, "{chosen:?}");
    assert!(!chosen.contains_key("gap_nats"));

    let second = execute(&args(folder.path(), &[0, 1]), &context).unwrap();
    assert_eq!(second.results.rows.len(), 6);
    assert_eq!(second.results.rows[0], first.results.rows[0], "read, not run again");
    assert_eq!(second.seconds["control-alpha0.5-seed0"], first.seconds["control-alpha0.5-seed0"]);
    assert_ne!(second.results.rows[1].metrics, second.results.rows[0].metrics);
    assert_eq!(second.results.summary[0].metrics["gap_nats"].n, 2);
    let out = folder.path().join("out");
    let stored: Value = serde_json::from_slice(&std::fs::read(out.join("results.json")).unwrap()).unwrap();
    assert_eq!(stored["rows"].as_array().map(Vec::len), Some(6));
    assert!(stored["versions"]["prior"].as_str().unwrap().starts_with("sha256:"));
    assert_eq!(std::fs::read_to_string(out.join("results.csv")).unwrap().lines().count(), 7);
    assert!(std::fs::read_to_string(out.join("report.html")).unwrap().contains("no-kl 0.5"));
    assert!(second.to_string().contains("control    0.5    2"), "{second}");

    // counts that were tampered with are refused
    let mut base = std::fs::read_dir(&out).unwrap().map(|entry| entry.unwrap().path());
    let base = base.find(|path| path.file_name().unwrap().to_string_lossy().starts_with("base-")).unwrap();
    let text = std::fs::read_to_string(&base).unwrap();
    let place = text.find("\"counts\":[").unwrap() + 10;
    std::fs::write(&base, format!("{}9{}", &text[..place], &text[place..])).unwrap();
    assert_eq!(execute(&args(folder.path(), &[0]), &context).unwrap_err().kind(), crate::Kind::Integrity);
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let context = toy::context();
    let base = args(folder.path(), &[0]);
    for (broken, says) in [
        (Args { tuning: Tuning { alpha: Some(0.1), ..base.tuning.clone() }, ..base.clone() }, "bench exact"),
        (Args { seeds: Some(vec![1, 1]), ..base.clone() }, "asked for twice"),
        (Args { alphas: Some(vec![-1.0]), ..base.clone() }, "`alphas` is -1"),
        (Args { methods: Some(Vec::new()), ..base.clone() }, "no cell"),
        (Args { methods: Some(vec!["magic".to_owned()]), ..base.clone() }, "magic"),
        (Args { out: None, ..base.clone() }, "needs `--out`"),
    ] {
        let error = execute(&broken, &context).unwrap_err();
        assert!(error.kind() == crate::Kind::Usage && error.message().contains(says), "{error}");
    }
    assert!(!folder.path().join("out").exists());
}
