//! Models fitted to measured data when they are opened.

use super::kind::{records, stem};
use super::{Oracle, OracleInfo, OracleOptions, Outcome, option};
use crate::error::{Error, Result};
use crate::nn::Pool;
use crate::random::Seed;
use crate::registry::unknown;
use crate::reward::{
    Acquisition, Domain, GaussianProcess, LinearFeatures, LinearUcb, Reward, Standardisation, Surrogate,
    SurrogateConfig, TrainingSet, Tuned,
};
use crate::sequence::Sequence;
use crate::store::Sha256;
use candle_core::Tensor;
use std::sync::Arc;

/// Sequences of a process, at most: its fit takes n³ multiply-adds, and it keeps n² numbers.
const PROCESS: usize = 4000;

/// Numbers of the matrix of a regression's features, at most: 400 MB.
const NUMBERS: usize = 50_000_000;

/// λ of a regression unless told otherwise.
const RIDGE: f64 = 1.0;

/// What a model expects that was fitted to measured data, with its standard deviation.
///
/// A Gaussian process has that of f, without the error of a label ([`GaussianProcess`]). The ridge regression is
///
/// ```text
/// mean = centre + scale φᵀw,  w = (Σφφᵀ + λI)⁻¹ Σφz        φ a constant and one-hot letters, with pairs of them where asked for
/// sd = s √(φᵀ (Σφφᵀ + λI)⁻¹ φ),  s² = Σ(y − mean)² / (n − Σ h),  h = φᵀ (Σφφᵀ + λI)⁻¹ φ
/// ```
/// z the labels standardised by their centre and scale, s² what is left over for each degree of freedom that is
/// left: the posterior of weights whose prior variance is s²/λ (Hastie, Tibshirani and Friedman, The Elements of
/// Statistical Learning, 2009, section 3.4). Both are differentiable too. A sequence of another length is infeasible.
///
/// ```
/// use seqtilt::oracle::{Fitted, Oracle};
/// use seqtilt::reward::{LinearFeatures, TrainingSet};
/// use seqtilt::sequence::{Alphabet, Sequence};
/// let dna = Alphabet::dna();
/// let word = |text| Sequence::parse(text, &dna);
/// let set = TrainingSet::new(dna.clone(), [(word("AA")?, 0.0), (word("AC")?, 1.0), (word("CA")?, 2.0)])?;
/// let mut fitted = Fitted::linear("toy", &set, LinearFeatures::Letters, 1e-6)?;
/// // effects of letters add up
/// assert!((fitted.evaluate(&[word("CC")?])?[0].value().unwrap() - 3.0).abs() < 1e-4);
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Cost
/// n³ multiply-adds to open a process, n F² for a regression on F features, on one thread.
#[derive(Clone)]
pub struct Fitted {
    info: OracleInfo,
    surrogate: Arc<dyn Surrogate>,
    /// The factor of its standard deviations.
    spread: f64,
    /// Standard deviations taken off the mean where it is climbed.
    caution: f64,
}

impl Fitted {
    /// A Gaussian process with the settings of a surrogate; it keeps all labels.
    ///
    /// # Errors
    /// When a setting is out of range, there are too many sequences, or the covariance is singular.
    pub fn gaussian_process(name: &str, set: &TrainingSet, config: &SurrogateConfig) -> Result<Self> {
        if set.len() > PROCESS {
            let n = set.len();
            return Err(Error::usage(format!("{n} sequences for a Gaussian process; {PROCESS} at most are accepted"))
                .hint("`linear:FILE` takes more, and so does a network: `seqtilt oracle train FILE --out reward`, then `model:reward`"));
        }
        let config = SurrogateConfig { kind: "gp".to_owned(), max_points: 0, ..config.clone() };
        let process = GaussianProcess::fit(&config, set, Seed::root(0), Pool::inline())?;
        Self::new(name, &config, set, Box::new(process), 1.0)
    }

