//! `seqtilt models verify`: hashes, and the figures on cards.

use crate::resume::Toy;
use seqtilt::store::ModelFolder;
use serde_json::Value;
use std::fs;

const PRETRAIN: &str = "pretrain t.csv --steps 4 --dim 8 --heads 2 --layers 1 --sampling-steps 8 --batch 16 --hold-out \
                        0.3 --value-below 0.6 --seed 5 --out p";
const TRAIN: &str = "oracle train t.csv --members 2 --width 8 --epochs 2";

/// Writes another card into a model's folder, with a manifest that vouches for it.
fn recard(toy: &Toy, name: &str, kind: &str, change: impl Fn(&str) -> String) {
    let mut model = ModelFolder::load(toy.path(name), kind).unwrap();
    let card = change(&model.card);
    assert_ne!(card, model.card);
    model.card = card;
    model.save(toy.path(name)).unwrap();
}

fn verify(toy: &Toy, names: &str, code: i32) -> (Value, String) {
    let output = toy.output(&format!("models verify {names} --json"));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{said}");
    (serde_json::from_slice(&output.stdout).unwrap(), said)
}

#[test]
fn figures_come_out_as_on_the_card_and_a_card_that_does_not_fit_is_an_integrity_error() {
    let toy = Toy::new();
    toy.succeed(PRETRAIN);
    toy.succeed(&format!("{TRAIN} --hold-out 0.3 --lower-share 0.9 --seed 2 --out held"));
    toy.succeed(&format!("{TRAIN} --hold-out 0 --out fit"));
    let (all, said) = verify(&toy, "p held fit", 0);
    assert!(said.contains("3 verified: every hash is as recorded, and 5 figures agree"), "{said}");
    let named = |model: &Value| -> Vec<(String, String)> {
        let text = |metric: &Value, key: &str| metric[key].as_str().unwrap().to_owned();
        let metrics = model["metrics"].as_array().unwrap();
        metrics.iter().map(|metric| (text(metric, "metric"), text(metric, "verdict"))).collect()
    };
    let ok = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), "ok".to_owned())).collect::<Vec<_>>();
    assert_eq!(named(&all[0]), ok(&["held-out bound, nats per token"]));
    assert_eq!(named(&all[1]), ok(&["rank correlation, held out", "root mean squared error, held out"]));
    assert_eq!(named(&all[2]), ok(&["rank correlation, training data", "root mean squared error, training data"]));
    let text = String::from_utf8(toy.succeed("models verify fit").stdout).unwrap();
    assert!(text.contains("model  metric                                  stored  recomputed  verdict"), "{text}");

    let quality: Value = serde_json::from_slice(&fs::read(toy.path("p/quality.json")).unwrap()).unwrap();
    let now = all[0]["metrics"][0]["recomputed"].as_f64().unwrap();
    assert!((now - quality["elbo_nats_per_token"].as_f64().unwrap()).abs() < 1e-9, "the same split and draws");
    recard(&toy, "p", "prior", |card| card.replace(&format!("{now:.4}"), "1.0000"));
    let (all, said) = verify(&toy, "fit p", 7);
    assert_eq!(all[1]["metrics"][0]["verdict"], "differs");
    assert!(said.contains("error: `p`: held-out bound, nats per token is 1.00000 on its card and "), "{said}");
}

#[test]
fn figures_that_cannot_be_recomputed_are_said_to_be_so() {
    let toy = Toy::new();
    let (all, said) = verify(&toy, "tfbind8-prior tfbind8-prior-full tfbind8-prior-hard tfbind8-reward tfbind8-fit", 0);
    assert!(said.contains("no figure was recomputed"), "{said}");
    for model in all.as_array().unwrap() {
        let reason = model["not_recomputed"].as_str().unwrap();
        assert!(reason.starts_with("data set `tfbind8") && reason.contains("` not found in `"), "{reason}");
    }
    toy.succeed(PRETRAIN);
    let line = String::from_utf8(toy.succeed("models verify tfbind8-fit p").stdout).unwrap();
    assert!(line.contains("-       -           not recomputed: data set `tfbind8` not found"), "{line}");
    let reason = |names: &str| verify(&toy, names, 0).0[0]["not_recomputed"].as_str().unwrap().to_owned();
    let table = fs::read_to_string(toy.path("t.csv")).unwrap();
    fs::write(toy.path("t.csv"), table + "ACACAC,0.1\n").unwrap();
    assert_eq!(reason("p"), "`t.csv` is not what it was trained on");
    fs::remove_file(toy.path("t.csv")).unwrap();
    assert_eq!(reason("p"), "no data set or file `t.csv` found");
    recard(&toy, "p", "prior", |card| card.replace("seqtilt pretrain", "seqtilt design"));
    assert!(reason("p").contains("on its card") || reason("p").contains("of its card"), "{}", reason("p"));
    recard(&toy, "p", "prior", |_| "# Mine\n".to_owned());
    assert_eq!(reason("p"), "its card names no command that made it");
}

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says why")]
fn a_reward_that_ships_has_the_figures_of_its_card() {
    let Some(data) = std::env::var_os("SEQTILT_DATA") else {
        eprintln!("skipped: SEQTILT_DATA does not name the folder of tfbind8");
        return;
    };
    let mut command = Toy::new().command("models verify tfbind8-reward");
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).env("SEQTILT_DATA", data).output().unwrap();
    let (text, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{said}");
    assert_eq!(text.lines().filter(|line| line.ends_with("  ok")).count(), 2, "{text}");
}
