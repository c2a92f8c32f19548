use super::*;
use crate::random::Seed;

/// Sets of rules for DNA words of six letters, each with a wild type at hand.
const RULES: [&str; 9] = [
    "forbidden = [\"GAT\"]",
    "forbidden = [\"RNY\"]\none-strand = true",
    "max-homopolymer = 2",
    "gc = [0.5, 0.7]",
    "wild-type = \"ACGTAC\"\nmax-mutations = 2",
    "wild-type = \"ACGTAC\"\nmin-mutations = 5",
    "wild-type = \"ACGTAC\"\nfixed = [\"2\", \"5-6\"]\nallowed = { \"1\" = \"AT\" }",
    "wild-type = \"ACGTAC\"\nfirst-position = -1\nmutable = [\"0-2\"]\nmin-mutations = 1",
    "wild-type = \"ACGTAC\"\nmin-mutations = 2\nmax-mutations = 4\nforbidden = [\"CG\", \"A.T\"]\nmax-homopolymer = 2\ngc = [0.3, 0.6]",
];

fn words() -> Vec<Sequence> {
    Sequence::all(&Alphabet::dna(), 6).collect()
}

#[test]
fn the_automaton_keeps_exactly_what_breaks_no_rule() {
    let (dna, words) = (Alphabet::dna(), words());
    for rules in RULES {
        let rules = Constraint::from_toml(rules).unwrap();
        let imposed = Imposed::new(&rules, &dna, 6).unwrap();
        let mut kept = 0_u32;
        for word in &words {
            let keeps = rules.violations(word, &dna).unwrap().is_empty();
            assert_eq!(imposed.keeps(word.ids()), keeps, "{rules:?}: {}", word.text(&dna));
            kept += u32::from(keeps);
        }
        assert!(kept > 0 && kept < 4096, "{rules:?}: {kept}");
        // sums of at most 4096 terms in f64
        assert!((imposed.log_count() - f64::from(kept).ln()).abs() < 1e-10);
    }
}

#[test]
fn the_best_is_the_best_of_all_that_keep_the_rules() {
    let (dna, words, mut rng) = (Alphabet::dna(), words(), Seed::root(4).rng());
    for rules in RULES {
        let imposed = Imposed::new(&Constraint::from_toml(rules).unwrap(), &dna, 6).unwrap();
        for _ in 0..5 {
            let scores: Vec<f64> = (0..24).map(|_| 3.0 * rng.normal()).collect();
            let total =
                |x: &Sequence| x.ids().iter().enumerate().map(|(i, id)| scores[4 * i + usize::from(*id)]).sum::<f64>();
            let kept = words.iter().filter(|x| imposed.keeps(x.ids()));
            let best = kept.max_by(|a, b| total(a).total_cmp(&total(b))).unwrap();
            assert_eq!(&imposed.choose(&scores, &mut Pick::Best).unwrap(), best, "{rules}");
        }
    }
}

#[test]
fn draws_have_the_law_of_the_scores_among_what_keeps_the_rules() {
    let (dna, words, mut rng) = (Alphabet::dna(), words(), Seed::root(5).rng());
    let imposed = Imposed::new(&Constraint::from_toml(RULES[8]).unwrap(), &dna, 6).unwrap();
    let scores: Vec<f64> = (0..24).map(|_| rng.normal()).collect();
    let total = |x: &Sequence| x.ids().iter().enumerate().map(|(i, id)| scores[4 * i + usize::from(*id)]).sum::<f64>();
    let kept: Vec<&Sequence> = words.iter().filter(|x| imposed.keeps(x.ids())).collect();
    let z: f64 = kept.iter().map(|x| total(x).exp()).sum();
    let n = 20_000;
    let mut mean = 0.0;
    for _ in 0..n {
        let x = imposed.choose(&scores, &mut Pick::Draw(&mut rng)).unwrap();
        assert!(imposed.keeps(x.ids()));
        mean += total(&x) / f64::from(n);
    }
    let moment = |power: i32| kept.iter().map(|x| total(x).exp() / z * total(x).powi(power)).sum::<f64>();
    let error = ((moment(2) - moment(1).powi(2)) / f64::from(n)).sqrt();
    assert!((mean - moment(1)).abs() < 4.0 * error, "{mean} {} ± {error}", moment(1));
}

