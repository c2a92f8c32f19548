//! A trained reward as an oracle.

use super::{Oracle, OracleInfo, Outcome};
use crate::error::Result;
use crate::reward::Ensemble;
use crate::sequence::Sequence;

/// What an ensemble predicts: mean and standard deviation over its members.
///
/// A sequence of another length is [`Outcome::Infeasible`].
#[derive(Clone, Debug)]
pub struct Model {
    info: OracleInfo,
    ensemble: Ensemble,
}

impl Model {
    /// The predictions of an ensemble, which keeps its name.
    #[must_use]
    pub fn new(ensemble: Ensemble) -> Self {
        let domain = ensemble.domain();
        let info = OracleInfo {
            name: crate::reward::Reward::name(&ensemble).to_owned(),
            fingerprint: ensemble.fingerprint().to_owned(),
            alphabet: domain.alphabet.plain(),
            length: domain.lengths(),
            deterministic: true,
            has_gradient: true,
        };
        Self { info, ensemble }
    }

    /// The ensemble.
    #[must_use]
    pub fn ensemble(&self) -> &Ensemble {
        &self.ensemble
    }
}

impl Oracle for Model {
    fn info(&self) -> &OracleInfo {
        &self.info
    }

    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
        for sequence in batch {
            self.info.check_letters(sequence)?;
        }
        let domain = self.ensemble.domain();
        let fitting: Vec<Sequence> = batch.iter().filter(|sequence| domain.takes(sequence)).cloned().collect();
        let mut predictions = self.ensemble.predict(&fitting)?.into_iter();
        let outcome = |sequence: &Sequence| match domain.takes(sequence).then(|| predictions.next()).flatten() {
            Some(prediction) => Outcome::Value { mean: prediction.mean, sd: prediction.sd },
            None => Outcome::Infeasible {
                reason: format!("{} letters; the model reads {}", sequence.len(), self.info.lengths()),
            },
        };
        Ok(batch.iter().map(outcome).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Pool;
    use crate::observe::Silent;
    use crate::random::Seed;
    use crate::reward::{EnsembleConfig, TrainConfig, Trainer, TrainingSet};
    use crate::sequence::Alphabet;

    #[test]
    fn predictions_keep_their_place_beside_sequences_that_do_not_fit() {
        let dna = Alphabet::dna();
        let word = |text: &str| Sequence::parse(text, &dna).unwrap();
        let set = TrainingSet::new(dna.clone(), [(word("ACG"), 1.0), (word("TTT"), 2.0)]).unwrap();
        let pool = Pool::new(1).unwrap();
        let trainer = Trainer { seed: Seed::root(1), pool: &pool, run: None, observer: &mut Silent };
        let config = TrainConfig { epochs: 1, ..TrainConfig::default() };
        let ensemble = trainer.train("toy", &set, &EnsembleConfig { members: 2, ..EnsembleConfig::default() }, &config);
        let mut model = Model::new(ensemble.unwrap());
        let outcomes = model.evaluate(&[word("AC"), word("ACG"), word("ACGT"), word("TTT")]).unwrap();
        let alone = model.evaluate(&[word("TTT")]).unwrap();
        assert_eq!(outcomes[0].reason(), Some("2 letters; the model reads 3"));
        assert_eq!(outcomes[2].status(), "infeasible");
        assert!((outcomes[3].value().unwrap() - alone[0].value().unwrap()).abs() < 1e-6);
        assert!(outcomes[1].sd().unwrap() > 0.0);
        assert!(model.evaluate(&[Sequence::parse("WWW", &Alphabet::protein()).unwrap()]).is_err());
    }
}
