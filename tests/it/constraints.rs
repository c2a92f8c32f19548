//! Rules that designs keep, through the command line.

use crate::resume::Toy;
use std::fs;

const RULES: &str = "wild-type = \"ACGTACGTACGTACGTACGT\"\nfixed = [\"1-2\"]\nmin-mutations = 2\nmax-mutations = 9\n\
                     enzymes = [\"EcoRI\"]\nforbidden = [\"GGN\"]\ngc = [0.4, 0.6]\nmax-homopolymer = 3\n";

/// Whether a word of twenty letters keeps the rules above, by hand.
fn keeps(word: &str) -> bool {
    let wild_type = "ACGTACGTACGTACGTACGT";
    let changed = word.bytes().zip(wild_type.bytes()).filter(|(a, b)| a != b).count();
    let gc = word.bytes().filter(|letter| b"GC".contains(letter)).count();
    let other: String = word.chars().rev().map(|c| "TGCA".chars().nth("ACGT".find(c).unwrap()).unwrap()).collect();
    // the last letter has none after it
    let pair = |strand: &str| strand[..strand.len() - 1].contains("GG");
    let run = ["AAAA", "CCCC", "GGGG", "TTTT"].iter().any(|run| word.contains(run));
    word.starts_with("AC")
        && (2..=9).contains(&changed)
        && (8..=12).contains(&gc)
        && !word.contains("GAATTC")
        && !pair(word)
        && !pair(&other)
        && !run
}

/// What is said on standard error by a command that ends with an exit code.
fn refused(toy: &Toy, line: &str, code: i32) -> String {
    let output = toy.output(line);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{line}: {said}");
    said
}

fn letters(fasta: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(fasta);
    text.lines().filter(|line| !line.starts_with('>')).map(str::to_owned).collect()
}

#[test]
fn draws_of_prior_and_tuned_sampler_keep_every_rule() {
    let toy = Toy::new();
    fs::write(toy.path("rules.toml"), RULES).unwrap();
    fs::write(toy.path("m.txt"), ">M two letters\nA [ 1 0 ]\nC [ 0 1 ]\nG [ 9 8 ]\nT [ 0 1 ]\n").unwrap();
    for decode in ["hard", "draw"] {
        let line = format!("sample --prior uniform:dna:20 --constraints rules.toml --count 400 --decode {decode}");
        let drawn = letters(&toy.succeed(&format!("{line} --threads 1")).stdout);
        assert_eq!(drawn.len(), 400);
        assert!(drawn.iter().all(|word| keeps(word)), "{drawn:?}");
        assert_eq!(drawn, letters(&toy.succeed(&format!("{line} --threads 3")).stdout));
        // as diverse as can be: nothing is thrown together by the rules
        assert!(drawn.iter().collect::<std::collections::BTreeSet<_>>().len() > 380);
    }
    // a reward that wants what is forbidden
    let small = "--tuning-steps 4 --paths 16 --chain-steps 8 --certificate-paths 200 --base-paths 400 --control-dim 8";
    let reward = "--reward pwm:m.txt --alpha 0.5 --out f --json";
    let tune = format!("finetune --prior uniform:dna:20 --constraints rules.toml {reward} {small}");
    let said = String::from_utf8(toy.succeed(&tune).stderr).unwrap();
    assert!(said.contains("kept by the decode, which `control` does not see"), "{said}");
    let drawn = letters(&toy.succeed("sample --control f --count 200").stdout);
    assert!(drawn.len() == 200 && drawn.iter().all(|word| keeps(word)));
    // its prior would forget its rules under others
    let said = refused(&toy, "sample --prior f/prior --gc 0.1-0.9 --count 3", 2);
    assert!(said.contains("keeps constraints already"), "{said}");
    let again = letters(&toy.succeed("sample --prior f/prior --count 100").stdout);
    assert!(again.iter().all(|word| keeps(word)));
    // other rules are another job
    let other = refused(&toy, &tune.replace("--constraints", "--max-homopolymer 2 --constraints"), 2);
    assert!(other.contains("another") || other.contains("differ"), "{other}");
}