    /// Networks that differ in their initial weights, with the settings of a surrogate; their spread is the standard deviation.
    ///
    /// # Errors
    /// When a setting is out of range, or training diverges.
    pub fn networks(name: &str, set: &TrainingSet, config: &SurrogateConfig, seed: Seed, pool: &Pool) -> Result<Self> {
        let config = SurrogateConfig { kind: "ensemble".to_owned(), ..config.clone() };
        Self::new(name, &config, set, config.fit(set, seed, pool)?, 1.0)
    }

    /// A ridge regression on letters, or on pairs of them too.
    ///
    /// # Errors
    /// When the ridge is not above 0, or there are too many features or sequences.
    pub fn linear(name: &str, set: &TrainingSet, features: LinearFeatures, ridge: f64) -> Result<Self> {
        let kind = "linear-ucb".to_owned();
        let config = SurrogateConfig { kind, linear_features: features, ridge, ..SurrogateConfig::default() };
        let (n, count) = (set.len(), features.count(set));
        if n.saturating_mul(count) > NUMBERS {
            return Err(Error::usage(format!(
                "{count} features of {n} sequences; {NUMBERS} numbers at most are accepted"
            ))
            .hint("a network takes more: `seqtilt oracle train FILE --out reward`, then `model:reward`"));
        }
        let model = LinearUcb::fit(&config, set, Seed::root(0), Pool::inline())?;
        let scale = Standardisation::of(set.values()).scale;
        let (mut left, mut freedom) = (0.0, n as f64);
        for (prediction, value) in model.predict(set.sequences())?.iter().zip(set.values()) {
            left += (value - prediction.mean).powi(2);
            freedom -= (prediction.sd.unwrap_or(0.0) / scale).powi(2);
        }
        // each h is below 1, so that something is left
        let spread = (left / freedom.max(f64::EPSILON)).sqrt() / scale;
        Self::new(name, &config, set, Box::new(model), spread)
    }

    fn new(
        name: &str,
        config: &SurrogateConfig,
        set: &TrainingSet,
        surrogate: Box<dyn Surrogate>,
        spread: f64,
    ) -> Result<Self> {
        let domain = set.domain();
        let settings = serde_json::to_vec(config)
            .map_err(|error| Error::usage("the settings cannot be written as JSON").because(error))?;
        let mut hash = Sha256::default();
        hash.update(&settings);
        hash.update(domain.alphabet.letters());
        for (sequence, value) in set.sequences().iter().zip(set.values()) {
            hash.update(sequence.ids());
            hash.update(&value.to_bits().to_le_bytes());
        }
        let info = OracleInfo {
            name: name.to_owned(),
            fingerprint: format!("sha256:{}", hash.hex()),
            alphabet: domain.alphabet.plain(),
            length: domain.lengths(),
            deterministic: true,
            has_gradient: true,
        };
        Ok(Self { info, surrogate: surrogate.into(), spread, caution: 0.0 })
    }

    /// The same with standard deviations `factor` times as large, such as what held-out values say that they should be.
    #[must_use]
    pub fn calibrated(self, factor: f64) -> Self {
        Self { spread: self.spread * factor, ..self }
    }

    /// The same, climbed at `mean − caution · sd` as a [`Reward`]: what is far from the data, where the deviation is large, is worth
    /// less. As an [`Oracle`] it still answers with both.
    #[must_use]
    pub fn cautious(self, caution: f64) -> Self {
        Self { caution, ..self }
    }
}

impl Oracle for Fitted {
    fn info(&self) -> &OracleInfo {
        &self.info
    }

    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
        for sequence in batch {
            self.info.check_letters(sequence)?;
        }
        let domain = self.surrogate.domain();
        let fitting: Vec<Sequence> = batch.iter().filter(|sequence| domain.takes(sequence)).cloned().collect();
        let mut predictions = self.surrogate.predict(&fitting)?.into_iter();
        let outcome = |sequence: &Sequence| match domain.takes(sequence).then(|| predictions.next()).flatten() {
            Some(found) => Outcome::Value { mean: found.mean, sd: found.sd.map(|sd| sd * self.spread) },
            None => Outcome::Infeasible {
                reason: format!("{} letters; the model reads {}", sequence.len(), self.info.lengths()),
            },
        };
        Ok(batch.iter().map(outcome).collect())
    }
}

