//! Fields and pair couplings: a Potts model as a reward.

mod file;
mod partition;

use super::{Reward, check_shape};
use crate::error::{Error, Result};
use crate::nn::{Placed, exact_product};
use crate::sequence::{Alphabet, Sequence};
use crate::store::Sha256;
use candle_core::{DType, Tensor};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

/// Most entries of a side of the matrix of couplings, L·V: 64 MB in f32.
const SIDE: usize = 4096;

/// Couplings of two positions i < j, (V, V) row by row: the letter at i chooses the row.
type Couplings = BTreeMap<(usize, usize), Vec<f64>>;

/// A Potts model, the negative of its energy: higher is more probable.
///
/// ```text
/// score(x) = Σ_i h_i(x_i) + Σ_{i<j} J_ij(x_i, x_j)        score(p) = Σ_i h_i·p_i + Σ_{i<j} p_iᵀ J_ij p_j
/// ```
/// The relaxed value is the mean of the score under independent letters p, exactly: each term reads every position once at most.
/// Where couplings are between neighbours alone ([`is_chain`](Self::is_chain)) the soft value of independent letters and the
/// partition function are products of V×V matrices, for any length (Potts 1952; transfer matrices: Kramers and Wannier 1941).
///
/// ```
/// use seqtilt::reward::{Potts, Reward};
/// use seqtilt::sequence::Sequence;
/// // two neighbours that like to be equal
/// let text = "i,a,j,b,value\n1,A,,,0.5\n1,A,2,A,1\n1,C,2,C,1\n1,G,2,G,1\n1,T,2,T,1\n";
/// let potts = Potts::parse("pair", text)?;
/// assert_eq!(potts.score(&Sequence::parse("AA", potts.alphabet())?), 1.5);
/// // Σ_x exp(score) = (e^0.5 + 3)(e + 3)
/// let exact = ((0.5_f64.exp() + 3.0) * (1_f64.exp() + 3.0)).ln();
/// assert!((potts.log_partition(2, 1.0).unwrap() - exact).abs() < 1e-12);
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Cost
/// (L·V)² multiply-adds a relaxed sequence; L·V² for a soft value.
#[derive(Clone, Debug)]
pub struct Potts {
    name: String,
    alphabet: Alphabet,
    length: usize,
    /// (L, V)
    fields: Vec<f64>,
    couplings: Couplings,
    single: Arc<Placed<Matrices>>,
    double: Arc<Placed<Matrices>>,
}

/// Fields (L·V, 1), and couplings (L·V, L·V) above the diagonal where there are any.
#[derive(Debug)]
struct Matrices {
    fields: Tensor,
    couplings: Option<Tensor>,
}

impl Potts {
    /// From fields (L, V), row by row, and couplings (V, V) of pairs of positions i < j, from 0.
    ///
    /// # Errors
    /// When the shapes do not fit, a number is not finite, or the model is too large.
    pub fn new(
        name: impl Into<String>,
        alphabet: Alphabet,
        fields: Vec<f64>,
        couplings: BTreeMap<(usize, usize), Vec<f64>>,
    ) -> Result<Self> {
        let (letters, count) = (alphabet.len(), fields.len());
        let length = count / letters;
        if count == 0 || length * letters != count || count > SIDE {
            return Err(Error::data(format!(
                "{count} fields over {letters} letters; {letters} for each of 1 to {} positions are accepted",
                SIDE / letters
            )));
        }
        if let Some(((i, j), values)) =
            couplings.iter().find(|((i, j), values)| i >= j || *j >= length || values.len() != letters * letters)
        {
            return Err(Error::data(format!(
                "{} couplings of positions {i} and {j}; {} of two positions in order below {length} are accepted",
                values.len(),
                letters * letters
            )));
        }
        if fields.iter().chain(couplings.values().flatten()).any(|value| !value.is_finite()) {
            return Err(Error::data("a field or coupling is not finite"));
        }
        let name = name.into();
        Ok(Self { name, alphabet, length, fields, couplings, single: Arc::default(), double: Arc::default() })
    }

    /// Its letters.
    #[must_use]
    pub fn alphabet(&self) -> &Alphabet {
        &self.alphabet
    }

