//! Log evidence and its slope.

use super::kernel::{Bank, Kernel, Words};
use crate::error::Result;
use crate::nn::Pool;
use crate::reward::surrogate::dense::{cholesky, invert_lower};
use crate::reward::surrogate::tuned::Tuned;
use ndarray::{Array1, Array2};

/// Rows of a covariance made at a time.
const ROWS: usize = 128;

/// Labels and a prior of them.
pub(super) struct Problem<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) words: &'a Words,
    /// Standardised labels.
    pub(super) z: &'a [f64],
    /// σ², relative to the amplitude.
    pub(super) noise: f64,
}

/// The answer to a [`Problem`].
pub(super) struct Solved {
    /// L⁻¹, LLᵀ = K + σ².
    pub(super) white: Array2<f64>,
    /// (K + σ²)⁻¹ z.
    pub(super) alpha: Array1<f64>,
    /// s².
    pub(super) amplitude: f64,
    /// `−½ zᵀC⁻¹z − ½ log|C| − (n/2) log 2π`, C = s²(K + σ²).
    pub(super) evidence: f64,
}

impl Problem<'_> {
    /// `None` where the covariance is singular. The best amplitude for the rest is `zᵀ(K + σ²)⁻¹z/n`.
    pub(super) fn solve(&self, amplitude: Tuned, pool: &Pool) -> Result<Option<Solved>> {
        let (n, bank) = (self.z.len(), Bank::new(self.kernel, self.words));
        let blocks: Vec<&[Vec<u8>]> = self.words.chunks(ROWS).collect();
        let blocks = pool.map(blocks.len(), |index| Ok(bank.rows(self.kernel, blocks[index])))?;
        let views: Vec<_> = blocks.iter().map(|block| block.view()).collect();
        let Ok(mut covariance) = ndarray::concatenate(ndarray::Axis(0), &views) else { return Ok(None) };
        covariance.diag_mut().mapv_inplace(|own| own + self.noise);
        let Some(factor) = cholesky(covariance) else { return Ok(None) };
        let logs: f64 = factor.diag().iter().map(|entry| entry.ln()).sum();
        let white = invert_lower(&factor);
        let whitened = white.dot(&Array1::from_iter(self.z.iter().copied()));
        let (square, count) = (whitened.dot(&whitened), n as f64);
        let amplitude = amplitude.fixed().unwrap_or((square / count).max(1e-12));
        let evidence = -0.5 * square / amplitude - logs - 0.5 * count * (2.0 * std::f64::consts::PI * amplitude).ln();
        Ok(Some(Solved { alpha: white.t().dot(&whitened), white, amplitude, evidence }))
    }
}

/// The slope of the log evidence.
#[derive(Debug)]
pub(super) struct Slope {
    /// Along log ℓ_i.
    pub(super) lengths: Vec<f64>,
    /// Along log σ².
    pub(super) noise: f64,
    /// Along c_a c_b, (A, A) flat: Σ_ij G_ij k_ab(x_i, x_j).
    pub(super) weights: Vec<f64>,
}

impl Slope {
    /// Along the logit of the decay of the views' weights.
    pub(super) fn decay(&self, kernel: &Kernel, decay: f64) -> f64 {
        let distance = |view: &super::kernel::View| view.shift.unsigned_abs() as i32;
        let raw: Vec<f64> = kernel.views.iter().map(|view| decay.powi(distance(view))).collect();
        let norm = raw.iter().map(|c| c * c).sum::<f64>().sqrt();
        // d decay / d logit = decay (1 − decay), so a weight decay^m has slope m (1 − decay) decay^m
        let rise: Vec<f64> = kernel
            .views
            .iter()
            .zip(&raw)
            .map(|(view, raw)| f64::from(distance(view)) * (1.0 - decay) * raw / norm)
            .collect();
        let along: f64 = rise.iter().zip(&kernel.weights).map(|(rise, c)| rise * c).sum();
        let slope: Vec<f64> = rise.iter().zip(&kernel.weights).map(|(rise, c)| rise - c * along).collect();
        let views = kernel.views.len();
        let pair = |a: usize, b: usize| slope[a] * kernel.weights[b] + kernel.weights[a] * slope[b];
        self.weights.iter().enumerate().map(|(at, weight)| weight * pair(at / views, at % views)).sum()
    }
}

