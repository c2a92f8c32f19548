//! Probabilities of all words of independent letters.

use super::arrays::{gradient, operand, result, values};
use super::simd::dispatch;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// `Π_i p_i(x_i)` of all words of the positions `first` to `first + length`, the first position most significant: (B, L, V) to
/// (B, V^length).
pub(crate) fn words(p: &Tensor, first: usize, length: usize) -> Result<Tensor> {
    p.contiguous()?.apply_op1(Words { first, length })
}

struct Words {
    first: usize,
    length: usize,
}

impl CustomOp1 for Words {
    fn name(&self) -> &'static str {
        "words"
    }

    fn cpu_fwd(&self, p: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, positions, letters) = layout.shape().dims3()?;
        let count = letters.pow(self.length as u32);
        let mut all = vec![0.0; rows * count];
        for (p, words) in operand(p, layout)?.chunks_exact(positions * letters).zip(all.chunks_exact_mut(count)) {
            outer(words, &p[self.first * letters..][..self.length * letters], letters);
        }
        Ok(result(all, (rows, count)))
    }

    fn bwd(&self, p: &Tensor, _words: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let (_, positions, letters) = p.dims3()?;
        let count = letters.pow(self.length as u32);
        let g = g.contiguous()?;
        let (p_values, g) = (values(p)?, values(&g)?);
        let mut slopes = vec![0.0; p.elem_count()];
        let (mut prefix, mut left) = (vec![0.0; count], vec![0.0; count]);
        let rows = p_values.chunks_exact(positions * letters).zip(g.chunks_exact(count));
        for ((p, g), slopes) in rows.zip(slopes.chunks_exact_mut(positions * letters)) {
            let range = self.first * letters..(self.first + self.length) * letters;
            left.copy_from_slice(g);
            fold(&mut slopes[range.clone()], &mut left, &mut prefix, &p[range], letters);
        }
        Ok(Some(gradient(slopes, p)?))
    }
}

dispatch!(
    /// All products of one letter of each position.
    outer => outer_body(words: &mut [f32], p: &[f32], letters: usize)
);
dispatch!(
    /// Slopes by the letters' probabilities, from those by the words' in `left`, which is used up.
    fold => fold_body(slopes: &mut [f32], left: &mut [f32], prefix: &mut [f32], p: &[f32], letters: usize)
);

#[inline(always)]
fn outer_body<const F: bool>(words: &mut [f32], p: &[f32], letters: usize) {
    words[0] = 1.0;
    let mut known = 1;
    for p in p.chunks_exact(letters) {
        // from the back, so that no product is overwritten before it is read
        for w in (0..known).rev() {
            let product = words[w];
            for (word, p) in words[w * letters..][..letters].iter_mut().zip(p) {
                *word = product * p;
            }
        }
        known *= letters;
    }
}

#[inline(always)]
fn fold_body<const F: bool>(slopes: &mut [f32], left: &mut [f32], prefix: &mut [f32], p: &[f32], letters: usize) {
    let length = p.len() / letters;
    for i in (0..length).rev() {
        let (before, here) = (letters.pow(i as u32), &p[i * letters..][..letters]);
        outer_body::<F>(&mut prefix[..before.max(1)], &p[..i * letters], letters);
        let slopes = &mut slopes[i * letters..][..letters];
        for w in 0..before {
            let (product, mut sum) = (prefix[w], 0.0);
            for v in 0..letters {
                let g = left[w * letters + v];
                slopes[v] += g * product;
                sum += g * here[v];
            }
            left[w] = sum;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{check, softmax};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(check::cases())]

        #[test]
        fn it_agrees_with_sums_over_words((letters, length) in (2_usize..5, 1_usize..4), extra in 0_usize..3, seed in 0_u64..99) {
            let first = extra / 2;
            let p = softmax(&check::normal_f32(seed, &[3, length + extra, letters])).unwrap();
            let p = candle_core::Var::from_tensor(&p).unwrap();
            let count = letters.pow(length as u32);
            let weights = check::normal_f32(seed + 1, &[3, count]);
            let got = words(p.as_tensor(), first, length).unwrap();
            let loss = (&got * &weights).unwrap().sum_all().unwrap();
            let slopes = crate::nn::gradients_with(&loss, &[], &[&p]).unwrap().1.remove(0);
            let (p3, w2) = (p.as_tensor().to_vec3::<f32>().unwrap(), weights.to_vec2::<f32>().unwrap());
            let (got, slopes) = (got.to_vec2::<f32>().unwrap(), slopes.to_vec3::<f32>().unwrap());
            for row in 0..3 {
                let letter = |word: usize, i: usize| word / letters.pow((length - 1 - i) as u32) % letters;
                let product = |word: usize, but: usize| -> f64 {
                    (0..length).filter(|i| *i != but).map(|i| f64::from(p3[row][first + i][letter(word, i)])).product()
                };
                for (word, got) in got[row].iter().enumerate() {
                    prop_assert!((f64::from(*got) - product(word, length)).abs() < 1e-6);
                }
                for (i, slopes) in slopes[row].iter().enumerate() {
                    for (v, slope) in slopes.iter().enumerate() {
                        let inside = i >= first && i < first + length;
                        let exact: f64 = (0..count)
                            .filter(|word| inside && letter(*word, i - first) == v)
                            .map(|word| f64::from(w2[row][word]) * product(word, i - first))
                            .sum();
                        // sums of at most 64 products of f32
                        prop_assert!((f64::from(*slope) - exact).abs() < 1e-5);
                    }
                }
            }
        }
    }
}
