//! Counts over all sequences of one length, and distances between a sampled histogram and a law.

use super::Estimate;
use crate::error::{Error, Result};
use crate::sequence::Sequence;
use serde::{Deserialize, Serialize};

/// Counts over all V^L sequences, numbered in base V with the first position most significant.
///
/// ```
/// use seqtilt::eval::histogram::Histogram;
/// use seqtilt::sequence::{Alphabet, Sequence};
/// let dna = Alphabet::dna();
/// let mut histogram = Histogram::new(4, 2)?;
/// histogram.add(&Sequence::parse("CA", &dna)?)?;
/// assert_eq!((histogram.counts()[4], histogram.total()), (1, 1));
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    letters: usize,
    length: usize,
    padded: bool,
    counts: Vec<u64>,
    total: u64,
}

/// Total variation between a sampled histogram and a law.
///
/// ```text
/// plain     = ½ Σ |X_x/N − p(x)|
/// floor     = ½ Σ E|X_x/N − p(x)|  when X ~ multinomial(N, p)     (exact: binomial mean deviation, cell by cell)
/// corrected = plain − floor
/// ```
///
/// `corrected` has mean 0 for an exact sampler. Away from it the noise of a cell hides in the difference, so that the
/// true distance lies, up to the standard error, between `corrected` and `plain`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TotalVariation {
    /// The plug-in distance; too large on average.
    pub plain: f64,
    /// What an exact sampler of the same size would show on average.
    pub floor: f64,
    /// `plain − floor`; may be negative by chance.
    pub corrected: f64,
    /// Standard error of either: ½ √((1 − m²)/N) with m = Σ q̂ sign(q̂ − p); an upper bound where cells are noisy.
    pub se: f64,
}

/// KL from a sampled histogram to a law, in nats.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SampledKl {
    /// Σ q̂ log(q̂/p); too large on average.
    pub plain: f64,
    /// What is subtracted: (occupied cells − 1) / 2N for the finite number of samples of q (Miller–Madow), plus, when p is
    /// itself a histogram of M smoothed samples, log(1 + V^L / 2M).
    pub bias: f64,
    /// `plain − bias` with the standard error sd_q̂(log q̂/p) / √N.
    pub kl: Estimate,
}

impl Histogram {
    /// An empty histogram for `letters`^`length` sequences.
    ///
    /// # Errors
    /// When there would be more than 2²⁸ cells or none.
    pub fn new(letters: usize, length: usize) -> Result<Self> {
        let cells = u32::try_from(length).ok().and_then(|l| letters.checked_pow(l));
        match cells {
            Some(cells) if cells > 0 && cells <= 1 << 28 => {
                Ok(Self { letters, length, padded: false, counts: vec![0; cells], total: 0 })
            }
            _ => Err(Error::usage(format!(
                "{letters}^{length} sequences cannot be enumerated; at most 2^28 are accepted"
            ))),
        }
    }

    /// The same histogram with the last letter as padding, which ends sequences shorter than `length`.
    #[must_use]
    pub fn with_padding(self, padded: bool) -> Self {
        Self { padded, ..self }
    }

    /// The same cells without counts.
    #[must_use]
    pub fn emptied(&self) -> Self {
        Self { counts: vec![0; self.counts.len()], total: 0, ..*self }
    }

    /// A histogram with these counts.
    ///
    /// # Errors
    /// As [`Self::new`], and when there is not one count per sequence.
    pub fn from_counts(letters: usize, length: usize, counts: Vec<u64>) -> Result<Self> {
        let empty = Self::new(letters, length)?;
        if counts.len() != empty.counts.len() {
            let cells = empty.counts.len();
            return Err(Error::data(format!("{} counts for {cells} sequences; one each is accepted", counts.len())));
        }
        Ok(Self { total: counts.iter().sum(), counts, ..empty })
    }

