//! Numbers of letters that are bounded, such as substitutions.

use super::automaton::DEAD;

/// A number of letters between two ends.
pub(super) struct Count {
    /// Letters that count at each position, a bit each.
    pub(super) counted: Vec<u64>,
    pub(super) least: usize,
    pub(super) most: usize,
}

/// All counts together as one automaton: a state is a number for each of them.
pub(super) struct Counts {
    counts: Vec<Count>,
    /// Next states by which of the counts go up, a bit each.
    next: Vec<Vec<u32>>,
    accepted: Vec<bool>,
}

impl Counts {
    pub(super) fn new(counts: Vec<Count>, length: usize) -> Self {
        // where there is no upper end, more than the lower end need not be told apart
        let widths: Vec<usize> =
            counts.iter().map(|count| if count.most >= length { count.least } else { count.most } + 1).collect();
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
                    if counts[k].most < length {
                        return DEAD;
                    }
                    value -= 1;
                }
                next += value * scale;
                scale *= widths[k];
            }
            next as u32
        };
        let next = (0..1 << counts.len()).map(|rises| (0..states).map(|state| step(state, rises)).collect()).collect();
        let enough = |state: usize| split(state).iter().zip(&counts).all(|(value, count)| *value >= count.least);
        let accepted = (0..states).map(enough).collect();
        Self { counts, next, accepted }
    }

    pub(super) fn states(&self) -> usize {
        self.accepted.len()
    }

    pub(super) fn accepts(&self, state: usize) -> bool {
        self.accepted[state]
    }

    /// Which counts a letter at a position raises.
    pub(super) fn rises(&self, index: usize, id: usize) -> usize {
        self.counts.iter().enumerate().map(|(k, count)| ((count.counted[index] >> id & 1) as usize) << k).sum()
    }

    /// The states after each state, or [`DEAD`].
    pub(super) fn after(&self, rises: usize) -> &[u32] {
        &self.next[rises]
    }
}
