//! The share of G and C in every window.

use super::imposed::greatest;
use super::{Constraint, Imposed, Pick};
use crate::error::{Error, Result};
use crate::sequence::{Alphabet, Sequence};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Beginnings of sequences that are followed at a time.
const BEAM: usize = 256;

/// The same, where so many die out.
const WIDEST: usize = 1 << 14;

/// Draws that are thrown away before a share of windows is called hopeless.
const TRIES: usize = 10_000;

/// Letters of a window at most.
const LONGEST: usize = 128;

/// The share of G and C that every window of so many letters has; sequences with fewer letters have no window.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct GcWindow {
    /// Letters of a window, 2 to 128.
    pub length: usize,
    /// Least and greatest share, both included.
    pub share: [f64; 2],
}

/// A window's rule as numbers of letters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Letters that count, a bit each.
    pub(super) set: u64,
    pub(super) length: usize,
    /// Fewest and most of them.
    pub(super) ends: [usize; 2],
}

impl GcWindow {
    pub(super) fn compile(&self, alphabet: &Alphabet) -> Result<Window> {
        let Self { length, share: [least, most] } = *self;
        if !(2..=LONGEST).contains(&length) {
            return Err(Error::usage(format!("`gc-window` has {length} letters; 2 to {LONGEST} are accepted")));
        }
        let (set, share) = Constraint::share("gc-window", self.share, alphabet)?;
        let ends = share.of(length);
        if ends[0] > ends[1] {
            let message = format!("`gc-window`: no number out of {length} letters is a share of {least} to {most}");
            return Err(Error::usage(message).hint("widen the share or the window"));
        }
        Ok(Window { set, length, ends })
    }
}

/// A beginning of a sequence, the last letter of it.
#[derive(Clone, Copy)]
struct Begun {
    /// The beginning without it, among those that are one letter shorter.
    from: usize,
    id: u8,
    motif: usize,
    count: usize,
    /// Which of the last letters are G or C, a bit each, the latest lowest.
    last: u128,
    score: f64,
    /// With the best continuation, windows aside.
    worth: f64,
}

impl Window {
    /// Whether every window of token ids keeps the rule; padding ends them.
    pub(super) fn keeps(&self, ids: &[u8], padding: Option<u8>) -> bool {
        let letters = ids.iter().position(|id| Some(*id) == padding).unwrap_or(ids.len());
        let count = |window: &[u8]| window.iter().filter(|id| self.set >> **id & 1 == 1).count();
        ids[..letters].windows(self.length).all(|window| (self.ends[0]..=self.ends[1]).contains(&count(window)))
    }

    /// Whether the last letters may stand, where so many were read; `sure` is whether letters go on until a window is full.
    fn may(&self, last: u128, read: usize, sure: bool) -> bool {
        let ([least, most], inside) = (self.ends, last.count_ones() as usize);
        match self.length.checked_sub(read) {
            None | Some(0) => (least..=most).contains(&inside),
            Some(missing) => !sure || inside <= most && inside + missing >= least,
        }
    }

    /// A sequence of great score, found along the best beginnings; `ahead` is what the best continuation is worth without windows.
    ///
    /// Beginnings in the same state, with the same last letters, have the same continuations: of those the best stays.
    pub(super) fn search(&self, rules: &Imposed, scores: &[f64], ahead: &[f64]) -> Option<Sequence> {
        let widths = std::iter::successors(Some(BEAM), |width| (width * 8 <= WIDEST).then_some(width * 8));
        widths.into_iter().find_map(|width| self.follow(rules, scores, ahead, width))
    }

    fn follow(&self, rules: &Imposed, scores: &[f64], ahead: &[f64], width: usize) -> Option<Sequence> {
        let (length, letters, padding) = (rules.length(), rules.alphabet().len(), rules.alphabet().padding());
        let window = u128::MAX >> (LONGEST - self.length);
        let start = Begun { from: 0, id: 0, motif: 0, count: 0, last: 0, score: 0.0, worth: 0.0 };
        let mut beams = vec![vec![start]];
        for index in 0..length {
            let mut known: HashMap<(usize, usize, u128), usize> = HashMap::new();
            let mut next: Vec<Begun> = Vec::new();
            for (from, begun) in beams[index].iter().enumerate() {
                for id in 0..letters {
                    let Some(state) = rules.after(index, begun.motif, begun.count, id) else { continue };
                    let score = begun.score + scores[index * letters + id];
                    let worth = score + ahead[(index + 1) * rules.states() + state];
                    let is_letter = padding != Some(id as u8);
                    let counted = u128::from(self.set >> id & 1);
                    let last = if is_letter { (begun.last << 1 | counted) & window } else { begun.last };
                    if worth == f64::NEG_INFINITY || is_letter && !self.may(last, index + 1, padding.is_none()) {
                        continue;
                    }
                    let (motif, count) = rules.split(state);
                    let grown = Begun { from, id: id as u8, motif, count, last, score, worth };
                    let at = *known.entry((motif, count, last & window >> 1)).or_insert(next.len());
                    match next.get_mut(at) {
                        Some(other) if other.worth >= worth => {}
                        Some(other) => *other = grown,
                        None => next.push(grown),
                    }
                }
            }
            // a stable sort: ties stay in the order of letters
            next.sort_by(|a, b| b.worth.total_cmp(&a.worth));
            next.truncate(width);
            beams.push(next);
        }
        let totals: Vec<f64> = beams[length].iter().map(|begun| begun.score).collect();
        let mut at = if totals.is_empty() { return None } else { greatest(&totals) };
        let mut ids = vec![0; length];
        for index in (0..length).rev() {
            let begun = beams[index + 1][at];
            (ids[index], at) = (begun.id, begun.from);
        }
        Sequence::unpadded(&ids, rules.alphabet()).ok()
    }

    /// Whether a sequence is found that keeps windows and rules.
    pub(super) fn any(&self, rules: &Imposed, flat: &[f64], ahead: &[f64]) -> bool {
        self.search(rules, flat, ahead).is_some()
    }
}

/// What a decode under windows takes: what is found of the best, or the first draw that keeps them.
pub(super) fn choose(window: &Window, rules: &Imposed, scores: &[f64], pick: &mut Pick<'_>) -> Result<Sequence> {
    let ahead = rules.futures(scores, matches!(pick, Pick::Draw(_)));
    if let Pick::Best = pick {
        let found = window.search(rules, scores, &ahead);
        return found
            .ok_or_else(|| Error::constraint("no sequence was found that keeps `gc-window` with the other rules"));
    }
    for _ in 0..TRIES {
        let found = rules.read(scores, &ahead, pick)?;
        if window.keeps(found.ids(), None) {
            return Ok(found);
        }
    }
    Err(Error::constraint(format!("`gc-window` kept none of {TRIES} draws of letters"))
        .hint("read letters off with `--decode hard`, which searches, or widen the window"))
}
