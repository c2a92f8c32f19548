//! One function drawn from the posterior.

use super::kernel::{Kernel, Words};
use super::relaxed::Relaxed;
use crate::error::Result;
use crate::nn::Placed;
use crate::random::Seed;
use candle_core::{Device, Tensor};

/// A draw from the prior by random features of the covariance, exact in its second moments for any number R of them:
///
/// ```text
/// g(x) = R^{−½} Σ_r ω_r Π_{i ∈ S_r} s_ri(x_i),   ω ~ N(0, 1),  s = ±1,  P(i ∈ S_r) = 1 − ρ_i
/// E[g(x) g(y)] = Π_i [ρ_i + (1 − ρ_i) 1(x_i = y_i)]
/// ```
///
/// Of a relaxed sequence, the mean over its letters: Σ_v p_i(v) s_ri(v) in place of s_ri(x_i).
#[derive(Debug)]
pub(super) struct PriorDraw {
    /// s_ri(v), 1 where i is not in S_r: (L, V, R), flat.
    signs: Vec<f64>,
    /// ω_r R^{−½}.
    weights: Vec<f64>,
    letters: usize,
    placed: Placed<(Vec<Tensor>, Tensor)>,
}

impl PriorDraw {
    pub(super) fn new(kernel: &Kernel, features: usize, seed: Seed) -> Self {
        let mut rng = seed.child("features").rng();
        let letters = kernel.letters;
        let mut signs = vec![1.0; kernel.rho.len() * letters * features];
        for (rho, table) in kernel.rho.iter().zip(signs.chunks_exact_mut(letters * features)) {
            for feature in 0..features {
                if rng.uniform() >= *rho {
                    for letter in 0..letters {
                        table[letter * features + feature] = if rng.uniform() < 0.5 { -1.0 } else { 1.0 };
                    }
                }
            }
        }
        let norm = (features as f64).sqrt();
        let weights = (0..features).map(|_| rng.normal() / norm).collect();
        Self { signs, weights, letters, placed: Placed::default() }
    }

    /// The draw at sequences, by their words.
    pub(super) fn at(&self, kernel: &Kernel, words: &Words) -> Vec<f64> {
        let (features, length) = (self.weights.len(), kernel.rho.len());
        let sign =
            |i: usize, letter: usize, feature: usize| self.signs[(i * self.letters + letter) * features + feature];
        let mean = |i: usize, feature: usize| {
            (0..self.letters).map(|letter| sign(i, letter, feature)).sum::<f64>() / self.letters as f64
        };
        let one = |word: &Vec<u8>| -> f64 {
            let mut sum = 0.0;
            for (view, weight) in word.chunks_exact(length).zip(&kernel.weights) {
                for (feature, omega) in self.weights.iter().enumerate() {
                    let letter = |(i, code): (usize, &u8)| match usize::from(*code) {
                        code if code < self.letters => sign(i, code, feature),
                        _ => mean(i, feature),
                    };
                    sum += weight * omega * view.iter().enumerate().map(letter).product::<f64>();
                }
            }
            sum
        };
        words.iter().map(one).collect()
    }

    /// The draw at relaxed sequences, from their views (B, A, L, V): (B,).
    pub(super) fn relaxed(&self, relaxed: &Relaxed, views: &Tensor) -> Result<Tensor> {
        let (batch, count, length, letters) = views.dims4()?;
        let placed = self.placed.on(views.device(), || self.place(length, views.device()))?;
        let (signs, weights) = &*placed;
        let rows = views.reshape((batch * count, length, letters))?;
        let mut product: Option<Tensor> = None;
        for (i, signs) in signs.iter().enumerate() {
            let factor = rows.narrow(1, i, 1)?.squeeze(1)?.contiguous()?.matmul(signs)?;
            product = Some(match product {
                Some(product) => (product * factor)?,
                None => factor,
            });
        }
        let product = product.map_or_else(|| Ok(rows.zeros_like()?), Ok::<_, crate::Error>)?;
        relaxed.sum(&product.matmul(weights)?.reshape((batch, count))?)
    }

    fn place(&self, length: usize, device: &Device) -> Result<(Vec<Tensor>, Tensor)> {
        let features = self.weights.len();
        let table = |table: &[f64]| Ok(Tensor::from_slice(table, (self.letters, features), device)?);
        let signs = self.signs.chunks_exact(self.letters * features).take(length).map(table).collect::<Result<_>>()?;
        Ok((signs, Tensor::from_slice(&self.weights, (features, 1), device)?))
    }
}
