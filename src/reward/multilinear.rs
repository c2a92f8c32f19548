//! A complete table as a differentiable reward.

mod halves;

use super::Reward;
use crate::data::Landscape;
use crate::error::{Error, Result};
use crate::nn::Pool;
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Shape, Tensor, WithDType};
use halves::Halves;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Sequences that are enumerated at most.
const LARGEST: usize = 1 << 18;

/// Whether all V^L sequences are few enough to be enumerated: at most 262,144, as of DNA up to nine letters.
#[must_use]
pub fn enumerable(letters: usize, length: usize) -> bool {
    words(letters, length).is_some()
}

/// V^L, where that is not too many.
fn words(letters: usize, length: usize) -> Option<usize> {
    u32::try_from(length).ok().and_then(|length| letters.checked_pow(length)).filter(|words| *words <= LARGEST)
}

/// The multilinear extension of a complete table: the mean of the table under independent positions.
///
/// ```text
/// r(p) = Σ_x Π_i p_i(x_i) · table(x)        x over V^L
/// ```
/// It equals the table at the vertices of the simplex, where every row of p is one letter. The sum is contracted from
/// the middle: with u = p_1 ⊗ … ⊗ p_h and w = p_{h+1} ⊗ … ⊗ p_L the table is a matrix M and `r = u·M·w`, so that a batch
/// is one matrix product. The gradient is found with the value (`∂r/∂u = M·w`, `∂r/∂w = Mᵀ·u`) and kept for the
/// backward pass.
///
/// # Cost
/// V^L multiply-adds a sequence for the value, 2 · V^L with the gradient: 64 relaxed 8-mers take about 0.3 ms on one core.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use seqtilt::reward::{Multilinear, Reward};
/// // two letters, two positions: the table is read in the order 00, 01, 10, 11
/// let table = Multilinear::new("and", &[0.0, 0.0, 0.0, 1.0], 2, 2)?;
/// let p = Tensor::new(&[[[0.5_f64, 0.5], [0.25, 0.75]]], &Device::Cpu)?;
/// assert_eq!(table.reward(&p)?.to_vec1::<f64>()?, vec![0.375]);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Multilinear {
    name: String,
    length: usize,
    letters: usize,
    single: Arc<Halves<f32>>,
    double: Arc<Halves<f64>>,
    values: Arc<Vec<f64>>,
    most: f64,
    tilted: Arc<Mutex<Option<Tilted>>>,
}

/// The table of exp((r − max r)/α) for the α that was asked for last.
#[derive(Clone, Debug)]
struct Tilted {
    alpha: f64,
    table: Arc<Multilinear>,
}