#[test]
fn what_cannot_be_kept_names_the_rule_to_blame_and_what_is_left_without_it() {
    let dna = Alphabet::dna();
    let infeasible = |rules: &str| Imposed::new(&Constraint::from_toml(rules).unwrap(), &dna, 6).unwrap_err();
    let error = infeasible("wild-type = \"GGGGGG\"\nfixed = [\"1-4\"]\nmax-homopolymer = 2");
    assert_eq!(error.kind(), crate::Kind::Constraint);
    assert_eq!(error.message(), "no sequence of 6 letters keeps all constraints");
    // without the run all 16 ends; without the fixed letters 4·3 pairs and so on: all words without three in a row
    let kept = Imposed::new(&Constraint::from_toml("max-homopolymer = 2").unwrap(), &dna, 6).unwrap();
    let left = kept.log_count().exp();
    assert_eq!(
        error.hint_text().unwrap(),
        format!("without `fixed` {left:.0}, without `max-homopolymer` 16 would be left")
    );
    let both = infeasible("wild-type = \"GGGGGG\"\nfixed = [\"1-6\"]\nmax-homopolymer = 2\nforbidden = [\"GG\"]");
    assert!(both.hint_text().unwrap().starts_with("without `fixed`"));
    let none = infeasible("max-homopolymer = 1\nforbidden = [\".\"]\ngc = [0.5, 0.6]\nallowed = { \"1-6\" = \"A\" }");
    assert_eq!(none.hint_text(), Some("no single rule is to blame: leave out two or more"));
}

#[test]
fn other_strands_and_names_of_enzymes_are_known() {
    let dna = Alphabet::dna();
    let found = |rules: &str, word: &str| -> Vec<String> {
        let word = Sequence::parse(word, &dna).unwrap();
        Constraint::from_toml(rules).unwrap().violations(&word, &dna).unwrap().iter().map(ToString::to_string).collect()
    };
    assert_eq!(found("enzymes = [\"BsaI\"]", "AAGAGACCAA"), ["enzymes: BsaI (GGTCTC), other strand at 3"]);
    assert!(found("enzymes = [\"BsaI\"]\none-strand = true", "AAGAGACCAA").is_empty());
    assert_eq!(found("forbidden = [\"ACGT\"]", "ACGT"), ["forbidden: ACGT at 1"]);
    assert_eq!(
        found("max-homopolymer = 3", "CAAAAAC"),
        ["max-homopolymer: 4 A in a row at 2", "max-homopolymer: 4 A in a row at 3"]
    );
    for entry in ENZYMES.entries() {
        assert!(Pattern::parse("enzymes", entry.name, entry.make.site, &dna).unwrap().sets.len() >= 6);
    }
}

#[test]
fn rules_that_no_design_could_break_cost_nothing_and_too_many_states_are_refused() {
    let dna = Alphabet::dna();
    let imposed = |rules: &str, length: usize| Imposed::new(&Constraint::from_toml(rules).unwrap(), &dna, length);
    let longest = imposed("max-homopolymer = 9223372036854775807\nforbidden = [\"ACGTACGTACGT\"]", 6).unwrap();
    assert!((longest.log_count() - 6.0 * 4_f64.ln()).abs() < 1e-12);
    assert!(longest.choose(&[f64::NEG_INFINITY; 24], &mut Pick::Best).is_err());
    let wild_type = "ACGT".repeat(250);
    let many = format!(
        "wild-type = \"{wild_type}\"\nmax-mutations = 500\ngc = [0.4, 0.6]\nmax-homopolymer = 4\nenzymes = [\"EcoRI\", \"BsaI\"]"
    );
    assert!(imposed(&many, 1000).unwrap_err().message().contains("states of motifs and counts"));
}

