//! Fine-tunes whose initial law is learned.

use crate::resume::Toy;
use serde_json::Value;
use std::fs;

const PRETRAIN: &str = "pretrain t.csv --steps 10 --dim 8 --heads 2 --layers 1 --sampling-steps 8 --batch 16 --out p";
const TUNE: &str = "finetune --prior p --reward model:r --alpha 0.1 --paths 32 --control-dim 8 --tuning-steps 12 --eta 0.5 \
                    --lead 3 --certificate-paths 600 --base-paths 600";
const VALUE: &str = "--value-paths 400 --value-steps 12";

fn toy() -> Toy {
    let toy = Toy::new();
    toy.succeed(PRETRAIN);
    toy.succeed("oracle train t.csv --out r --members 2 --width 8 --epochs 2");
    toy
}

fn json(toy: &Toy, name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(toy.path(name)).unwrap()).unwrap()
}

#[test]
fn the_sampler_on_disk_walks_lead_and_chain_and_the_outcome_says_what_the_start_is_worth() {
    let toy = toy();
    for (route, value, stages) in [
        ("staged-v1", VALUE, ["value function", "initial law", "control"].as_slice()),
        ("staged-v2", VALUE, &["control from the frozen start", "value function", "initial law", "control"]),
        ("joint", "", &["initial law and control"]),
    ] {
        let output = toy.succeed(&format!("{TUNE} --initial {route} {value} --out {route}"));
        let text = String::from_utf8(output.stdout).unwrap();
        let outcome = json(&toy, &format!("{route}/certificate.json"));
        let learned = &outcome["start"]["learned"];
        // three steps become four: a whole block of the chain
        assert_eq!((learned["route"].as_str(), learned["steps"].as_u64()), (Some(route), Some(4)));
        assert_eq!(learned["worth"].is_object(), route == "staged-v2", "{learned}");
        assert_eq!(outcome["start"]["cost"].is_object(), route != "joint", "{outcome}");
        assert_eq!(outcome["start"]["fitted"], if route == "joint" { Value::Null } else { true.into() });
        assert_eq!(learned["effective"].is_f64(), route != "joint", "{outcome}");
        assert!(text.contains("\ninitial law ") && text.contains(route), "{text}");
        let page = fs::read_to_string(toy.path(&format!("{route}/report.html"))).unwrap();
        assert!(page.contains("Initial law"));

        let metrics = fs::read_to_string(toy.path(&format!("{route}/metrics.jsonl"))).unwrap();
        let mut named: Vec<String> = Vec::new();
        for line in metrics.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            let stage = line["stage"].as_str().unwrap();
            if named.last().is_none_or(|last| last != stage) {
                named.push(stage.to_owned());
            }
        }
        assert_eq!(named, stages);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(stages.iter().all(|stage| said.contains(&format!("finetune: {stage}, from step"))), "{said}");

        toy.succeed(&format!("sample --control {route} --count 600 --out {route}.csv"));
        assert_eq!(toy.output(&format!("sample --control {route} --count 6 --eta 1")).status.code(), Some(2));
        let mut table = csv::Reader::from_path(toy.path(&format!("{route}.csv"))).unwrap();
        let ratios: Vec<f64> = table.records().map(|row| row.unwrap()[2].parse().unwrap()).collect();
        let mean = ratios.iter().sum::<f64>() / 600.0;
        let variance = ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum::<f64>() / 599.0;
        let kl = &outcome["certificate"]["path_kl"];
        let (value, se) = (kl["value"].as_f64().unwrap(), kl["se"].as_f64().unwrap());
        // both are means of 600 log-ratios, the lead's included
        assert!((mean - value).abs() < 4.0 * (variance / 600.0).sqrt().hypot(se), "{route}: {mean} {value} ± {se}");
        // a mean of log-ratios, not negative up to its error, and not of nothing
        let (lead, error) = (learned["kl"]["value"].as_f64().unwrap(), learned["kl"]["se"].as_f64().unwrap());
        assert!(lead > -4.0 * error && error > 0.0, "{learned}");
    }
}

#[test]
fn a_frozen_start_has_no_lead() {
    let toy = toy();
    toy.succeed(&format!("{} --initial frozen --out f", TUNE.replace("--lead 3 ", "")));
    assert!(json(&toy, "f/certificate.json").get("start").is_none());
    assert_eq!(json(&toy, "f/config.json")["config"]["chain"]["eta"], 0.5);
    toy.succeed("sample --control f --count 5");
    let output = toy.output("sample --control f --count 5 --eta 0");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && text.contains("which remembers its start"), "{text}");
}

#[test]
fn a_value_on_too_few_effective_paths_is_refused() {
    let toy = toy();
    let output = toy.output(&format!("{TUNE} --initial staged-v1 --value-paths 50 --out x"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("of 50 base paths; at least 100") && said.contains("`staged-v2`"), "{said}");
}
