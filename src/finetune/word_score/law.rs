//! The posterior of words at a noised state, by enumeration.

use crate::error::{Error, Result};
use crate::random::Rng;
use ndarray::{Array2, ArrayView1, Axis};

/// A law over all words of `length` letters, each letter a point of the same norm.
///
/// ```text
/// P(w | x) ∝ p(w) exp(z·e(w)),   z = (a/b²) x           E[e | x],   s(x) = (a E[e | x] − x)/b²
/// ∂E[e | x]/∂z = Cov(e | x)
/// ```
/// Words are in lexical order, the first position most significant. They are cut in two halves of `n = V^(L/2)` words, whose
/// likelihoods are outer products.
///
/// ```
/// use ndarray::array;
/// use seqtilt::finetune::word_score::WordLaw;
/// // one letter at −1 or 1: E[e | x] = tanh z, Cov = 1 − tanh² z
/// let law = WordLaw::new(array![[-1.0], [1.0]], 1, &[0.5, 0.5])?;
/// let at = law.beliefs(&array![[0.7]])?;
/// assert!((at.mean()[[0, 0]] - 0.7_f64.tanh()).abs() < 1e-15);
/// assert!((at.covariance(&array![[1.0]])[[0, 0]] - (1.0 - 0.7_f64.tanh().powi(2))).abs() < 1e-15);
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Cost
/// Two products of a row with an n × n table for the posterior of a state, two more for a product with its covariance.
#[derive(Clone, Debug)]
pub struct WordLaw {
    points: Array2<f64>,
    halves: [Half; 2],
    weights: Array2<f64>,
    cumulated: Vec<f64>,
}

/// One half of the positions.
#[derive(Clone, Debug)]
struct Half {
    first: usize,
    length: usize,
    words: usize,
}

impl Half {
    fn new(first: usize, length: usize, letters: usize) -> Self {
        Self { first, length, words: letters.pow(length as u32) }
    }

    /// The letter that a word of the half has at its position `i`.
    fn letter(&self, word: usize, i: usize, letters: usize) -> usize {
        word / letters.pow((self.length - 1 - i) as u32) % letters
    }

    /// Every word's sum or product, from `empty` on, of what its letters have of one row (L V).
    fn over_words(
        &self,
        row: &ArrayView1<'_, f64>,
        letters: usize,
        empty: f64,
        join: impl Fn(f64, f64) -> f64,
    ) -> Vec<f64> {
        let mut all = vec![empty];
        for i in 0..self.length {
            let letter = |v: usize| row[(self.first + i) * letters + v];
            all = all.iter().flat_map(|word| (0..letters).map(|v| join(*word, letter(v)))).collect();
        }
        all
    }

    /// Adds every word's mass to its letters.
    fn to_letters(&self, masses: &[f64], letters: usize, sums: &mut [f64]) {
        for i in 0..self.length {
            let sums = &mut sums[(self.first + i) * letters..][..letters];
            for (block, masses) in masses.chunks(letters.pow((self.length - 1 - i) as u32)).enumerate() {
                sums[block % letters] += masses.iter().sum::<f64>();
            }
        }
    }
}

