//! Against pytorch-holo, and by hand.

use super::*;
use crate::oracle::{OracleName, conformance};
use crate::sequence::read_text;
use std::path::PathBuf;

/// The sets of `tests/fixtures/ehrlich/export.py`.
const SETS: [&str; 10] = [
    "s5-l7",
    "s4-l20",
    "s10-l60-epistasis",
    "s20-l64-epistasis",
    "s32-l32",
    "s32-l32-epistasis",
    "s32-l128",
    "s32-l256",
    "s32-l256-motifs8",
    "s32-l256-letters8",
];

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/ehrlich").join(name)
}

/// SplitMix64, started at the number of the sequence, as the script has it.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 33) as usize % bound
    }
}

/// Sequence number `i` of the script.
fn sequence(function: &Ehrlich, optimum: &Sequence, i: u64) -> Sequence {
    let (v, length) = (function.info.alphabet.len(), function.initial.len());
    let mut numbers = Numbers(i);
    let ids = match i % 4 {
        0 => (0..length).map(|_| numbers.below(v) as u8).collect(),
        1 => {
            let mut ids = vec![numbers.below(v) as u8];
            while ids.len() < length {
                let last = ids[ids.len() - 1];
                let after: Vec<u8> = (0..v as u8).filter(|to| !function.is_banned(last, *to)).collect();
                ids.push(after[numbers.below(after.len())]);
            }
            ids
        }
        kind => {
            let mut ids = optimum.ids().to_vec();
            for _ in 0..numbers.below(if kind == 2 { 4 } else { length }) {
                let (at, letter) = (numbers.below(length), numbers.below(v) as u8);
                let left = at == 0 || !function.is_banned(ids[at - 1], letter);
                let right = at + 1 == length || !function.is_banned(letter, ids[at + 1]);
                if kind == 2 || left && right {
                    ids[at] = letter;
                }
            }
            ids
        }
    };
    Sequence::from_ids(ids, &function.info.alphabet).unwrap()
}

/// Sequences of the fixtures that have a value there.
const FEASIBLE: usize = 75_461;

/// Whether an outcome is what the reference said: the same feasibility, and the value up to its arithmetic in f32, c factors of up
/// to five roundings each.
fn agrees(function: &Ehrlich, outcome: &Outcome, expected: &str) -> bool {
    match (expected, outcome) {
        ("-", Outcome::Infeasible { reason }) => reason.contains("may not be followed by"),
        (number, Outcome::Value { mean, sd: None }) => {
            let number: f64 = number.parse().unwrap();
            let roundings = 5.0 * function.motifs.len() as f64;
            (mean - number).abs() <= roundings * f64::from(f32::EPSILON) * number.abs()
        }
        _ => false,
    }
}

/// Compares all sequences of a set; answers with how many there are, and of them feasible.
fn compare(set: &str) -> (usize, usize) {
    let mut function = Ehrlich::read(&fixture(&format!("{set}.json"))).unwrap();
    let optimum = function.optimum().unwrap();
    let text = read_text(&fixture(&format!("{set}.values.gz"))).unwrap();
    let (digest, values) = text.split_once('\n').unwrap();
    let mut expected: Vec<&str> = values.lines().collect();
    let mut words: Vec<Sequence> = (0..expected.len()).map(|i| sequence(&function, &optimum, i as u64)).collect();
    let mut hash = Sha256::default();
    for word in &words {
        hash.update(word.ids());
    }
    assert_eq!(hash.hex(), digest, "{set}: other sequences than the script made");
    let evolved = read_text(&fixture(&format!("{set}.evolved.gz"))).unwrap();
    for line in evolved.lines() {
        let (word, value) = line.split_once(' ').unwrap();
        words.push(Sequence::parse(word, &function.info.alphabet).unwrap());
        expected.push(value);
    }
    let outcomes = function.evaluate(&words).unwrap();
    for ((outcome, expected), word) in outcomes.iter().zip(&expected).zip(&words) {
        let text = word.text(&function.info.alphabet);
        assert!(agrees(&function, outcome, expected), "{set} {text}: {outcome:?}, reference {expected}");
    }
    (words.len(), expected.iter().filter(|value| **value != "-").count())
}

#[test]
fn values_and_feasibility_are_those_of_the_reference() {
    let counts = SETS.map(compare);
    let (all, feasible) = counts.iter().fold((0, 0), |sum, counts| (sum.0 + counts.0, sum.1 + counts.1));
    // what the script printed
    assert_eq!((all, feasible), (110_000, FEASIBLE));
}

#[test]
fn optima_are_worth_exactly_one_and_first_solutions_are_feasible() {
    let own = |shape: EhrlichShape, seed| Ehrlich::generate(&shape, Seed::root(seed)).unwrap();
    let shape = EhrlichShape::default;
    let mut functions: Vec<Ehrlich> =
        SETS.iter().map(|set| Ehrlich::read(&fixture(&format!("{set}.json"))).unwrap()).collect();
    for seed in 0..20 {
        functions.push(own(shape(), seed));
        functions.push(own(EhrlichShape { length: 256, motifs: 8, epistasis: 4.0, ..shape() }, seed));
        functions.push(own(EhrlichShape { states: 4, length: 40, motif_length: 6, quantisation: 3, ..shape() }, seed));
        functions.push(own(EhrlichShape { states: 2, length: 8, motifs: 2, ..shape() }, seed));
    }
    for mut function in functions {
        let optimum = function.optimum().unwrap();
        let start = function.initial().clone();
        let walk = function.walk(&mut Seed::root(3).rng()).unwrap();
        let values: Vec<Option<f64>> =
            function.evaluate(&[optimum, start, walk]).unwrap().iter().map(Outcome::value).collect();
        assert_eq!(values[0], Some(1.0), "{}", function.info.name);
        assert!(values[1..].iter().all(|value| value.is_some_and(|value| (0.0..=1.0).contains(&value))), "{values:?}");
    }
}