impl Multilinear {
    /// From the values of all V^L sequences, the first position most significant: `AA…A`, `AA…C`, … for DNA.
    ///
    /// # Errors
    /// When there are fewer than two letters, no positions, not V^L values, or one that is not finite.
    pub fn new(name: impl Into<String>, values: &[f64], letters: usize, length: usize) -> Result<Self> {
        let size = u32::try_from(length).ok().and_then(|length| letters.checked_pow(length));
        if letters < 2 || length == 0 || size != Some(values.len()) {
            return Err(Error::data(format!(
                "a complete table over {letters} letters and {length} positions has {letters}^{length} values, got {}",
                values.len()
            ))
            .hint("measure or predict every sequence, or train a reward with `seqtilt oracle train`"));
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::data(format!("value {} of entry {index} of the table is not finite", values[index])));
        }
        let single: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        Ok(Self {
            name: name.into(),
            length,
            letters,
            single: Arc::new(Halves::new(&single, letters, length)?),
            double: Arc::new(Halves::new(values, letters, length)?),
            values: Arc::new(values.to_vec()),
            most: values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            tilted: Arc::default(),
        })
    }

    /// From a complete table.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_landscape(name: impl Into<String>, landscape: &Landscape) -> Result<Self> {
        Self::new(name, landscape.values(), landscape.alphabet().len(), landscape.length())
    }

    /// Any reward of short sequences as the table of its values on all V^L of them, read in batches on `pool`.
    ///
    /// # Errors
    /// As [`new`](Self::new), and when the reward fails.
    pub fn tabulate(reward: &dyn Reward, letters: usize, length: usize, pool: &Pool) -> Result<Self> {
        const BATCH: usize = 1024;
        let Some(size) = words(letters, length) else {
            return Err(Error::usage(format!("{letters}^{length} sequences; at most {LARGEST} are tabulated")));
        };
        let parts = pool.map(size.div_ceil(BATCH), |part| {
            let words = part * BATCH..((part + 1) * BATCH).min(size);
            let mut one_hot = vec![0_f32; words.len() * length * letters];
            for (row, word) in one_hot.chunks_exact_mut(length * letters).zip(words.clone()) {
                let mut rest = word;
                for position in (0..length).rev() {
                    row[position * letters + rest % letters] = 1.0;
                    rest /= letters;
                }
            }
            let one_hot = Tensor::from_vec(one_hot, (words.len(), length, letters), &Device::Cpu)?;
            Ok(reward.reward(&one_hot)?.to_dtype(DType::F64)?.to_vec1::<f64>()?)
        })?;
        Self::new(reward.name(), &parts.concat(), letters, length)
    }

    /// The table of exp((r − max r)/α).
    fn tilt(&self, alpha: f64) -> Result<Arc<Self>> {
        let mut kept = self.tilted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tilted) = kept.as_ref().filter(|tilted| tilted.alpha.to_bits() == alpha.to_bits()) {
            return Ok(tilted.table.clone());
        }
        let values: Vec<f64> = self.values.iter().map(|value| ((value - self.most) / alpha).exp()).collect();
        let table = Arc::new(Self::new(self.name.clone(), &values, self.letters, self.length)?);
        *kept = Some(Tilted { alpha, table: table.clone() });
        Ok(table)
    }

    /// The value of every sequence, in the order of [`new`](Self::new).
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The number of positions, L.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// The number of letters, V.
    #[must_use]
    pub fn letters(&self) -> usize {
        self.letters
    }
}

impl Reward for Multilinear {
    fn name(&self) -> &str {
        &self.name
    }

    fn reward(&self, probs: &Tensor) -> Result<Tensor> {
        super::check_shape(probs, Some(self.length), self.letters)?;
        let probs = probs.contiguous()?;
        match (probs.dtype(), probs.device().is_cpu()) {
            (DType::F32, true) => Ok(probs.apply_op1(Contraction::new(&self.single, probs.track_op()))?),
            (DType::F64, true) => Ok(probs.apply_op1(Contraction::new(&self.double, probs.track_op()))?),
            (DType::F64, false) => self.double.compose(&probs),
            _ => self.single.compose(&probs.to_dtype(DType::F32)?),
        }
    }

    fn soft_value(&self, probs: &Tensor, alpha: f64) -> Result<Option<Tensor>> {
        // a relaxed sequence far from every good one has weights below the smallest number
        let weight = self.tilt(alpha)?.reward(probs)?.maximum(f64::from(f32::MIN_POSITIVE))?;
        Ok(Some(((weight.log()? * alpha)? + self.most)?))
    }

    fn words(&self) -> Option<&[f64]> {
        Some(&self.values)
    }

    fn has_soft_value(&self) -> bool {
        true
    }
}

/// The contraction on the CPU with its hand-written backward pass.
struct Contraction<T> {
    halves: Arc<Halves<T>>,
    differentiate: bool,
    gradient: OnceLock<Vec<T>>,
}

impl<T> Contraction<T> {
    fn new(halves: &Arc<Halves<T>>, differentiate: bool) -> Self {
        Self { halves: Arc::clone(halves), differentiate, gradient: OnceLock::new() }
    }
}

