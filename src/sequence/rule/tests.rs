//! Rules by hand.

use super::*;

const FILE: &str = "\
letters = 'dna'
length = [4, 12]
wild-type = 'ACGTACGT'

[[gc]]
window = 4
least = 0.25
most = 0.75

[[forbidden]]
name = 'EcoRI'
motif = 'GAATTC'
both-strands = true
hard = true

[[forbidden]]
motif = 'CNG'
both-strands = true
penalty = 0.5

[[run]]
most = 3

[[allowed]]
positions = '1,3-4'
letters = 'ACG'

[[mutations]]
least = 1
most = 6
";

fn found(text: &str) -> Vec<String> {
    let rules = Rules::parse(FILE).unwrap();
    let word = Sequence::parse(text, &rules.alphabet).unwrap();
    rules.violations(&word).map(|(_, violation)| violation.to_string()).collect()
}

#[test]
fn violations_say_rule_place_and_what_was_found() {
    assert!(found("ACGCAAGT").is_empty(), "{:?}", found("ACGCAAGT"));
    assert_eq!(found("ACGTACGT"), ["`ACG` only: found `T` at position 4", "1 to 6 mutations: found 0 mutations"]);
    assert_eq!(
        found("TAAAAAGAATTC"),
        [
            // windows TAAA, AAAA and AAAA fail side by side, and AATT and ATTC do not: AATT is the only other
            "share of `CG` from 0.25 to 0.75 in 4 letters: found 0.000 at position 1",
            "share of `CG` from 0.25 to 0.75 in 4 letters: found 0.000 at position 8",
            "EcoRI: found `GAATTC` at position 7",
            "runs of at most 3 equal letters: found `AAAAA` at position 2",
            "`ACG` only: found `T` at position 1",
            "1 to 6 mutations: found 9 mutations",
        ]
    );
    // CNG is its own reverse complement: found once; overlapping sites are found each
    assert_eq!(found("ACCGG").iter().filter(|v| v.starts_with("no `C[ACGT]G`")).count(), 2);
}

#[test]
fn the_worst_window_stands_for_its_stretch_and_limits_are_met_exactly() {
    let dna = Alphabet::dna();
    let gc = LetterSet::of("GC", &dna).unwrap();
    let rule = |least, most| Rule::Share { letters: gc, window: Some(5), least, most };
    let word = |text: &str| Sequence::parse(text, &dna).unwrap();
    // shares 3/5, 3/5, 4/5, 5/5, 4/5
    let windows = word("GATGCGCGA");
    let places = |rule: &Rule, word: &Sequence| -> Vec<(Option<usize>, String)> {
        rule.violations(word, &dna).into_iter().map(|v| (v.position, v.found)).collect()
    };
    assert_eq!(places(&rule(0.0, 0.6), &windows), [(Some(4), "1.000".to_owned())]);
    assert!(places(&rule(0.6, 1.0), &windows).is_empty(), "3/5 is 0.6");
    // a window that is longer than the sequence is the sequence
    assert_eq!(places(&rule(0.0, 0.4), &word("GGA")), [(Some(1), "0.667".to_owned())]);
    let whole = Rule::Share { letters: gc, window: None, least: 0.5, most: 1.0 };
    assert_eq!(places(&whole, &word("GATTA")), [(Some(1), "0.200".to_owned())]);
}

#[test]
fn motifs_are_found_on_the_strands_that_count() {
    let dna = Alphabet::dna();
    let place = |text: &str| text.chars().map(|c| LetterSet::place_of(c, &dna).unwrap()).collect::<Vec<_>>();
    let word = Sequence::parse("GAGACCCGGTCTC", &dna).unwrap();
    let one = Rule::Forbidden { motifs: vec![place("GGTCTC")] };
    let both = Rule::Forbidden { motifs: vec![place("GGTCTC"), place("GAGACC")] };
    let at = |rule: &Rule| rule.violations(&word, &dna).into_iter().filter_map(|v| v.position).collect::<Vec<_>>();
    assert_eq!((at(&one), at(&both)), (vec![8], vec![1, 8]));
    let text = "letters = 'dna'\n[[forbidden]]\nmotif = 'GGTCTC'\nboth-strands = true\n";
    assert_eq!(Rules::parse(text).unwrap().entries[0].rule, both);
    let protein = Alphabet::protein();
    let glyco = Rules::parse("letters = 'protein'\n[[forbidden]]\nmotif = 'NXS'\n").unwrap();
    let word = Sequence::parse("MNKSA", &protein).unwrap();
    assert_eq!(glyco.violations(&word).next().unwrap().1.position, Some(2));
    assert_eq!(LetterSet::place_of('y', &Alphabet::rna()).unwrap().text(&Alphabet::rna()), "CU");
}

#[test]
fn files_that_are_no_rules_say_why() {
    for (from, to, message) in [
        ("'dna'", "'dnx'", "is not accepted; letters are"),
        ("[4, 12]", "[12, 4]", "`length` runs from 12 to 4"),
        ("[4, 12]", "[4, 1000000]", "`length` runs from 4 to 1000000; 1 to 65535, the least first, is accepted"),
        ("window = 4", "window = 0", "`window` is 0; 1 or more is accepted"),
        ("least = 0.25\nmost = 0.75", "", "a share needs `least`, `most` or both"),
        ("most = 0.75", "most = 1.5", "a share from 0.25 to 1.5; 0 to 1, the least first, is accepted"),
        ("'GAATTC'", "'GAAXTC'", "letter `X` is not in alphabet `dna`"),
        ("'GAATTC'", "''", "`motif` is empty"),
        ("hard = true", "hard = true\npenalty = 1", "a rule has a `penalty` or is `hard`, not both"),
        ("penalty = 0.5", "penalty = -1", "`penalty` is -1; a finite number above 0 is accepted"),
        ("most = 3\n", "most = 0\n", "`most` of a `run` is 0"),
        ("'1,3-4'", "'0-4'", "positions `0-4`; numbers from 1 and ranges are accepted"),
        ("'1,3-4'", "'3-14'", "position 14 of `3-14`; sequences have at most 12 letters"),
        ("wild-type = 'ACGTACGT'", "", "`mutations` are counted against a wild type, and there is none"),
        ("least = 1\nmost = 6", "", "`mutations` needs `least`, `most` or both"),
        ("[[run]]", "[[runs]]", "unknown field `runs`"),
    ] {
        assert!(FILE.contains(from), "{from}");
        let error = Rules::parse(&FILE.replace(from, to)).unwrap_err();
        assert!(error.message().contains(message), "{to}: {error}");
    }
    let error = Rules::parse("letters = 'dna'\n[[run]]\nmost = 'x'\n").unwrap_err();
    assert!(error.to_string().starts_with("3:8: "), "{error}");
    assert!(Rules::parse("letters = 'dna'\n").unwrap_err().message().starts_with("no rule"));
}