/// `mean − caution · sd` with its slope; the mean unless [`cautious`](Fitted::cautious).
impl Reward for Fitted {
    fn name(&self) -> &str {
        &self.info.name
    }

    fn reads(&self) -> Option<&Domain> {
        Some(self.surrogate.domain())
    }

    fn reward(&self, probs: &Tensor) -> Result<Tensor> {
        let acquisition = match self.caution * self.spread {
            0.0 => Acquisition::Mean,
            caution => Acquisition::Ucb { bonus: -caution },
        };
        self.surrogate.acquire(probs, acquisition, Seed::root(0))
    }
}

/// The measured sequences of a file or data set.
fn measured(source: &str, options: &OracleOptions) -> Result<TrainingSet> {
    let records = records(source, options)?;
    let pairs: Vec<(Sequence, f64)> =
        records.rows.iter().filter_map(|row| Some((row.sequence.clone(), row.value?))).collect();
    if pairs.is_empty() {
        records.values()?;
    }
    let domain = Domain::of(&records.alphabet, pairs.iter().map(|(sequence, _)| sequence))?;
    TrainingSet::within(&domain, pairs).map_err(|error| error.at(source))
}

fn open_process(argument: &str, options: &OracleOptions) -> Result<Fitted> {
    let (settings, source) = option::split(argument);
    let mut config = SurrogateConfig::default();
    for (key, value) in option::pairs(settings) {
        let tuned = || option::value::<Tuned>("gp", key, value, "a number or `auto`");
        let yes = || option::value::<bool>("gp", key, value, "`true` or `false`");
        match key {
            "length-scale" => config.length_scale = tuned()?,
            "noise" => config.noise = tuned()?,
            "amplitude" => config.amplitude = tuned()?,
            "per-position" => config.per_position = yes()?,
            "both-strands" => config.both_strands = yes()?,
            "shifts" => config.shifts = option::value("gp", key, value, "a whole number")?,
            _ => {
                let known = ["length-scale", "noise", "amplitude", "per-position", "both-strands", "shifts"];
                return Err(unknown("option of `gp`", key, known));
            }
        }
    }
    Fitted::gaussian_process(&stem(source), &measured(source, options)?, &config)
}

fn open_linear(argument: &str, options: &OracleOptions) -> Result<Fitted> {
    let (settings, source) = option::split(argument);
    let (mut features, mut ridge) = (LinearFeatures::Letters, RIDGE);
    for (key, value) in option::pairs(settings) {
        match (key, value) {
            ("features", "letters") => features = LinearFeatures::Letters,
            ("features", "pairs") => features = LinearFeatures::Pairs,
            ("features", _) => {
                let message = format!("`features` of `linear` is `{value}`; `letters` or `pairs` is accepted");
                return Err(Error::usage(message));
            }
            ("ridge", _) => ridge = option::value("linear", key, value, "a number")?,
            _ => return Err(unknown("option of `linear`", key, ["features", "ridge"])),
        }
    }
    Fitted::linear(&stem(source), &measured(source, options)?, features, ridge)
}

pub(super) fn process(argument: &str, options: &OracleOptions) -> Result<Box<dyn Oracle>> {
    Ok(Box::new(open_process(argument, options)?))
}

pub(super) fn process_reward(argument: &str, options: &OracleOptions) -> Result<Box<dyn Reward>> {
    Ok(Box::new(open_process(argument, options)?))
}

pub(super) fn linear(argument: &str, options: &OracleOptions) -> Result<Box<dyn Oracle>> {
    Ok(Box::new(open_linear(argument, options)?))
}