    /// The number of a sequence.
    ///
    /// # Errors
    /// When its length or a letter does not fit.
    pub fn cell(&self, sequence: &Sequence) -> Result<usize> {
        let missing = self.length.checked_sub(sequence.len()).filter(|missing| self.padded || *missing == 0);
        let Some(missing) = missing else {
            return Err(Error::data(format!("sequence of length {}; {} is accepted", sequence.len(), self.length)));
        };
        let letters = self.letters - usize::from(self.padded);
        let cell = sequence.ids().iter().try_fold(0, |cell, id| match usize::from(*id) {
            id if id < letters => Ok(cell * self.letters + id),
            id => Err(Error::data(format!("token id {id} is not below {letters}"))),
        })?;
        Ok((0..missing).fold(cell, |cell, _| cell * self.letters + letters))
    }

    /// Counts one sequence.
    ///
    /// # Errors
    /// As [`Self::cell`].
    pub fn add(&mut self, sequence: &Sequence) -> Result<()> {
        let cell = self.cell(sequence)?;
        self.add_cell(cell);
        Ok(())
    }

    /// Counts one sequence by number.
    ///
    /// # Panics
    /// If there is no such cell.
    pub fn add_cell(&mut self, cell: usize) {
        self.counts[cell] += 1;
        self.total += 1;
    }

    /// The counts by cell.
    #[must_use]
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// The number of samples, N.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Cells that were seen.
    #[must_use]
    pub fn occupied(&self) -> usize {
        self.counts.iter().filter(|c| **c > 0).count()
    }

    /// Probabilities (X + k) / (N + k V^L): with k = 0 the plug-in law, with k > 0 additively smoothed.
    #[must_use]
    pub fn probabilities(&self, smoothing: f64) -> Vec<f64> {
        let total = self.total as f64 + smoothing * self.counts.len() as f64;
        self.counts.iter().map(|c| (*c as f64 + smoothing) / total).collect()
    }

    /// Entropy in nats, with Miller–Madow's correction: plug-in + (occupied − 1) / 2N.
    #[must_use]
    pub fn entropy(&self) -> Estimate {
        let n = self.total as f64;
        let surprise = self.seen().map(|(_, q)| (q, -q.ln()));
        let plain = weighted_mean(surprise, n);
        Estimate { value: plain.value + self.miller_madow(), se: plain.se }
    }

    /// Mean number of letters in which two of the samples differ; `None` below two samples.
    #[must_use]
    pub fn mean_pairwise(&self) -> Option<f64> {
        let n = self.total as f64;
        let apart = super::diversity::mean_pairwise_of_law(&self.probabilities(0.0), self.letters, self.length);
        (self.total > 1).then(|| apart * n / (n - 1.0))
    }

    /// Mean of a value per cell, such as a reward table.
    ///
    /// # Panics
    /// If `values` has not one entry per cell.
    #[must_use]
    pub fn mean(&self, values: &[f64]) -> Estimate {
        assert_eq!(values.len(), self.counts.len(), "one value per cell");
        weighted_mean(self.seen().map(|(cell, q)| (q, values[cell])), self.total as f64)
    }

    /// Total variation to an exact law.
    ///
    /// # Panics
    /// If `law` has not one entry per cell.
    ///
    /// # Cost
    /// One pass; a logarithm of a binomial probability per cell.
    #[must_use]
    pub fn total_variation(&self, law: &[f64]) -> TotalVariation {
        assert_eq!(law.len(), self.counts.len(), "one probability per cell");
        let n = self.total as f64;
        let (mut plain, mut floor, mut sign) = (0.0, 0.0, 0.0);
        for (count, p) in self.counts.iter().zip(law) {
            let q = *count as f64 / n;
            plain += 0.5 * (q - p).abs();
            floor += 0.5 * binomial_deviation(self.total, *p) / n;
            sign += q * if q > *p { 1.0 } else { -1.0 };
        }
        let se = 0.5 * ((1.0 - sign * sign).max(0.0) / n).sqrt();
        TotalVariation { plain, floor, corrected: plain - floor, se }
    }

