//! Whole runs by a program that answers lines.
#![cfg(unix)]

use crate::resume::{Toy, files};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Output;

const PRIOR: &str = "pretrain t.csv --out p --dim 8 --heads 2 --layers 1 --sampling-steps 8 --batch 16 --steps 10";
const SMALL: &str = "--tuning-steps 4 --tuning-checkpoint 2 --paths 16 --certificate-paths 100 --base-paths 200";

fn toy() -> Toy {
    let toy = Toy::new();
    toy.succeed(PRIOR);
    fs::create_dir(toy.path("traces")).unwrap();
    toy
}

/// The oracle of `guanine.sh`, with settings in front of it, that ends once when it is asked for batch `deadly`.
fn guanine(front: &str, deadly: usize) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/command/guanine.sh");
    format!("cmd:{front}bash {} traces {deadly}", script.display())
}

fn run(toy: &Toy, verb: &str, oracle: &str, more: &str) -> Output {
    let mut command = toy.command(verb);
    let flag = if verb == "finetune" { "--reward" } else { "--oracle" };
    command.args([flag, oracle]).args(more.split_whitespace()).args(SMALL.split_whitespace());
    command.output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn lines(toy: &Toy, name: &str) -> Vec<String> {
    let text = fs::read_to_string(toy.path(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn assert_same(toy: &Toy, a: &str, b: &str) {
    let (a, b) = (files(&toy.path(a)), files(&toy.path(b)));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    assert!(a.contains_key(Path::new("done.json")));
    for (name, bytes) in &a {
        assert!(*bytes == b[name], "{} differs", name.display());
    }
}

/// Runs a command whole, then where its program dies in the middle and may not be started anew, and again there.
fn died_and_repeated(verb: &str, more: &str, deadly: usize) -> Toy {
    let toy = toy();
    let oracle = guanine("restarts=0:", deadly);
    fs::write(toy.path("traces/died"), "").unwrap();
    let whole = run(&toy, verb, &oracle, &format!("{more} --out whole"));
    assert!(whole.status.success(), "{}", said(&whole));
    fs::remove_file(toy.path("traces/died")).unwrap();
    fs::remove_file(toy.path("traces/asked")).unwrap();
    let more = format!("{more} --out died");
    let died = run(&toy, verb, &oracle, &more);
    assert_eq!(died.status.code(), Some(5), "{}", said(&died));
    assert!(said(&died).contains("a worker ended (exit status: 7)"), "{}", said(&died));
    let paid = lines(&toy, "traces/asked");
    assert!(!paid.is_empty());
    let again = run(&toy, verb, &oracle, &more);
    assert!(again.status.success(), "{}", said(&again));
    assert_same(&toy, "whole", "died");
    // nothing was asked for twice
    let mut asked = lines(&toy, "traces/asked");
    let all = asked.len();
    assert!(all > paid.len());
    asked.sort();
    asked.dedup();
    assert_eq!(asked.len(), all);
    toy
}

#[test]
fn a_search_whose_program_dies_mid_round_ends_in_the_same_bytes() {
    let more = "--prior p --rounds 2 --batch 8 --chunk 3 --samples 120 --seed 7";
    // the fifth batch is the second of round 2
    let toy = died_and_repeated("optimize", more, 5);
    assert_eq!(lines(&toy, "traces/asked").len(), 16);
    let told: Vec<Value> =
        lines(&toy, "traces/hellos").iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(!told.is_empty() && told.iter().all(|hello| hello["seed"] == 7), "{told:?}");
}

#[test]
fn a_finetune_by_values_alone_whose_program_dies_ends_in_the_same_bytes() {
    died_and_repeated("finetune", "--prior p --objective log-variance --alpha 0.5", 2);
}

#[test]
fn a_finetune_by_a_learned_reward_whose_program_dies_ends_in_the_same_bytes() {
    let more = "--prior p --objective control --alpha 0.5 --labels 24 --label-rounds 3 --control-dim 8";
    died_and_repeated("finetune", more, 2);
}

#[test]
fn a_method_that_needs_a_gradient_climbs_what_was_learned_and_is_certified_by_the_oracle() {
    let toy = toy();
    let more = "--prior p --alpha 0.5 --labels 24 --label-rounds 3 --control-dim 8 --out learned --json";
    let output = run(&toy, "finetune", &guanine("", 0), more);
    let (outcome, notes) = (json(&output), said(&output));
    let route = outcome["learned"]["route"].as_str().unwrap();
    assert!(route.starts_with("objective `control` needs a gradient and `cmd:bash "), "{route}");
    assert!(notes.contains(route), "{notes}");
    assert_eq!((outcome["learned"]["labels"].as_u64(), outcome["learned"]["valued"].as_u64()), (Some(24), Some(24)));
    assert_eq!(outcome["learned"]["last_batch"]["n"], 8);
    assert_eq!(outcome["learned"]["tuned"]["n"], 100);
    // every word of six letters was enumerated for the certificate, those that were labelled among them
    assert_eq!(outcome["evaluations"], 4096);
    // the reward of the certificate is the oracle's, a whole number of Gs for every path, and not the surrogate's
    let mean = outcome["certificate"]["mean_reward"]["value"].as_f64().unwrap();
    assert!((100.0 * mean - (100.0 * mean).round()).abs() < 1e-6, "{mean}");
    let page = fs::read_to_string(toy.path("learned/report.html")).unwrap();
    assert!(page.contains("Learned reward against the oracle") && page.contains("learned from 24 labels in 3 rounds"));
}

#[test]
fn a_budget_is_never_exceeded_and_ends_a_run_with_what_it_paid_for() {
    let toy = toy();
    let oracle = guanine("", 0);
    let values = "--prior p --objective log-variance --alpha 0.5 --out values";
    let short = run(&toy, "finetune", &oracle, &format!("{values} --max-evals 20"));
    assert_eq!(short.status.code(), Some(5));
    assert!(said(&short).contains("the budget of --max-evals is spent: 20 evaluations"), "{}", said(&short));
    assert!(said(&short).contains("the same command with a larger --max-evals goes on from there"));
    assert_eq!((lines(&toy, "traces/asked").len(), lines(&toy, "values/evaluations.jsonl").len()), (20, 20));
    let enough = json(&run(&toy, "finetune", &oracle, &format!("{values} --max-evals 400 --json")));
    let spent = enough["evaluations"].as_u64().unwrap();
    assert!((21..=400).contains(&spent));
    assert_eq!(lines(&toy, "traces/asked").len() as u64, spent, "nothing was asked for twice");
    fs::remove_file(toy.path("traces/asked")).unwrap();

    let learned = "--prior p --alpha 0.5 --labels 24 --label-rounds 2 --control-dim 8 --out learned";
    let refused = run(&toy, "finetune", &oracle, &format!("{learned} --max-evals 323"));
    assert_eq!(refused.status.code(), Some(2));
    assert!(said(&refused).contains("299 are left for the certificate after 24 labels"), "{}", said(&refused));
    let outcome = json(&run(&toy, "finetune", &oracle, &format!("{learned} --max-evals 324 --json")));
    assert!(outcome["evaluations"].as_u64().unwrap() <= 324);
    assert!(outcome["exact"].is_null(), "what the prior hardly draws is not paid for");
    assert_eq!(lines(&toy, "traces/asked").len() as u64, outcome["evaluations"].as_u64().unwrap());

    let mut steer =
        toy.command("steer --prior p --method svdd --count 600 --max-evals 900 --out drawn.csv --threads 2");
    let drawn = steer.args(["--reward", &oracle]).output().unwrap();
    assert!(drawn.status.success() && said(&drawn).contains("--max-evals is spent"), "{}", said(&drawn));
    let rows = lines(&toy, "drawn.csv").len() - 1;
    assert!((1..600).contains(&rows), "{rows}");
    let mut table = toy.command("finetune --prior p");
    let table = table.args([
        "--reward",
        "noisy:sd=0:table:t.csv",
        "--max-evals",
        "5",
        "--labels",
        "3",
        "--objective",
        "log-variance",
    ]);
    let refused = table.args(["--out", "refused"]).output().unwrap();
    assert!(said(&refused).contains("no reward is learned from labels: the method reads values"), "{}", said(&refused));
}

#[test]
fn workers_and_the_time_out_are_flags_and_what_stands_in_front_wins() {
    let toy = toy();
    fs::write(toy.path("d.fa"), ">a\nGGGGGA\n>b\nACACAC\n").unwrap();
    let mut score = toy.command("score d.fa --oracle-workers 3 --seed 5 --quiet");
    let scored = score.args(["--oracle", &guanine("", 0)]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&scored.stdout).lines().nth(1), Some("a,GGGGGA,5,,ok,"));
    assert_eq!(lines(&toy, "traces/hellos").len(), 3);
    let mut score = toy.command("score d.fa --oracle-workers 3 --seed 5 --quiet");
    score.args(["--oracle", &guanine("workers=1,seed=9:", 0)]).output().unwrap();
    let hellos = lines(&toy, "traces/hellos");
    assert!(hellos.len() == 4 && hellos[3].contains("\"seed\":9") && hellos[0].contains("\"seed\":5"), "{hellos:?}");
    let slow = "cmd:restarts=0,grace=0.1:sleep 5";
    let output = toy.command("score d.fa --oracle-timeout 0").args(["--oracle", slow]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("`oracle-timeout` is 0"), "{}", said(&output));
    let mut bench = toy.command("oracle bench --max-evals 9 --seconds 0.001 --json");
    let output = bench.arg(guanine("", 0)).output().unwrap();
    let figures = json(&output);
    let sizes: Vec<u64> = figures["batches"].as_array().unwrap().iter().map(|b| b["size"].as_u64().unwrap()).collect();
    assert!(sizes.starts_with(&[1]) && !sizes.contains(&16), "{sizes:?}");
}
