//! Whether what was expected came true, one round ahead.

use super::Evaluation;
use crate::eval::rank::{rmse, spearman};
use serde::{Deserialize, Serialize};

/// Expected against measured values of one batch, which the expectation had not seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Foresight {
    /// Sequences with an expectation and a value.
    pub n: usize,
    /// Rank correlation; none where all are alike.
    pub spearman: Option<f64>,
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Mean of expected less measured: above 0, too much was hoped for.
    pub optimism: f64,
    /// Share of values within two standard deviations of what was expected, .954 if those are right; none without any.
    pub covered: Option<f64>,
}

impl Foresight {
    /// Of a batch; none where nothing has both.
    #[must_use]
    pub fn of<'a>(batch: impl IntoIterator<Item = &'a Evaluation>) -> Option<Self> {
        let pairs = batch.into_iter().filter_map(|e| Some((e.pick.expected.as_ref()?, e.outcome.value()?)));
        let (mut expected, mut measured, mut inside, mut with_sd) = (Vec::new(), Vec::new(), 0_u32, 0_u32);
        for (prediction, value) in pairs {
            expected.push(prediction.mean);
            measured.push(value);
            if let Some(sd) = prediction.sd {
                with_sd += 1;
                inside += u32::from((value - prediction.mean).abs() <= 2.0 * sd);
            }
        }
        let n = measured.len();
        let optimism = expected.iter().zip(&measured).map(|(e, m)| e - m).sum::<f64>() / n as f64;
        Some(Self {
            n,
            spearman: spearman(&expected, &measured),
            rmse: rmse(&expected, &measured)?,
            optimism,
            covered: (with_sd > 0).then(|| f64::from(inside) / f64::from(with_sd)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::campaign::Pick;
    use crate::oracle::Outcome;
    use crate::reward::Prediction;
    use crate::sequence::{Alphabet, Sequence};

    #[test]
    fn failures_say_nothing_about_an_expectation() {
        let sequence = Sequence::parse("A", &Alphabet::dna()).unwrap();
        let evaluation = |mean, sd, outcome| Evaluation {
            pick: Pick { sequence: sequence.clone(), expected: Some(Prediction { mean, sd }), reason: String::new() },
            round: 1,
            outcome,
        };
        let failed = Outcome::Failed { reason: "lost".to_owned() };
        let batch = [
            evaluation(1.0, Some(0.25), Outcome::exact(0.5)),
            evaluation(2.0, Some(0.1), Outcome::exact(1.0)),
            evaluation(3.0, None, Outcome::exact(3.0)),
            evaluation(9.0, Some(0.1), failed),
        ];
        let seen = Foresight::of(&batch).unwrap();
        assert_eq!((seen.n, seen.spearman, seen.covered, seen.optimism), (3, Some(1.0), Some(0.5), 0.5));
        assert!((seen.rmse - (1.25_f64 / 3.0).sqrt()).abs() < 1e-15);
        assert_eq!(Foresight::of(&batch[3..]), None);
    }
}
