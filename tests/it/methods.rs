//! Methods of fine-tuning and divergences, from outside.

use crate::resume::Toy;
use std::fs;

const SHORT: &str =
    "--tuning-steps 5 --paths 8 --chain-steps 8 --control-dim 8 --certificate-paths 200 --base-paths 200";

fn toy() -> Toy {
    let toy = Toy::new();
    toy.succeed("pretrain t.csv --steps 10 --dim 8 --heads 2 --layers 1 --sampling-steps 8 --batch 16 --out p");
    toy.succeed("oracle train t.csv --out r --members 2 --width 8 --epochs 1");
    toy
}

/// The certificate that a fine-tune answers.
fn tuned(toy: &Toy, options: &str) -> serde_json::Value {
    let output = toy.succeed(&format!("finetune --prior p {SHORT} {options} --json"));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn every_objective_is_certified() {
    let toy = toy();
    for name in seqtilt::finetune::OBJECTIVES.names() {
        let said = tuned(&toy, &format!("--reward model:r --objective {name} --alpha 0.5 --out {name}"));
        assert_eq!(said["objective"], name);
        let nats = said["certificate"]["path_kl"]["value"].as_f64().unwrap();
        assert!(nats.is_finite() && said["certificate"]["gap"]["value"].is_f64(), "{name}: {said}");
        let (weights, number) = (&said["weights"], |value: &serde_json::Value| value.as_f64().unwrap());
        let (low, high) = (&weights["forward"]["lower"], &weights["base"]["upper"]);
        let room = 4.0 * (number(&low["se"]) + number(&high["se"])) + 1e-6;
        assert!(number(&low["value"]) <= number(&high["value"]) + room, "{name}: {weights}");
        assert!(weights["base"]["bennett"]["value"].is_f64() && weights["verdict"]["kind"].is_string(), "{name}");
    }
}

#[test]
fn every_divergence_is_certified_against_its_own_optimum() {
    let toy = toy();
    for name in ["pearson", "order:1.5", "js"] {
        let folder = name.replace([':', '.'], "-");
        let said =
            tuned(&toy, &format!("--reward model:r --divergence {name} --match-curvature --alpha 0.5 --out {folder}"));
        assert_eq!(said["priced"]["divergence"], name);
        // E_p[g] = 1 on the very samples that λ was found on
        let log_z = said["certificate"]["log_z"]["value"].as_f64().unwrap();
        assert!(log_z.abs() < 1e-5, "{name}: {log_z}");
        assert!(said["priced"]["optimum_reward"].is_f64() && said["priced"]["warnings"].is_array());
    }
    // matched: Pearson's curvature is 2
    let run = fs::read_to_string(toy.path("pearson/run.json")).unwrap();
    let run: serde_json::Value = serde_json::from_str(&run).unwrap();
    assert_eq!(run["config"]["plan"]["finetune"]["alpha"], 0.25);
}

#[test]
fn an_oracle_without_a_gradient_is_enough_for_methods_of_values() {
    let toy = toy();
    // a table with gaps: neither complete nor differentiable
    let ppo = "--reward table:t.csv --objective ppo --alpha 0.5 --out values";
    let said = tuned(&toy, &format!("{ppo} --missing -1"));
    assert_eq!(said["reward"], "table:t.csv, missing -1");
    let output = toy.output(&format!("finetune --prior p {SHORT} {ppo}2"));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(5) && text.contains("--missing"), "{text}");
    let output = toy.output(&format!("finetune --prior p {SHORT} --reward table:t.csv --missing nan --out values3"));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && text.contains("`missing` is NaN"), "{text}");
}