impl WordLaw {
    /// Of letters' points (V, D) and the probabilities of all `V^length` words.
    ///
    /// # Errors
    /// When points have different norms, or the probabilities are not those of a law over two words or more.
    pub fn new(points: Array2<f64>, length: usize, probabilities: &[f64]) -> Result<Self> {
        let letters = points.nrows();
        let norms: Vec<f64> = points.rows().into_iter().map(|row| row.dot(&row)).collect();
        if let Some(norm) = norms.iter().find(|norm| (**norm / norms[0] - 1.0).abs() > 1e-5) {
            return Err(Error::usage(format!("points have norms² {} and {norm}; equal norms are needed", norms[0])));
        }
        let count = u32::try_from(length).ok().and_then(|length| letters.checked_pow(length));
        if length == 0 || letters < 2 || count != Some(probabilities.len()) {
            let given = probabilities.len();
            return Err(Error::usage(format!("{given} probabilities of words; {letters}^{length} are needed")));
        }
        let mut total = 0.0;
        let add = |p: &f64| {
            total += p;
            total
        };
        let cumulated: Vec<f64> = probabilities.iter().map(add).collect();
        if probabilities.iter().any(|p| !(*p >= 0.0 && p.is_finite())) || (total - 1.0).abs() > 1e-6 {
            return Err(Error::data(format!(
                "probabilities of words sum to {total}; 1 of numbers from 0 on is needed"
            )));
        }
        let left = length.div_ceil(2);
        let halves = [Half::new(0, left, letters), Half::new(left, length - left, letters)];
        let weights = Array2::from_shape_fn((halves[0].words, halves[1].words), |(i, j)| {
            probabilities[i * halves[1].words + j] / total
        });
        Ok(Self { points, halves, weights, cumulated })
    }

    /// Numbers of a state, L D.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.length() * self.points.ncols()
    }

    fn length(&self) -> usize {
        self.halves[0].length + self.halves[1].length
    }

    /// The Shannon entropy of the words, in nats.
    #[must_use]
    pub fn entropy(&self) -> f64 {
        self.weights.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum()
    }

    /// The largest variance that a direction can have under any law of these words (Popoviciu): `L max|E_u − E_v|²/4`.
    #[must_use]
    pub fn widest(&self) -> f64 {
        let rows = || self.points.rows().into_iter();
        let apart = rows().flat_map(|u| rows().map(move |v| (&u - &v).mapv(|d| d * d).sum()));
        0.25 * self.length() as f64 * apart.fold(0.0, f64::max)
    }

    /// A draw: the points of a word's letters, L D numbers.
    pub fn draw(&self, rng: &mut Rng) -> Vec<f64> {
        let total = self.cumulated.last().copied().unwrap_or(1.0);
        let place = rng.uniform() * total;
        let word = self.cumulated.partition_point(|c| *c <= place).min(self.cumulated.len() - 1);
        let (left, right) = (word / self.halves[1].words, word % self.halves[1].words);
        let mut state = Vec::with_capacity(self.dim());
        for (half, word) in self.halves.iter().zip([left, right]) {
            for i in 0..half.length {
                state.extend(self.points.row(half.letter(word, i, self.points.nrows())));
            }
        }
        state
    }

    /// The posterior at states of evidence `z = (a/b²) x`, (B, L D).
    ///
    /// # Errors
    /// When the shape does not fit, or a state is so far from all words that no likelihood is left.
    pub fn beliefs(&self, evidence: &Array2<f64>) -> Result<Beliefs<'_>> {
        if evidence.ncols() != self.dim() {
            return Err(Error::usage(format!("states of {} numbers; {} are needed", evidence.ncols(), self.dim())));
        }
        let letters = self.points.nrows();
        let mut likelihood = self.project(evidence);
        for mut row in likelihood.rows_mut() {
            for i in 0..self.length() {
                let mut here = row.slice_mut(ndarray::s![i * letters..(i + 1) * letters]);
                let most = here.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                here.mapv_inplace(|logit| (logit - most).exp());
            }
        }
        let words = [0, 1].map(|half| self.over_words(half, &likelihood, 1.0, |a, b| a * b));
        let against = [words[1].dot(&self.weights.t()), words[0].dot(&self.weights)];
        let mut probs = self.to_letters([&(&words[0] * &against[0]), &(&words[1] * &against[1])]);
        let mass: Vec<f64> = probs.rows().into_iter().map(|row| row.iter().take(letters).sum()).collect();
        if let Some(mass) = mass.iter().find(|mass| !(**mass > 0.0 && mass.is_finite())) {
            return Err(Error::data(format!(
                "a state has likelihood {mass} under all words; a positive one is needed"
            )));
        }
        for (mut row, mass) in probs.rows_mut().into_iter().zip(&mass) {
            row /= *mass;
        }
        let mean = self.place(&probs);
        Ok(Beliefs { law: self, words, against, probs, mean, mass })
    }

    /// Inner products with every letter's point: (B, L D) → (B, L V).
    fn project(&self, states: &Array2<f64>) -> Array2<f64> {
        self.by_position(states, &self.points.t().to_owned())
    }

    /// Sums of points: (B, L V) → (B, L D).
    fn place(&self, probs: &Array2<f64>) -> Array2<f64> {
        self.by_position(probs, &self.points)
    }

    fn by_position(&self, rows: &Array2<f64>, table: &Array2<f64>) -> Array2<f64> {
        let (length, (from, to)) = (self.length(), table.dim());
        Array2::from_shape_fn((rows.nrows(), length * to), |(b, at)| {
            (0..from).map(|j| rows[[b, at / to * from + j]] * table[[j, at % to]]).sum()
        })
    }

    fn over_words(&self, half: usize, rows: &Array2<f64>, empty: f64, join: impl Fn(f64, f64) -> f64) -> Array2<f64> {
        let mut all = Array2::zeros((rows.nrows(), self.halves[half].words));
        for (row, mut out) in rows.rows().into_iter().zip(all.rows_mut()) {
            let words = self.halves[half].over_words(&row, self.points.nrows(), empty, &join);
            out.iter_mut().zip(words).for_each(|(out, word)| *out = word);
        }
        all
    }

    fn to_letters(&self, masses: [&Array2<f64>; 2]) -> Array2<f64> {
        let letters = self.points.nrows();
        let mut sums = Array2::zeros((masses[0].nrows(), self.length() * letters));
        for (b, mut row) in sums.rows_mut().into_iter().enumerate() {
            let mut of_row = vec![0.0; row.len()];
            for (half, masses) in self.halves.iter().zip(masses) {
                half.to_letters(&masses.row(b).to_vec(), letters, &mut of_row);
            }
            row.iter_mut().zip(of_row).for_each(|(out, sum)| *out = sum);
        }
        sums
    }
}

