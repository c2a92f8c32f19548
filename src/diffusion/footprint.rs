//! Memory of a denoiser and of its training, before either exists.

use super::sites::EXTRA;
use super::{DenoiserConfig, PretrainConfig, PriorConfig};
use crate::nn::{Block, Footprint};

impl DenoiserConfig {
    /// Numbers that a forward pass keeps of one sequence for the way back, and that are in use on that way.
    #[must_use]
    pub fn activations(&self, length: usize, embedding: usize, letters: usize, recompute: bool) -> u64 {
        if self.layers == 0 {
            return (length * 6 * letters) as u64;
        }
        let blocks = self.layers * Block::activations(self.dim, self.heads, length, recompute);
        // the input twice, its map, positions, the last norm, logits and probabilities; gradients of the same
        let ends = length * (2 * (embedding + letters) + 6 * self.dim + 6 * letters);
        let again = if recompute { Block::activations(self.dim, self.heads, length, false) } else { 0 };
        (blocks + ends + again + Block::scratch(self.dim, length)) as u64
    }

    /// Weights of a denoiser.
    #[must_use]
    pub fn weights(&self, length: usize, embedding: usize, letters: usize) -> u64 {
        if self.layers == 0 {
            return 0;
        }
        let dim = self.dim as u64;
        let ends = (embedding + letters + length + letters + 5) as u64 * dim + letters as u64;
        // the embedding of time maps an even number of sinusoids
        let features = 2 * (dim / 2).max(1);
        (self.layers as u64) * Block::weights(self.dim) + ends - 2 * dim + features * dim + dim * dim + 2 * dim
    }
}

impl PretrainConfig {
    /// Memory of training a prior of this shape on so many threads.
    #[must_use]
    pub fn footprint(&self, shape: &PriorConfig, threads: usize, recompute: bool) -> Footprint {
        let (length, embedding, letters) = (shape.length, shape.embedding_dim, shape.letters.len());
        let sites = if shape.sites { length * letters + EXTRA * shape.denoiser.dim } else { 0 };
        let weights = shape.denoiser.weights(length, embedding, letters) + (letters * embedding + sites) as u64;
        let rows = self.shard.min(self.batch);
        let activations = rows as u64 * shape.denoiser.activations(length, embedding, letters, recompute);
        Footprint::of_training(weights, self.batch.div_ceil(rows.max(1)), threads, activations, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::Transformer;
    use crate::nn::check;

    #[test]
    fn weights_are_counted_exactly() {
        for (dim, layers, heads, length, embedding, letters) in [(8, 1, 2, 5, 4, 4), (12, 3, 4, 30, 16, 20)] {
            let config = DenoiserConfig { dim, layers, heads };
            let params = check::params();
            Transformer::new(&params, &config, length, embedding, letters).unwrap();
            assert_eq!(config.weights(length, embedding, letters), params.count() as u64);
        }
    }

    #[test]
    fn activations_grow_with_rows_and_threads_and_recomputing_saves_most_of_them() {
        let shape = PriorConfig::new(&crate::sequence::Alphabet::protein(), 100);
        let config = PretrainConfig { batch: 64, shard: 8, ..PretrainConfig::default() };
        let of = |shard, threads, recompute| {
            PretrainConfig { shard, ..config.clone() }.footprint(&shape, threads, recompute).activations
        };
        assert_eq!(of(8, 2, false), 2 * of(8, 1, false));
        assert_eq!(of(16, 1, false), 2 * of(8, 1, false));
        assert_eq!(of(64, 4, false), of(64, 1, false));
        assert!(of(8, 1, true) < of(8, 1, false));
    }
}
