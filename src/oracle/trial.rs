//! Which models a table of measured sequences supports.

use super::{Fitted, Oracle};
use crate::data::quantile;
use crate::error::{Error, Result};
use crate::nn::Pool;
use crate::random::Seed;
use crate::registry::registry;
use crate::reward::{HeldOut, LinearFeatures, Prediction, SurrogateConfig, TrainingSet, Tuned, held_out};
use serde::{Deserialize, Serialize};

/// Half-width of a 90 % interval of a normal distribution, in standard deviations.
const NINETY: f64 = 1.644_853_626_951_472_2;

/// Standard errors that the best of one, two, three … families exceeds for one table of noise in twenty, `Φ⁻¹(1 − 0.05/m)`.
const SIGNIFICANT: [f64; 8] = [NINETY, 1.960, 2.128, 2.241, 2.326, 2.394, 2.450, 2.498];

/// Measured sequences below which networks are not tried.
const FEW: usize = 200;

/// Letters by which a site may be moved either way.
const SHIFTS: usize = 2;

/// λ of the regressions.
const RIDGE: f64 = 1.0;

/// How a family of models is fitted, and about how many multiply-adds that takes.
#[derive(Clone, Copy, Debug)]
pub struct Fit {
    /// Fits one to all of a set.
    pub fit: fn(&TrainingSet, Seed, &Pool) -> Result<Fitted>,
    /// Multiply-adds of a fit to a set; nothing where the family is not meant for it.
    pub cost: fn(&TrainingSet) -> Option<f64>,
}

registry! {
    /// The families of models that are fitted to measured tables.
    pub FAMILIES: Fit, "table model", "table models";
    "gp" => Fit { fit: process, cost: process_cost },
        "Gaussian process on differing letters; length, noise and amplitude by the evidence";
    "gp-shifts" => Fit { fit: shifted_process, cost: shifted_process_cost },
        "the same for DNA and RNA, where a molecule may be read from both strands and a site may start some letters earlier or later";
    "linear" => Fit { fit: letters, cost: |set| Some(regression_cost(set, LinearFeatures::Letters)) },
        "ridge regression on letters: effects of mutations add up";
    "pairs" => Fit { fit: pairs, cost: |set| Some(regression_cost(set, LinearFeatures::Pairs)) },
        "ridge regression on letters and on pairs of them";
    "networks" => Fit { fit: networks, cost: networks_cost },
        "convolutional networks that differ in their initial weights";
}

/// What cross-validation says of one family.
///
/// The set is cut into folds; each fold is predicted by a model that was fitted to the others.
///
/// ```text
/// z = ρ √(n − 1)                    ρ the rank correlation of all predictions and values; about normal where nothing can be predicted
/// inflation = q₀.₉(|y − mean|/sd) / 1.645      what makes 90 % intervals hold 90 % of the values
/// ```
/// Predictions of folds are a little against the values where there is nothing to learn (a fold of low values leaves a high mean), so
/// that z errs on the careful side.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Support {
    /// Folds.
    pub folds: usize,
    /// Figures of the predictions, with their spread as the models give it.
    pub held_out: HeldOut,
    /// Standard errors that the rank correlation is above 0.
    pub z: f64,
    /// The error of predicting the mean of the other folds.
    pub rmse_of_mean: f64,
    /// What standard deviations have to be multiplied by.
    pub inflation: f64,
    /// Predicted and measured values.
    #[serde(skip)]
    pub points: Vec<(f64, f64)>,
}

/// Whether a rank correlation is too high for chance where it is the best of so many families: one table of noise in twenty gets
/// there (Bonferroni).
///
/// ```
/// use seqtilt::oracle::is_significant;
/// assert!(is_significant(2.0, 1) && !is_significant(2.0, 3));
/// ```
#[must_use]
pub fn is_significant(z: f64, tried: usize) -> bool {
    z > SIGNIFICANT[tried.clamp(1, SIGNIFICANT.len()) - 1]
}

/// One family and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// The family, one of [`FAMILIES`].
    pub family: String,
    /// What was found, where it was tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub support: Option<Support>,
    /// Why it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub untried: Option<String>,
}