/// What a [`WordLaw`] says of a batch of states.
#[derive(Clone, Debug)]
pub struct Beliefs<'a> {
    law: &'a WordLaw,
    words: [Array2<f64>; 2],
    against: [Array2<f64>; 2],
    probs: Array2<f64>,
    mean: Array2<f64>,
    mass: Vec<f64>,
}

impl Beliefs<'_> {
    /// `E[e | x]`, (B, L D).
    #[must_use]
    pub fn mean(&self) -> &Array2<f64> {
        &self.mean
    }

    /// `Cov(e | x) v` of directions (B, L D).
    #[must_use]
    pub fn covariance(&self, directions: &Array2<f64>) -> Array2<f64> {
        let law = self.law;
        let projected = law.project(directions);
        let [left, right] = [0, 1].map(|half| law.over_words(half, &projected, 0.0, |a, b| a + b) * &self.words[half]);
        let first = &left * &self.against[0] + &self.words[0] * &right.dot(&law.weights.t());
        let second = &right * &self.against[1] + &self.words[1] * &left.dot(&law.weights);
        let mut masses = law.to_letters([&first, &second]);
        let letters = law.points.nrows();
        for ((mut row, probs), mass) in masses.rows_mut().into_iter().zip(self.probs.rows()).zip(&self.mass) {
            row /= *mass;
            let mean: f64 = row.iter().take(letters).sum();
            row.scaled_add(-mean, &probs);
        }
        law.place(&masses)
    }
}

/// Inner products of rows.
pub(super) fn dots(a: &Array2<f64>, b: &Array2<f64>) -> Vec<f64> {
    (a * b).sum_axis(Axis(1)).to_vec()
}