impl<T: WithDType> CustomOp1 for Contraction<T> {
    fn name(&self) -> &'static str {
        "multilinear"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("multilinear needs contiguous probabilities");
        };
        let probs = &storage.as_slice::<T>()?[start..end];
        let batch = layout.dims()[0];
        let values = if self.differentiate {
            let (values, gradient) = self.halves.value_and_gradient(probs, batch)?;
            let _ = self.gradient.set(gradient);
            values
        } else {
            self.halves.value(probs, batch)?
        };
        Ok((T::to_cpu_storage_owned(values), Shape::from(batch)))
    }

    fn bwd(&self, arg: &Tensor, _: &Tensor, grad: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let Some(gradient) = self.gradient.get() else {
            return Err(candle_core::Error::BackwardNotSupported { op: "multilinear" });
        };
        let gradient = Tensor::from_slice(gradient, arg.shape(), arg.device())?;
        let batch = arg.dim(0)?;
        Ok(Some(gradient.broadcast_mul(&grad.reshape((batch, 1, 1))?)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gradients_with;
    use crate::random::Seed;
    use candle_core::{Device, Var};
    use proptest::prelude::*;

    /// A table and a batch of relaxed sequences.
    fn case(letters: usize, length: usize, batch: usize, seed: u64) -> (Multilinear, Vec<f64>, Vec<f64>) {
        let mut rng = Seed::root(seed).rng();
        let size = letters.pow(u32::try_from(length).unwrap());
        let values: Vec<f64> = (0..size).map(|_| rng.normal()).collect();
        let mut probs = Vec::new();
        for _ in 0..batch * length {
            let row: Vec<f64> = (0..letters).map(|_| rng.uniform() + 0.01).collect();
            let total: f64 = row.iter().sum();
            probs.extend(row.iter().map(|p| p / total));
        }
        (Multilinear::new("case", &values, letters, length).unwrap(), values, probs)
    }

    fn brute_force(values: &[f64], probs: &[f64], letters: usize, length: usize) -> f64 {
        let weight = |word: usize| -> f64 {
            let mut rest = word;
            (0..length)
                .rev()
                .map(|position| {
                    let letter = rest % letters;
                    rest /= letters;
                    probs[position * letters + letter]
                })
                .product()
        };
        values.iter().enumerate().map(|(word, value)| value * weight(word)).sum()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn equals_the_sum_over_all_sequences(letters in 2_usize..=4, length in 1_usize..=4, seed in 0_u64..1000) {
            let (table, values, probs) = case(letters, length, 3, seed);
            let p = Tensor::from_slice(&probs, (3, length, letters), &Device::Cpu).unwrap();
            let got = table.reward(&p).unwrap().to_vec1::<f64>().unwrap();
            let composed = table.double.compose(&p).unwrap().to_vec1::<f64>().unwrap();
            for (b, row) in probs.chunks_exact(length * letters).enumerate() {
                let want = brute_force(&values, row, letters, length);
                prop_assert!((got[b] - want).abs() < 1e-12, "{} against {want}", got[b]);
                prop_assert!((composed[b] - want).abs() < 1e-12);
            }
        }

        #[test]
        fn gradient_agrees_with_finite_differences(letters in 2_usize..=4, length in 1_usize..=5, seed in 0_u64..1000) {
            let (table, _, probs) = case(letters, length, 2, seed);
            let shape = (2, length, letters);
            let p = Var::from_tensor(&Tensor::from_slice(&probs, shape, &Device::Cpu).unwrap()).unwrap();
            let weights = Tensor::new(&[0.7_f64, -1.3], &Device::Cpu).unwrap();
            let loss = |p: &Tensor| (table.reward(p).unwrap() * &weights).unwrap().sum_all().unwrap();
            let slopes = |loss: &Tensor| {
                let (_, inputs) = gradients_with(loss, &[], &[&p]).unwrap();
                inputs[0].flatten_all().unwrap().to_vec1::<f64>().unwrap()
            };
            let gradient = slopes(&loss(&p));
            let composed = slopes(&(table.double.compose(&p).unwrap() * &weights).unwrap().sum_all().unwrap());
            for entry in 0..probs.len() {
                // r is linear in one entry, so the central difference has rounding error only
                let at = |step: f64| {
                    let mut moved = probs.clone();
                    moved[entry] += step;
                    let moved = Tensor::from_slice(&moved, shape, &Device::Cpu).unwrap();
                    loss(&moved).to_scalar::<f64>().unwrap()
                };
                let slope = (at(0.1) - at(-0.1)) / 0.2;
                prop_assert!((gradient[entry] - slope).abs() < 1e-11, "{} against {slope}", gradient[entry]);
                prop_assert!((composed[entry] - slope).abs() < 1e-11);
            }
        }
    }

    #[test]
    fn the_soft_value_is_the_log_mean_exponential_under_independent_letters() {
        let (table, values, probs) = case(4, 3, 2, 9);
        let p = Tensor::from_slice(&probs, (2, 3, 4), &Device::Cpu).unwrap();
        let mean = table.reward(&p).unwrap().to_vec1::<f64>().unwrap();
        let soft = |alpha: f64| table.soft_value(&p, alpha).unwrap().unwrap().to_vec1::<f64>().unwrap();
        for alpha in [0.05, 0.7, 0.05] {
            let tilted: Vec<f64> = values.iter().map(|value| (value / alpha).exp()).collect();
            for (row, got) in soft(alpha).iter().enumerate() {
                let want = alpha * brute_force(&tilted, &probs[row * 12..(row + 1) * 12], 4, 3).ln();
                assert!((got - want).abs() < 1e-10, "{alpha}: {got} against {want}");
                assert!(*got > mean[row], "Jensen");
            }
        }
        assert!((soft(1e7)[0] - mean[0]).abs() < 1e-6, "a high price leaves the mean");
        // far from every good sequence nothing under- or overflows
        let one = Tensor::new(&[[[1_f32, 0.0], [1.0, 0.0]]], &Device::Cpu).unwrap();
        let steep = Multilinear::new("steep", &[-1e4, 0.0, 0.0, 1e4], 2, 2).unwrap();
        assert!(steep.soft_value(&one, 0.01).unwrap().unwrap().to_vec1::<f32>().unwrap()[0].is_finite());
    }

    #[test]
    fn a_tabulated_reward_is_the_reward_on_every_sequence() {
        let (table, values, _) = case(3, 4, 0, 2);
        let again = Multilinear::tabulate(&table, 3, 4, &Pool::new(2).unwrap()).unwrap();
        let error = again.values.iter().zip(&values).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(error < 1e-6 && again.name() == "case", "{error}");
        assert!(Multilinear::tabulate(&table, 20, 9, &Pool::new(1).unwrap()).is_err());
    }

    #[test]
    fn vertices_give_the_table_back_bit_for_bit() {
        let (table, values, _) = case(3, 5, 0, 1);
        let ids: Vec<u32> = (0..243_u32).flat_map(|word| [81, 27, 9, 3, 1].map(|place| word / place % 3)).collect();
        let mut one_hot = vec![0_f32; 243 * 15];
        for (row, id) in one_hot.chunks_exact_mut(3).zip(&ids) {
            row[*id as usize] = 1.0;
        }
        let p = Tensor::from_vec(one_hot, (243, 5, 3), &Device::Cpu).unwrap();
        let got = table.reward(&p).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(got, values.iter().map(|value| *value as f32).collect::<Vec<_>>());
    }

    #[test]
    fn reads_views_and_refuses_other_shapes() {
        let (table, values, probs) = case(4, 3, 2, 5);
        let p = Tensor::from_slice(&probs, (2, 3, 4), &Device::Cpu).unwrap();
        let view = p.narrow(0, 1, 1).unwrap();
        let got = table.reward(&view).unwrap().to_vec1::<f64>().unwrap();
        assert!((got[0] - brute_force(&values, &probs[12..], 4, 3)).abs() < 1e-12);
        let error = table.reward(&p.transpose(1, 2).unwrap()).unwrap_err();
        assert_eq!(error.message(), "the reward reads probabilities of shape (B, 3, 4), got [2, 4, 3]");
        assert!(Multilinear::new("short", &values[1..], 4, 3).is_err());
    }
}