#[test]
fn rules_that_do_not_fit_say_what_is_accepted() {
    let dna = Alphabet::dna();
    for (rules, wrong) in [
        ("max-mutations = 3", "`max-mutations` needs a wild type"),
        ("fixed = [\"2\"]", "`fixed` needs a wild type"),
        ("wild-type = \"ACG\"", "`wild-type` has 3 letters where designs have 6"),
        ("wild-type = \"ACGTAC\"\nfixed = [\"7\"]", "`7` is no position or span of 1 to 6"),
        ("wild-type = \"ACGTAC\"\nfixed = [\"4-2\"]", "`4-2` is no position or span"),
        ("forbidden = [\"A[C\"]", "leaves a bracket open"),
        ("forbidden = [\"AZ\"]", "motif `AZ` has `Z`"),
        ("forbidden = [\"\"]", "matches nothing"),
        ("enzymes = [\"EcoRX\"]", "unknown restriction enzyme `EcoRX`"),
        ("gc = [0.6, 0.4]", "two shares in order"),
        ("max-homopolymer = 0", "at least 1 is accepted"),
        ("wild-type = \"ACGTAC\"\nmin-mutations = 3\nmax-mutations = 2", "`min-mutations` is 3 and `max-mutations` 2"),
    ] {
        let error = Imposed::new(&Constraint::from_toml(rules).unwrap(), &dna, 6).unwrap_err();
        assert!(error.message().contains(wrong), "{rules}: {error}");
    }
    assert!(Constraint::from_toml("gcc = [0.1, 0.2]").is_err());
    let protein = Constraint::from_toml("gc = [0.4, 0.6]").unwrap();
    assert!(Imposed::new(&protein, &Alphabet::protein(), 6).unwrap_err().message().contains("is for DNA and RNA"));
}

/// Sets of rules for DNA of two to four letters.
const PADDED: [&str; 8] = [
    "",
    "forbidden = [\"GAT\", \"C.\"]\nmin-length = 3",
    "max-homopolymer = 1\nmax-length = 3",
    "gc = [0.4, 0.6]",
    "wild-type = \"ACG\"\nmax-mutations = 2\ngc = [0.3, 0.7]",
    "wild-type = \"ACG\"\nmin-mutations = 2\nforbidden = [\"TT\"]",
    "wild-type = \"ACGT\"\nfixed = [\"3\"]\nallowed = { \"1\" = \"AT\" }",
    "wild-type = \"ACG\"\nmutable = [\"1-2\"]",
];

/// All 336 words, and all rows of four letters and padding.
fn padded_words() -> (Alphabet, Vec<Sequence>, Vec<Vec<u8>>) {
    let padded = Alphabet::dna().padded().unwrap();
    let words = (2..=4).flat_map(|length| Sequence::all(&padded, length)).collect();
    let rows = (0..625_u32).map(|n| [125, 25, 5, 1].map(|place| (n / place % 5) as u8).to_vec()).collect();
    (padded, words, rows)
}

/// The rules with the least length that a prior adds.
fn of_two_or_more(rules: &str) -> Constraint {
    let rules = Constraint::from_toml(rules).unwrap();
    Constraint { min_length: rules.min_length.max(Some(2)), ..rules }
}

#[test]
fn among_rows_with_padding_exactly_the_words_that_break_no_rule_are_kept() {
    let (padded, words, rows) = padded_words();
    assert_eq!(words.len(), 336);
    for rules in PADDED.map(of_two_or_more) {
        let imposed = Imposed::new(&rules, &padded, 4).unwrap();
        let kept: Vec<&Sequence> = words.iter().filter(|x| rules.violations(x, &padded).unwrap().is_empty()).collect();
        assert!(!kept.is_empty(), "{rules:?}");
        for row in &rows {
            let word = Sequence::unpadded(row, &padded).ok();
            let keeps = word.as_ref().is_some_and(|word| kept.contains(&word));
            assert_eq!(imposed.keeps(row), keeps, "{rules:?}: {row:?}");
            if let Some(word) = word {
                assert_eq!(imposed.keeps(word.ids()), keeps, "{rules:?}: {row:?}");
            }
        }
        // sums of at most 336 terms in f64
        assert!((imposed.log_count() - (kept.len() as f64).ln()).abs() < 1e-10, "{rules:?}: {}", kept.len());
    }
}

