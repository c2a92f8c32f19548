//! Small tables of a user's own: what is made of them, and what is refused.

use crate::resume::Toy;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

const QUICK: &str = "--tuning-steps 30 --paths 64 --samples 800 --count 12 --certificate-paths 500 --base-paths 2000";

/// Eight letters whose value is the number of As plus noise of standard deviation ½, or noise alone.
fn table(rows: u64, signal: f64) -> String {
    let mut text = "sequence,value\n".to_owned();
    let mut state = 12_345_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    for _ in 0..rows {
        let word: String = (0..8).map(|_| char::from(b"ACGT"[(next() % 4) as usize])).collect();
        let count = word.matches('A').count() as f64;
        let noise = (next() % 1000) as f64 / 1000.0 + (next() % 1000) as f64 / 1000.0 - 1.0;
        writeln!(text, "{word},{:.3}", signal * count + noise).unwrap();
    }
    text
}

fn toy(rows: u64, signal: f64) -> Toy {
    let toy = Toy::new();
    fs::write(toy.path("s.csv"), table(rows, signal)).unwrap();
    toy
}

#[test]
fn a_small_table_becomes_designs_near_its_sequences() {
    let toy = toy(60, 1.0);
    let said = String::from_utf8(toy.succeed(&format!("design s.csv --out d {QUICK}")).stderr).unwrap();
    assert!(said.contains("cross-validating models on 60 measured sequences"), "{said}");
    assert!(said.contains("there is no network to train"), "{said}");
    let summary: serde_json::Value = serde_json::from_slice(&fs::read(toy.path("d/summary.json")).unwrap()).unwrap();
    let families: Vec<&str> =
        summary["models"].as_array().unwrap().iter().filter_map(|m| m["family"].as_str()).collect();
    assert_eq!(families, ["gp", "gp-shifts", "linear", "pairs", "networks"]);
    assert_ne!(
        summary["reward"].as_str().unwrap().split(' ').next(),
        summary["judge"].as_str().unwrap().split(' ').next()
    );
    let trust = summary["trust"][0].as_u64().unwrap();
    let measured: BTreeMap<String, f64> = table(60, 1.0)
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(','))
        .map(|(word, value)| (word.to_owned(), value.parse().unwrap()))
        .collect();
    let mut counts = Vec::new();
    for row in csv::Reader::from_path(toy.path("d/designs.csv")).unwrap().records().map(Result::unwrap) {
        assert!(!measured.contains_key(&row[1]), "{} is known", &row[1]);
        let distance = |word: &String| word.bytes().zip(row[1].bytes()).filter(|(a, b)| a != b).count() as u64;
        let nearest = measured.keys().map(distance).min().unwrap();
        assert!(nearest <= trust && nearest.to_string() == row[13], "{row:?}");
        counts.push(row[1].matches('A').count() as f64);
    }
    // two As of eight on average in the table; values say that more are better
    let mean = counts.iter().sum::<f64>() / counts.len() as f64;
    assert!(counts.len() == 12 && mean > 4.0, "{counts:?}");
}

#[test]
fn tables_that_support_nothing_are_refused_and_say_why() {
    let toy = toy(60, 0.0);
    fs::write(toy.path("few.csv"), table(12, 1.0)).unwrap();
    let text = table(60, 0.0);
    let flat = text.lines().skip(1).fold("sequence,value\n".to_owned(), |all, row| all + &row[..8] + ",1\n");
    fs::write(toy.path("flat.csv"), flat).unwrap();
    fs::write(toy.path("twice.csv"), "sequence,value,value\nACGTACGT,1,2\n").unwrap();
    fs::write(toy.path("long.csv"), format!("{text}{},1\n", "A".repeat(5000))).unwrap();
    for (line, code, piece) in [
        ("design flat.csv --out x", 3, "measured sequences have the value 1"),
        ("design twice.csv --out x", 3, "column `value` occurs 2 times"),
        ("design long.csv --out x", 2, "`length` is 5000"),
        ("design s.csv --out x", 3, "60 measured sequences support no prediction: the best of 4 models"),
        ("design few.csv --out x", 3, "12 measured sequences; at least 20"),
        (
            "design s.csv --out x --model tree",
            2,
            "unknown model `tree`; accepted: `gp`, `gp-shifts`, `linear`, `pairs`, `networks`, `auto`",
        ),
        ("design s.csv --out x --model gp --reward-epochs 2", 2, "`--reward-epochs` is for `--model networks`"),
    ] {
        let output = toy.output(line);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{line}\n{said}");
        assert!(said.contains(piece), "{line}\n{said}");
    }
    toy.succeed(&format!("design s.csv --out y --unsupported --model linear {QUICK}"));
}

#[test]
fn a_description_says_what_a_table_supports() {
    let describe = |signal| String::from_utf8(toy(60, signal).succeed("data describe s.csv").stdout).unwrap();
    let (good, noise) = (describe(1.0), describe(0.0));
    assert!(good.contains("supports") && good.contains("designs by `"), "{good}");
    assert!(noise.contains("no prediction: no model ranks held-out sequences better than chance"), "{noise}");
    let counts = String::from_utf8(toy(60, 1.0).succeed("data describe s.csv --counts-only").stdout).unwrap();
    assert!(!counts.contains("supports"), "{counts}");
}

#[test]
fn further_goals_are_traded_off_and_bounds_are_kept() {
    let toy = toy(60, 1.0);
    // as many Ts as possible, against a reward for As
    let flipped = table(60, 1.0).replace('A', "x").replace('T', "A").replace('x', "T");
    fs::write(toy.path("t60.csv"), flipped).unwrap();
    let job = format!("design s.csv --out d {QUICK} --goal ts=linear:t60.csv");
    for (flags, piece) in [
        ("--require ts", "`ts` is no requirement"),
        ("--require us>=1", "unknown value in `--require` `us`; accepted: `ts`, `reward`"),
        ("--goal reward=linear:t60.csv", "is no goal"),
        ("--goal ts=linear:t60.csv", "goal `ts` is named twice"),
        ("--trust 0", "`trust` is 0"),
    ] {
        let output = toy.output(&format!("{job} {flags}"));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(piece), "{said}");
    }
    toy.succeed(&format!("{job} --require ts>=2 --require reward>=2@0.7"));
    let mut reader = csv::Reader::from_path(toy.path("d/designs.csv")).unwrap();
    let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(names[28..], ["front", "ts_mean", "ts_sd"]);
    let rows: Vec<Vec<f64>> = reader
        .records()
        .map(Result::unwrap)
        .map(|row| [7, 8, 28, 29].map(|column: usize| row[column].parse().unwrap()).to_vec())
        .collect();
    assert!(!rows.is_empty());
    for row in &rows {
        // Φ⁻¹(0.7) = 0.5244
        assert!(row[3] >= 2.0 && row[0] - 2.0 >= 0.5244 * row[1], "{row:?}");
        assert!(row[2] >= rows[0][2] && row[2] >= 1.0, "{row:?}");
    }
    let front: Vec<&Vec<f64>> = rows.iter().filter(|row| row[2] == 1.0).collect();
    let score = |row: &[f64]| row[0] - row[1];
    assert!(front.iter().all(|a| !front.iter().any(|b| score(b) > score(a) && b[3] > a[3])), "{front:?}");
    let page = fs::read_to_string(toy.path("d/report.html")).unwrap();
    assert!(page.contains("Reward against ts") && page.contains("reward&gt;=2@0.7"));
}
