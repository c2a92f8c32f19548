//! Benchmarks as a user runs them.

use assert_cmd::Command;
use serde_json::Value;

fn analytic(extra: &[&str]) -> Vec<Value> {
    let small = ["--steps", "4", "--lead", "2", "--updates", "5", "--batch", "32", "--samples", "200", "--seeds", "2"];
    let mut command = Command::cargo_bin("seqtilt").unwrap();
    let run = command.args(["bench", "analytic", "--json"]).args(small).args(extra).assert().success();
    serde_json::from_slice(&run.get_output().stdout).unwrap()
}

#[test]
fn the_analytic_benchmark_has_a_row_for_each_method_and_seed_and_goes_on_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    let out = ["--out", path.to_str().unwrap()];
    let rows = analytic(&out);
    let named: Vec<(&str, u64)> =
        rows.iter().map(|row| (row["method"].as_str().unwrap(), row["seed"].as_u64().unwrap())).collect();
    assert_eq!(named, [("joint", 0), ("joint", 1), ("frozen", 0), ("frozen", 1)]);
    for row in &rows {
        let metric = |name: &str| row["metrics"][name].as_f64().unwrap();
        let z = |name: &str| {
            let whose = name.replace("measured", "control");
            (metric(name) - metric(&whose)) / metric(&format!("{name}_se"))
        };
        for name in ["measured_terminal_mean", "measured_terminal_variance", "measured_reward_mean", "measured_path_kl"]
        {
            assert!(z(name).abs() < 4.0, "{name}: {row:#}");
        }
        assert!(metric("control_objective") < metric("chain_optimum_objective"));
        assert!((metric("continuous_optimum_objective") + 0.972).abs() < 0.3);
    }
    // the third row is lost: it alone is measured again, to the same bytes
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4);
    let kept = [lines[0], lines[1], lines[3]].join("\n");
    std::fs::write(&path, kept.replace("\"seed\":1,", "\"seed\":1, ")).unwrap();
    assert_eq!(analytic(&out), rows);
    let again = std::fs::read_to_string(&path).unwrap();
    assert_eq!(again.lines().nth(3), Some(lines[2]));
    // the number of threads does not matter, and without a file nothing is remembered
    assert_eq!(analytic(&["--threads", "2"]), rows);
}

#[test]
fn stages_have_rows_too_on_every_problem() {
    let methods = ["--fixtures", "lq,c", "--methods", "staged-v1,staged-v2", "--seeds", "1", "--width", "4"];
    let mut command = Command::cargo_bin("seqtilt").unwrap();
    let small = ["--steps", "4", "--lead", "2", "--updates", "5", "--batch", "32", "--samples", "200"];
    let run = command.args(["bench", "analytic", "--json"]).args(small).args(methods).assert().success();
    let rows: Vec<Value> = serde_json::from_slice(&run.get_output().stdout).unwrap();
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let named: Vec<_> = rows.iter().map(|row| (text(&row["parameters"], "fixture"), text(row, "method"))).collect();
    let expected = [("lq", "staged-v1"), ("lq", "staged-v2"), ("c", "staged-v1"), ("c", "staged-v2")];
    assert_eq!(named, expected.map(|(fixture, method)| (fixture.to_owned(), method.to_owned())));
    for row in &rows {
        let metric = |name: &str| row["metrics"][name].as_f64().unwrap();
        for name in ["terminal_mean", "terminal_variance", "reward_mean", "path_kl"] {
            let (measured, se) = (metric(&format!("measured_{name}")), metric(&format!("measured_{name}_se")));
            assert!(((measured - metric(&format!("control_{name}"))) / se).abs() < 4.0, "{name}: {row:#}");
        }
        assert!(metric("control_objective") < metric("chain_optimum_objective"));
        let worth = metric("frozen_optimum_certificate_gap") - metric("control_certificate_gap");
        assert!((worth - metric("initial_law_nats")).abs() < 1e-12);
        let returns = row["method"] == "staged-v2";
        assert_eq!(row["metrics"].get("frozen_control_certificate_gap").is_some(), returns);
    }
}

#[test]
fn adjoint_matching_has_rows_beside_exact_answers() {
    let methods = ["--fixtures", "lq,b", "--methods", "adjoint-matching", "--seeds", "1", "--width", "4"];
    let small = ["--steps", "6", "--lead", "2", "--updates", "5", "--batch", "32", "--samples", "200"];
    let mut command = Command::cargo_bin("seqtilt").unwrap();
    let run = command.args(["bench", "analytic", "--json"]).args(small).args(methods).assert().success();
    let rows: Vec<Value> = serde_json::from_slice(&run.get_output().stdout).unwrap();
    assert_eq!(rows.len(), 2);
    for row in &rows {
        let metric = |name: &str| row["metrics"][name].as_f64().unwrap();
        assert_eq!(row["method"], "adjoint-matching");
        for name in ["terminal_mean", "terminal_variance", "reward_mean", "path_kl"] {
            let (measured, se) = (metric(&format!("measured_{name}")), metric(&format!("measured_{name}_se")));
            assert!(((measured - metric(&format!("control_{name}"))) / se).abs() < 4.0, "{name}: {row:#}");
        }
        assert!(metric("control_objective") < metric("chain_optimum_objective"));
        assert_eq!(row["metrics"].get("control_distance").is_some(), row["parameters"]["fixture"] != "lq");
    }
    assert_eq!(rows[1]["parameters"]["problem"]["noise"], "memoryless");
}

#[test]
fn adjoint_sampling_has_the_normaliser_of_the_density() {
    let methods = ["--fixtures", "a,c", "--methods", "adjoint-sampling", "--seeds", "1", "--width", "4"];
    let small = ["--steps", "6", "--updates", "5", "--batch", "32", "--samples", "2000"];
    let mut command = Command::cargo_bin("seqtilt").unwrap();
    let run = command.args(["bench", "analytic", "--json"]).args(small).args(methods).assert().success();
    let rows: Vec<Value> = serde_json::from_slice(&run.get_output().stdout).unwrap();
    assert_eq!(rows.len(), 2);
    for row in &rows {
        let metric = |name: &str| row["metrics"][name].as_f64().unwrap();
        let (log_z, se) = (metric("measured_log_z_tuned"), metric("measured_log_z_tuned_se"));
        // unbiased for Z however short the training: four standard errors
        assert!(((log_z - metric("continuous_optimum_log_z_tuned")) / se).abs() < 4.0, "{row:#}");
        assert!(metric("control_objective") < metric("chain_optimum_objective"));
    }
    let mut command = Command::cargo_bin("seqtilt").unwrap();
    let run = command.args(["bench", "analytic", "--methods", "adjoint-sampling"]).assert().code(2);
    assert!(String::from_utf8_lossy(&run.get_output().stderr).contains("takes a density"));
}

#[test]
fn an_unknown_problem_or_method_is_a_usage_error() {
    for (flag, said) in [("--fixtures", "unknown fixture `d`"), ("--methods", "unknown initial route `d`")] {
        let mut command = Command::cargo_bin("seqtilt").unwrap();
        let run = command.args(["bench", "analytic", flag, "d"]).assert().code(2);
        let text = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        assert!(text.contains(said), "{text}");
    }
}

#[test]
fn a_setting_out_of_range_is_a_usage_error() {
    let mut command = Command::cargo_bin("seqtilt").unwrap();
    let run = command.args(["bench", "analytic", "--alpha", "0"]).assert().code(2);
    let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(said.contains("`alpha` is 0"), "{said}");
}