#[test]
fn padded_rules_by_hand() {
    let padded = Alphabet::dna().padded().unwrap();
    let broken = |rules: &str, word: &str| -> Vec<String> {
        let word = Sequence::parse(word, &padded).unwrap();
        Constraint::from_toml(rules)
            .unwrap()
            .violations(&word, &padded)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    // one of three letters, one of two: shares are of the letters that there are
    assert_eq!(broken("gc = [0.4, 0.6]", "GAT"), ["gc: 33.3 % of 66.7 % to 33.3 %"]);
    assert!(broken("gc = [0.4, 0.6]", "GA").is_empty());
    assert_eq!(broken("min-length = 3\nmax-length = 4", "GA"), ["min-length: 2 letters of 3 to 4"]);
    assert_eq!(broken("min-length = 3\nmax-length = 4", "GATTA"), ["max-length: 5 letters of 3 to 4"]);
    assert_eq!(broken("allowed = { \"3\" = \"AT\" }", "GA"), ["allowed: none at 3"]);
    // a letter that is missing and one too many are one substitution each
    assert_eq!(broken("wild-type = \"ACG\"\nmax-mutations = 0", "AC"), ["max-mutations: 1 substitutions of 0 to 0"]);
    assert_eq!(broken("wild-type = \"ACG\"\nmax-mutations = 0", "ACGT"), ["max-mutations: 1 substitutions of 0 to 0"]);
    let error = Imposed::new(&Constraint::from_toml("min-length = 5").unwrap(), &padded, 4).unwrap_err();
    assert_eq!(error.message(), "`min-length` is 5; designs have 1 to 4 letters");
    assert!(Imposed::new(&Constraint::from_toml("min-length = 3").unwrap(), &Alphabet::dna(), 4).is_err());
    assert!(!Constraint::from_toml("min-length = 3").unwrap().is_joint());
}

#[test]
fn best_and_drawn_padded_words_have_the_law_of_the_scores() {
    let (padded, words, _) = padded_words();
    let mut rng = Seed::root(6).rng();
    for rules in PADDED.map(of_two_or_more) {
        let imposed = Imposed::new(&rules, &padded, 4).unwrap();
        let kept: Vec<&Sequence> = words.iter().filter(|x| imposed.keeps(x.ids())).collect();
        let scores: Vec<f64> = (0..20).map(|_| rng.normal()).collect();
        let total = |x: &Sequence| -> f64 {
            x.padded(&padded, 4).iter().enumerate().map(|(i, id)| scores[5 * i + usize::from(*id)]).sum()
        };
        let best = kept.iter().max_by(|a, b| total(a).total_cmp(&total(b))).unwrap();
        assert_eq!(&&imposed.choose(&scores, &mut Pick::Best).unwrap(), best, "{rules:?}");
        let z: f64 = kept.iter().map(|x| total(x).exp()).sum();
        let n = 4000;
        let mut mean = 0.0;
        for _ in 0..n {
            let x = imposed.choose(&scores, &mut Pick::Draw(&mut rng)).unwrap();
            assert!(kept.contains(&&x));
            mean += total(&x) / f64::from(n);
        }
        let moment = |power: i32| kept.iter().map(|x| total(x).exp() / z * total(x).powi(power)).sum::<f64>();
        let error = ((moment(2) - moment(1).powi(2)) / f64::from(n)).sqrt();
        assert!((mean - moment(1)).abs() < 4.0 * error + 1e-12, "{rules:?}: {mean} {} ± {error}", moment(1));
    }
}

/// Windows with other rules, for words of up to six letters.
const WINDOWS: [&str; 3] = [
    "gc-window = { length = 3, share = [0.3, 0.7] }",
    "gc-window = { length = 4, share = [0.5, 0.5] }\nmax-homopolymer = 2\nforbidden = [\"GA\"]",
    "gc-window = { length = 2, share = [0.5, 1.0] }\nwild-type = \"ACGTAC\"\nfixed = [\"1\"]\nmax-mutations = 3",
];

#[test]
fn every_window_is_kept_by_what_is_found_and_drawn() {
    let mut rng = Seed::root(8).rng();
    for alphabet in [Alphabet::dna(), Alphabet::dna().padded().unwrap()] {
        let v = alphabet.len();
        let words: Vec<Sequence> = if alphabet.padding().is_some() {
            (2..=6).flat_map(|length| Sequence::all(&alphabet, length)).collect()
        } else {
            words()
        };
        for text in WINDOWS {
            let rules = Constraint::from_toml(text).unwrap();
            let rules = if v == 5 { Constraint { min_length: Some(2), ..rules } } else { rules };
            let imposed = Imposed::new(&rules, &alphabet, 6).unwrap();
            let by_hand = |x: &Sequence| rules.violations(x, &alphabet).unwrap().is_empty();
            let kept: Vec<&Sequence> = words.iter().filter(|x| by_hand(x)).collect();
            assert!(words.iter().all(|x| imposed.keeps(x.ids()) == by_hand(x)), "{text}");
            assert!(!kept.is_empty() && kept.len() < words.len());
            for _ in 0..3 {
                let scores: Vec<f64> = (0..6 * v).map(|_| rng.normal()).collect();
                let total = |x: &Sequence| -> f64 {
                    x.padded(&alphabet, 6).iter().enumerate().map(|(i, id)| scores[v * i + usize::from(*id)]).sum()
                };
                // fewer states than are followed at a time: what is found is the best
                let best = kept.iter().max_by(|a, b| total(a).total_cmp(&total(b))).unwrap();
                assert_eq!(&&imposed.choose(&scores, &mut Pick::Best).unwrap(), best, "{text}");
                let z: f64 = kept.iter().map(|x| total(x).exp()).sum();
                let n = 1000;
                let mut mean = 0.0;
                for _ in 0..n {
                    let x = imposed.choose(&scores, &mut Pick::Draw(&mut rng)).unwrap();
                    assert!(by_hand(&x));
                    mean += total(&x) / f64::from(n);
                }
                let moment = |power: i32| kept.iter().map(|x| total(x).exp() / z * total(x).powi(power)).sum::<f64>();
                let error = ((moment(2) - moment(1).powi(2)) / f64::from(n)).sqrt();
                assert!((mean - moment(1)).abs() < 4.5 * error, "{text}: {mean} {} ± {error}", moment(1));
            }
        }
    }
}

#[test]
fn windows_that_cannot_be_kept_are_named_and_long_ones_are_found() {
    let dna = Alphabet::dna();
    let imposed = |rules: &str, length| Imposed::new(&Constraint::from_toml(rules).unwrap(), &dna, length);
    let error =
        imposed("gc-window = { length = 4, share = [0.5, 1.0] }\nallowed = { \"1-3\" = \"A\" }", 6).unwrap_err();
    assert_eq!(error.kind(), crate::Kind::Constraint);
    assert!(error.hint_text().unwrap().contains("without `gc-window` 64"), "{error:?}");
    for (rules, wrong) in [
        ("gc-window = { length = 1, share = [0.2, 0.8] }", "has 1 letters; 2 to 128"),
        ("gc-window = { length = 3, share = [0.4, 0.6] }", "no number out of 3 letters is a share of 0.4 to 0.6"),
        ("gc-window = { length = 3, share = [0.8, 0.6] }", "two shares in order"),
    ] {
        let error = imposed(rules, 6).unwrap_err();
        assert!(error.message().contains(wrong), "{error}");
    }
    // two hundred letters that want to be A: half of every window cannot be
    let rules = "gc-window = { length = 50, share = [0.4, 0.6] }\nmax-homopolymer = 3";
    let long = imposed(rules, 200).unwrap();
    let scores: Vec<f64> = (0..800).map(|i| if i % 4 == 0 { 1.0 } else { 0.0 }).collect();
    let found = long.choose(&scores, &mut Pick::Best).unwrap();
    assert!(Constraint::from_toml(rules).unwrap().violations(&found, &dna).unwrap().is_empty());
    // 20 of every 50 letters are G or C, and one letter of four is not A
    let wanted = found.text(&dna).matches('A').count();
    assert_eq!(wanted, 120);
}
