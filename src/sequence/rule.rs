//! What a sequence must be like.

mod file;
mod letter_set;

pub use file::{RuleEntry, Rules, Severity};
pub use letter_set::LetterSet;

use super::{Alphabet, Sequence, distance};
use std::fmt;

/// A constraint on sequences, as letters, windows and counts: it can be checked on a sequence, and its parts say all that a mask of
/// letters or an automaton needs to impose it.
///
/// ```
/// use seqtilt::sequence::{Alphabet, LetterSet, Rule, Sequence};
/// let dna = Alphabet::dna();
/// let any = LetterSet::all(&dna);
/// let found = Rule::Run { letters: any, most: 2 }.violations(&Sequence::parse("AACCCCT", &dna)?, &dna);
/// assert_eq!(found[0].to_string(), "runs of at most 2 equal letters: found `CCCC` at position 3");
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Rule {
    /// The share of these letters lies from `least` to `most` in every window, which slides by one letter.
    Share {
        /// The letters that count, such as G and C.
        letters: LetterSet,
        /// Letters of a window; the whole sequence where there is none or it is longer.
        window: Option<usize>,
        /// Least share.
        least: f64,
        /// Greatest share.
        most: f64,
    },
    /// None of these motifs stands anywhere.
    Forbidden {
        /// What may not stand: letters by position; the reverse complement beside it where both strands count.
        motifs: Vec<Vec<LetterSet>>,
    },
    /// No more than `most` equal letters in a row.
    Run {
        /// The letters that it is about.
        letters: LetterSet,
        /// The longest run.
        most: usize,
    },
    /// Only these letters at these positions; positions that a sequence does not have count as met.
    Allowed {
        /// From 0; none means everywhere.
        positions: Option<Vec<usize>>,
        /// The letters.
        letters: LetterSet,
    },
    /// From `least` to `most` letters differ from a wild type: [`distance`].
    Mutations {
        /// What it is compared with.
        wild_type: Sequence,
        /// Least number.
        least: usize,
        /// Greatest number.
        most: usize,
    },
}

/// A place where a rule is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The rule, in words.
    pub rule: String,
    /// Where, from 1; none where it is the sequence as a whole.
    pub position: Option<usize>,
    /// What was found there.
    pub found: String,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: found {}", self.rule, self.found)?;
        self.position.map_or(Ok(()), |position| write!(f, " at position {position}"))
    }
}

impl Rule {
    /// Where a sequence does not meet it: every occurrence of a motif, every run that is too long, every letter that is not allowed;
    /// of shares one for each stretch of windows that fail side by side, at its worst.
    #[must_use]
    pub fn violations(&self, sequence: &Sequence, alphabet: &Alphabet) -> Vec<Breach> {
        let ids = sequence.ids();
        let text = |ids: &[u8]| ids.iter().map(|id| char::from(alphabet.letter(*id))).collect::<String>();
        let violation =
            |position: usize, found: String| Breach { rule: self.text(alphabet), position: Some(position + 1), found };
        match self {
            Self::Share { letters, window, least, most } => {
                let stretches = stretches(ids, *letters, *window, (*least, *most));
                stretches.into_iter().map(|(at, share)| violation(at, format!("{share:.3}"))).collect()
            }
            Self::Forbidden { motifs } => {
                let mut found: Vec<(usize, &[u8])> = motifs
                    .iter()
                    .filter(|motif| !motif.is_empty())
                    .flat_map(|motif| {
                        let here = |site: &[u8]| motif.iter().zip(site).all(|(set, id)| set.contains(*id));
                        ids.windows(motif.len()).enumerate().filter(move |(_, site)| here(site))
                    })
                    .collect();
                found.sort_unstable();
                found.dedup();
                found.into_iter().map(|(at, site)| violation(at, format!("`{}`", text(site)))).collect()
            }
            Self::Run { letters, most } => {
                let mut start = 0;
                let runs = ids.chunk_by(|a, b| a == b).filter_map(|run| {
                    let at = start;
                    start += run.len();
                    (run.len() > *most && letters.contains(run[0])).then(|| violation(at, format!("`{}`", text(run))))
                });
                runs.collect()
            }
            Self::Allowed { positions, letters } => {
                let wanted = |at: &usize| positions.as_ref().is_none_or(|positions| positions.contains(at));
                let wrong = ids.iter().enumerate().filter(|(at, id)| wanted(at) && !letters.contains(**id));
                wrong.map(|(at, id)| violation(at, format!("`{}`", text(&[*id])))).collect()
            }
            Self::Mutations { wild_type, least, most } => {
                let count = distance(sequence, wild_type);
                let met = (*least..=*most).contains(&count);
                let found = format!("{count} mutations");
                (!met).then(|| Breach { rule: self.text(alphabet), position: None, found }).into_iter().collect()
            }
        }
    }

    /// The rule in words.
    #[must_use]
    pub fn text(&self, alphabet: &Alphabet) -> String {
        match self {
            Self::Share { letters, window, least, most } => {
                let window = window.map_or_else(String::new, |window| format!(" in {window} letters"));
                format!("share of `{}` from {least} to {most}{window}", letters.text(alphabet))
            }
            Self::Forbidden { motifs } => {
                let one = |motif: &Vec<LetterSet>| motif.iter().map(|set| set.place(alphabet)).collect::<String>();
                format!("no `{}`", motifs.iter().map(one).collect::<Vec<_>>().join("` or `"))
            }
            Self::Run { letters, most } if *letters == LetterSet::all(alphabet) => {
                format!("runs of at most {most} equal letters")
            }
            Self::Run { letters, most } => {
                format!("runs of at most {most} equal letters of `{}`", letters.text(alphabet))
            }
            Self::Allowed { letters, .. } => format!("`{}` only", letters.text(alphabet)),
            Self::Mutations { least: 0, most, .. } => format!("at most {most} mutations"),
            Self::Mutations { least, most, .. } if *most == usize::MAX => format!("{least} mutations or more"),
            Self::Mutations { least, most, .. } => format!("{least} to {most} mutations"),
        }
    }
}

/// Stretches of windows whose share of letters is out of limits: place and share of the worst window of each.
fn stretches(ids: &[u8], letters: LetterSet, window: Option<usize>, (least, most): (f64, f64)) -> Vec<(usize, f64)> {
    let width = window.unwrap_or(ids.len()).clamp(1, ids.len());
    let mut found: Vec<(usize, f64)> = Vec::new();
    let mut count = ids[..width].iter().filter(|id| letters.contains(**id)).count();
    let excess = |share: f64| (least - share).max(share - most);
    let mut open = false;
    for at in 0..=ids.len() - width {
        if at > 0 {
            count += usize::from(letters.contains(ids[at + width - 1]));
            count -= usize::from(letters.contains(ids[at - 1]));
        }
        let share = count as f64 / width as f64;
        if excess(share) <= 0.0 {
            open = false;
            continue;
        }
        match found.last_mut().filter(|_| open) {
            Some(worst) if excess(share) <= excess(worst.1) => {}
            Some(worst) => *worst = (at, share),
            None => found.push((at, share)),
        }
        open = true;
    }
    found
}

#[cfg(test)]
mod tests;
