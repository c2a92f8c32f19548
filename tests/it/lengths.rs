//! Sequences of several lengths, through the command line.

use crate::resume::Toy;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;

const PRETRAIN: &str = "pretrain v.csv --dim 8 --heads 2 --layers 1 --sampling-steps 8 --batch 16 --steps 10";
const SMALL: &str = "--alpha 0.3 --tuning-steps 4 --paths 32 --chain-steps 8 --control-dim 8 --control-layers 1 \
                     --certificate-paths 300 --base-paths 600";

/// The toy's table with up to two letters cut off: four to six letters.
fn toy() -> Toy {
    let toy = Toy::new();
    let mut text = "sequence,value\n".to_owned();
    for (n, line) in fs::read_to_string(toy.path("t.csv")).unwrap().lines().skip(1).enumerate() {
        let (word, value) = line.split_once(',').unwrap();
        writeln!(text, "{},{value}", &word[..6 - n % 3]).unwrap();
    }
    fs::write(toy.path("v.csv"), text).unwrap();
    toy
}

fn words(fasta: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(fasta);
    text.lines().filter(|line| !line.starts_with('>')).map(str::to_owned).collect()
}

fn assert_plain(words: &[String]) {
    assert!(words.iter().all(|x| (4..=6).contains(&x.len()) && x.bytes().all(|b| b"ACGT".contains(&b))), "{words:?}");
}

#[test]
fn a_table_of_several_lengths_is_learned_tilted_scored_and_never_shown_padded() {
    let toy = toy();
    let said = String::from_utf8(toy.succeed(&format!("{PRETRAIN} --out p")).stdout).unwrap();
    assert!(said.contains("length") && said.contains("total variation"), "{said}");
    let config = fs::read_to_string(toy.path("p/config.json")).unwrap();
    assert!(config.contains("\"ACGT_\"") && config.contains("\"shortest\": 4"), "{config}");
    let drawn = words(&toy.succeed("sample --prior p --count 300 --threads 1").stdout);
    assert_eq!(drawn, words(&toy.succeed("sample --prior p --count 300 --threads 3").stdout));
    assert_plain(&drawn);
    assert_eq!(drawn.iter().map(String::len).collect::<BTreeSet<_>>().len(), 3, "{drawn:?}");
    let ruled = words(&toy.succeed("sample --prior p --count 200 --gc 0.4-0.6 --forbidden GA").stdout);
    assert_plain(&ruled);
    for word in &ruled {
        let gc = word.bytes().filter(|letter| b"GC".contains(letter)).count() as f64 / word.len() as f64;
        assert!((0.4..=0.6).contains(&gc) && !word.contains("GA") && !word.contains("TC"), "{word}");
    }
    toy.succeed("oracle train v.csv --out r --members 2 --width 8 --epochs 2");
    let scores = String::from_utf8(toy.succeed("score v.csv --oracle model:r").stdout).unwrap();
    assert!(scores.lines().skip(1).all(|line| line.contains(",ok,")), "{scores}");
    toy.succeed("oracle check model:r");
    for line in [
        format!("finetune --prior p --reward model:r {SMALL} --out f"),
        // the letters alone, without a gradient
        format!("finetune --prior p --reward table:v.csv --missing 0 {SMALL} --objective log-variance --out g"),
    ] {
        toy.succeed(&line);
    }
    let certificate = fs::read_to_string(toy.path("f/certificate.json")).unwrap();
    let certificate: serde_json::Value = serde_json::from_str(&certificate).unwrap();
    let of = |key: &str| certificate["certificate"][key]["value"].as_f64().unwrap_or_else(|| panic!("{certificate}"));
    // a divergence, up to three standard errors of two hundred paths
    assert!(of("gap") > -3.0 * certificate["certificate"]["gap"]["se"].as_f64().unwrap());
    assert_plain(&words(&toy.succeed("sample --control f --count 100").stdout));
    let figures = toy.succeed("evaluate v.csv --prior p --oracle model:r --reference v.csv --json").stdout;
    let figures: serde_json::Value = serde_json::from_slice(&figures).unwrap();
    assert!(figures[0]["nats_per_token"].as_f64().unwrap().is_finite(), "{figures}");
    assert_plain(&words(
        &toy.succeed("steer --prior p --reward model:r --alpha 0.3 --method best-of-n --count 20").stdout,
    ));
}

#[test]
fn more_letters_than_the_table_has_are_room_for_longer_ones() {
    let toy = toy();
    fs::write(toy.path("one.csv"), "sequence\nACGT\nAAGT\nCCGT\nACTT\n").unwrap();
    let train = PRETRAIN.replace("v.csv", "one.csv");
    toy.succeed(&format!("{train} --length 6 --out p"));
    let config = fs::read_to_string(toy.path("p/config.json")).unwrap();
    assert!(config.contains("\"length\": 6") && config.contains("\"shortest\": 4"), "{config}");
    let output = toy.output(&format!("{train} --length 3 --out q"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && said.contains("`length` is 3; the longest sequence has 4"), "{said}");
    toy.succeed(&format!("{train} --out plain"));
    let config = fs::read_to_string(toy.path("plain/config.json")).unwrap();
    assert!(config.contains("\"ACGT\"") && !config.contains("shortest"), "{config}");
}