impl Problem<'_> {
    /// `∂/∂θ = Σ_ij G_ij ∂K_ij/∂θ`, `G = ½ (K⁻¹z zᵀK⁻¹/s² − K⁻¹)`; the amplitude is held, or at its best.
    ///
    /// # Cost
    /// n³ multiply-adds, and views² · L for every pair.
    pub(super) fn slope(&self, solved: &Solved, lengths: &[f64], pool: &Pool) -> Result<Slope> {
        let (n, length, views) = (self.z.len(), lengths.len(), self.kernel.views.len());
        let inverse = solved.white.t().dot(&solved.white);
        let weight =
            |i: usize, j: usize| 0.5 * (solved.alpha[i] * solved.alpha[j] / solved.amplitude - inverse[[i, j]]);
        let tables = Tables::new(self.kernel, lengths);
        let shard = |shard: usize| {
            let mut sums = (vec![0.0; length], vec![0.0; views * views]);
            for i in shard * ROWS..n.min((shard + 1) * ROWS) {
                for j in 0..=i {
                    let pairs = if i == j { 1.0 } else { 2.0 };
                    tables.add(pairs * weight(i, j), (&self.words[i], &self.words[j]), &mut sums);
                }
            }
            Ok(sums)
        };
        let mut slope = Slope { lengths: vec![0.0; length], noise: 0.0, weights: vec![0.0; views * views] };
        for (lengths, weights) in pool.map(n.div_ceil(ROWS), shard)? {
            slope.lengths.iter_mut().zip(lengths).for_each(|(sum, term)| *sum += term);
            slope.weights.iter_mut().zip(weights).for_each(|(sum, term)| *sum += term);
        }
        slope.noise = (0..n).map(|i| self.noise * weight(i, i)).sum();
        Ok(slope)
    }
}

/// Factors of all pairs of letters, position by position: t and ∂ log t/∂ log ℓ.
struct Tables<'a> {
    weights: &'a [f64],
    codes: usize,
    factors: Vec<(f64, f64)>,
}

impl<'a> Tables<'a> {
    fn new(kernel: &'a Kernel, lengths: &[f64]) -> Self {
        let codes = kernel.codes();
        let mut factors = Vec::with_capacity(lengths.len() * codes * codes);
        for (i, length) in lengths.iter().enumerate() {
            for pair in 0..codes * codes {
                let (u, v) = ((pair / codes) as u8, (pair % codes) as u8);
                let factor = kernel.factor(i, u, v);
                // ∂t/∂ log ℓ = (1 − agreement) ρ/ℓ
                factors.push((factor, (1.0 - kernel.agreement(u, v)) * kernel.rho[i] / length / factor));
            }
        }
        Self { weights: &kernel.weights, codes, factors }
    }

    /// Adds the part of one pair of sequences to the slopes along log ℓ_i and c_a c_b.
    fn add(&self, weight: f64, (x, y): (&[u8], &[u8]), (lengths, weights): &mut (Vec<f64>, Vec<f64>)) {
        let (length, codes) = (lengths.len(), self.codes);
        let mut pairs = weights.iter_mut();
        for (u, c) in x.chunks_exact(length).zip(self.weights) {
            for ((v, d), sum) in y.chunks_exact(length).zip(self.weights).zip(&mut pairs) {
                let rows = || {
                    let codes_of = u.iter().zip(v).map(|(u, v)| usize::from(*u) * codes + usize::from(*v));
                    self.factors.chunks_exact(codes * codes).zip(codes_of).map(|(table, pair)| table[pair])
                };
                let term = weight * rows().map(|(factor, _)| factor).product::<f64>();
                // symmetric in the two sequences, whichever way round a pair of views is counted
                *sum += term;
                let part = term * c * d;
                lengths.iter_mut().zip(rows()).for_each(|(sum, (_, rise))| *sum += part * rise);
            }
        }
    }
}