/// Cross-validates every family of [`FAMILIES`] that takes at most `budget` multiply-adds a fit.
///
/// ```
/// use seqtilt::{data::Landscape, nn::Pool, oracle::{best, trials}, reward::TrainingSet, sequence::Alphabet, Seed};
/// // 64 words of which every letter has its own effect
/// let words = Landscape::new(Alphabet::dna(), 3, (0..64).map(|i| f64::from(i % 4 + i / 16)).collect())?;
/// let set = TrainingSet::new(Alphabet::dna(), (0..64).map(|i| (words.sequence(i), words.values()[i])))?;
/// let found = trials(&set, 5, 1e9, Seed::root(0), Pool::inline())?;
/// let linear = found.iter().find(|trial| trial.family == "linear").and_then(|trial| trial.support.as_ref()).unwrap();
/// assert!(linear.held_out.spearman.unwrap() > 0.95 && linear.z > 6.0);
/// assert!(best(&found).unwrap().support.is_some());
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Errors
/// When the set is too small for its folds, or a fit fails.
///
/// # Cost
/// `folds` fits of each family.
pub fn trials(set: &TrainingSet, folds: usize, budget: f64, seed: Seed, pool: &Pool) -> Result<Vec<Trial>> {
    let trial = |name: &'static str| -> Result<Trial> {
        let mut trial = Trial { family: name.to_owned(), support: None, untried: None };
        match (FAMILIES.get(name)?.make.cost)(set) {
            None => trial.untried = Some("not meant for such a table".to_owned()),
            Some(cost) if cost > budget => {
                trial.untried = Some(format!("a fit takes {cost:.0e} multiply-adds, above {budget:.0e}"));
            }
            Some(_) => trial.support = Some(cross_validate(set, name, folds, seed, pool)?),
        }
        Ok(trial)
    };
    FAMILIES.names().map(trial).collect()
}

/// The trial with the highest rank correlation; the first of equals.
#[must_use]
pub fn best(trials: &[Trial]) -> Option<&Trial> {
    let rank = |trial: &Trial| trial.support.as_ref().map(|support| support.held_out.spearman.unwrap_or(-1.0));
    let higher = |best: &'_ Trial, next: &Trial| rank(next) > rank(best);
    trials
        .iter()
        .filter(|trial| trial.support.is_some())
        .reduce(|best, next| if higher(best, next) { next } else { best })
}

/// Cross-validates one family.
///
/// # Errors
/// As [`trials`], and when there is no such family.
pub fn cross_validate(set: &TrainingSet, family: &str, folds: usize, seed: Seed, pool: &Pool) -> Result<Support> {
    let fit = FAMILIES.get(family)?.make.fit;
    let (mut predictions, mut values, mut errors) = (Vec::new(), Vec::new(), 0.0);
    for (index, (held, rest)) in set.folds(folds, seed.child("folds"))?.into_iter().enumerate() {
        let mut model = fit(&rest, seed.child(family).index(index as u64), pool)?;
        let centre = rest.values().iter().sum::<f64>() / rest.len() as f64;
        for (outcome, value) in model.evaluate(held.sequences())?.iter().zip(held.values()) {
            let mean = outcome.value().ok_or_else(|| Error::data("the model has no value for a held-out sequence"))?;
            predictions.push(Prediction { mean, sd: outcome.sd() });
            values.push(*value);
            errors += (value - centre).powi(2);
        }
    }
    let figures = held_out(&predictions, &values)?;
    let ratio = |(p, value): (&Prediction, &f64)| Some((value - p.mean).abs() / p.sd.filter(|sd| *sd > 0.0)?);
    let mut ratios: Vec<f64> = predictions.iter().zip(&values).filter_map(ratio).collect();
    ratios.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    Ok(Support {
        folds,
        z: figures.spearman.unwrap_or(0.0) * (n - 1.0).sqrt(),
        rmse_of_mean: (errors / n).sqrt(),
        inflation: (quantile(&ratios, 0.9) / NINETY).clamp(0.1, 1000.0),
        points: predictions.iter().map(|p| p.mean).zip(values).collect(),
        held_out: figures,
    })
}

/// A Gram matrix of the features, its factor and the inverse of that.
fn regression_cost(set: &TrainingSet, features: LinearFeatures) -> f64 {
    let count = features.count(set) as f64;
    set.len() as f64 * count * count + count.powi(3)
}

/// All settings by the evidence.
fn settings() -> SurrogateConfig {
    let auto = Tuned::Auto;
    SurrogateConfig { length_scale: auto, noise: auto, amplitude: auto, shift_decay: auto, ..Default::default() }
}

fn process(set: &TrainingSet, _: Seed, _: &Pool) -> Result<Fitted> {
    Fitted::gaussian_process("gp", set, &settings())
}

/// The evidence is looked up some forty times.
fn process_cost(set: &TrainingSet) -> Option<f64> {
    let (all, some) = (set.len() as f64, set.len().min(600) as f64);
    (set.len() <= 4000).then(|| all.powi(3) + 40.0 * some.powi(3))
}

fn shifted_process(set: &TrainingSet, _: Seed, _: &Pool) -> Result<Fitted> {
    Fitted::gaussian_process("gp-shifts", set, &SurrogateConfig { both_strands: true, shifts: SHIFTS, ..settings() })
}

/// Covariances of all pairs of views, which compare bits, besides the factors.
fn shifted_process_cost(set: &TrainingSet) -> Option<f64> {
    let domain = set.domain();
    // the other strand of a shorter sequence does not begin where padding ends
    let stranded = matches!(domain.alphabet.name(), "dna" | "rna") && domain.alphabet.padding().is_none();
    let some = set.len().min(600) as f64;
    let views = 0.1 * (2.0 * (2.0 * SHIFTS as f64 + 1.0)).powi(2) * domain.length as f64;
    (stranded && domain.length > 2 * SHIFTS)
        .then_some(process_cost(set)? + views * ((set.len() as f64).powi(2) + 40.0 * some * some))
}

