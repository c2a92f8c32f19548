//! Covariance of sequences: products over positions, summed over the ways in which a sequence can be read.

use ndarray::Array2;

/// How a sequence is read: one strand, moved along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// The other strand.
    pub(super) reverse: bool,
    /// Position i of the view shows letter i + shift, or a wild card where there is none.
    pub(super) shift: isize,
}

impl View {
    /// By how many letters it is moved.
    pub(super) fn moved(self) -> i32 {
        i32::try_from(self.shift.unsigned_abs()).unwrap_or(i32::MAX)
    }
}

/// Covariance of a process that is the sum over views T of one unknown function g of a word:
///
/// ```text
/// f(x) = Σ_a c_a g(T_a x),   k(x, y) = Σ_ab c_a c_b Π_i t_i(T_a x, T_b y),   Σ_a c_a² = 1
/// t_i(u, v) = ρ_i + (1 − ρ_i) 1(u_i = v_i),   ρ_i = e^{−1/ℓ_i}
/// ```
///
/// A wild card is a letter drawn at random: 1(u_i = v_i) is 1/V where one of the two is wild. It is the covariance of
/// a function, so positive semi-definite whatever the weights. With one view and one ℓ, k = exp(−Hamming/ℓ).
#[derive(Clone, Debug)]
pub(super) struct Kernel {
    pub(super) views: Vec<View>,
    /// c_a.
    pub(super) weights: Vec<f64>,
    /// ρ_i.
    pub(super) rho: Vec<f64>,
    pub(super) letters: usize,
    complements: Vec<u8>,
}

/// The words of views, one after the other, for each of several sequences; the wild card is the letter after the last.
pub(super) type Words = Vec<Vec<u8>>;

impl Kernel {
    /// Views of the strand, or of both where there are complements, moved by up to `shifts` either way.
    pub(super) fn new(letters: usize, length: usize, complements: Option<Vec<u8>>, shifts: usize) -> Self {
        let strands = if complements.is_some() { &[false, true][..] } else { &[false] };
        let most = shifts.cast_signed();
        let views: Vec<View> =
            strands.iter().flat_map(|reverse| (-most..=most).map(|shift| View { reverse: *reverse, shift })).collect();
        let weights = vec![1.0; views.len()];
        let rho = vec![0.0; length];
        Self { views, weights, rho, letters, complements: complements.unwrap_or_default() }
    }

    /// With these lengths ℓ_i, and views that weigh `decay` to the power of how far they are moved.
    pub(super) fn with(mut self, lengths: &[f64], decay: f64) -> Self {
        self.rho = lengths.iter().map(|length| (-1.0 / length).exp()).collect();
        let raw: Vec<f64> = self.views.iter().map(|view| decay.powi(view.moved())).collect();
        let norm = raw.iter().map(|c| c * c).sum::<f64>().sqrt();
        self.weights = raw.iter().map(|c| c / norm).collect();
        self
    }

    /// Whether a view may show wild cards.
    pub(super) fn is_moved(&self) -> bool {
        self.views.iter().any(|view| view.shift != 0)
    }

    /// Whether the other strand is among the views.
    pub(super) fn is_stranded(&self) -> bool {
        self.views.iter().any(|view| view.reverse)
    }

    /// Whether turning both of two sequences round leaves their covariance as it is, so that the views of one strand of the first
    /// are half of the sum: views come in pairs (strand, shift) and (other strand, −shift) of one weight, and ρ reads the
    /// same from both ends.
    fn is_half_enough(&self) -> bool {
        self.is_stranded() && self.rho.iter().eq(self.rho.iter().rev())
    }

    /// Letters that a view may show, the wild card with them.
    pub(super) fn codes(&self) -> usize {
        self.letters + usize::from(self.is_moved())
    }

    /// All views of a sequence.
    pub(super) fn words(&self, ids: &[u8]) -> Vec<u8> {
        let wild = self.letters as u8;
        let last = ids.len().cast_signed() - 1;
        let show = |view: View, i: usize| {
            let at = i.cast_signed() + view.shift;
            match (0..=last).contains(&at) {
                false => wild,
                true if view.reverse => self.complements[usize::from(ids[(last - at).unsigned_abs()])],
                true => ids[at.unsigned_abs()],
            }
        };
        self.views.iter().flat_map(|view| (0..ids.len()).map(|i| show(*view, i))).collect()
    }