    /// KL(q‖p) of the sampled law q to an exact law p; infinite when a sequence was drawn that p excludes.
    ///
    /// # Panics
    /// If `law` has not one entry per cell.
    #[must_use]
    pub fn kl(&self, law: &[f64]) -> SampledKl {
        assert_eq!(law.len(), self.counts.len(), "one probability per cell");
        self.kl_with(law, 0.0)
    }

    /// KL(q‖p) where p is known only through `prior`, a histogram of M samples.
    ///
    /// ```text
    /// p̂(x) = (Y_x + ½) / (M + ½ V^L)        E log p̂ ≈ log p − log(1 + V^L / 2M)
    /// ```
    ///
    /// The half count makes log(Y + ½) unbiased to first order, and the normalisation's share is subtracted. The standard
    /// error grows by √((Σ q̂²/p̂ − 1)/M). Trustworthy only while the sequences that q draws were seen often among the M.
    ///
    /// # Panics
    /// If the histograms have different numbers of cells.
    #[must_use]
    pub fn kl_to_sampled(&self, prior: &Self) -> SampledKl {
        assert_eq!(prior.counts.len(), self.counts.len(), "one probability per cell");
        let law = prior.probabilities(0.5);
        let m = prior.total as f64;
        let mut result = self.kl_with(&law, (0.5 * law.len() as f64 / m).ln_1p());
        let spread = self.seen().map(|(cell, q)| q * q / law[cell]).sum::<f64>();
        result.kl.se = result.kl.se.hypot(((spread - 1.0).max(0.0) / m).sqrt());
        result
    }

    fn kl_with(&self, law: &[f64], law_bias: f64) -> SampledKl {
        let n = self.total as f64;
        let ratio = weighted_mean(self.seen().map(|(cell, q)| (q, (q / law[cell]).ln())), n);
        let bias = self.miller_madow() + law_bias;
        SampledKl { plain: ratio.value, bias, kl: Estimate { value: ratio.value - bias, se: ratio.se } }
    }

    fn miller_madow(&self) -> f64 {
        (self.occupied() as f64 - 1.0) / (2.0 * self.total as f64)
    }

    fn seen(&self) -> impl Iterator<Item = (usize, f64)> {
        let n = self.total as f64;
        self.counts.iter().enumerate().filter(|(_, c)| **c > 0).map(move |(cell, c)| (cell, *c as f64 / n))
    }
}

/// Mean and standard error of a value under the sampled law, from (probability, value) pairs of n samples.
fn weighted_mean(pairs: impl Iterator<Item = (f64, f64)>, n: f64) -> Estimate {
    let (mean, second) = pairs.fold((0.0, 0.0), |(m, s), (q, v)| (m + q * v, s + q * v * v));
    Estimate { value: mean, se: ((second - mean * mean).max(0.0) / (n - 1.0)).sqrt() }
}

/// Mean absolute deviation of a binomial count, exactly (De Moivre 1730).
///
/// ```text
/// E|X − Np| = 2 ν C(N, ν) p^ν (1 − p)^{N−ν+1},   ν = ⌊Np⌋ + 1
/// ```
fn binomial_deviation(n: u64, p: f64) -> f64 {
    if p <= 0.0 || p >= 1.0 || n == 0 {
        return 0.0;
    }
    let n = n as f64;
    let v = ((n * p).floor() + 1.0).min(n);
    let log_choose = ln_factorial(n) - ln_factorial(v) - ln_factorial(n - v);
    2.0 * v * (log_choose + v * p.ln() + (n - v + 1.0) * (-p).ln_1p()).exp()
}

