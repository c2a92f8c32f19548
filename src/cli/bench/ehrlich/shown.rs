//! A prior of what the start has shown to be possible.

use crate::diffusion::{constrain, fingerprint, uniform_prior};
use crate::error::{Error, Result};
use crate::sequence::{Alphabet, Constraint, Sequence};
use crate::store::ModelFolder;
use candle_core::Device;

/// Rules that forbid every pair of neighbouring letters that no feasible sequence has shown.
///
/// What a function bans is not asked: a pair that is allowed and was not seen is forbidden too, and a pair that was seen is allowed for certain.
/// A letter that was seen before no other may stand at the end alone.
pub(super) fn unseen(known: &[(Sequence, f64)], alphabet: &Alphabet) -> Constraint {
    let letters = alphabet.len();
    let mut seen = vec![false; letters * letters];
    for pair in known.iter().flat_map(|(sequence, _)| sequence.ids().windows(2)) {
        seen[usize::from(pair[0]) * letters + usize::from(pair[1])] = true;
    }
    let letter = |id: usize| char::from(alphabet.letter(id as u8));
    let motif = |first: usize| {
        let after: String = (0..letters).filter(|second| !seen[first * letters + second]).map(letter).collect();
        (!after.is_empty()).then(|| format!("{}[{after}]", letter(first)))
    };
    Constraint { forbidden: (0..letters).filter_map(motif).collect(), one_strand: true, ..Constraint::default() }
}

/// Uniform letters under these rules, as a folder, and what identifies it.
///
/// # Errors
/// When no sequence keeps the rules.
pub(super) fn prior(known: &[(Sequence, f64)], alphabet: &Alphabet, length: usize) -> Result<(ModelFolder, String)> {
    let (_, uniform) = uniform_prior(alphabet, length, &Device::Cpu)?;
    let folder = constrain(&uniform, &unseen(known, alphabet))
        .map_err(|error| Error::constraint("the start shows too few pairs of letters").because(error))?;
    let print = fingerprint(&folder)?;
    Ok((folder, print))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::{SampleConfig, prior_of, sample};
    use crate::nn::Pool;
    use crate::oracle::{Ehrlich, EhrlichShape, Oracle};
    use crate::random::Seed;

    #[test]
    fn pairs_that_were_seen_are_allowed_and_no_other() {
        let alphabet = Alphabet::of_letters("XAB").unwrap();
        let known =
            [("XAAB", 0.0), ("BXXA", 0.5)].map(|(text, value)| (Sequence::parse(text, &alphabet).unwrap(), value));
        assert_eq!(unseen(&known, &alphabet).forbidden, ["X[B]", "A[X]", "B[AB]"]);
    }

    #[test]
    fn what_it_draws_is_feasible_and_never_told_what_is_banned() {
        let shape = EhrlichShape {
            states: 8,
            length: 12,
            motifs: 2,
            motif_length: 3,
            quantisation: 3,
            ..EhrlichShape::default()
        };
        let mut function = Ehrlich::generate(&shape, Seed::root(2)).unwrap();
        let mut rng = Seed::root(5).rng();
        let known: Vec<(Sequence, f64)> = (0..40).map(|_| (function.walk(&mut rng).unwrap(), 0.0)).collect();
        let (folder, _) = prior(&known, &function.info().alphabet.clone(), 12).unwrap();
        let prior = prior_of(&folder, &Device::Cpu).unwrap();
        let drawn = sample(&prior, &SampleConfig::default(), 200, Seed::root(1), Pool::inline()).unwrap();
        let outcomes = function.evaluate(&drawn).unwrap();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.value().is_some()).count(), 200);
    }
}
