//! Formulas by hand, against differences, and over oracles of every outcome.

use super::*;
use crate::nn::check;
use crate::oracle::{Bound, conformance};
use crate::random::Seed;
use crate::sequence::Alphabet;
use candle_core::Device;

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|name| (*name).to_owned()).collect()
}

fn value(formula: &str, a: f64, b: f64) -> f64 {
    syntax::parse(formula, &names(&["a", "b"])).unwrap().at(&[a, b]).0
}

#[test]
fn formulas_have_the_values_that_they_have_on_paper() {
    for (formula, expected) in [
        ("a + b*2", 8.0),
        ("(a + b)*2", 10.0),
        ("a - b - 1", -2.0),
        ("a - (b - 1)", 0.0),
        ("12/a/b", 2.0),
        ("-a*b", -6.0),
        ("2*-a + b", -1.0),
        ("- -a+b", 5.0),
        ("0.7*a + 0.3*clip(b,0,1) - max(a-3,0)", 1.7),
        ("min(a, b, 1.5)", 1.5),
        ("max(a,b)", 3.0),
        ("1e1*a + 2.5E-1*b", 20.75),
        ("above(a, 2) + 10*above(a, b) + 100*below(a, b)", 101.0),
        ("exp(a - 2) + log(b - 2) + sqrt(a + 2) + abs(a - b)", 4.0),
        ("sigmoid(a - 2)*b", 1.5),
    ] {
        // sums of a few doubles
        assert!((value(formula, 2.0, 3.0) - expected).abs() < 1e-14, "{formula}: {}", value(formula, 2.0, 3.0));
    }
    // no overflow at either end
    assert_eq!((value("sigmoid(a) + 0*b", -1e4, 0.0), value("sigmoid(a) + 0*b", 1e4, 0.0)), (0.0, 1.0));
}

#[test]
fn what_is_wrong_is_named_with_its_column() {
    for (formula, column, message) in [
        ("a + b)", 6, "expected `+`, `-`, `*`, `/` or the end, got `)`"),
        ("a + * b", 5, "expected a number, a name or `(`, got `*`"),
        ("a + b *", 8, "expected a number, a name or `(`, and there is no more"),
        ("a + (b", 7, "expected `)`, and there is no more"),
        ("a + c", 5, "unknown part `c`; accepted: `a`, `b`"),
        ("a + clipp(b, 0, 1)", 5, "unknown function `clipp`; accepted: `min`"),
        ("a*clip(b, 1)", 3, "`clip` takes 3 terms, got 2"),
        ("max(a) + b", 1, "`max` takes 2 or more terms, got 1"),
        ("a + 1.2.3*b", 5, "`1.2.3` is not a number"),
        ("a b", 3, "or the end, got `b`"),
        ("é + a", 1, "expected a number, a name or `(`, got `é`"),
    ] {
        let error = syntax::parse(formula, &names(&["a", "b"])).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Usage);
        let expected = format!("formula `{formula}`, column {column}: ");
        assert!(error.message().starts_with(&expected) && error.message().contains(message), "{error}");
    }
    let message =
        |formula: &str, parts: &[&str]| syntax::parse(formula, &names(parts)).unwrap_err().message().to_owned();
    assert_eq!(message("a + 1", &["a", "b"]), "the formula `a + 1` does not use part `b`");
    assert_eq!(message("max + 1", &["max"]), "part `max` has the name of a function");
    assert_eq!(message("a", &["a", "a"]), "part `a` is named twice");
    assert!(message("a", &["2a"]).contains("`2a` is not a name"));
    assert!(message(&"(".repeat(100_000), &["a"]).contains("64 levels at most"));
    assert!(message(&"-".repeat(100_000), &["a"]).contains("64 levels at most"));
    assert!(message(&("a+".repeat(100_000) + "a"), &["a"]).contains("more than 1000 operations"));
    assert!(syntax::parse(&("a*".repeat(999) + "a"), &names(&["a"])).is_ok());
}

const SMOOTH: &str = "0.5*a*b - a/(b + 4) + min(a, b - 1) + max(a*2, b) + clip(a, -3, 0.1) + sigmoid(a*b) + exp(a/3) \
                      + log(b + 6) + sqrt(b + 5) - -abs(a - 0.3)";

