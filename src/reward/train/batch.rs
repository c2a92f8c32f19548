//! The rows that members learn from, and the batch of a step.

use super::super::ensemble::Standardisation;
use super::{InputNoise, TrainConfig};
use crate::error::Result;
use crate::random::Rng;
use crate::reward::TrainingSet;
use candle_core::{Device, Tensor};

/// Token ids, standardised targets and weights, row by row.
#[derive(Debug)]
pub(super) struct Rows {
    length: usize,
    letters: usize,
    ids: Vec<u8>,
    targets: Vec<f32>,
    weights: Vec<f32>,
    noise: InputNoise,
}

/// The tensors of a step.
#[derive(Debug)]
pub(super) struct Batch {
    /// (B, L, V)
    pub(super) probs: Tensor,
    /// (B,)
    pub(super) targets: Tensor,
    /// (B,)
    pub(super) weights: Tensor,
}

impl Rows {
    pub(super) fn new(set: &TrainingSet, standardisation: Standardisation, config: &TrainConfig) -> Self {
        let z: Vec<f64> =
            set.values().iter().map(|value| (value - standardisation.centre) / standardisation.scale).collect();
        let raw: Vec<f64> = z.iter().map(|z| (config.emphasis * z).exp()).collect();
        let mean = raw.iter().sum::<f64>() / raw.len() as f64;
        Self {
            length: set.domain().length,
            letters: set.domain().alphabet.len(),
            ids: set.sequences().iter().flat_map(|x| x.padded(&set.domain().alphabet, set.domain().length)).collect(),
            targets: z.iter().map(|z| *z as f32).collect(),
            weights: raw.iter().map(|weight| (weight / mean) as f32).collect(),
            noise: config.noise,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    /// The batch of some rows, softened with draws from `rng`.
    pub(super) fn batch(&self, rows: &[usize], rng: &mut Rng) -> Result<Batch> {
        let mut probs = vec![0_f32; rows.len() * self.length * self.letters];
        for (row, block) in rows.iter().zip(probs.chunks_exact_mut(self.length * self.letters)) {
            let ids = &self.ids[row * self.length..(row + 1) * self.length];
            let mixing = if rng.uniform() < self.noise.share { self.noise.most * rng.uniform() } else { 0.0 };
            for (position, id) in block.chunks_exact_mut(self.letters).zip(ids) {
                if mixing > 0.0 {
                    dirichlet(position, mixing, rng);
                }
                position[usize::from(*id)] += (1.0 - mixing) as f32;
            }
        }
        let pick = |from: &[f32]| rows.iter().map(|row| from[*row]).collect::<Vec<_>>();
        Ok(Batch {
            probs: Tensor::from_vec(probs, (rows.len(), self.length, self.letters), &Device::Cpu)?,
            targets: Tensor::from_vec(pick(&self.targets), rows.len(), &Device::Cpu)?,
            weights: Tensor::from_vec(pick(&self.weights), rows.len(), &Device::Cpu)?,
        })
    }
}

/// Fills a row with a uniform draw from the simplex, times `total`: normalised exponentials.
fn dirichlet(row: &mut [f32], total: f64, rng: &mut Rng) {
    for entry in row.iter_mut() {
        *entry = -(1.0 - rng.uniform()).ln() as f32;
    }
    let sum: f32 = row.iter().sum();
    let factor = if sum > 0.0 { total as f32 / sum } else { 0.0 };
    for entry in row.iter_mut() {
        *entry *= factor;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;
    use crate::sequence::{Alphabet, Sequence};

    fn rows(config: &TrainConfig) -> Rows {
        let dna = Alphabet::dna();
        let word = |text: &str| Sequence::parse(text, &dna).unwrap();
        let set = TrainingSet::new(dna.clone(), [(word("AC"), 0.0), (word("GT"), 2.0)]).unwrap();
        Rows::new(&set, Standardisation { centre: 1.0, scale: 1.0 }, config)
    }

    #[test]
    fn softened_rows_stay_on_the_simplex_and_keep_their_letter() {
        let config = TrainConfig { noise: InputNoise { share: 1.0, most: 0.4 }, ..TrainConfig::default() };
        let batch = rows(&config).batch(&[0; 50], &mut Seed::root(1).rng()).unwrap();
        let mut softened = 0;
        for sequence in batch.probs.to_vec3::<f32>().unwrap() {
            for (row, letter) in sequence.iter().zip([0, 1]) {
                assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
                assert!(row[letter] >= 0.6, "{row:?}");
                softened += usize::from(row[letter] < 1.0);
            }
        }
        assert_eq!(softened, 100);
    }

    #[test]
    fn without_noise_rows_are_letters_and_emphasis_weighs_high_values() {
        let config =
            TrainConfig { noise: InputNoise { share: 0.0, most: 0.4 }, emphasis: 0.5, ..TrainConfig::default() };
        let batch = rows(&config).batch(&[1, 0], &mut Seed::root(1).rng()).unwrap();
        assert_eq!(batch.probs.to_vec3::<f32>().unwrap()[0], [[0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]]);
        assert_eq!(batch.targets.to_vec1::<f32>().unwrap(), [1.0, -1.0]);
        let weights = batch.weights.to_vec1::<f32>().unwrap();
        assert!((weights[0] / weights[1] - 1_f32.exp()).abs() < 1e-5, "exp(0.5 · 2) apart");
        assert!((weights[0] + weights[1] - 2.0).abs() < 1e-6);
    }
}
