//! What every proposer must do.

use super::*;
use crate::reward::{Domain, Label};
use crate::sequence::Alphabet;
use std::collections::BTreeSet;

/// Words with the share of their letters that are the alphabet's second; the first one failed.
fn measured(alphabet: &Alphabet, length: usize, count: usize) -> Measured {
    let mut measured = Measured::new(Domain { alphabet: alphabet.clone(), length });
    let mut rng = Seed::root(8).rng();
    for index in 0..count {
        let ids: Vec<u8> = (0..length).map(|_| rng.below(alphabet.len()) as u8).collect();
        let value = super::guided_tests::letters(&ids, 1) as f64 / length as f64;
        let sequence = Sequence::from_ids(ids, alphabet).unwrap();
        measured.push(Label { sequence, value: (index > 0).then_some(value), round: 0 }).unwrap();
    }
    measured
}

fn propose(name: &str, measured: &Measured, count: usize, seed: u64, pool: &Pool) -> Vec<Proposal> {
    let mut method = (PROPOSERS.get(name).unwrap().make)(&quick()).unwrap();
    let request = Request { measured, count, round: 1, seed: Seed::root(seed), pool };
    method.propose(&request).unwrap()
}

/// Settings that are fast enough for the dev profile.
fn quick() -> ProposerConfig {
    ProposerConfig {
        adalead: AdaLeadConfig { evaluations: 8, ..AdaLeadConfig::default() },
        gp_ucb: GpUcbConfig { generations: 4, population: 48, ..GpUcbConfig::default() },
        cma_es: CmaEsConfig { starts: 2, evaluations: 6, ..CmaEsConfig::default() },
        ..ProposerConfig::default()
    }
}

fn check_new(name: &str, measured: &Measured, proposals: &[Proposal]) {
    let distinct: BTreeSet<&Sequence> = proposals.iter().map(|p| &p.sequence).collect();
    assert_eq!(distinct.len(), proposals.len(), "{name} repeats itself");
    for proposal in proposals {
        assert!(!measured.contains(&proposal.sequence), "{name} proposes what was measured");
        assert_eq!(proposal.sequence.len(), measured.domain().length, "{name}");
        assert!(!proposal.reason.is_empty());
        assert!(proposal.expected.is_none_or(|e| e.mean.is_finite()), "{name}");
    }
}

#[test]
fn proposals_are_new_as_many_as_asked_and_the_same_for_any_number_of_threads() {
    let measured = measured(&Alphabet::dna(), 8, 40);
    for name in PROPOSERS.names() {
        let one = propose(name, &measured, 24, 1, Pool::inline());
        assert_eq!(one.len(), 24, "{name}");
        check_new(name, &measured, &one);
        assert_eq!(propose(name, &measured, 24, 1, &Pool::new(3).unwrap()), one, "{name}");
        // all words by a fitted process: nothing is drawn
        let again = propose(name, &measured, 24, 2, Pool::inline());
        assert_eq!(again == one, name == "exhaustive", "{name}: what the seed does");
    }
}

#[test]
fn a_space_is_exhausted_to_the_last_sequence_and_then_nothing_is_proposed() {
    let two = Alphabet::custom("two", "AB").unwrap();
    for name in PROPOSERS.names() {
        let mut measured = Measured::new(Domain { alphabet: two.clone(), length: 3 });
        for (round, wanted) in [3, 3, 2, 0].into_iter().enumerate() {
            let proposals = propose(name, &measured, 3, round as u64, Pool::inline());
            assert_eq!(proposals.len(), wanted, "{name}, round {round}");
            check_new(name, &measured, &proposals);
            for (index, proposal) in proposals.into_iter().enumerate() {
                // a value for two of three
                let value = (index != 1).then(|| f64::from(proposal.sequence.ids()[0]) + 0.1 * round as f64);
                measured.push(Label { sequence: proposal.sequence, value, round }).unwrap();
            }
        }
        assert_eq!(measured.labels().len(), 8);
    }
}

#[test]
fn proteins_and_long_sequences_are_proposed() {
    for (alphabet, length) in [(Alphabet::protein(), 12), (Alphabet::dna(), 120)] {
        let measured = measured(&alphabet, length, 12);
        for name in PROPOSERS.names().filter(|name| *name != "exhaustive") {
            let proposals = propose(name, &measured, 6, 1, Pool::inline());
            assert_eq!(proposals.len(), 6, "{name}");
            check_new(name, &measured, &proposals);
        }
    }
}

#[test]
fn where_nothing_has_a_value_all_is_uniform() {
    let dna = Alphabet::dna();
    let mut failed = Measured::new(Domain { alphabet: dna.clone(), length: 5 });
    let empty = failed.clone();
    failed.push(Label { sequence: Sequence::parse("AAAAA", &dna).unwrap(), value: None, round: 0 }).unwrap();
    for measured in [empty, failed] {
        for name in PROPOSERS.names() {
            let proposals = propose(name, &measured, 9, 1, Pool::inline());
            check_new(name, &measured, &proposals);
            assert!(proposals.len() == 9 && proposals.iter().all(|p| p.reason == "uniform"), "{name}");
        }
    }
}

#[test]
fn settings_are_read_back_and_unknown_ones_refused() {
    let config = ProposerConfig::default();
    config.check().unwrap();
    let json = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<ProposerConfig>(&json).unwrap(), config);
    assert!(serde_json::from_str::<ProposerConfig>(r#"{"parents": 3}"#).is_err());
}
