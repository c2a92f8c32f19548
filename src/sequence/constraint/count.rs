//! Numbers of letters that are bounded, such as substitutions.

use super::Share;
use super::automaton::DEAD;

/// A number of letters between two ends.
pub(super) struct Count {
    /// Letters that count at each position, a bit each.
    pub(super) counted: Vec<u64>,
    pub(super) ends: Ends,
}

/// Between what a number of letters lies.
#[derive(Clone, Copy)]
pub(super) enum Ends {
    /// Two numbers, over all positions.
    Whole([usize; 2]),
    /// A share of the letters that there are, known where they end.
    Share(Share),
}

impl Count {
    fn ends(&self, letters: usize) -> [usize; 2] {
        match self.ends {
            Ends::Whole(ends) => ends,
            Ends::Share(share) => share.of(letters),
        }
    }

    /// How many numbers are told apart: where there is no upper end, none above the lower one.
    pub(super) fn width(&self, length: usize) -> usize {
        let [least, most] = self.ends(length);
        if most >= length { least + 1 } else { most + 1 }
    }
}

/// States in a row whose next states are in a row too.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) length: usize,
}

/// All counts together as one automaton: a state is a number for each of them.
pub(super) struct Counts {
    counts: Vec<Count>,
    /// Next states by which of the counts go up, a bit each.
    next: Vec<Vec<u32>>,
    /// The same as runs, so that whole slices are worked on.
    runs: Vec<Vec<Run>>,
    length: usize,
    widths: Vec<usize>,
}

impl Counts {
    pub(super) fn new(counts: Vec<Count>, length: usize) -> Self {
        let widths: Vec<usize> = counts.iter().map(|count| count.width(length)).collect();
        let states: usize = widths.iter().product();
        let split = |state: usize| {
            let mut rest = state;
            widths.iter().map(|width| (rest % width, rest /= width).0).collect::<Vec<usize>>()
        };
        let step = |state: usize, rises: usize| {
            let (mut next, mut scale) = (0, 1);
            for (k, value) in split(state).into_iter().enumerate() {
                let mut value = value + (rises >> k & 1);
                if value == widths[k] {
                    if counts[k].ends(length)[1] < length {
                        return DEAD;
                    }
                    value -= 1;
                }
                next += value * scale;
                scale *= widths[k];
            }
            next as u32
        };
        let next: Vec<Vec<u32>> =
            (0..1 << counts.len()).map(|rises| (0..states).map(|state| step(state, rises)).collect()).collect();
        let runs = next.iter().map(|next| runs(next)).collect();
        Self { counts, next, runs, length, widths }
    }

    pub(super) fn states(&self) -> usize {
        self.widths.iter().product()
    }

    /// Whether letters may end after so many of them.
    pub(super) fn closes(&self, state: usize, letters: usize) -> bool {
        self.within(state, letters, |count| matches!(count.ends, Ends::Share(_)))
    }

    /// Whether positions may end; `open` is whether letters did not before.
    pub(super) fn accepts(&self, state: usize, open: bool) -> bool {
        self.within(state, self.length, |count| matches!(count.ends, Ends::Whole(_)))
            && (!open || self.closes(state, self.length))
    }

    fn within(&self, state: usize, letters: usize, asked: impl Fn(&Count) -> bool) -> bool {
        let mut rest = state;
        self.counts.iter().zip(&self.widths).all(|(count, width)| {
            let value = rest % width;
            rest /= width;
            let [least, most] = count.ends(letters);
            !asked(count) || (least..=most).contains(&value)
        })
    }

    /// The runs of a letter, of the states after so many letters after which they may end.
    pub(super) fn closing(&self, rises: usize, letters: usize) -> Vec<Run> {
        let open = |from: usize, to: u32| if self.closes(from, letters) { to } else { DEAD };
        runs(&self.next[rises].iter().enumerate().map(|(from, to)| open(from, *to)).collect::<Vec<u32>>())
    }

    /// Which counts a letter at a position raises.
    pub(super) fn rises(&self, index: usize, id: usize) -> usize {
        self.counts.iter().enumerate().map(|(k, count)| ((count.counted[index] >> id & 1) as usize) << k).sum()
    }

    /// The same as runs; states that have none next are in no run.
    pub(super) fn runs(&self, rises: usize) -> &[Run] {
        &self.runs[rises]
    }

    /// The states after each state, or [`DEAD`].
    pub(super) fn after(&self, rises: usize) -> &[u32] {
        &self.next[rises]
    }
}

fn runs(next: &[u32]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (from, to) in next.iter().enumerate().filter(|(_, to)| **to != DEAD) {
        let to = *to as usize;
        match runs.last_mut() {
            Some(run) if run.from + run.length == from && run.to + run.length == to => run.length += 1,
            _ => runs.push(Run { from, to, length: 1 }),
        }
    }
    runs
}
