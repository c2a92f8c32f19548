//! The same covariance of relaxed sequences, as tensors.

use super::kernel::{Kernel, View, Words};
use crate::error::Result;
use crate::reward::relaxed::OtherStrand;
use candle_core::{D, DType, Device, Tensor};

/// What k(p, ·) needs on a device, in f64.
///
/// k is linear in every row of p, so with independent letters X ~ p it is the mean of k(X, ·), and the process at p is
/// the mean E f(X): a Gaussian variable too.
#[derive(Debug)]
pub(super) struct Relaxed {
    views: Vec<View>,
    strand: Option<OtherStrand>,
    letters: usize,
    codes: usize,
    /// c_a c_b, (A, A).
    weights: Tensor,
    /// c_a, (A, 1).
    singles: Tensor,
    /// ρ_i and 1 − ρ_i, (L, 1) each.
    rho: (Tensor, Tensor),
    /// Which letters the views of the training sequences show, (L · codes, A · n).
    shown: Tensor,
    n: usize,
}

impl Relaxed {
    pub(super) fn new(kernel: &Kernel, words: &Words, strand: Option<OtherStrand>, device: &Device) -> Result<Self> {
        let (length, codes, n, views) = (kernel.rho.len(), kernel.codes(), words.len(), kernel.views.len());
        let mut shown = vec![0.0_f64; length * codes * views * n];
        for (j, word) in words.iter().enumerate() {
            for (view, word) in word.chunks_exact(length).enumerate() {
                for (i, code) in word.iter().enumerate() {
                    shown[(i * codes + usize::from(*code)) * views * n + view * n + j] = 1.0;
                }
            }
        }
        let weights = kernel.weights.iter().flat_map(|c| kernel.weights.iter().map(move |d| c * d)).collect::<Vec<_>>();
        let rho = Tensor::from_vec(kernel.rho.clone(), (length, 1), device)?;
        Ok(Self {
            views: kernel.views.clone(),
            strand,
            letters: kernel.letters,
            codes,
            weights: Tensor::from_vec(weights, (views, views), device)?,
            singles: Tensor::from_slice(&kernel.weights, (views, 1), device)?,
            rho: (rho.clone(), rho.affine(-1.0, 1.0)?),
            shown: Tensor::from_vec(shown, (length * codes, views * n), device)?,
            n,
        })
    }

    /// The views of relaxed sequences (B, L, V), as (B, A, L, V) in f64; wild cards are uniform rows.
    pub(super) fn views(&self, probs: &Tensor) -> Result<Tensor> {
        let probs = probs.to_dtype(DType::F64)?;
        let (batch, length, letters) = probs.dims3()?;
        let other = self.strand.as_ref().map(|strand| strand.of(&probs)).transpose()?;
        let wild = |rows: usize| Tensor::full(1.0 / letters as f64, (batch, rows, letters), probs.device());
        let view = |view: &View| -> Result<Tensor> {
            let strand = if view.reverse { other.as_ref().unwrap_or(&probs) } else { &probs };
            let moved = view.shift.unsigned_abs().min(length);
            let kept = length - moved;
            Ok(match (moved, kept) {
                (0, _) => strand.clone(),
                (_, 0) => wild(length)?,
                _ if view.shift > 0 => Tensor::cat(&[&strand.narrow(1, moved, kept)?, &wild(moved)?], 1)?,
                _ => Tensor::cat(&[&wild(moved)?, &strand.narrow(1, 0, kept)?], 1)?,
            })
        };
        Ok(Tensor::stack(&self.views.iter().map(view).collect::<Result<Vec<_>>>()?, 1)?)
    }

    /// k(p, y_j) from the [`views`](Self::views) of p: (B, n).
    pub(super) fn rows(&self, views: &Tensor) -> Result<Tensor> {
        let (batch, count, length, _) = views.dims4()?;
        let agreement = if self.codes > self.letters {
            let wild = Tensor::full(1.0 / self.letters as f64, (batch, count, length, 1), views.device())?
                .to_dtype(DType::F64)?;
            Tensor::cat(&[views, &wild], 3)?
        } else {
            views.clone()
        };
        let logs = self.factors(&agreement)?.log()?.reshape((batch * count, length * self.codes))?;
        // the sum over positions of the logarithm of the factor that the letter there picks
        let each = logs.matmul(&self.shown)?.exp()?.reshape((batch, count * count, self.n))?;
        let weights = self.weights.reshape((1, count * count, 1))?;
        Ok(each.broadcast_mul(&weights)?.sum(1)?)
    }

    /// k(p, p) from the views of p: (B,).
    pub(super) fn own(&self, views: &Tensor) -> Result<Tensor> {
        let agreement = views.unsqueeze(1)?.broadcast_mul(&views.unsqueeze(2)?)?.sum_keepdim(D::Minus1)?;
        let each = self.factors(&agreement)?.log()?.squeeze(D::Minus1)?.sum(D::Minus1)?.exp()?;
        Ok(each.broadcast_mul(&self.weights)?.sum((1, 2))?)
    }

    /// ρ + (1 − ρ) a of agreements (…, L, n).
    fn factors(&self, agreement: &Tensor) -> Result<Tensor> {
        Ok(agreement.broadcast_mul(&self.rho.1)?.broadcast_add(&self.rho.0)?)
    }

    /// Σ_a c_a of (B, A), as (B,).
    pub(super) fn sum(&self, each: &Tensor) -> Result<Tensor> {
        Ok(each.matmul(&self.singles)?.squeeze(1)?)
    }
}
