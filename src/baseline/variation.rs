//! How sequences are varied: mutation and crossover.

use crate::error::{Error, Result};
use crate::random::Rng;

/// Draws the letters of `places` positions anew, uniformly: one in V stays as it was. Positions are drawn without replacement
/// (all of them where there are fewer).
pub(super) fn redraw(ids: &mut [u8], places: usize, letters: usize, rng: &mut Rng) {
    let mut positions: Vec<usize> = (0..ids.len()).collect();
    for drawn in 0..places.min(ids.len()) {
        let pick = drawn + rng.below(ids.len() - drawn);
        positions.swap(drawn, pick);
        ids[positions[drawn]] = rng.below(letters) as u8;
    }
}

/// How a genetic algorithm makes a child of two parents: by uniform crossover with probability `crossover`, else a copy of the
/// first; then least to most letters are drawn anew.
#[derive(Clone, Copy, Debug)]
pub(super) struct Breeding {
    pub(super) crossover: f64,
    pub(super) mutations: (usize, usize),
}

impl Breeding {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub(super) fn check(self) -> Result<()> {
        if !(0.0..=1.0).contains(&self.crossover) {
            return Err(Error::usage(format!("`crossover` is {}; 0 to 1 is accepted", self.crossover)));
        }
        let (least, most) = self.mutations;
        if least > most {
            return Err(Error::usage(format!("`mutations` run from {least} to {most}; the least comes first")));
        }
        Ok(())
    }

    /// A child.
    pub(super) fn child(self, first: &[u8], second: &[u8], letters: usize, rng: &mut Rng) -> Vec<u8> {
        let crossed = rng.uniform() < self.crossover;
        let mut ids = if crossed { crossover(first, second, 0.5, rng) } else { first.to_vec() };
        let (least, most) = self.mutations;
        let places = least + rng.below(most - least + 1);
        redraw(&mut ids, places, letters, rng);
        ids
    }
}

/// Puts another letter in each position with probability `rate`.
pub(super) fn mutate_each(ids: &mut [u8], rate: f64, letters: usize, rng: &mut Rng) {
    for id in ids {
        if rng.uniform() < rate {
            *id = other(*id, letters, rng);
        }
    }
}

/// A letter other than this one, each equally likely.
fn other(id: u8, letters: usize, rng: &mut Rng) -> u8 {
    let drawn = rng.below(letters - 1) as u8;
    if drawn < id { drawn } else { drawn + 1 }
}

/// Uniform crossover (Syswerda 1989): every position from `second` with probability `share`, else from `first`.
fn crossover(first: &[u8], second: &[u8], share: f64, rng: &mut Rng) -> Vec<u8> {
    first.iter().zip(second).map(|(a, b)| if rng.uniform() < share { *b } else { *a }).collect()
}

/// Two parents read side by side, changing places before a position with probability `rate`: both children.
pub(super) fn recombine(first: &[u8], second: &[u8], rate: f64, rng: &mut Rng) -> [Vec<u8>; 2] {
    let mut switched = false;
    let pairs = first.iter().zip(second).map(|(a, b)| {
        switched ^= rng.uniform() < rate;
        if switched { (*b, *a) } else { (*a, *b) }
    });
    let (one, two) = pairs.unzip();
    [one, two]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    #[test]
    fn as_many_letters_as_asked_are_drawn_anew_from_all() {
        let mut rng = Seed::root(1).rng();
        let mut seen = [0_u32; 4];
        for _ in 0..9_000 {
            let mut ids = [9_u8; 5];
            redraw(&mut ids, 2, 4, &mut rng);
            assert_eq!(ids.iter().filter(|id| **id != 9).count(), 2);
            ids.iter().filter(|id| **id != 9).for_each(|id| seen[usize::from(*id)] += 1);
        }
        // 4,500 of 18,000 each, standard error √(18000 · 1/4 · 3/4) = 58; four of them
        assert!(seen.iter().all(|n| n.abs_diff(4_500) < 232), "{seen:?}");
        let mut short = [9_u8, 9];
        redraw(&mut short, 9, 2, &mut rng);
        assert!(short.iter().all(|id| *id < 2));
    }

    #[test]
    fn half_of_the_children_have_two_parents() {
        let breeding = Breeding { crossover: 0.5, mutations: (0, 0) };
        let mut rng = Seed::root(5).rng();
        let children = (0..4_000).map(|_| breeding.child(&[0; 40], &[1; 40], 4, &mut rng));
        let two = children.filter(|child| child.contains(&1)).count();
        // standard error √(4000 · ¼) = 32; four of them
        assert!(two.abs_diff(2_000) < 127, "{two}");
        assert!(Breeding { crossover: 1.5, mutations: (0, 1) }.check().is_err());
        assert!(Breeding { crossover: 0.5, mutations: (3, 2) }.check().is_err());
    }

    #[test]
    fn rates_and_shares_are_those_asked_for() {
        let mut rng = Seed::root(2).rng();
        let (mut changed, mut from_second) = (0, 0);
        let mut ids = vec![1_u8; 40_000];
        mutate_each(&mut ids, 0.1, 20, &mut rng);
        changed += ids.iter().filter(|id| **id != 1).count();
        from_second += crossover(&vec![0; 40_000], &vec![1; 40_000], 0.3, &mut rng)
            .iter()
            .map(|id| usize::from(*id))
            .sum::<usize>();
        // standard errors √(n p (1 − p)) = 60 and 92; four of each
        assert!(changed.abs_diff(4_000) < 240 && from_second.abs_diff(12_000) < 368, "{changed} {from_second}");
    }

    #[test]
    fn recombined_children_share_their_parents_letters() {
        let mut rng = Seed::root(3).rng();
        let (a, b) = ([0_u8; 64], [1_u8; 64]);
        assert_eq!(recombine(&a, &b, 0.0, &mut rng), [a.to_vec(), b.to_vec()]);
        let [one, two] = recombine(&a, &b, 0.2, &mut rng);
        assert!(one.iter().zip(&two).all(|(x, y)| x + y == 1));
        let switches = one.windows(2).filter(|pair| pair[0] != pair[1]).count();
        // 63 places at rate 0.2: 12.6 ± 3.2
        assert!((3..=25).contains(&switches), "{switches}");
    }
}