#[test]
fn slopes_agree_with_differences_as_numbers_and_as_tensors() {
    let term = syntax::parse(SMOOTH, &names(&["a", "b"])).unwrap();
    let h = 1e-6;
    for (a, b) in [(0.4, 1.7), (-1.3, 0.9), (2.1, -1.2)] {
        let (value, slopes) = term.at(&[a, b]);
        let difference = |da: f64, db: f64| (term.at(&[a + da, b + db]).0 - term.at(&[a - da, b - db]).0) / (2.0 * h);
        // h² of third derivatives, and 1e-16/h of rounding
        assert!((slopes[0] - difference(h, 0.0)).abs() < 1e-8, "{a} {b} {slopes:?}");
        assert!((slopes[1] - difference(0.0, h)).abs() < 1e-8, "{a} {b} {slopes:?}");
        let column = |x: f64| Tensor::new(&[x], &Device::Cpu).unwrap();
        let tensor = term.tensor(&[column(a), column(b)]).unwrap().to_vec1::<f64>().unwrap()[0];
        assert!((tensor - value).abs() < 1e-12, "{tensor} {value}");
    }
    let points = Tensor::new(&[[0.4_f64, 1.7], [-1.3, 0.9], [2.1, -1.2]], &Device::Cpu).unwrap();
    check::input(&points, |points| {
        let column = |index| points.narrow(1, index, 1)?.squeeze(1);
        term.tensor(&[column(0)?, column(1)?])
    });
}

/// Answers what it is told.
struct Told(OracleInfo, Vec<Outcome>);

impl Oracle for Told {
    fn info(&self) -> &OracleInfo {
        &self.0
    }

    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
        Ok(self.1[..batch.len().min(self.1.len())].to_vec())
    }
}

fn told(alphabet: Alphabet, length: (usize, usize), outcomes: Vec<Outcome>) -> Box<dyn Oracle> {
    let (name, fingerprint) = ("told".to_owned(), format!("told {outcomes:?}"));
    Box::new(Told(
        OracleInfo { name, fingerprint, alphabet, length, deterministic: true, has_gradient: false },
        outcomes,
    ))
}

#[test]
fn outcomes_of_parts_pass_with_their_names_and_deviations_add_in_squares() {
    let why = |text: &str| text.to_owned();
    let value = |mean, sd| Outcome::Value { mean, sd };
    let a = vec![
        value(2.0, Some(0.3)),
        value(2.0, None),
        Outcome::Failed { reason: why("lost") },
        Outcome::Infeasible { reason: why("stop") },
        Outcome::Skipped,
        Outcome::Censored { bound: Bound::Above(3.0) },
        value(-1.0, Some(0.1)),
    ];
    let b = vec![
        value(3.0, Some(0.1)),
        value(3.0, None),
        Outcome::Infeasible { reason: why("too long") },
        Outcome::Failed { reason: why("lost") },
        Outcome::Failed { reason: why("lost") },
        value(1.0, None),
        value(1.0, None),
    ];
    let dna = Alphabet::dna;
    let parts = vec![("a", told(dna(), (1, 4), a)), ("b", told(dna(), (2, 9), b))];
    let mut both = Expression::new("log(a)*b", parts).unwrap();
    assert_eq!((both.info.length, both.info.has_gradient), ((2, 4), false));
    let words = vec![Sequence::parse("AC", &dna()).unwrap(); 7];
    let got = both.evaluate(&words).unwrap();
    // slopes b/a and log a
    let sd = (1.5_f64 * 0.3).hypot(2_f64.ln() * 0.1);
    let Outcome::Value { mean, sd: Some(found) } = got[0] else { panic!("{:?}", got[0]) };
    assert!((mean - 3.0 * 2_f64.ln()).abs() < 1e-14 && (found - sd).abs() < 1e-14, "{mean} {found}");
    assert_eq!(got[1], Outcome::exact(2_f64.ln() * 3.0));
    let reasons: Vec<_> = got[2..].iter().map(|outcome| (outcome.status(), outcome.reason().unwrap_or(""))).collect();
    assert_eq!(
        reasons,
        [
            ("infeasible", "part `b`: too long"),
            ("infeasible", "part `a`: stop"),
            ("skipped", ""),
            ("failed", "part `a`: censored, > 3"),
            ("failed", "the formula is NaN at a = -1, b = 1"),
        ]
    );
    let short = told(dna(), (2, 2), vec![Outcome::exact(1.0)]);
    let error = Expression::new("a", vec![("a", short)]).unwrap().evaluate(&words).unwrap_err();
    assert_eq!(error.message(), "part `a` gave 1 outcomes for 7 sequences");
}

