//! The only source of randomness: a tree of seeds, and the generator a node opens.
//!
//! A [`Seed`] is derived, never advanced: `seed.child("finetune").index(step)` is the same number in an interrupted
//! and resumed run, so no generator state is ever stored. Work that runs in parallel opens one node per item, which
//! makes results independent of the number of threads.

use rand::RngCore;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

/// A node of the seed tree.
///
/// ```
/// use seqtilt::Seed;
/// let root = Seed::root(7);
/// assert_ne!(root.child("prior"), root.child("reward"));
/// assert_eq!(root.child("prior").index(3), root.child("prior").index(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seed(u64);

impl Seed {
    /// The root of a tree: the user's `--seed`.
    #[must_use]
    pub const fn root(seed: u64) -> Self {
        Self(mix(seed ^ 0x5eed_7117_5eed_7117))
    }

    /// The child with a name.
    #[must_use]
    pub fn child(self, label: &str) -> Self {
        let hash = label
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        Self(mix(self.0 ^ mix(hash)))
    }

    /// The child with a number.
    #[must_use]
    pub const fn index(self, index: u64) -> Self {
        Self(mix(self.0 ^ mix(index.wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }

    /// The generator of this node.
    #[must_use]
    pub fn rng(self) -> Rng {
        Rng(ChaCha8Rng::seed_from_u64(self.0))
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014).
const fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The generator of one [`Seed`]: ChaCha with 8 rounds, the same stream on every platform.
#[derive(Clone, Debug)]
pub struct Rng(ChaCha8Rng);

impl Rng {
    /// A number in [0, 1) with 53 random bits.
    pub fn uniform(&mut self) -> f64 {
        let bits = (self.0.next_u64() >> 11) as f64;
        bits / 9_007_199_254_740_992.0
    }

    /// An integer in 0..bound.
    ///
    /// # Panics
    /// If `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        rand::Rng::random_range(&mut self.0, 0..bound)
    }

    /// A standard normal draw.
    pub fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.0)
    }

    /// `n` standard normal draws in f32.
    pub fn normals(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| StandardNormal.sample(&mut self.0)).collect()
    }

    /// Puts the items in random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        items.shuffle(&mut self.0);
    }

    /// An index drawn with probability proportional to its weight.
    ///
    /// # Panics
    /// If the weights do not have a positive, finite sum.
    pub fn weighted(&mut self, weights: &[f64]) -> usize {
        let total: f64 = weights.iter().sum();
        assert!(total > 0.0 && total.is_finite(), "weights must have a positive, finite sum, got {total}");
        let mut left = self.uniform() * total;
        for (index, weight) in weights.iter().enumerate() {
            left -= weight;
            if left < 0.0 {
                return index;
            }
        }
        weights.iter().rposition(|weight| *weight > 0.0).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_of_a_seed_is_pinned() {
        let mut rng = Seed::root(1).child("a").index(2).rng();
        let first = (rng.uniform(), rng.below(1000));
        let mut again = Seed::root(1).child("a").index(2).rng();
        assert_eq!(first, (again.uniform(), again.below(1000)));
    }

    #[test]
    fn normals_have_zero_mean_and_unit_variance() {
        let n = 200_000_u32;
        let draws = Seed::root(3).rng().normals(n as usize);
        let mean = draws.iter().map(|x| f64::from(*x)).sum::<f64>() / f64::from(n);
        let variance = draws.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / f64::from(n);
        // standard errors: 1/√n = 0.0022 and √(2/n) = 0.0032; four of each
        assert!(mean.abs() < 0.009, "{mean}");
        assert!((variance - 1.0).abs() < 0.013, "{variance}");
    }

    #[test]
    fn weighted_draws_follow_the_weights() {
        let mut rng = Seed::root(5).rng();
        let n = 40_000_u32;
        let hits = (0..n).filter(|_| rng.weighted(&[1.0, 0.0, 3.0]) == 2).count();
        let share = hits as f64 / f64::from(n);
        // standard error √(.75 · .25 / n) = 0.0022; four of them
        assert!((share - 0.75).abs() < 0.009, "{share}");
    }
}
