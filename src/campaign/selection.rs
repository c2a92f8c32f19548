//! From many candidates to a batch.

use crate::baseline::Proposal;
use crate::error::Result;
use crate::eval::Metric;
use crate::eval::select::diverse;
use crate::registry::registry;
use crate::reward::Prediction;
use crate::sequence::Sequence;
use serde::{Deserialize, Serialize};

/// A sequence that could be measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// The sequence.
    pub sequence: Sequence,
    /// What a surrogate expects of it.
    pub expected: Option<Prediction>,
    /// What the search climbs, at it.
    pub score: f64,
}

/// How a batch is chosen from distinct candidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// The best.
    Top,
    /// The best of which no two are too close.
    #[default]
    Diverse,
    /// The first that were drawn: a sample of the sampler's law.
    Sampled,
}

registry! {
    /// The ways to choose a batch by name.
    pub SELECTIONS: Selection, "selection", "selections";
    "diverse" => Selection::Diverse, "the best by acquisition that are at least --min-distance letters apart";
    "top" => Selection::Top, "the best by acquisition, however close to each other";
    "sampled" => Selection::Sampled, "the first that the sampler drew: as many as its law gives every region";
}

impl Selection {
    /// At most `count` of distinct candidates, in the order in which they were drawn. A distance that leaves the batch short is
    /// relaxed a letter at a time, and the reason of a pick says so.
    ///
    /// # Errors
    /// When sequences cannot be compared.
    ///
    /// ```
    /// use seqtilt::campaign::{Candidate, Selection};
    /// use seqtilt::sequence::{Alphabet, Sequence};
    /// let dna = Alphabet::dna();
    /// let drawn = ["AA", "AC", "GT"].into_iter().zip([3.0, 2.0, 1.0]).map(|(text, score)| {
    ///     Ok(Candidate { sequence: Sequence::parse(text, &dna)?, expected: None, score })
    /// });
    /// let drawn: Vec<Candidate> = drawn.collect::<seqtilt::Result<_>>()?;
    /// let texts = |selection: Selection| -> seqtilt::Result<Vec<String>> {
    ///     Ok(selection.choose(&drawn, 2, 2)?.iter().map(|pick| pick.sequence.text(&dna)).collect())
    /// };
    /// assert_eq!((texts(Selection::Top)?, texts(Selection::Diverse)?), (vec!["AA".into(), "AC".into()], vec!["AA".into(), "GT".into()]));
    /// # Ok::<(), seqtilt::Error>(())
    /// ```
    pub fn choose(self, drawn: &[Candidate], count: usize, distance: usize) -> Result<Vec<Proposal>> {
        let proposal = |candidate: &Candidate, reason: &'static str| Proposal {
            sequence: candidate.sequence.clone(),
            expected: candidate.expected,
            reason,
        };
        if self == Self::Sampled {
            return Ok(drawn.iter().take(count).map(|c| proposal(c, "drawn from the tilted sampler")).collect());
        }
        let distance = if self == Self::Top { 1 } else { distance.max(1) };
        let sequences: Vec<Sequence> = drawn.iter().map(|c| c.sequence.clone()).collect();
        let scores: Vec<f64> = drawn.iter().map(|c| c.score).collect();
        let selection = diverse(&sequences, &scores, count, distance, Metric::Hamming)?;
        let apart = selection.taken.iter().flat_map(|(distance, count)| std::iter::repeat_n(*distance, *count));
        let reason = |apart: usize| match apart {
            apart if apart < distance => "best acquisition of the tilted sampler's draws, the least distance relaxed",
            1 => "best acquisition of the tilted sampler's draws",
            _ => "best acquisition of the tilted sampler's draws at the least distance",
        };
        Ok(selection.chosen.iter().zip(apart).map(|(index, apart)| proposal(&drawn[*index], reason(apart))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::Alphabet;

    #[test]
    fn a_relaxed_distance_stands_in_the_reason_and_a_nan_is_never_chosen() {
        let dna = Alphabet::dna();
        let drawn: Vec<Candidate> = [("AA", 3.0), ("AC", 2.0), ("CC", 1.0), ("GT", f64::NAN)]
            .map(|(text, score)| Candidate { sequence: Sequence::parse(text, &dna).unwrap(), expected: None, score })
            .into();
        let picks = Selection::Diverse.choose(&drawn, 4, 2).unwrap();
        let texts: Vec<String> = picks.iter().map(|pick| pick.sequence.text(&dna)).collect();
        assert_eq!(texts, ["AA", "CC", "AC"]);
        assert_eq!(picks[1].reason, "best acquisition of the tilted sampler's draws at the least distance");
        assert_eq!(picks[2].reason, "best acquisition of the tilted sampler's draws, the least distance relaxed");
        let sampled = Selection::Sampled.choose(&drawn, 2, 2).unwrap();
        assert_eq!(sampled[1].sequence.text(&dna), "AC");
    }
}