pub(super) fn linear_reward(argument: &str, options: &OracleOptions) -> Result<Box<dyn Reward>> {
    Ok(Box::new(open_linear(argument, options)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check;
    use crate::oracle::{OracleName, conformance};
    use crate::sequence::Alphabet;
    use candle_core::Device;
    use std::fmt::Write as _;

    fn word(text: &str) -> Sequence {
        Sequence::parse(text, &Alphabet::dna()).unwrap()
    }

    fn set(pairs: &[(&str, f64)]) -> TrainingSet {
        TrainingSet::new(Alphabet::dna(), pairs.iter().map(|(text, value)| (word(text), *value))).unwrap()
    }

    #[test]
    fn a_cautious_reward_takes_off_the_deviations_that_the_oracle_shows() {
        let set = set(&[("AC", 1.0), ("CC", 3.0), ("AG", 0.5), ("TT", 2.0)]);
        let words = [word("AC"), word("GT"), word("TG")];
        for model in [
            Fitted::linear("l", &set, LinearFeatures::Letters, 0.5).unwrap(),
            Fitted::gaussian_process("g", &set, &SurrogateConfig::default()).unwrap(),
        ] {
            let mut model = model.calibrated(3.0).cautious(2.0);
            let shown = model.evaluate(&words).unwrap();
            let plain: Vec<f64> = shown.iter().map(|x| x.value().unwrap() - 2.0 * x.sd().unwrap()).collect();
            let probs = crate::reward::one_hot(&words, 4, &Device::Cpu).unwrap();
            let climbed = model.reward(&probs).unwrap().to_dtype(candle_core::DType::F64).unwrap();
            for (a, b) in climbed.to_vec1::<f64>().unwrap().iter().zip(&plain) {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
        }
    }

    #[test]
    fn one_letter_has_the_closed_form() {
        let set = set(&[("A", 1.0), ("C", 3.0)]);
        let mut model = Fitted::linear("two", &set, LinearFeatures::Letters, 0.5).unwrap();
        // along (A − C)/√2 the matrix is 1 + λ, and z = ±1: the mean is 2 ± 1/(1 + λ)
        let outcomes = model.evaluate(&[word("A"), word("C"), word("G")]).unwrap();
        let (mean, sd) = (|i: usize| outcomes[i].value().unwrap(), |i: usize| outcomes[i].sd().unwrap());
        assert!((mean(0) - (2.0 - 1.0 / 1.5)).abs() < 1e-12 && (mean(1) - (2.0 + 1.0 / 1.5)).abs() < 1e-12);
        assert!((mean(2) - 2.0).abs() < 1e-12, "a letter that was not seen has the mean");
        // h along (1, ½, ½) and (0, ½, −½): the first is in the span of (1, 0, 0) and (0, 1, 1)/√2, where the matrix is
        // [[2 + λ, √2], [√2, 1 + λ]]
        let half = 0.5_f64.sqrt();
        let h = (1.5 - 2.0 * 2_f64.sqrt() * half + 2.5 * 0.5) / (2.5 * 1.5 - 2.0) + 0.5 / 1.5;
        let left = 2.0 * (1.0 - 1.0 / 1.5_f64).powi(2);
        let s = (left / (2.0 - 2.0 * h)).sqrt();
        assert!((sd(0) - s * h.sqrt()).abs() < 1e-9, "{} {}", sd(0), s * h.sqrt());
        assert!(sd(2) > sd(0));
    }

    #[test]
    fn deviations_of_a_regression_have_the_size_of_the_noise() {
        // all words of four letters, additive, with an error of ±0.1 that no letter explains
        let words: Vec<Sequence> = Sequence::all(&Alphabet::dna(), 4).collect();
        let effect = |x: &Sequence| x.ids().iter().zip(1_u8..).map(|(id, i)| f64::from(id * i)).sum::<f64>();
        let error =
            |x: &Sequence| if x.ids().iter().map(|id| id.count_ones()).sum::<u32>() % 2 == 0 { 0.1 } else { -0.1 };
        let pairs = words.iter().map(|x| (x.clone(), effect(x) + error(x)));
        let set = TrainingSet::new(Alphabet::dna(), pairs).unwrap();
        let mut model = Fitted::linear("noise", &set, LinearFeatures::Letters, 1e-6).unwrap();
        let outcomes = model.evaluate(&words).unwrap();
        // 13 free effects: s² = 256 · 0.01/(256 − 13), and h has the mean 13/256
        let square: f64 = outcomes.iter().map(|outcome| outcome.sd().unwrap().powi(2)).sum::<f64>();
        let expected = 13.0 * 2.56 / 243.0;
        // the ridge shifts means by about 1e-6/64 of the effects
        assert!((square / expected - 1.0).abs() < 1e-5, "{square} {expected}");
        assert!(outcomes.iter().zip(&words).all(|(o, x)| (o.value().unwrap() - effect(x)).abs() < 1e-5));
    }

    #[test]
    fn all_kinds_conform_and_have_gradients() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("v.csv");
        let mut text = "sequence,value\n".to_owned();
        for (index, x) in Sequence::all(&Alphabet::dna(), 3).enumerate().filter(|(index, _)| index % 3 > 0) {
            let _ = writeln!(text, "{},{}", x.text(&Alphabet::dna()), (index * 37 % 11) as f64 / 10.0);
        }
        std::fs::write(&file, text).unwrap();
        let file = file.display();
        let options = OracleOptions::default();
        let probes: Vec<Sequence> = ["AAA", "CGT", "TTTT", "GAT", "AC", "TTT"].map(word).to_vec();
        for name in [
            format!("gp:{file}"),
            format!("gp:length-scale=auto,noise=0.01,both-strands=true,shifts=1:{file}"),
            format!("linear:{file}"),
            format!("linear:features=pairs,ridge=0.1:{file}"),
        ] {
            let name: OracleName = name.parse().unwrap();
            let mut oracle = name.open(&options).unwrap();
            let reward = name.reward(&options).unwrap();
            let checks = conformance(oracle.as_mut(), Some(reward.as_ref()), &probes).unwrap();
            assert!(checks.len() == 7 && checks.iter().all(|check| check.passed), "{name}: {checks:?}");
            assert_eq!(checks[1].detail, "6 outcomes for 6 sequences, 4 with a value");
            let probs = Tensor::new(&[[[0.4_f64, 0.3, 0.2, 0.1]; 3]], &Device::Cpu).unwrap();
            check::input(&probs, |p| reward.reward(p));
        }
        let fails = |name: String| crate::oracle::open(&name, &options).err().unwrap().message().to_owned();
        assert_eq!(fails(format!("gp:noise=low:{file}")), "`noise` of `gp` is `low`; a number or `auto` is accepted");
        assert!(fails(format!("gp:lenght-scale=1:{file}")).starts_with("unknown option of `gp` `lenght-scale`"));
        assert!(fails(format!("linear:features=all:{file}")).contains("`letters` or `pairs` is accepted"));
        assert_eq!(fails(format!("linear:ridge=0:{file}")), "`ridge` is 0; a number above 0 is accepted");
    }

    #[test]
    fn too_much_data_is_refused_with_what_to_take_instead() {
        let words = Sequence::all(&Alphabet::dna(), 7).take(PROCESS + 1).map(|x| (x, 0.0));
        let many = TrainingSet::new(Alphabet::dna(), words).unwrap();
        let error = Fitted::gaussian_process("many", &many, &SurrogateConfig::default()).err().unwrap();
        assert_eq!(error.message(), "4001 sequences for a Gaussian process; 4000 at most are accepted");
        assert!(error.hint_text().unwrap().starts_with("`linear:FILE` takes more"));
        let wide = Sequence::from_ids(vec![0; 4000], &Alphabet::dna()).unwrap();
        let pairs = [(wide.clone(), 0.0), (Sequence::from_ids(vec![1; 4000], &Alphabet::dna()).unwrap(), 1.0)];
        let wide = TrainingSet::new(Alphabet::dna(), pairs).unwrap();
        let error = Fitted::linear("wide", &wide, LinearFeatures::Pairs, 1.0).err().unwrap();
        assert!(error.message().contains("features of 2 sequences; 50000000 numbers at most"), "{error}");
    }
}
