//! Cross-entropy from logits.

use super::arrays::{gradient, operand, result, values};
use super::simd::sum;
use super::softmax::{exponentials, maximum};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::sync::OnceLock;

/// `−log softmax(logits)[id]` for each row; the ids must be in range.
pub(crate) fn cross_entropy(logits: &Tensor, ids: Vec<u32>) -> Result<Tensor> {
    let kept = logits.track_op().then(OnceLock::new);
    logits.contiguous()?.apply_op1(CrossEntropy { ids, kept })
}

struct CrossEntropy {
    ids: Vec<u32>,
    /// The probabilities of the forward pass, where a backward pass may follow.
    kept: Option<OnceLock<Vec<f32>>>,
}

impl CustomOp1 for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let width = layout.shape().dims2()?.1.max(1);
        let mut p = operand(logits, layout)?.to_vec();
        let mut loss = Vec::with_capacity(self.ids.len());
        for (row, id) in p.chunks_exact_mut(width).zip(&self.ids) {
            let max = maximum(row);
            for x in row.iter_mut() {
                *x -= max;
            }
            loss.push(-row[*id as usize]);
        }
        exponentials(&mut p);
        for (row, loss) in p.chunks_exact_mut(width).zip(&mut loss) {
            let total = sum(row, |x| x);
            *loss += total.ln();
            for x in row {
                *x /= total;
            }
        }
        if let Some(kept) = &self.kept {
            let _ = kept.set(p);
        }
        Ok(result(loss, self.ids.len()))
    }

    fn bwd(&self, logits: &Tensor, _loss: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let Some(p) = self.kept.as_ref().and_then(OnceLock::get) else {
            candle_core::bail!("no probabilities were kept for the backward pass")
        };
        let g = g.contiguous()?;
        let g = values(&g)?;
        let mut dx = p.clone();
        let width = logits.dims2()?.1.max(1);
        for ((row, id), g) in dx.chunks_exact_mut(width).zip(&self.ids).zip(&*g) {
            row[*id as usize] -= 1.0;
            for x in row {
                *x *= g;
            }
        }
        Ok(Some(gradient(dx, logits)?))
    }
}

#[cfg(test)]
mod tests {
    use crate::nn::{check, cross_entropy};
    use candle_core::{Device, Tensor};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(check::cases())]

        #[test]
        fn it_agrees_with_the_composed_form(rows in 1_usize..20, width in 1_usize..30, seed in 0_u64..1000) {
            let logits = (check::normal_f32(seed, &[rows, width]) * 4.0).unwrap();
            let ids: Vec<u32> = (0..rows).map(|row| ((row * 7 + seed as usize) % width) as u32).collect();
            let ids = Tensor::new(ids, &Device::Cpu).unwrap();
            check::against_composed(&[logits], |x| cross_entropy(&x[0], &ids));
        }
    }

    #[test]
    fn a_hopeless_letter_has_a_finite_loss() {
        let logits = Tensor::new(&[[0.0_f32, 300.0]], &Device::Cpu).unwrap();
        let loss = cross_entropy(&logits, &Tensor::new(&[0_u32], &Device::Cpu).unwrap()).unwrap();
        assert_eq!(loss.to_vec1::<f32>().unwrap(), [300.0]);
    }
}