    /// The number of positions, L.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Whether couplings are between neighbours alone.
    #[must_use]
    pub fn is_chain(&self) -> bool {
        self.couplings.keys().all(|(i, j)| i + 1 == *j)
    }

    /// A hash of alphabet, fields and couplings.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut text = format!("potts {} {}", String::from_utf8_lossy(self.alphabet.letters()), self.length);
        for (k, value) in self.fields.iter().enumerate().filter(|(_, value)| **value != 0.0) {
            let _ = write!(text, ";{k}={value}");
        }
        for ((i, j), values) in &self.couplings {
            for (k, value) in values.iter().enumerate().filter(|(_, value)| **value != 0.0) {
                let _ = write!(text, ";{i},{j},{k}={value}");
            }
        }
        let mut hash = Sha256::default();
        hash.update(text.as_bytes());
        format!("sha256:{}", hash.hex())
    }

    /// The score of a sequence of L letters of its alphabet.
    ///
    /// # Panics
    /// When the sequence is shorter or has other letters.
    #[must_use]
    pub fn score(&self, sequence: &Sequence) -> f64 {
        self.score_ids(sequence.ids())
    }

    fn score_ids(&self, ids: &[u8]) -> f64 {
        let (v, id) = (self.alphabet.len(), |i: usize| usize::from(ids[i]));
        let fields: f64 = (0..self.length).map(|i| self.fields[i * v + id(i)]).sum();
        let pairs = self.couplings.iter().map(|((i, j), values)| values[id(*i) * v + id(*j)]);
        fields + pairs.sum::<f64>()
    }

    fn matrices(&self, like: &Tensor) -> Result<Arc<Matrices>> {
        let placed = if like.dtype() == DType::F64 { &self.double } else { &self.single };
        let (device, dtype) = (like.device(), like.dtype());
        placed.on(device, || {
            let (v, side) = (self.alphabet.len(), self.fields.len());
            let fields = Tensor::from_slice(&self.fields, (side, 1), device)?.to_dtype(dtype)?;
            if self.couplings.is_empty() {
                return Ok(Matrices { fields, couplings: None });
            }
            let mut dense = vec![0.0; side * side];
            for ((i, j), values) in &self.couplings {
                for (a, row) in values.chunks_exact(v).enumerate() {
                    let at = (i * v + a) * side + j * v;
                    dense[at..at + v].copy_from_slice(row);
                }
            }
            let couplings = Tensor::from_vec(dense, (side, side), device)?.to_dtype(dtype)?;
            Ok(Matrices { fields, couplings: Some(couplings) })
        })
    }
}

impl Reward for Potts {
    fn name(&self) -> &str {
        &self.name
    }

    fn reward(&self, probs: &Tensor) -> Result<Tensor> {
        check_shape(probs, Some(self.length), self.alphabet.len())?;
        let rows = probs.dim(0)?;
        let wide = if probs.dtype() == DType::F64 { probs.clone() } else { probs.to_dtype(DType::F32)? };
        let flat = wide.reshape((rows, self.fields.len()))?;
        let matrices = self.matrices(&flat)?;
        let fields = exact_product(&flat, &matrices.fields)?.squeeze(1)?;
        match &matrices.couplings {
            None => Ok(fields),
            Some(couplings) => Ok((fields + (exact_product(&flat, couplings)? * &flat)?.sum(1)?)?),
        }
    }

    fn soft_value(&self, probs: &Tensor, alpha: f64) -> Result<Option<Tensor>> {
        if self.is_chain() { self.chain_value(probs, alpha).map(Some) } else { Ok(None) }
    }

    fn has_soft_value(&self) -> bool {
        self.is_chain()
    }