fn letters(set: &TrainingSet, _: Seed, _: &Pool) -> Result<Fitted> {
    Fitted::linear("linear", set, LinearFeatures::Letters, RIDGE)
}

fn pairs(set: &TrainingSet, _: Seed, _: &Pool) -> Result<Fitted> {
    Fitted::linear("pairs", set, LinearFeatures::Pairs, RIDGE)
}

fn networks(set: &TrainingSet, seed: Seed, pool: &Pool) -> Result<Fitted> {
    Fitted::networks("networks", set, &SurrogateConfig::default(), seed, pool)
}

/// Two convolutions of 32 channels and five letters, forward and backward.
fn networks_cost(set: &TrainingSet) -> Option<f64> {
    let config = SurrogateConfig::default();
    let rows = config.members as f64 * config.steps as f64 * config.batch as f64;
    let site = 5.0 * 32.0 * (set.domain().alphabet.len() + 64) as f64;
    (set.len() >= FEW).then_some(3.0 * rows * set.domain().length as f64 * site)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::{Alphabet, Sequence};

    /// Random words of eight letters whose values are the count of A plus noise.
    fn set(n: usize, signal: f64) -> TrainingSet {
        let (dna, mut rng) = (Alphabet::dna(), Seed::root(8).rng());
        let pairs: Vec<(Sequence, f64)> = (0..n)
            .map(|_| {
                let ids: Vec<u8> = (0..8).map(|_| rng.below(4) as u8).collect();
                let count: f64 = ids.iter().map(|id| f64::from(u8::from(*id == 0))).sum();
                (Sequence::from_ids(ids, &dna).unwrap(), signal * count + rng.normal())
            })
            .collect();
        TrainingSet::new(dna, pairs).unwrap()
    }

    #[test]
    fn effects_are_found_and_noise_is_not() {
        for (signal, expected) in [(1.0, true), (0.0, false)] {
            let found = trials(&set(60, signal), 5, 1e9, Seed::root(1), Pool::inline()).unwrap();
            let best = best(&found).unwrap().support.as_ref().unwrap();
            assert_eq!(is_significant(best.z, 4), expected, "{} at signal {signal}", best.z);
            // the count of A in eight letters has variance 1.5: a rank correlation of √(1.5/2.5) = .77 at best
            assert!(best.held_out.spearman.unwrap() < 0.85);
            let names: Vec<_> = found.iter().filter(|trial| trial.support.is_none()).map(|t| &t.family).collect();
            assert_eq!(names, ["networks"], "60 sequences are too few for them");
        }
    }

    #[test]
    fn inflated_intervals_hold_nine_values_of_ten() {
        let support = cross_validate(&set(300, 1.0), "linear", 5, Seed::root(2), Pool::inline()).unwrap();
        // the posterior of weights leaves out the noise of a label, which is most of the error here
        assert!(support.inflation > 2.0 && support.held_out.coverage.unwrap() < 0.7, "{support:?}");
        assert!(support.held_out.rmse < support.rmse_of_mean);
        assert_eq!(support.points.len(), support.held_out.n);
        // on words of another draw they hold nearly as many, 0.86: a fit to all has deviations √0.8 of those of a fit to four fifths, and
        // the errors are the noise of labels; two standard errors of 300 are 0.04
        let (all, mut rng) = (set(300, 1.0), Seed::root(99).rng());
        let mut model = letters(&all, Seed::root(0), Pool::inline()).unwrap().calibrated(support.inflation);
        let words: Vec<Sequence> = (0..300)
            .map(|_| {
                Sequence::from_ids((0..8).map(|_| rng.below(4) as u8).collect::<Vec<_>>(), &Alphabet::dna()).unwrap()
            })
            .collect();
        let outcomes = model.evaluate(&words).unwrap();
        let inside = outcomes.iter().zip(&words).filter(|(outcome, word)| {
            let count: f64 = word.ids().iter().map(|id| f64::from(u8::from(*id == 0))).sum();
            let value = count + rng.normal();
            (value - outcome.value().unwrap()).abs() <= NINETY * outcome.sd().unwrap()
        });
        let share = inside.count() as f64 / 300.0;
        assert!((share - 0.86).abs() < 0.06, "{share}");
    }

    #[test]
    fn what_costs_too_much_is_named() {
        let found = trials(&set(30, 1.0), 5, 1e5, Seed::root(1), Pool::inline()).unwrap();
        assert!(found.iter().all(|trial| trial.support.is_none() == trial.untried.is_some()));
        let pairs = found.iter().find(|trial| trial.family == "pairs").unwrap();
        assert!(pairs.untried.as_ref().unwrap().contains("multiply-adds"), "{pairs:?}");
        assert_eq!(
            cross_validate(&set(30, 1.0), "tree", 5, Seed::root(1), Pool::inline()).unwrap_err().kind(),
            crate::Kind::Usage
        );
    }
}