#[test]
fn adjoint_matching_takes_its_settings_from_the_command_line_and_wants_a_gradient() {
    let toy = toy();
    let options = "--reward model:r --objective adjoint-matching --alpha 0.5 --alignment released --adjoint-share 0.5 --adjoint-clip 0.9 \
                   --adjoint-passes 2 --out matched";
    let said = tuned(&toy, options);
    assert!(said["certificate"]["gap"]["value"].is_f64(), "{said}");
    let run = fs::read_to_string(toy.path("matched/run.json")).unwrap();
    let run: serde_json::Value = serde_json::from_str(&run).unwrap();
    let adjoint = serde_json::json!({ "alignment": "released", "share": 0.5, "clip": 0.9, "passes": 2 });
    assert_eq!(run["config"]["plan"]["finetune"]["adjoint"], adjoint);
    let refused = |options: &str, code: i32, said: &str| {
        let output = toy.output(&format!("finetune --prior p {SHORT} {options} --alpha 0.5 --out refused"));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(code) && text.contains(said), "{options}: {text}");
    };
    refused("--reward model:r --objective control --adjoint-share 0.5", 2, "objective `control` matches no adjoints");
    refused("--reward model:r --objective adjoint-matching --alignment before", 2, "unknown alignment `before`");
    refused("--reward model:r --objective adjoint-matching --adjoint-share 0.2", 2, "`adjoint.share` is 0.2");
    // as for control: a table with gaps has no gradient
    let ours =
        toy.output(&format!("finetune --prior p {SHORT} --reward table:t.csv --objective adjoint-matching --out no"));
    let control = toy.output(&format!("finetune --prior p {SHORT} --reward table:t.csv --objective control --out no"));
    assert!(ours.status.code() == control.status.code() && !ours.status.success());
    assert_eq!(ours.stderr, control.stderr);
}

#[test]
fn soft_q_takes_its_guesses_and_its_buffer_from_the_command_line() {
    let toy = toy();
    let options = "--reward model:r --objective sqdf --alpha 0.5 --discount 0.95 --glimpse ddim:2 --pairs 30 --replay 20 \
                   --replay-fresh 0.25 --replay-rule reward --replay-corrected --out guessed";
    let said = tuned(&toy, options);
    assert!(said["certificate"]["gap"]["value"].is_f64(), "{said}");
    let run = fs::read_to_string(toy.path("guessed/run.json")).unwrap();
    let run: serde_json::Value = serde_json::from_str(&run).unwrap();
    let finetune = &run["config"]["plan"]["finetune"];
    assert_eq!(finetune["soft-q"], serde_json::json!({ "discount": 0.95, "glimpse": "ddim:2", "pairs": 30 }));
    assert_eq!(finetune["replay"]["capacity"], 20);
    for (options, said) in [
        ("--objective ppo --replay 20", "objective `ppo` reads no setting of guesses or kept paths"),
        ("--objective log-variance --glimpse soft", "objective `log-variance` guesses no ends of paths"),
        ("--objective sqdf --glimpse consistency", "`glimpse` consistency needs a model"),
        ("--objective sqdf --replay-rule best", "unknown replay rule `best`"),
        ("--objective sqdf --discount 1.5", "`soft-q.discount` is 1.5; above 0 to 1 is accepted"),
    ] {
        let output = toy.output(&format!("finetune --prior p {SHORT} --reward model:r {options} --out refused"));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && text.contains(said), "{options}: {text}");
    }
}