#[test]
fn rules_that_cannot_be_kept_are_refused_with_the_rule_to_blame() {
    let toy = Toy::new();
    let said = refused(&toy, "sample --prior uniform:dna:6 --wild-type GGGGGG --fixed 1-4 --max-homopolymer 2", 4);
    assert!(said.contains("no sequence of 6 letters keeps all constraints"), "{said}");
    assert!(said.contains("without `max-homopolymer` 16 would be left"), "{said}");
    for (flags, code, wrong) in [
        ("--max-mutations 3", 2, "needs a wild type"),
        ("--wild-type ACGTAC", 2, "are for constraints, and there are none"),
        ("--wild-type ACGTAC --min-mutations 18446744073709551614", 2, "designs have 6 letters"),
        ("--gc nan-0.5", 2, "two shares in order"),
        ("--gc 60", 2, "two shares such as `0.4-0.6`"),
        ("--enzymes EcoRIX", 2, "did you mean `EcoRI`"),
        ("--constraints none.toml", 3, "none.toml"),
    ] {
        let said = refused(&toy, &format!("sample --prior uniform:dna:6 {flags}"), code);
        assert!(said.contains(wrong), "{flags}: {said}");
    }
    for source in ["--control f", "--energy potts:p.csv", "--consistency tfbind8-consistency-full"] {
        let said = refused(&toy, &format!("sample {source} --gc 0.4-0.6"), 2);
        assert!(said.contains("constraints are for `--prior`"), "{said}");
    }
    fs::write(toy.path("bad.toml"), "gcc = [0.4, 0.6]\n").unwrap();
    let said = refused(&toy, "sample --prior uniform:dna:6 --constraints bad.toml", 2);
    assert!(said.contains("bad.toml") && said.contains("gcc"), "{said}");
}

#[test]
fn designs_are_named_by_their_mutations_and_rules_are_part_of_the_job() {
    let toy = Toy::new();
    toy.succeed("pretrain t.csv --steps 4 --dim 8 --heads 2 --layers 1 --sampling-steps 8 --batch 16 --out p");
    fs::write(toy.path("r.toml"), "max-mutations = 3\nfixed = [\"11\"]\n").unwrap();
    let design = "design t.csv --prior p --reward-epochs 2 --count 6 --samples 200 --alpha 0.3 --paths 16 --tuning-steps 2 \
                  --control-dim 8 --certificate-paths 100 --base-paths 100 --wild-type ACGTAC --first-position 10 \
                  --constraints r.toml --min-distance 1 --out d";
    toy.succeed(design);
    let mut table = csv::Reader::from_path(toy.path("d/designs.csv")).unwrap();
    for row in table.records().map(Result::unwrap) {
        let changed: Vec<String> = (10..)
            .zip("ACGTAC".chars().zip(row[1].chars()))
            .filter(|(_, (a, b))| a != b)
            .map(|(n, (a, b))| format!("{a}{n}{b}"))
            .collect();
        assert_eq!((&row[2], row[3].parse().unwrap()), (changed.join(":").as_str(), changed.len()));
        assert!(changed.len() <= 3 && row[1].chars().nth(1) == Some('C'));
    }
    fs::write(toy.path("r.toml"), "max-mutations = 2\nfixed = [\"11\"]\n").unwrap();
    let output = toy.output(design);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("versions.constraints"), "{said}");
}

/// What windows and runs of the test below ask for, by hand.
fn windows_and_runs(word: &str) -> bool {
    let gc = |window: &[u8]| window.iter().filter(|letter| b"GC".contains(letter)).count();
    word.as_bytes().windows(4).all(|window| (1..=3).contains(&gc(window)))
        && !["AAA", "CCC", "GGG", "TTT"].iter().any(|run| word.contains(run))
}

const WINDOWED: &str = "--gc-window 4:0.25-0.75 --max-homopolymer 2";