    /// How much two letters of views agree: 1(u = v), or its mean where one is wild.
    pub(super) fn agreement(&self, u: u8, v: u8) -> f64 {
        let letters = self.letters;
        if usize::from(u) >= letters || usize::from(v) >= letters {
            1.0 / letters as f64
        } else {
            f64::from(u8::from(u == v))
        }
    }

    /// t_i of two letters.
    pub(super) fn factor(&self, i: usize, u: u8, v: u8) -> f64 {
        self.rho[i] + (1.0 - self.rho[i]) * self.agreement(u, v)
    }

    /// k of two sequences, by their words.
    pub(super) fn pair(&self, x: &[u8], y: &[u8]) -> f64 {
        let length = self.rho.len();
        let mut sum = 0.0;
        for (u, c) in x.chunks_exact(length).zip(&self.weights) {
            for (v, d) in y.chunks_exact(length).zip(&self.weights) {
                sum += c * d * (0..length).map(|i| self.factor(i, u[i], v[i])).product::<f64>();
            }
        }
        sum
    }
}

/// Entries of one table of a [`Bank`].
const ENTRIES: usize = 128;

/// Some sequences with their covariances to every piece of a word, tabulated.
#[derive(Clone, Debug)]
pub(super) struct Bank {
    n: usize,
    pieces: Vec<Piece>,
}

/// Some positions: factors of every way to fill them, (fillings, views · n), the weight of the view in the first.
#[derive(Clone, Debug)]
struct Piece {
    start: usize,
    end: usize,
    factors: Array2<f64>,
}

impl Bank {
    pub(super) fn new(kernel: &Kernel, words: &Words) -> Self {
        let (n, length, codes) = (words.len(), kernel.rho.len(), kernel.codes());
        let mut width = 1;
        while codes.pow(width as u32 + 1) <= ENTRIES {
            width += 1;
        }
        let piece = |start: usize| {
            let end = length.min(start + width);
            let fill = |filling: usize, column: usize| {
                let (view, word) = (column / n, &words[column % n]);
                let (mut rest, mut product) = (filling, if start == 0 { kernel.weights[view] } else { 1.0 });
                for i in (start..end).rev() {
                    product *= kernel.factor(i, (rest % codes) as u8, word[view * length + i]);
                    rest /= codes;
                }
                product
            };
            let shape = (codes.pow((end - start) as u32), kernel.views.len() * n);
            Piece { start, end, factors: Array2::from_shape_fn(shape, |(filling, column)| fill(filling, column)) }
        };
        Self { n, pieces: (0..length).step_by(width).map(piece).collect() }
    }

    /// k of some sequences, by their words, with those of the bank: a row for each.
    ///
    /// # Cost
    /// views² · n · L/3 multiply-adds for a row of DNA; half of that with both strands and one ρ.
    pub(super) fn rows(&self, kernel: &Kernel, words: &[Vec<u8>]) -> Array2<f64> {
        let (length, codes, views) = (kernel.rho.len(), kernel.codes(), kernel.views.len());
        let mut rows = Array2::zeros((words.len(), self.n));
        let mut product = vec![0.0; views * self.n];
        // views of the first strand come first
        let (read, twice) = if kernel.is_half_enough() { (views / 2, 2.0) } else { (views, 1.0) };
        for (word, mut row) in words.iter().zip(rows.rows_mut()) {
            for (view, weight) in word.chunks_exact(length).zip(&kernel.weights).take(read) {
                for piece in &self.pieces {
                    let filling =
                        view[piece.start..piece.end].iter().fold(0, |at, code| at * codes + usize::from(*code));
                    let factors = piece.factors.row(filling);
                    let Some(factors) = factors.as_slice() else { continue };
                    if piece.start == 0 {
                        product.copy_from_slice(factors);
                    } else {
                        product.iter_mut().zip(factors).for_each(|(product, factor)| *product *= factor);
                    }
                }
                for part in product.chunks_exact(self.n) {
                    row.iter_mut().zip(part).for_each(|(sum, term)| *sum += twice * weight * term);
                }
            }
        }
        rows
    }
}
