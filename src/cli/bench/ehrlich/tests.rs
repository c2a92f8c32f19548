//! The whole benchmark on a small function.

use super::*;
use crate::cli::bench::toy;

fn args(folder: &std::path::Path, methods: &[&str], seeds: &[u64]) -> Args {
    Args {
        out: Some(folder.join("out")),
        sets: Some(vec!["12-2-3-3".to_owned()]),
        methods: Some(methods.iter().map(|name| (*name).to_owned()).collect()),
        seeds: Some(seeds.to_vec()),
        rounds: Some(4),
        batch: Some(16),
        start: Some(8),
        ..Args::default()
    }
}

#[test]
fn labels_are_spent_whether_feasible_or_not_and_finished_cells_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let context = toy::context();
    let first = execute(&args(folder.path(), &["random", "genetic"], &[3]), &context).unwrap();
    let [random, genetic] = &first.results.rows[..] else { panic!("two cells") };
    for row in [random, genetic] {
        assert_eq!(row.metrics["labels"], 64.0);
        let labels = std::fs::read_to_string(
            folder.path().join("out").join(cell_name("12-2-3-3", &row.method, 3)).join("labels.csv"),
        );
        let labels = labels.unwrap();
        let lines: Vec<Vec<&str>> = labels.lines().skip(1).map(|line| line.split(',').collect()).collect();
        assert_eq!(lines.len(), 64);
        let feasible = lines.iter().filter(|line| line[3] == "ok").count();
        assert_eq!(row.metrics["feasible"], feasible as f64);
        assert_eq!(row.metrics["feasible_share"], feasible as f64 / 64.0);
        // an infeasible label has no value, and a reason
        assert!(lines.iter().all(|line| (line[3] == "ok") != line[2].is_empty()), "{labels}");
        assert!(
            lines.iter().filter(|line| line[3] == "infeasible").all(|line| line[4].contains("may not be followed"))
        );
        let best = lines.iter().filter_map(|line| line[2].parse::<f64>().ok()).fold(f64::NEG_INFINITY, f64::max);
        assert_eq!(row.metrics["new_best"], best);
        assert_eq!(row.metrics["best"], best.max(row.metrics["start_best"]));
    }
    // 11 transitions, of which more than a fifth are banned: about 7 % of uniform sequences are feasible
    assert!(random.metrics["feasible_share"] < 0.25 && genetic.metrics["feasible_share"] > 0.3);
    let curve = cell::curve(&folder.path().join("out/12-2-3-3-genetic-seed3")).unwrap();
    assert_eq!(curve.iter().map(|turn| turn[0]).collect::<Vec<_>>(), [0.0, 16.0, 32.0, 48.0, 64.0]);
    assert_eq!((curve[0][1], curve[4][1]), (genetic.metrics["start_best"], genetic.metrics["best"]));

    let second = execute(&args(folder.path(), &["random", "genetic"], &[3, 4]), &context).unwrap();
    assert_eq!((&second.results.rows[0], &second.results.rows[2]), (random, genetic), "read, not run again");
    assert_eq!(second.results.summary.len(), 2);
    let text = second.to_string();
    assert!(text.contains("12-2-3-3") && text.contains(" ± "), "{text}");
    let page = std::fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(page.contains("Best value, 12-2-3-3") && page.contains("Feasible share, 12-2-3-3"));
    let function = std::fs::read_to_string(folder.path().join("out/12-2-3-3.json")).unwrap();
    assert!(crate::oracle::Ehrlich::parse(&function).is_ok());
}

#[test]
fn an_interrupted_cell_goes_on_to_the_same_bytes() {
    let (whole, stopped) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let files = |folder: &std::path::Path| {
        ["row.json", "labels.csv", "curve.csv"]
            .map(|name| std::fs::read_to_string(folder.join("out/12-2-3-3-genetic-seed1").join(name)).unwrap())
    };
    execute(&args(whole.path(), &["genetic"], &[1]), &toy::context()).unwrap();
    let hasty = toy::context();
    hasty.stop();
    let error = execute(&args(stopped.path(), &["genetic"], &[1]), &hasty).unwrap_err();
    assert_eq!(error.kind(), crate::Kind::Interrupted);
    execute(&args(stopped.path(), &["genetic"], &[1]), &toy::context()).unwrap();
    assert_eq!(files(stopped.path()), files(whole.path()));
}

#[test]
fn a_prior_of_the_pairs_that_were_shown_spends_its_labels_on_feasible_sequences() {
    let folder = tempfile::tempdir().unwrap();
    let small = |seeds: &[u64]| Args {
        start: Some(64),
        rounds: Some(2),
        batch: Some(8),
        samples: Some(64),
        tuning: Tuning { chain_steps: Some(8), ..Tuning::default() },
        ..args(folder.path(), &["guided"], seeds)
    };
    let first = execute(&small(&[1]), &toy::context()).unwrap();
    assert_eq!((first.results.rows[0].metrics["labels"], first.results.rows[0].metrics["feasible_share"]), (16.0, 1.0));
    let again = execute(&small(&[1, 2]), &toy::context()).unwrap();
    assert_eq!(again.results.rows[0], first.results.rows[0], "read, not run again");
    let other = Args { acquisition: Some("ucb:1".to_owned()), ..small(&[1]) };
    assert_eq!(execute(&other, &toy::context()).unwrap_err().kind(), crate::Kind::Usage, "another search in its place");
    let unknown = Args { acquisition: Some("max".to_owned()), out: Some(folder.path().join("new")), ..small(&[1]) };
    assert!(execute(&unknown, &toy::context()).unwrap_err().message().contains("unknown acquisition"));
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |args: Args| execute(&args, &toy::context()).unwrap_err().message().to_owned();
    let plain = || args(folder.path(), &["random"], &[1]);
    assert!(refused(args(folder.path(), &["rnadom"], &[1])).contains("unknown proposer"));
    assert_eq!(refused(args(folder.path(), &["random"], &[1, 1])), "seed `1` is asked for twice");
    assert!(refused(Args { sets: Some(vec!["32-4-4".to_owned()]), ..plain() }).starts_with("set `32-4-4`"));
    assert!(refused(Args { sets: Some(vec!["8-4-4-4".to_owned()]), ..plain() }).contains("`length` is 8"));
    assert!(refused(Args { epistasis: Some(-1.0), ..plain() }).contains("`epistasis` is -1"));
    assert!(refused(Args { start: Some(0), ..plain() }).contains("`start` is 0"));
}
