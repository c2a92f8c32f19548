//! A surrogate's best, found by asking about everything.

use super::{Search, Start, View};
use crate::error::{Error, Result};
use crate::reward::{Acquisition, Domain, enumerable};
use crate::sequence::Sequence;

/// Every sequence that was not measured is a candidate: the maximum of the acquisition, exactly.
///
/// What a surrogate is worth when nothing is lost to the search for its maximum. Only for spaces that are
/// [`enumerable`]; the answer is the same for every seed where the surrogate's is.
///
/// # Cost
/// V^L predictions a round.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exhaustive;

impl Search for Exhaustive {
    fn name(&self) -> &'static str {
        "exhaustive"
    }

    fn acquisition(&self) -> Acquisition {
        Acquisition::Ucb { bonus: 1.0 }
    }

    fn candidates(&self, start: &Start<'_>, view: &View<'_>) -> Result<Vec<(Sequence, f64)>> {
        let Domain { alphabet, length } = start.measured.domain();
        if !enumerable(alphabet.len(), *length) {
            let size = alphabet.len();
            return Err(Error::usage(format!("{size}^{length} sequences are too many for proposer `exhaustive`"))
                .hint("262144 are accepted, as of DNA up to nine letters; search with `gp-ucb` or `tilted`"));
        }
        let new: Vec<Sequence> =
            Sequence::all(alphabet, *length).filter(|word| !start.measured.contains(word)).collect();
        let scores = view.scores(&new)?;
        Ok(new.into_iter().zip(scores).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::guided_tests::{Counts, start_of, words};
    use super::*;
    use crate::nn::Pool;
    use crate::random::Seed;

    #[test]
    fn every_new_word_is_scored_once_and_large_spaces_are_refused() {
        let measured = words(3, &[("CCC", 1.0), ("CCA", 0.5)]);
        let ranked = measured.ranked();
        let surrogate = Counts::of(&measured);
        let view = View::new(&surrogate, Acquisition::Mean, Seed::root(0), Pool::inline());
        let found = Exhaustive.candidates(&start_of(&measured, &ranked, 4, 0), &view).unwrap();
        assert_eq!((found.len(), view.calls()), (62, 62));
        // what is left of two Cs: eight words
        assert_eq!(found.iter().filter(|(_, share)| *share > 0.6).count(), 8);
        let measured = words(10, &[("CCCCCCCCCC", 1.0), ("CCCCCCCCCA", 0.5)]);
        let ranked = measured.ranked();
        let error = Exhaustive.candidates(&start_of(&measured, &ranked, 4, 0), &view).unwrap_err();
        assert!(error.message().contains("4^10"), "{error}");
    }
}
