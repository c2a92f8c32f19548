//! A surrogate whose every answer is known, for tests of searches, and the tests of what they share.

use super::*;
use crate::reward::{Acquisition, Domain, Label, Surrogate, TrainingSet};
use crate::sequence::Alphabet;
use candle_core::Tensor;

/// Expects the share of Cs, and is unsure of the Ts.
pub(super) struct Counts(Domain);

impl Counts {
    pub(super) fn of(measured: &Measured) -> Self {
        Self(measured.domain().clone())
    }
}

impl Surrogate for Counts {
    fn domain(&self) -> &Domain {
        &self.0
    }

    fn predict(&self, sequences: &[Sequence]) -> Result<Vec<Prediction>> {
        let share = |x: &Sequence, id| letters(x.ids(), id) as f64 / x.len() as f64;
        Ok(sequences.iter().map(|x| Prediction { mean: share(x, 1), sd: Some(share(x, 3)) }).collect())
    }

    fn acquire(&self, probs: &Tensor, _: Acquisition, _: Seed) -> Result<Tensor> {
        // what no formula of mean and standard deviation gives: the share of Gs
        Ok((probs.narrow(2, 2, 1)?.flatten_from(1)?.sum(1)? / self.0.length as f64)?)
    }
}

/// How often a letter occurs.
pub(super) fn letters(ids: &[u8], letter: u8) -> usize {
    ids.iter().map(|id| usize::from(*id == letter)).sum()
}

/// DNA words with their values.
pub(super) fn words(length: usize, known: &[(&str, f64)]) -> Measured {
    let dna = Alphabet::dna();
    let mut measured = Measured::new(Domain { alphabet: dna.clone(), length });
    for (text, value) in known {
        let sequence = Sequence::parse(text, &dna).unwrap();
        measured.push(Label { sequence, value: Some(*value), round: 0 }).unwrap();
    }
    measured
}

pub(super) fn start_of<'a>(
    measured: &'a Measured,
    ranked: &'a [(Sequence, f64)],
    count: usize,
    seed: u64,
) -> Start<'a> {
    Start { measured, ranked, count, seed: Seed::root(seed) }
}

/// Answers with what it is given.
struct Fixed(Vec<&'static str>);

impl Search for Fixed {
    fn name(&self) -> &'static str {
        "fixed"
    }

    fn acquisition(&self) -> Acquisition {
        Acquisition::Mean
    }

    fn candidates(&self, _: &Start<'_>, view: &View<'_>) -> Result<Vec<(Sequence, f64)>> {
        let words: Vec<Sequence> =
            self.0.iter().map(|text| Sequence::parse(text, &Alphabet::dna())).collect::<Result<_>>()?;
        let scores = view.scores(&words)?;
        Ok(words.into_iter().zip(scores).collect())
    }
}

#[test]
fn the_best_new_candidates_are_taken_and_the_rest_is_uniform() {
    let measured = words(3, &[("CCC", 1.0), ("AAA", 0.0)]);
    let propose = |acquisition, count| {
        let fit: Fit = Box::new(|set: &TrainingSet, _, _| Ok(Box::new(Counts(set.domain().clone()))));
        let mut method = Guided::new(Fixed(vec!["ACG", "CCC", "CCA", "CCA", "TTG"]), fit, acquisition);
        let request = Request { measured: &measured, count, round: 1, seed: Seed::root(0), pool: Pool::inline() };
        let proposals = method.propose(&request).unwrap();
        assert_eq!(method.surrogate_calls(), Some(5));
        proposals
    };
    let text = |p: &Proposal| p.sequence.text(&Alphabet::dna());
    let two = propose(None, 2);
    assert_eq!(two.iter().map(text).collect::<Vec<_>>(), ["CCA", "ACG"]);
    assert_eq!(two[0].expected, Some(Prediction { mean: 2.0 / 3.0, sd: Some(0.0) }));
    let bound = propose(Some(Acquisition::Ucb { bonus: 2.0 }), 1);
    assert_eq!(bound.iter().map(text).collect::<Vec<_>>(), ["TTG"], "4/3 against 2/3");
    let drawn = propose(Some(Acquisition::Thompson), 2);
    assert_eq!(drawn.iter().map(text).collect::<Vec<_>>(), ["ACG", "TTG"], "by the share of Gs");
    let many = propose(None, 7);
    let reasons: Vec<&str> = many.iter().map(|p| p.reason).collect();
    assert_eq!(reasons, ["fixed", "fixed", "fixed", "uniform", "uniform", "uniform", "uniform"]);
}