/// log n!, by Stirling's series above 16, to about 10⁻¹⁵ relative.
fn ln_factorial(n: f64) -> f64 {
    if n < 16.0 {
        return (2..=n as u64).map(|k| k as f64).product::<f64>().ln();
    }
    let inverse = 1.0 / n;
    let square = inverse * inverse;
    let series = inverse * (1.0 / 12.0 - square * (1.0 / 360.0 - square * (1.0 / 1260.0 - square / 1680.0)));
    n * n.ln() - n + 0.5 * (std::f64::consts::TAU * n).ln() + series
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padded_sequences_have_cells_of_their_own() {
        let padded = crate::sequence::Alphabet::dna().padded().unwrap();
        let mut cells = Histogram::new(5, 3).unwrap().with_padding(true);
        let words: Vec<Sequence> = (1..=3).flat_map(|length| Sequence::all(&padded, length)).collect();
        for word in &words {
            cells.add(word).unwrap();
        }
        assert_eq!((cells.total(), cells.counts().iter().filter(|count| **count == 1).count()), (84, 84));
        // A__, 0·25 + 4·5 + 4
        assert_eq!(cells.cell(&words[0]).unwrap(), 24);
        assert!(cells.emptied().with_padding(false).cell(&words[0]).is_err());
    }
    use crate::random::Seed;

    fn drawn(law: &[f64], n: usize, label: &str) -> Histogram {
        let mut cumulative: Vec<f64> = law
            .iter()
            .scan(0.0, |sum, p| {
                *sum += p;
                Some(*sum)
            })
            .collect();
        *cumulative.last_mut().unwrap() = 1.0;
        let mut histogram = Histogram::new(4, 4).unwrap();
        let mut rng = Seed::root(11).child(label).rng();
        for _ in 0..n {
            let u = rng.uniform();
            histogram.add_cell(cumulative.partition_point(|c| *c <= u));
        }
        histogram
    }

    fn laws() -> (Vec<f64>, Vec<f64>) {
        let p: Vec<f64> = (0..256).map(|i| 1.0 + f64::from(i % 7)).collect();
        let q: Vec<f64> = (0..256).map(|i| 1.0 + f64::from((i * 5) % 11)).collect();
        let normal = |v: Vec<f64>| v.iter().map(|x| x / v.iter().sum::<f64>()).collect::<Vec<_>>();
        (normal(p), normal(q))
    }

    #[test]
    fn the_mean_deviation_of_a_binomial_is_exact() {
        for (n, p) in [(1_u64, 0.3_f64), (7, 0.5), (30, 0.04), (45, 0.9)] {
            let direct: f64 = (0..=n)
                .map(|k| {
                    let log = ln_factorial(n as f64) - ln_factorial(k as f64) - ln_factorial((n - k) as f64);
                    let pmf = log.exp() * p.powf(k as f64) * (1.0 - p).powf((n - k) as f64);
                    pmf * (k as f64 - n as f64 * p).abs()
                })
                .sum();
            assert!((binomial_deviation(n, p) - direct).abs() < 1e-11, "{n} {p}");
        }
        assert!((ln_factorial(20.0) - 2_432_902_008_176_640_000_f64.ln()).abs() < 1e-13);
        // the Poisson limit, 2 e^{-λ} λ^{k+1} / k! at λ = 1.5
        let poisson = 2.0 * (-1.5_f64).exp() * 1.5 * 1.5;
        assert!((binomial_deviation(10_000_000, 1.5e-7) - poisson).abs() < 1e-6);
    }

    #[test]
    fn an_exact_sampler_has_corrected_distance_zero_and_entropy_right() {
        let (p, _) = laws();
        let mut corrected = Vec::new();
        for repeat in 0..20 {
            let tv = drawn(&p, 2_000, &format!("null {repeat}")).total_variation(&p);
            assert!(tv.floor > 0.1, "the floor of 2,000 draws in 256 cells is {}", tv.floor);
            assert!(tv.corrected.abs() < 3.0 * tv.se, "{tv:?}");
            corrected.push(tv.corrected);
        }
        let mean = Estimate::mean(&corrected);
        assert!(mean.value.abs() < 3.0 * mean.se, "{mean}");
        let exact: f64 = p.iter().map(|p| -p * p.ln()).sum();
        let entropy = drawn(&p, 20_000, "entropy").entropy();
        // without the correction, 255 / 40,000 = 0.0064 nats, the estimate would be more than two standard errors low
        assert!((entropy.value - exact).abs() < 2.0 * entropy.se, "{entropy} against {exact}");
        assert!(entropy.se < 0.004);
    }

    #[test]
    fn another_law_is_bracketed_and_its_kl_recovered() {
        let (p, q) = laws();
        let tv_exact: f64 = 0.5 * p.iter().zip(&q).map(|(p, q)| (p - q).abs()).sum::<f64>();
        let kl_exact: f64 = q.iter().zip(&p).map(|(q, p)| q * (q / p).ln()).sum();
        let sample = drawn(&q, 40_000, "other");
        let tv = sample.total_variation(&p);
        assert!(tv.corrected - 3.0 * tv.se < tv_exact && tv_exact < tv.plain + 3.0 * tv.se, "{tv:?} {tv_exact}");
        let kl = sample.kl(&p);
        assert!(kl.kl.z(kl_exact).abs() < 3.0, "{kl:?} against {kl_exact}");
        assert!(kl.kl.se < 0.005);
        let sampled = sample.kl_to_sampled(&drawn(&p, 40_000, "prior"));
        assert!(sampled.kl.z(kl_exact).abs() < 3.0, "{sampled:?} against {kl_exact}");
        assert!(sampled.kl.se > kl.kl.se);
        let reward: Vec<f64> = (0..256).map(f64::from).collect();
        let mean_exact: f64 = q.iter().zip(&reward).map(|(q, r)| q * r).sum();
        assert!(sample.mean(&reward).z(mean_exact).abs() < 3.0);
    }

    #[test]
    fn a_sampled_prior_leaves_kl_without_bias() {
        let (p, q) = laws();
        let exact: f64 = q.iter().zip(&p).map(|(q, p)| q * (q / p).ln()).sum();
        let repeats: Vec<SampledKl> = (0..20)
            .map(|i| drawn(&q, 10_000, &format!("q {i}")).kl_to_sampled(&drawn(&p, 10_000, &format!("p {i}"))))
            .collect();
        let mean = Estimate::of(repeats.iter().map(|r| r.kl.value));
        // either correction, 255/20,000 and log(1 + 256/20,000), is 0.0127 nats: many standard errors of this mean
        assert!(mean.se < 0.003 && mean.z(exact).abs() < 3.0, "{mean} against {exact}");
        let claimed = Estimate::of(repeats.iter().map(|r| r.kl.se)).value / 20_f64.sqrt();
        // the spread of twenty repeats has a relative standard error of 1/√38 = 0.16; three of them
        assert!((mean.se / claimed - 1.0).abs() < 0.5, "seen {}, claimed {claimed}", mean.se);
    }

    #[test]
    fn counts_come_back_and_know_their_spread() {
        let sample = drawn(&laws().0, 300, "spread");
        let again = Histogram::from_counts(4, 4, sample.counts().to_vec()).unwrap();
        assert_eq!(again, sample);
        assert!(Histogram::from_counts(4, 3, sample.counts().to_vec()).is_err());
        let mut two = Histogram::new(4, 4).unwrap();
        two.add_cell(0);
        assert_eq!(two.mean_pairwise(), None);
        two.add_cell(5);
        assert!((two.mean_pairwise().unwrap() - 2.0).abs() < 1e-12, "AAAA and AACC");
    }

    #[test]
    fn excluded_sequences_make_kl_infinite_and_sizes_are_checked() {
        let (mut p, _) = laws();
        let sample = drawn(&p, 1_000, "excluded");
        p[255] += p[6];
        p[6] = 0.0;
        assert!(sample.counts()[6] > 0);
        assert_eq!(sample.kl(&p).kl.value, f64::INFINITY);
        assert!(Histogram::new(20, 30).is_err());
    }
}
