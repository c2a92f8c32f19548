//! Models of a black box, learned from its labels.

mod config;
pub(crate) mod dense;
mod gp;
mod linear;
mod networks;
mod tuned;

pub use config::{FitSurrogate, SURROGATES, SurrogateConfig};
pub use gp::GaussianProcess;
pub use linear::{LinearFeatures, LinearUcb};
pub use networks::Networks;
pub use tuned::Tuned;

use super::{Acquisition, Domain, Prediction, Reward, Score};
use crate::error::{Error, Result};
use crate::nn::read;
use crate::random::Seed;
use crate::sequence::Sequence;
use candle_core::{Device, Tensor};

/// A model of a black box, fitted to its labels: what it expects, and how sure it is.
pub trait Surrogate: Send + Sync {
    /// Alphabet and length of what it reads.
    fn domain(&self) -> &Domain;

    /// Mean and standard deviation of sequences, in the units of the labels.
    ///
    /// # Errors
    /// When a sequence has another length or alphabet.
    fn predict(&self, sequences: &[Sequence]) -> Result<Vec<Prediction>>;

    /// The acquisition of relaxed sequences (B, L, V), (B,), with a gradient; `draw` is the seed of what
    /// [`Acquisition::Thompson`] draws, the same function at every call.
    ///
    /// # Errors
    /// When the shape does not fit, or the model does not know the acquisition.
    fn acquire(&self, probs: &Tensor, acquisition: Acquisition, draw: Seed) -> Result<Tensor>;

    /// The acquisition of sequences, without a gradient; a model that is faster there than at relaxed letters says so here.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire).
    fn score(&self, sequences: &[Sequence], acquisition: Acquisition, draw: Seed) -> Result<Vec<f64>> {
        let batch = |batch: &[Sequence]| -> Result<Vec<f64>> {
            let vertices = self.domain().one_hot(batch, &Device::Cpu)?;
            Ok(read(&[&self.acquire(&vertices, acquisition, draw)?])?.remove(0))
        };
        Ok(sequences.chunks(BATCH).map(batch).collect::<Result<Vec<_>>>()?.concat())
    }
}

/// A surrogate seen through an acquisition: what a search climbs.
pub struct Acquired<'a> {
    name: String,
    surrogate: &'a dyn Surrogate,
    acquisition: Acquisition,
    draw: Seed,
}

impl<'a> Acquired<'a> {
    /// The acquisition of a surrogate; `draw` is what a Thompson draw comes from.
    #[must_use]
    pub fn new(surrogate: &'a dyn Surrogate, acquisition: Acquisition, draw: Seed) -> Self {
        Self { name: acquisition.to_string(), surrogate, acquisition, draw }
    }
}

impl Reward for Acquired<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn reward(&self, probs: &Tensor) -> Result<Tensor> {
        self.surrogate.acquire(probs, self.acquisition, self.draw)
    }
}

/// Sequences scored at a time.
const BATCH: usize = 1024;

impl Score for Acquired<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn scores(&self, sequences: &[Sequence]) -> Result<Vec<f64>> {
        self.surrogate.score(sequences, self.acquisition, self.draw)
    }
}

/// Checks length and letters of what a surrogate is asked about.
fn check_sequences(domain: &Domain, sequences: &[Sequence]) -> Result<()> {
    sequences.iter().try_for_each(|sequence| domain.check(sequence))
}

/// The error for an acquisition that a kind of surrogate does not know.
fn unknown_acquisition(kind: &str, acquisition: Acquisition, accepted: &str) -> Error {
    Error::usage(format!("surrogate `{kind}` does not know the acquisition `{acquisition}`; accepted: {accepted}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::Alphabet;

    /// Expects the number of Cs, and is unsure of the As.
    struct Counts(Domain);

    impl Surrogate for Counts {
        fn domain(&self) -> &Domain {
            &self.0
        }

        fn predict(&self, sequences: &[Sequence]) -> Result<Vec<Prediction>> {
            let count = |x: &Sequence, id| x.ids().iter().map(|letter| f64::from(u8::from(*letter == id))).sum();
            Ok(sequences.iter().map(|x| Prediction { mean: count(x, 1), sd: Some(count(x, 0)) }).collect())
        }

        fn acquire(&self, probs: &Tensor, acquisition: Acquisition, _: Seed) -> Result<Tensor> {
            let letter = |id| -> Result<Tensor> { Ok(probs.narrow(2, id, 1)?.flatten_from(1)?.sum(1)?) };
            match acquisition {
                Acquisition::Ucb { bonus } => Ok((letter(1)? + (letter(0)? * bonus)?)?),
                _ => letter(1),
            }
        }
    }

    #[test]
    fn an_acquisition_scores_sequences_as_it_scores_their_vertices() {
        let dna = Alphabet::dna();
        let counts = Counts(Domain { alphabet: dna.clone(), length: 3 });
        let set: Vec<_> = ["ACC", "AAG", "TTT"].iter().map(|text| Sequence::parse(text, &dna).unwrap()).collect();
        let bound = Acquired::new(&counts, Acquisition::Ucb { bonus: 0.5 }, Seed::root(0));
        assert_eq!(bound.scores(&set).unwrap(), [2.5, 1.0, 0.0]);
        assert_eq!(Score::name(&bound), "ucb:0.5");
        let sums = counts.predict(&set).unwrap();
        assert_eq!(sums.iter().map(|p| p.mean + 0.5 * p.sd.unwrap()).collect::<Vec<_>>(), [2.5, 1.0, 0.0]);
    }
}
