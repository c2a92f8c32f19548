//! What designs are to be good for besides the reward.

use crate::error::{Error, Result};
use crate::eval::calibration::normal_quantile;
use crate::eval::pareto::layers;
use crate::oracle::{Oracle, OracleName, OracleOptions, Outcome};
use crate::sequence::Sequence;
use std::cmp::Ordering;

/// The name by which requirements speak of the reward.
const REWARD: &str = "reward";

/// Names that columns of designs have already.
const TAKEN: [&str; 4] = [REWARD, "predicted", "judge", "measured"];

/// A mean and its standard deviation, where they are known.
pub(super) type Figure = (Option<f64>, Option<f64>);

/// An oracle with a name of its own.
pub(super) struct Goal {
    pub(super) name: String,
    oracle: Box<dyn Oracle>,
}

impl Goal {
    /// `NAME=KIND:ARGUMENT`, opened.
    ///
    /// # Errors
    /// When it is not of this form, or the oracle cannot be opened.
    pub(super) fn open(text: &str, options: &OracleOptions) -> Result<Self> {
        let parts = text.split_once('=').filter(|(name, _)| is_name(name) && !TAKEN.contains(name));
        let Some((name, oracle)) = parts else {
            return Err(Error::usage(format!(
                "`{text}` is no goal; `NAME=KIND:ARGUMENT` is accepted, with a name other than `{}`",
                TAKEN.join("`, `")
            ))
            .hint("for example --goal stability=model:stability"));
        };
        Ok(Self { name: name.to_owned(), oracle: oracle.parse::<OracleName>()?.open(options)? })
    }

    /// What it takes.
    pub(super) fn info(&self) -> &crate::oracle::OracleInfo {
        self.oracle.info()
    }

    /// Its values.
    ///
    /// # Errors
    /// When the oracle fails.
    pub(super) fn figures(&mut self, sequences: &[Sequence]) -> Result<Vec<Figure>> {
        Ok(self.oracle.evaluate(sequences)?.iter().map(|outcome: &Outcome| (outcome.value(), outcome.sd())).collect())
    }
}

/// A bound that a value keeps with a probability.
///
/// ```text
/// P(value ≥ bound) = Φ((mean − bound)/sd) ≥ p       a value without a deviation is certain
/// ```
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Requirement {
    pub(super) text: String,
    name: String,
    /// Whether the value is to lie below.
    below: bool,
    bound: f64,
    probability: f64,
}

impl Requirement {
    /// `NAME>=BOUND` or `NAME<=BOUND`, and `@P` with a probability.
    ///
    /// # Errors
    /// When it is not of this form.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong = || {
            Error::usage(format!(
                "`{text}` is no requirement; `NAME>=BOUND` or `NAME<=BOUND`, with `@P` for a probability, is accepted"
            ))
            .hint("for example --require 'reward>=0.8@0.9'")
        };
        let (below, (name, rest)) = match (text.split_once(">="), text.split_once("<=")) {
            (Some(parts), None) => (false, parts),
            (None, Some(parts)) => (true, parts),
            _ => return Err(wrong()),
        };
        let (bound, probability) = rest.split_once('@').map_or((rest, "0.5"), |(bound, p)| (bound, p));
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let (Some(bound), Some(probability)) = (number(bound), number(probability)) else { return Err(wrong()) };
        if !is_name(name.trim()) {
            return Err(wrong());
        }
        if !(probability > 0.0 && probability < 1.0) {
            return Err(Error::usage(format!(
                "`{text}` has probability {probability}; above 0 and below 1 is accepted"
            )));
        }
        Ok(Self { text: text.to_owned(), name: name.trim().to_owned(), below, bound, probability })
    }

    /// Which value it speaks of: the reward for nothing, or a goal by its place.
    ///
    /// # Errors
    /// When there is no such goal.
    pub(super) fn of(&self, goals: &[Goal]) -> Result<Option<usize>> {
        if self.name == REWARD {
            return Ok(None);
        }
        let place = goals.iter().position(|goal| goal.name == self.name);
        place.map(Some).ok_or_else(|| {
            let names = goals.iter().map(|goal| goal.name.as_str()).chain([REWARD]);
            crate::registry::unknown("value in `--require`", &self.name, names)
        })
    }

    /// Whether a value keeps it; one that is not known does not.
    pub(super) fn holds(&self, (mean, sd): Figure) -> bool {
        let sign = if self.below { -1.0 } else { 1.0 };
        mean.is_some_and(|mean| sign * (mean - self.bound) >= normal_quantile(self.probability) * sd.unwrap_or(0.0))
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c))
}

/// Layers of trade-offs between a score and the goals, and a score that puts earlier layers first.
pub(super) fn by_layers(score: &[f64], goals: &[Vec<Figure>]) -> (Vec<usize>, Vec<f64>) {
    let point = |index: usize| -> Vec<f64> {
        let others = goals.iter().map(|goal| goal[index].0.unwrap_or(f64::NAN));
        std::iter::once(score[index]).chain(others).collect()
    };
    let layers = layers(&(0..score.len()).map(point).collect::<Vec<_>>());
    let mut order: Vec<usize> = (0..score.len()).collect();
    let better = |a: &usize, b: &usize| -> Ordering {
        layers[*a].cmp(&layers[*b]).then(score[*b].total_cmp(&score[*a])).then(a.cmp(b))
    };
    order.sort_by(better);
    let mut place = vec![0.0; score.len()];
    for (rank, index) in order.into_iter().enumerate() {
        place[index] = -(rank as f64);
    }
    (layers, place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_move_the_bound_by_deviations() {
        let ask = |text: &str| Requirement::parse(text).unwrap();
        // Φ⁻¹(0.9) = 1.2816
        let rule = ask("reward>=1@0.9");
        assert!(rule.holds((Some(1.13), Some(0.1))) && !rule.holds((Some(1.12), Some(0.1))));
        assert!(rule.holds((Some(1.0), None)) && !rule.holds((None, Some(0.1))));
        let rule = ask("toxicity<=2");
        assert!(rule.holds((Some(2.0), Some(5.0))) && !rule.holds((Some(2.1), Some(5.0))));
        for wrong in ["reward", "reward>1", "reward>=x", ">=1", "reward>=1@2", "a>=1<=2"] {
            assert_eq!(Requirement::parse(wrong).unwrap_err().kind(), crate::Kind::Usage, "{wrong}");
        }
        assert!(Requirement::parse("gc>=1").unwrap().of(&[]).unwrap_err().message().contains("`gc`"));
    }

    #[test]
    fn earlier_layers_come_first_and_better_scores_within() {
        let known = |values: [f64; 4]| values.map(|value| (Some(value), None)).to_vec();
        let (layers, place) = by_layers(&[1.0, 2.0, 1.5, 0.5], &[known([3.0, 1.0, 0.5, 3.0])]);
        assert_eq!(layers, [0, 0, 1, 1]);
        assert_eq!(place, [-1.0, 0.0, -2.0, -3.0]);
    }
}