    fn log_partition(&self, length: usize, temperature: f64) -> Option<f64> {
        (length == self.length).then(|| self.partition(temperature)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check;
    use crate::random::Seed;
    use crate::reward::one_hot;
    use candle_core::Device;

    /// A random model with the couplings that are asked for.
    pub(super) fn random(letters: &str, length: usize, pairs: &[(usize, usize)], seed: u64) -> Potts {
        let alphabet = Alphabet::of_letters(letters).unwrap();
        let (v, mut rng) = (alphabet.len(), Seed::root(seed).rng());
        let fields = (0..length * v).map(|_| rng.normal()).collect();
        let couplings = pairs.iter().map(|pair| (*pair, (0..v * v).map(|_| rng.normal()).collect())).collect();
        Potts::new("random", alphabet, fields, couplings).unwrap()
    }

    /// All words of a model, the first position most significant.
    pub(super) fn words(potts: &Potts) -> Vec<Vec<u8>> {
        let (v, length) = (potts.alphabet.len(), potts.length);
        let word = |w: usize| (0..length).rev().map(|i| (w / v.pow(i as u32) % v) as u8).collect();
        (0..v.pow(length as u32)).map(word).collect()
    }

    /// Letter probabilities of two relaxed sequences.
    pub(super) fn relaxed(potts: &Potts, seed: u64) -> Tensor {
        let (v, mut rng) = (potts.alphabet.len(), Seed::root(seed).rng());
        let rows: Vec<Vec<f64>> = (0..2 * potts.length)
            .map(|_| {
                let weights: Vec<f64> = (0..v).map(|_| rng.normal().exp()).collect();
                let sum: f64 = weights.iter().sum();
                weights.into_iter().map(|w| w / sum).collect()
            })
            .collect();
        Tensor::from_vec(rows.concat(), (2, potts.length, v), &Device::Cpu).unwrap()
    }

    /// Probability of a word under the letters of row `row`.
    pub(super) fn probability(probs: &Tensor, row: usize, word: &[u8]) -> f64 {
        let rows = probs.to_vec3::<f64>().unwrap();
        word.iter().enumerate().map(|(i, id)| rows[row][i][usize::from(*id)]).product()
    }

    #[test]
    fn the_relaxed_score_is_the_mean_under_independent_letters() {
        for pairs in [&[][..], &[(0, 1), (1, 2), (2, 3)], &[(0, 3), (1, 3)]] {
            let potts = random("ABC", 4, pairs, 1);
            let probs = relaxed(&potts, 2);
            let got = potts.reward(&probs).unwrap().to_vec1::<f64>().unwrap();
            for (row, got) in got.iter().enumerate() {
                let mean: f64 = words(&potts).iter().map(|w| probability(&probs, row, w) * potts.score_ids(w)).sum();
                // sums of 81 doubles
                assert!((got - mean).abs() < 1e-12, "{got} {mean}");
            }
        }
    }

    #[test]
    fn vertices_have_the_score_and_slopes_agree_with_differences() {
        let potts = random("ACGT", 3, &[(0, 1), (0, 2)], 3);
        let word = Sequence::parse("GTA", potts.alphabet()).unwrap();
        let vertex = one_hot(std::slice::from_ref(&word), 4, &Device::Cpu).unwrap();
        let got = potts.reward(&vertex).unwrap().to_vec1::<f32>().unwrap()[0];
        // rounding of f32
        assert!((f64::from(got) - potts.score(&word)).abs() < 1e-6);
        check::input(&relaxed(&potts, 4), |p| potts.reward(p));
    }

    #[test]
    fn shapes_and_numbers_that_do_not_fit_are_refused() {
        let dna = Alphabet::dna;
        let pair = |at: (usize, usize), count: usize| BTreeMap::from([(at, vec![0.0; count])]);
        for (fields, couplings) in [
            (vec![0.0; 7], BTreeMap::new()),
            (Vec::new(), BTreeMap::new()),
            (vec![f64::NAN; 8], BTreeMap::new()),
            (vec![0.0; 8], pair((1, 0), 16)),
            (vec![0.0; 8], pair((0, 2), 16)),
            (vec![0.0; 8], pair((0, 1), 15)),
            (vec![0.0; 4 * 1025], BTreeMap::new()),
        ] {
            assert_eq!(Potts::new("bad", dna(), fields, couplings).unwrap_err().kind(), crate::Kind::Data);
        }
    }

    #[test]
    fn the_fingerprint_follows_the_numbers() {
        let (a, b) = (random("ACGT", 3, &[(0, 1)], 3), random("ACGT", 3, &[(0, 1)], 4));
        assert_eq!(a.fingerprint(), a.clone().fingerprint());
        assert_ne!(a.fingerprint(), b.fingerprint());
    }
}