/// Two motifs of four letters of `ABC`; `C` may not follow `A`.
const BY_HAND: &str = r#"{"format": "ehrlich-1", "letters": "ABC", "length": 10, "quantisation": 2, "epistasis": 1,
    "motifs": ["ABBA", "BCCB"], "spacings": [[1, 2, 1], [1, 1, 1]], "banned": {"A": "C"}, "initial": "AAAAAAAAAA"}"#;

#[test]
fn levels_are_as_by_hand() {
    let mut function = Ehrlich::parse(BY_HAND).unwrap();
    assert_eq!(function.info.name, "ehrlich-10-2-4-2");
    // A B _ B A: three of four are half of two steps, worth ½(1 − ¼)
    let half = 0.375;
    for (text, expected) in [
        ("ABBBABCCBB", Ok(1.0)),
        ("ABBBBBCCBB", Ok(half)),
        ("ABBBBBCBBB", Ok(half * half)),
        ("AAAAAAAAAA", Ok(0.0)),
        ("ABBBACCCBB", Err("`A` at position 5 may not be followed by `C`")),
    ] {
        let word = Sequence::parse(text, &function.info.alphabet).unwrap();
        let outcome = function.evaluate(&[word]).unwrap().remove(0);
        match expected {
            Ok(value) => assert_eq!(outcome, Outcome::exact(value), "{text}"),
            Err(reason) => assert_eq!(outcome.reason(), Some(reason), "{text}"),
        }
    }
    let again = Ehrlich::parse(&function.to_json().unwrap()).unwrap();
    assert_eq!(again.info, function.info);
    let other = Ehrlich::parse(&BY_HAND.replace("\"epistasis\": 1", "\"epistasis\": 0")).unwrap();
    assert_ne!(other.info.fingerprint, function.info.fingerprint);
}

#[test]
fn files_and_options_that_do_not_fit_say_why() {
    for (from, to, message) in [
        ("ehrlich-1", "ehrlich-2", "format `ehrlich-2`; `ehrlich-1` is accepted"),
        ("[1, 2, 1]", "[1, 2]", "spacing [1, 2] of motif `ABBA`; 3 distances of 1 to 10 are accepted"),
        ("[1, 2, 1]", "[1, 18446744073709551615, 1]", "3 distances of 1 to 10 are accepted"),
        ("\"A\": \"C\"", "\"A\": \"D\"", "banned letter `D` is not among the letters"),
        ("\"length\": 10", "\"length\": 9", "the initial solution has 10 letters; the length is 9"),
        ("\"A\": \"C\"", "\"A\": \"B\"", "the motifs cannot stand one after another: `A` at position 1 may not be"),
        ("[1, 2, 1]", "[1, 4, 1]", "the motifs span 11 letters one after another; 10 do not hold them"),
        ("\"epistasis\": 1", "\"epistasis\": 5", "`epistasis` is 5; 0 to 4 is accepted"),
    ] {
        let result = Ehrlich::parse(&BY_HAND.replace(from, to));
        let text = result.unwrap_err().message().to_owned();
        assert!(text.contains(message), "{to}: {text}");
    }
    let open = |argument: &str| open(argument, &OracleOptions::default()).err().unwrap();
    assert_eq!(open("state=3").hint_text(), Some("did you mean `states`?"));
    assert_eq!(open("states=40").message(), "`states` is 40; 2 to 36 is accepted");
    assert_eq!(open("length=15").message(), "`length` is 15; 16 to 100000 is accepted");
    assert_eq!(
        open("motif-length=5,quantisation=3").message(),
        "`quantisation` is 3 for motifs of 5 letters; 1, 5 are accepted"
    );
    assert_eq!(open("seed=x").message(), "`seed` of `ehrlich` is `x`; a whole number is accepted");
}

#[test]
fn it_conforms_by_name() {
    let file = fixture("s4-l20.json").display().to_string();
    for name in ["ehrlich:states=6,length=12,motifs=2,motif-length=3,seed=4", &format!("ehrlich:{file}")] {
        let name: OracleName = name.parse().unwrap();
        let mut oracle = name.open(&OracleOptions::default()).unwrap();
        let info = oracle.info().clone();
        let mut rng = Seed::root(2).rng();
        let word = |length: usize, rng: &mut Rng| {
            let ids: Vec<u8> = (0..length).map(|_| rng.below(info.alphabet.len()) as u8).collect();
            Sequence::from_ids(ids, &info.alphabet).unwrap()
        };
        let probes: Vec<Sequence> = (0..40).map(|i| word(info.length.0 + usize::from(i == 7), &mut rng)).collect();
        let checks = conformance(oracle.as_mut(), None, &probes).unwrap();
        assert!(checks.len() == 6 && checks.iter().all(|check| check.passed), "{name}: {checks:?}");
        assert!(!checks[1].detail.contains(" 0 with a value"), "{checks:?}");
        assert!(name.reward(&OracleOptions::default()).err().unwrap().message().contains("no gradient"));
    }
}