#[test]
fn methods_of_values_take_their_settings_from_the_command_line() {
    let toy = toy();
    let balance = "--reward model:r --objective trajectory-balance --alpha 0.5 --log-z-rate 0.5 --exploration 2 --replay 20 --out balanced";
    assert!(tuned(&toy, balance)["certificate"]["gap"]["value"].is_f64());
    let tilt = "--reward model:r --objective implicit-tilt-matching --alpha 0.5 --tilts 2 --noisings 3 --control mlp --out tilted";
    assert!(tuned(&toy, tilt)["certificate"]["gap"]["value"].is_f64());
    let works = "--reward model:r --objective cmcd --alpha 0.5 --escort-loss trajectory-balance --escort-ramp line --log-z-rate 0.5 --out escorted";
    assert!(tuned(&toy, works)["certificate"]["gap"]["value"].is_f64());
    let read = |folder: &str| -> serde_json::Value {
        let run = fs::read_to_string(toy.path(&format!("{folder}/run.json"))).unwrap();
        serde_json::from_str::<serde_json::Value>(&run).unwrap()["config"]["plan"]["finetune"].clone()
    };
    assert_eq!(read("balanced")["balance"], serde_json::json!({ "log-z-rate": 0.5, "exploration": 2.0 }));
    let expected = serde_json::json!({ "tilts": 2, "noisings": 3, "recentred": true, "baseline": 0.0 });
    assert_eq!(read("tilted")["tilt"], expected);
    assert_eq!(read("escorted")["escort"]["loss"], "trajectory-balance");
    assert_eq!(read("escorted")["escort"]["ramp"], "line");
    let metrics = fs::read_to_string(toy.path("balanced/metrics.jsonl")).unwrap();
    assert!(metrics.lines().all(|line| line.contains("\"log_z\"")), "{metrics}");
    for (options, said) in [
        ("--objective log-variance --log-z-rate 0.5", "objective `log-variance` does not read `log-z-rate`"),
        (
            "--objective weighted-likelihood --exploration 2",
            "objective `weighted-likelihood` does not read `exploration`",
        ),
        ("--objective trajectory-balance --exploration 0.5", "`exploration` is 0.5"),
        ("--objective cmcd --log-z-rate 0.5", "objective `cmcd` does not read `log-z-rate`"),
        ("--objective cmcd --escort-loss kl", "`escort.loss` kl has no lower bound"),
        ("--objective cmcd --escort-loss residual", "`escort.loss` residual is a method of its own"),
        ("--objective nets --escort-ramp square", "unknown ramp `square`"),
        ("--objective nets --escort-loss log-variance", "objective `nets` does not read `escort-loss`"),
        ("--objective control --escort-ramp line", "objective `control` does not read `escort-ramp`"),
        ("--objective trajectory-balance --tilts 2", "objective `trajectory-balance` does not read `tilts`"),
        ("--objective trajectory-balance --eta 0", "`eta` is 0: a chain without noise has nothing to control"),
        ("--objective trajectory-balance --eta 0.5", "at `eta` 0.5 the end remembers its start"),
        ("--objective implicit-tilt-matching --staged-tilts --replay 9", "kept ends are of other laws"),
    ] {
        let output = toy.output(&format!("finetune --prior p {SHORT} --reward model:r {options} --out refused"));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && text.contains(said), "{options}: {text}");
    }
}

#[test]
fn the_method_that_is_left_open_is_chosen_by_what_the_reward_can_do_and_says_why() {
    let toy = toy();
    let run = |reward: &str, out: &str| {
        let output = toy.succeed(&format!(
            "finetune --prior p {SHORT} --reward {reward} --objective auto --alpha 0.5 --out {out} --json"
        ));
        let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        (said["objective"].as_str().unwrap().to_owned(), String::from_utf8(output.stderr).unwrap())
    };
    let (objective, why) = run("model:r", "slope");
    assert!(
        objective == "control" && why.contains("objective `control`: the reward has a gradient"),
        "{objective} {why}"
    );
    // a chain has soft values of its own, and a word table needs the values of the words all the same
    let chain = concat!("potts:", env!("CARGO_MANIFEST_DIR"), "/data/potts-8.csv");
    let output = toy.succeed(&format!(
        "finetune --prior uniform:dna:8 --reward {chain} --objective auto --alpha 1 --chain-steps 8 --paths 16 --tuning-steps 2 \
         --certificate-paths 100 --base-paths 200 --out words"
    ));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("a weight a word starts at the tilt"), "{said}");
    let (objective, why) = run("table:t.csv --missing -1", "values");
    assert!(why.contains(&format!("objective `{objective}`: the oracle answers values alone")), "{objective} {why}");
    let needs =
        (seqtilt::finetune::OBJECTIVES.get(&objective).unwrap().make)(&seqtilt::finetune::FinetuneConfig::default())
            .needs();
    assert_eq!(needs, seqtilt::reward::Needs::Score);
}
