//! A prior steered by oracles with and without a gradient.

use crate::resume::Toy;
use std::fs;

const METHODS: [&str; 6] = [
    "--method smc --particles 6",
    "--method smc --guided --outlook relaxed --guide mean",
    "--method svdd --candidates 3",
    "--method best-of-n --candidates 5",
    "--method best-of-n --candidates 5 --greedy",
    "--method guidance --base-paths 200",
];

fn toy() -> Toy {
    let toy = Toy::new();
    toy.succeed("pretrain t.csv --steps 10 --dim 8 --heads 2 --layers 1 --sampling-steps 8 --batch 16 --out p");
    toy.succeed("oracle train t.csv --out r --members 2 --width 8 --epochs 1");
    toy
}

#[test]
fn every_method_writes_the_same_bytes_for_any_number_of_threads() {
    let toy = toy();
    for method in METHODS {
        let run = |threads: usize| {
            let line = format!("steer --prior p --reward model:r --alpha 0.5 --count 24 {method} --out s.csv --json");
            let output = toy.succeed(&format!("{line} --threads {threads}"));
            (output.stdout, fs::read_to_string(toy.path("s.csv")).unwrap())
        };
        let (said, table) = run(1);
        assert!(run(3) == (said.clone(), table.clone()), "{method}");
        let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
        let rows = said["rows"].as_array().unwrap();
        assert_eq!((rows.len(), said["count"].as_u64()), (24, Some(24)), "{method}");
        assert_eq!(table.lines().next(), Some("id,sequence,reward,weight,log_ratio"));
        assert_eq!(table.lines().count(), 25);
        let guided = method.contains("guidance");
        assert_eq!(said["verdict"].is_object(), guided, "{method}");
        assert_eq!(rows[0]["log_ratio"].is_f64(), guided);
        if method.contains("greedy") {
            assert!(said["log_z"].is_null() && rows[0]["weight"].is_null());
            // ln 5 − 4/5
            assert!((said["kl_bound"].as_f64().unwrap() - 0.809_437_9).abs() < 1e-6);
        } else {
            let weights: f64 = rows.iter().map(|row| row["weight"].as_f64().unwrap()).sum();
            assert!((weights - 1.0).abs() < 1e-12, "{method}");
            assert!(said["log_z"]["value"].is_f64() && said["ess"].as_f64().unwrap() <= 24.0 + 1e-9);
        }
    }
}

#[test]
fn a_table_with_gaps_steers_when_they_are_given_a_value() {
    let toy = toy();
    let line = "steer --prior p --reward table:t.csv --missing -0.5 --alpha 0.2 --count 16 --method svdd --json";
    let said: serde_json::Value = serde_json::from_slice(&toy.succeed(line).stdout).unwrap();
    assert_eq!(said["outlook"], "decoded");
    let (unique, calls) = (said["unique"].as_u64().unwrap(), said["calls"]["scores"].as_u64().unwrap());
    assert!(unique > 0 && unique < calls, "{unique} {calls}");
    assert_eq!(said["calls"]["slopes"], 0);
    // without a file the sequences are on standard output, and the figures beside it
    let output = toy.succeed(&line.replace(" --json", ""));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with(">s1 reward=") && text.lines().count() == 32, "{text}");
    assert!(String::from_utf8(output.stderr).unwrap().contains("E[r] of the rows"));
}
