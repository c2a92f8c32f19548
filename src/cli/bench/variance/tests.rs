//! On a landscape of 256 sequences.

use super::{Args, execute};
use crate::cli::bench::toy;
use std::path::Path;

fn args(folder: &Path) -> Args {
    Args {
        out: Some(folder.join("out")),
        prior: Some(toy::prior(folder)),
        reward: Some(format!("table:{}", toy::landscape(folder))),
        alphas: Some(vec![0.2]),
        beyond: Some(vec![0.0]),
        variance_paths: Some(16),
        base_paths: Some(2_000),
    }
}

#[test]
fn a_second_run_reads_the_first_and_measures_what_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let (context, args) = (toy::context(), args(folder.path()));
    let first = execute(&args, &context).unwrap();
    for file in ["results.json", "results.csv", "report.html", "report.json", "variance.svg"] {
        assert!(folder.path().join("out").join(file).is_file(), "{file}");
    }
    let text = first.to_string();
    assert!(text.contains("lean by the network") && text.contains("the terminal target grows"), "{text}");
    let rows = &first.results.rows;
    let integral = |from: f64, method: &str| {
        let found = rows.iter().find(|row| {
            row.method == method && row.parameters["from"].as_f64() == Some(from) && row.parameters["to"] == 4.0
        });
        found.unwrap().metrics["integral"]
    };
    // e⁻⁴ of variance a level costs e⁴ as much
    assert!(integral(-8.0, "terminal") > 10.0 * integral(-4.0, "terminal"));
    let again = execute(&args, &context).unwrap();
    assert_eq!(again.results.rows, *rows);
    assert_eq!(again.seconds, first.seconds, "a finished cell was measured again");
    let more = execute(&Args { beyond: Some(vec![0.0, 1.0]), ..args.clone() }, &context).unwrap();
    assert!(more.results.rows.len() > rows.len() && more.results.rows.starts_with(rows));
    assert!(first.claims.iter().any(|claim| claim.claim.contains("bound") || claim.verdict() == "holds"));
    let other = Args { variance_paths: Some(32), ..args };
    assert!(execute(&other, &context).is_err(), "a folder of other numbers of paths");
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (context, base) = (toy::context(), args(folder.path()));
    for (broken, says) in [
        (Args { out: None, ..base.clone() }, "needs `--out`"),
        (Args { alphas: Some(vec![-1.0]), ..base.clone() }, "`alphas` is -1"),
        (Args { alphas: Some(vec![]), ..base.clone() }, "`alphas` is empty"),
        (Args { beyond: Some(vec![2.0]), ..base.clone() }, "leaves out 0"),
        (Args { beyond: Some(vec![0.0, 0.0]), ..base.clone() }, "`beyond` has 0 twice"),
        (Args { beyond: Some(vec![0.0, 90.0]), ..base.clone() }, "`beyond` is 90"),
        (Args { variance_paths: Some(1), ..base.clone() }, "`variance-paths` is 1"),
    ] {
        let error = execute(&broken, &context).unwrap_err();
        assert!(error.message().contains(says), "{says}: {error}");
    }
    assert!(!folder.path().join("out").exists());
}