#[test]
fn parts_that_do_not_go_together_are_refused() {
    let part = |alphabet, length| told(alphabet, length, Vec::new());
    let refused =
        |parts: Vec<(&str, Box<dyn Oracle>)>| Expression::new("a + b", parts).err().unwrap().message().to_owned();
    let (dna, protein) = (Alphabet::dna, Alphabet::protein);
    let other = vec![("a", part(dna(), (1, 9))), ("b", part(protein(), (1, 9)))];
    assert_eq!(refused(other), "part `a` reads dna, part `b` protein");
    let apart = vec![("a", part(dna(), (1, 4))), ("b", part(dna(), (5, 9)))];
    assert_eq!(refused(apart), "no length suits all parts; letters read: `a` 1 to 4, `b` 5 to 9");
}

#[test]
fn it_is_opened_by_name_conforms_and_has_a_gradient_where_its_parts_do() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let potts = write("p.csv", "i,a,j,b,value\n1,A,,,0.5\n1,A,3,C,-2\n2,T,3,T,1.5\n");
    let motif = write("m.txt", ">m x\nA 3 0\nC 0 1\nG 0 1\nT 0 1\n");
    let table = write("t.csv", "sequence,value\nAAC,1\nATT,2\n");
    let parts = format!("a=potts:{potts}; b=pwm:{motif}");
    let toml = write(
        "f.toml",
        &format!("formula = \"0.7*a + sigmoid(b)\"\n[parts]\na = 'potts:{potts}'\nb = 'pwm:{motif}'\n"),
    );
    let options = OracleOptions::default();
    let open = |name: &str| name.parse::<OracleName>().unwrap().open(&options);
    let dna = Alphabet::dna();
    let mut rng = Seed::root(1).rng();
    let mut probe = |length: usize| {
        let ids: Vec<u8> = (0..length).map(|_| rng.below(4) as u8).collect();
        Sequence::from_ids(ids, &dna).unwrap()
    };
    let probes: Vec<Sequence> = [3, 3, 3, 3, 4, 3, 3].map(&mut probe).to_vec();
    let mut of_file = None;
    for name in [format!("expr:0.7*a + sigmoid(b); {parts}"), format!("expr:{toml}")] {
        let mut oracle = open(&name).unwrap();
        assert_eq!((oracle.info().length, oracle.info().has_gradient), ((3, 3), true));
        let reward = name.parse::<OracleName>().unwrap().reward(&options).unwrap();
        let checks = conformance(oracle.as_mut(), Some(reward.as_ref()), &probes).unwrap();
        assert!(checks.len() == 7 && checks.iter().all(|check| check.passed), "{name}: {checks:?}");
        assert_eq!(*of_file.get_or_insert(oracle.info().fingerprint.clone()), oracle.info().fingerprint);
    }
    let error = |name: &str| open(name).err().unwrap().message().to_owned();
    let hard = format!("expr:above(a, b); {parts}");
    assert!(!open(&hard).unwrap().info().has_gradient);
    let refused = hard.parse::<OracleName>().unwrap().reward(&options).err().unwrap();
    assert_eq!(refused.message(), "`above` at column 1 of the formula has no slope");
    let partial = format!("expr:a + b; a=table:{table}; b=pwm:{motif}");
    assert!(!open(&partial).unwrap().info().has_gradient);
    assert!(partial.parse::<OracleName>().unwrap().reward(&options).err().unwrap().message().starts_with("part `a`: "));
    assert!(error("expr:a + b; a=tabel:x; b=pwm:y").starts_with("part `a`: unknown oracle kind `tabel`"));
    assert!(error("expr:a; a=pwm:no-such.txt").starts_with("part `a`: "));
    assert_eq!(error("expr:a; a"), "`a` is not a part; NAME=KIND:ARGUMENT is accepted");
    assert_eq!(error("expr:a; a=noisy:sd=1:expr:b"), "part `a` is a formula itself");
    assert_eq!(
        error("expr:1 + 1"),
        "a formula without a part has the same value everywhere; one part or more is accepted"
    );
}
