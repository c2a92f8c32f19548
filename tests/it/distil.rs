//! `seqtilt distil` and drawing from what it makes.

use crate::resume::Toy;
use serde_json::Value;
use std::fs;

const PRETRAIN: &str = "pretrain t.csv --dim 8 --heads 2 --layers 1 --sampling-steps 8 --batch 16 --steps 10";
const DISTIL: &str = "distil p --steps 6 --batch 16 --samples 64 --ode-steps 8 --skip 4 --states 32";

#[test]
fn a_prior_is_distilled_drawn_from_reported_and_verified() {
    let toy = Toy::new();
    toy.succeed(&format!("{PRETRAIN} --out p"));
    toy.succeed(&format!("{DISTIL} --out c --threads 1"));
    let again = toy.succeed(&format!("{DISTIL} --out c2 --threads 3"));
    for file in ["model.safetensors", "config.json", "fidelity.json"] {
        assert!(fs::read(toy.path("c").join(file)).unwrap() == fs::read(toy.path("c2").join(file)).unwrap(), "{file}");
    }
    let printed = String::from_utf8(again.stdout).unwrap();
    let card = fs::read_to_string(toy.path("c/CARD.md")).unwrap();
    assert!(card.contains(&printed) && card.contains("seqtilt distil p --steps 6"), "{card}");
    let figures: Value = serde_json::from_slice(&fs::read(toy.path("c/fidelity.json")).unwrap()).unwrap();
    let levels = figures["levels"].as_array().unwrap();
    assert_eq!(levels.len(), 9);
    assert_eq!(levels[8]["consistency"]["agreement"][0], 1.0, "at the decode it is the frozen head");
    assert_eq!(levels[8]["consistency"], levels[8]["tweedie"]);

    let drawn = |line: &str| String::from_utf8(toy.succeed(line).stdout).unwrap();
    let two = drawn("sample --consistency c --steps 2 --count 20");
    assert_eq!(two.matches('>').count(), 20);
    assert_eq!(two, drawn("sample --consistency c --prior p --steps 2 --count 20 --threads 3"));
    assert_ne!(two, drawn("sample --consistency c --count 20"));

    toy.succeed("report c");
    let page = fs::read_to_string(toy.path("c/report.html")).unwrap();
    assert!(page.contains("Against multi-step sampling"));
    let said = String::from_utf8(toy.succeed("models verify c").stderr).unwrap();
    assert!(said.contains("2 figures agree with their cards"), "{said}");
}

#[test]
fn another_prior_and_other_flags_are_refused() {
    let toy = Toy::new();
    toy.succeed(&format!("{PRETRAIN} --out p"));
    toy.succeed(&format!("{PRETRAIN} --seed 1 --out other"));
    toy.succeed(&format!("{DISTIL} --out c"));
    for (line, code, wrong) in [
        ("sample --consistency c --prior other", 7, "follows the prior `p`"),
        ("sample --consistency p", 2, "`p` is a prior, not a consistency"),
        ("sample --consistency c --steps 17", 2, "`steps` is 17; 1 to 16 is accepted"),
        ("sample --consistency c --eta 0", 2, "a consistency model takes none"),
        ("distil c --out d", 2, "`c` is a consistency, not a prior"),
        ("distil p --out d --skip 65", 2, "`skip` is 65"),
        ("distil p --out d --astray 1.5", 2, "`astray` is 1.5; 0 to 1 is accepted"),
        ("distil p", 2, "--out"),
    ] {
        let output = toy.output(line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{line}: {said}");
        assert!(said.contains(wrong), "{line}: {said}");
    }
    fs::rename(toy.path("p"), toy.path("moved")).unwrap();
    let said = String::from_utf8(toy.output("sample --consistency c").stderr).unwrap();
    assert!(said.contains("name its prior with --prior"), "{said}");
    toy.succeed("sample --consistency c --prior moved --count 2");
}