#[test]
fn windows_are_kept_by_draws_and_by_steering() {
    let toy = Toy::new();
    for line in [
        format!("sample --prior uniform:dna:20 {WINDOWED} --count 200"),
        format!(
            "steer --prior uniform:dna:6 --reward table:t.csv --missing 0 --method best-of-n --count 40 {WINDOWED}"
        ),
    ] {
        let drawn = letters(&toy.succeed(&line).stdout);
        assert!(drawn.len() >= 40 && drawn.iter().all(|word| windows_and_runs(word)), "{line}: {drawn:?}");
    }
    // letters that are drawn are drawn again until they keep the window
    let wide = "sample --prior uniform:dna:12 --decode draw --count 50 --gc-window 12:0.25-0.75";
    let drawn = letters(&toy.succeed(wide).stdout);
    assert!(
        drawn.iter().all(|word| (3..=9).contains(&word.bytes().filter(|b| b"GC".contains(b)).count())),
        "{drawn:?}"
    );
    // at the decode letters are all but certain, and draws of them that keep windows too rare
    let draw = format!("sample --prior uniform:dna:12 {WINDOWED} --count 50 --decode draw");
    assert!(refused(&toy, &draw, 4).contains("`gc-window` kept none of 10000 draws"));
}

#[test]
fn searches_measure_only_what_keeps_the_rules() {
    let toy = Toy::new();
    let motif = ">M six letters\nA [ 1 0 1 1 1 1 ]\nC [ 0 1 1 1 1 1 ]\nG [ 9 8 9 9 9 9 ]\nT [ 0 1 1 1 1 1 ]\n";
    fs::write(toy.path("m.txt"), motif).unwrap();
    let search = format!("optimize --oracle pwm:m.txt --start t.csv --rounds 2 --batch 8 {WINDOWED}");
    let tilted = "tilted --prior uniform:dna:6 --samples 200 --tuning-steps 2 --base-paths 500 --certificate-paths 200";
    for proposer in ["random", "genetic", tilted] {
        let name = proposer.split(' ').next().unwrap();
        toy.succeed(&format!("{search} --proposer {proposer} --out o-{name}"));
        let mut measured = csv::Reader::from_path(toy.path(&format!("o-{name}/measured.csv"))).unwrap();
        let columns = measured.headers().unwrap().clone();
        let at = |key: &str| columns.iter().position(|column| column == key).unwrap();
        let (round, sequence) = (at("round"), at("sequence"));
        let rows: Vec<_> = measured.records().map(Result::unwrap).filter(|row| &row[round] != "0").collect();
        assert!(rows.len() == 16 && rows.iter().all(|row| windows_and_runs(&row[sequence])), "{name}: {rows:?}");
    }
    let hopeless = format!("{search} --proposer random --out x").replace("4:0.25-0.75", "6:0-0.5 --gc 0.9-1");
    let said = refused(&toy, &hopeless, 4);
    assert!(said.contains("no sequence of 6 letters keeps all constraints"), "{said}");
}

#[test]
fn what_a_constrained_prior_cannot_draw_is_counted_apart() {
    let toy = Toy::new();
    toy.succeed("pretrain t.csv --dim 8 --heads 2 --layers 1 --sampling-steps 8 --batch 16 --steps 5 --out p");
    let small = "--tuning-steps 1 --paths 16 --control-dim 8 --certificate-paths 100 --base-paths 200 --alpha 1";
    let tune = "finetune --prior p --reward table:t.csv --missing 0 --objective log-variance --gc 0-0.5 --out f";
    toy.succeed(&format!("{tune} {small}"));
    let figures = toy.succeed("evaluate t.csv --prior f/prior --json").stdout;
    let figures: serde_json::Value = serde_json::from_slice(&figures).unwrap();
    let text = fs::read_to_string(toy.path("t.csv")).unwrap();
    let rich = |line: &str| line[..6].bytes().filter(|letter| b"GC".contains(letter)).count() > 3;
    let outside = text.lines().skip(1).filter(|line| rich(line)).count() as u64;
    assert_eq!(figures[0]["outside_prior"].as_u64(), Some(outside), "{figures}");
    assert!(outside > 0 && figures[0]["nats_per_token"].as_f64().unwrap().is_finite());
}
