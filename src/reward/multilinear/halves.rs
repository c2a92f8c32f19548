//! The contraction from the middle: a table as a matrix between the first and the last positions.

use crate::error::Result;
use crate::nn::{Placed, exact_product};
use candle_core::{Device, Tensor, WithDType};
use std::marker::PhantomData;

/// The table as a matrix with a row for every word of the first `left` positions and a column for every word of the
/// `right` others.
#[derive(Debug)]
pub(super) struct Halves<T> {
    letters: usize,
    left: usize,
    right: usize,
    matrix: Tensor,
    elsewhere: Placed<Tensor>,
    element: PhantomData<T>,
}

impl<T: WithDType> Halves<T> {
    pub(super) fn new(values: &[T], letters: usize, length: usize) -> Result<Self> {
        let (left, right) = (length / 2, length - length / 2);
        let matrix = Tensor::from_slice(values, (words(letters, left), words(letters, right)), &Device::Cpu)?;
        Ok(Self { letters, left, right, matrix, elsewhere: Placed::default(), element: PhantomData })
    }

    /// r (B,) of probabilities (B, L, V).
    pub(super) fn value(&self, probs: &[T], batch: usize) -> candle_core::Result<Vec<T>> {
        let (left, right) = self.ladders(probs, batch);
        let for_left = product(&right, batch, &self.matrix.t()?)?;
        Ok(inner(left.words(), &for_left, batch))
    }

    /// r (B,) and ∂r/∂p (B, L, V).
    pub(super) fn value_and_gradient(&self, probs: &[T], batch: usize) -> candle_core::Result<(Vec<T>, Vec<T>)> {
        let (left, right) = self.ladders(probs, batch);
        let for_left = product(&right, batch, &self.matrix.t()?)?;
        let for_right = product(&left, batch, &self.matrix)?;
        let mut gradient = vec![T::zero(); probs.len()];
        left.pull_back(probs, &for_left, &mut gradient);
        right.pull_back(probs, &for_right, &mut gradient);
        Ok((inner(left.words(), &for_left, batch), gradient))
    }

    /// The same value from tensor operations, which any device and candle's own backward pass can do.
    pub(super) fn compose(&self, probs: &Tensor) -> Result<Tensor> {
        let batch = probs.dim(0)?;
        let device = probs.device();
        let matrix = self.elsewhere.on(device, || Ok(self.matrix.to_device(device)?))?;
        let outer = |from: usize, to: usize| -> Result<Tensor> {
            let mut weights = Tensor::ones((batch, 1), probs.dtype(), probs.device())?;
            for position in from..to {
                let letter = probs.narrow(1, position, 1)?;
                weights = weights.unsqueeze(2)?.broadcast_mul(&letter)?.flatten_from(1)?;
            }
            Ok(weights)
        };
        let (left, right) = (outer(0, self.left)?, outer(self.left, self.left + self.right)?);
        Ok((exact_product(&left, &matrix)? * right)?.sum(1)?)
    }

    fn ladders(&self, probs: &[T], batch: usize) -> (Ladder<T>, Ladder<T>) {
        let length = self.left + self.right;
        let build = |first, count| Ladder::new(probs, batch, Span { letters: self.letters, length, first, count });
        (build(0, self.left), build(self.left, self.right))
    }
}

/// The `count` positions from `first` on, of `length`.
#[derive(Clone, Copy)]
struct Span {
    letters: usize,
    length: usize,
    first: usize,
    count: usize,
}

impl Span {
    /// Where p_k of sequence b starts in (B, L, V); k counts from `first`.
    fn start(&self, b: usize, k: usize) -> usize {
        (b * self.length + self.first + k) * self.letters
    }
}

/// Outer products of a growing number of positions: rung k holds p_1 ⊗ … ⊗ p_k, (B, V^k).
struct Ladder<T> {
    span: Span,
    rungs: Vec<Vec<T>>,
}

impl<T: WithDType> Ladder<T> {
    fn new(probs: &[T], batch: usize, span: Span) -> Self {
        let mut rungs = vec![vec![T::one(); batch]];
        for k in 0..span.count {
            let (below, width) = (&rungs[k], words(span.letters, k));
            let mut rung = Vec::with_capacity(below.len() * span.letters);
            for b in 0..batch {
                let row = &probs[span.start(b, k)..][..span.letters];
                for weight in &below[b * width..(b + 1) * width] {
                    rung.extend(row.iter().map(|p| *weight * *p));
                }
            }
            rungs.push(rung);
        }
        Self { span, rungs }
    }

    /// The weight of every word, (B, V^count).
    fn words(&self) -> &[T] {
        &self.rungs[self.span.count]
    }

    /// Adds ∂r/∂p_k, given ∂r/∂(p_1 ⊗ … ⊗ p_n): later positions are summed out one at a time, earlier ones are a rung.
    fn pull_back(&self, probs: &[T], upstream: &[T], gradient: &mut [T]) {
        let span = self.span;
        let (v, full) = (span.letters, words(span.letters, span.count));
        let mut rest = vec![T::zero(); full];
        for b in 0..self.rungs[0].len() {
            rest.copy_from_slice(&upstream[b * full..(b + 1) * full]);
            for k in (0..span.count).rev() {
                let (width, start) = (words(v, k), span.start(b, k));
                let earlier = &self.rungs[k][b * width..(b + 1) * width];
                let slopes = &mut gradient[start..start + v];
                for (weight, block) in earlier.iter().zip(rest.chunks_exact(v)) {
                    for (slope, value) in slopes.iter_mut().zip(block) {
                        *slope += *weight * *value;
                    }
                }
                let row = &probs[start..start + v];
                for word in 0..width {
                    rest[word] = dot(&rest[word * v..(word + 1) * v], row);
                }
            }
        }
    }
}

/// The words of a half (B, n) times a matrix (n, m), as (B, m).
fn product<T: WithDType>(half: &Ladder<T>, batch: usize, matrix: &Tensor) -> candle_core::Result<Vec<T>> {
    let weights = Tensor::from_slice(half.words(), (batch, matrix.dim(0)?), &Device::Cpu)?;
    weights.matmul(matrix)?.flatten_all()?.to_vec1()
}

/// V^count.
fn words(letters: usize, count: usize) -> usize {
    (0..count).fold(1, |words, _| words * letters)
}

fn dot<T: WithDType>(a: &[T], b: &[T]) -> T {
    a.iter().zip(b).fold(T::zero(), |sum, (a, b)| sum + *a * *b)
}

/// Row by row inner products of two (B, n) arrays.
fn inner<T: WithDType>(a: &[T], b: &[T], batch: usize) -> Vec<T> {
    let width = a.len() / batch.max(1);
    (0..batch).map(|row| dot(&a[row * width..(row + 1) * width], &b[row * width..(row + 1) * width])).collect()
}
