//! Ehrlich functions: closed-form landscapes with motifs, feasibility and a known optimum.

mod file;
mod generate;
#[cfg(test)]
mod tests;

pub use generate::EhrlichShape;

use super::{Oracle, OracleInfo, OracleOptions, Outcome, option};
use crate::error::{Error, Result};
use crate::random::{Rng, Seed};
use crate::registry::unknown;
use crate::reward::Reward;
use crate::sequence::{Alphabet, Sequence};
use crate::store::Sha256;
use std::path::Path;

/// The greatest epistasis: above it two factors below 0 make a product above 1.
const EPISTASIS: f64 = 4.0;

/// Letters at distances from a place of its own choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpacedMotif {
    /// Token ids.
    pub letters: Vec<u8>,
    /// Distance of each from the first, which is 0; they rise.
    pub offsets: Vec<usize>,
}

impl SpacedMotif {
    /// Letters from its first to its last position.
    #[must_use]
    pub fn span(&self) -> usize {
        self.offsets.last().map_or(0, |last| last + 1)
    }

    /// The most letters that are in place at once.
    fn present(&self, ids: &[u8]) -> usize {
        let at = |start: &[u8]| self.letters.iter().zip(&self.offsets).filter(|(a, s)| start[**s] == **a).count();
        ids.windows(self.span()).map(at).max().unwrap_or(0)
    }
}

/// An Ehrlich function.
///
/// ```text
/// f(x) = Π_i g(q_i(x))  where no transition x_j → x_{j+1} is banned, else infeasible
/// q_i(x) = max_l ⌊Σ_j 1(x_{l + s_ij} = a_ij) / w⌋ w/k,  w = ⌈k/q⌉
/// g(q) = q (1 + e q (q − 1))
/// ```
/// c motifs a_i of k letters at distances s_ij, of which the best place l counts; q the quantisation, e the epistasis, 0 to 4. The
/// greatest value is 1, and there is a sequence that has it. Stanton et al. 2024, arXiv 2407.00236; values and feasibility are those
/// of their pytorch-holo 0.0.5 for the same motifs, distances and banned transitions, which a file holds (`ehrlich:FILE`).
/// [`generate`](Self::generate) makes functions of its own by their procedure.
///
/// The letters of a generated function are `A` to `Z`, then `0` to `9`.
///
/// ```
/// use seqtilt::oracle::{Ehrlich, EhrlichShape, Oracle, Outcome};
/// use seqtilt::Seed;
/// let mut function = Ehrlich::generate(&EhrlichShape::default(), Seed::root(0))?;
/// let (initial, optimum) = (function.initial().clone(), function.optimum()?);
/// let outcomes = function.evaluate(&[initial, optimum])?;
/// assert_eq!(outcomes[1], Outcome::exact(1.0));
/// assert!(outcomes[0].value().unwrap() < 1.0);
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Cost
/// c L k comparisons a sequence.
#[derive(Clone, Debug)]
pub struct Ehrlich {
    info: OracleInfo,
    motifs: Vec<SpacedMotif>,
    /// (V, V), row by row: whether a letter may not be followed by another.
    banned: Vec<bool>,
    quantisation: usize,
    epistasis: f64,
    initial: Sequence,
    source: String,
}

impl Ehrlich {
    /// From its parts, checked.
    fn new(
        alphabet: Alphabet,
        (motifs, banned): (Vec<SpacedMotif>, Vec<bool>),
        (quantisation, epistasis): (usize, f64),
        initial: Sequence,
        source: String,
    ) -> Result<Self> {
        let (length, count) = (initial.len(), motifs.len());
        let k = motifs.first().map_or(0, |motif| motif.letters.len());
        if k == 0 || motifs.iter().any(|motif| motif.letters.len() != k) {
            return Err(Error::data("motifs of different lengths, or none; one or more of one length are accepted"));
        }
        if !(1..=k).contains(&quantisation) || !k.is_multiple_of(k.div_ceil(quantisation)) {
            let accepted = (1..=k).filter(|q| k.is_multiple_of(k.div_ceil(*q))).map(|q| q.to_string());
            let accepted = accepted.collect::<Vec<_>>().join(", ");
            return Err(Error::usage(format!(
                "`quantisation` is {quantisation} for motifs of {k} letters; {accepted} are accepted"
            ))
            .hint("with others no sequence has the value 1"));
        }
        if !(0.0..=EPISTASIS).contains(&epistasis) {
            return Err(Error::usage(format!("`epistasis` is {epistasis}; 0 to {EPISTASIS} is accepted")));
        }
        let spans: usize = motifs.iter().map(SpacedMotif::span).sum();
        if spans > length {
            return Err(Error::data(format!(
                "the motifs span {spans} letters one after another; {length} do not hold them"
            )));
        }
        let mut function = Self {
            info: OracleInfo {
                name: format!("ehrlich-{length}-{count}-{k}-{quantisation}"),
                fingerprint: String::new(),
                alphabet,
                length: (length, length),
                deterministic: true,
                has_gradient: false,
            },
            motifs,
            banned,
            quantisation,
            epistasis,
            initial,
            source,
        };
        let mut hash = Sha256::default();
        hash.update(function.canonical()?.as_bytes());
        function.info.fingerprint = format!("sha256:{}", hash.hex());
        if let Some(at) = function.broken(&function.initial) {
            let reason = function.reason(&function.initial, at);
            return Err(Error::data(format!("the initial solution is infeasible: {reason}")));
        }
        function.optimum()?;
        Ok(function)
    }

    /// The motifs.
    #[must_use]
    pub fn motifs(&self) -> &[SpacedMotif] {
        &self.motifs
    }

    /// Whether letter `from` may not be followed by letter `to`.
    #[must_use]
    pub fn is_banned(&self, from: u8, to: u8) -> bool {
        self.banned[usize::from(from) * self.info.alphabet.len() + usize::from(to)]
    }

    /// A feasible sequence to start from.
    #[must_use]
    pub fn initial(&self) -> &Sequence {
        &self.initial
    }

    /// A sequence of value 1: the motifs one after another, every gap filled with the letter before it.
    ///
    /// # Errors
    /// When that sequence is infeasible, which is so for no function that was generated.
    pub fn optimum(&self) -> Result<Sequence> {
        let mut ids: Vec<u8> = Vec::with_capacity(self.initial.len());
        for motif in &self.motifs {
            let ends = motif.offsets.iter().skip(1).copied().chain([motif.span()]);
            for ((letter, from), to) in motif.letters.iter().zip(&motif.offsets).zip(ends) {
                ids.extend(std::iter::repeat_n(*letter, to - from));
            }
        }
        let last = ids.last().copied().unwrap_or(0);
        ids.resize(self.initial.len(), last);
        let optimum = Sequence::from_ids(ids, &self.info.alphabet)?;
        match self.broken(&optimum) {
            None => Ok(optimum),
            Some(at) => {
                Err(Error::data(format!("the motifs cannot stand one after another: {}", self.reason(&optimum, at))))
            }
        }
    }

    /// A feasible sequence: the first letter uniformly, every further one uniformly among those allowed after the last.
    ///
    /// # Errors
    /// When a letter may be followed by none.
    pub fn walk(&self, rng: &mut Rng) -> Result<Sequence> {
        let letters = self.info.alphabet.len() as u8;
        let mut ids = vec![rng.below(usize::from(letters)) as u8];
        while ids.len() < self.initial.len() {
            let last = ids[ids.len() - 1];
            let allowed: Vec<u8> = (0..letters).filter(|to| !self.is_banned(last, *to)).collect();
            if allowed.is_empty() {
                let letter = char::from(self.info.alphabet.letter(last));
                return Err(Error::data(format!("every transition from `{letter}` is banned")));
            }
            ids.push(allowed[rng.below(allowed.len())]);
        }
        Sequence::from_ids(ids, &self.info.alphabet)
    }

    /// The product over motifs, whether the sequence is feasible or not; it has the length and the letters of the function.
    fn value(&self, sequence: &Sequence) -> f64 {
        let level = |motif: &SpacedMotif| {
            let k = motif.letters.len();
            let step = k.div_ceil(self.quantisation);
            let q = (motif.present(sequence.ids()) / step * step) as f64 / k as f64;
            q * (1.0 + self.epistasis * q * (q - 1.0))
        };
        self.motifs.iter().map(level).product()
    }

    /// Where the first banned transition begins.
    fn broken(&self, sequence: &Sequence) -> Option<usize> {
        sequence.ids().windows(2).position(|pair| self.is_banned(pair[0], pair[1]))
    }

    fn reason(&self, sequence: &Sequence, at: usize) -> String {
        let letter = |at: usize| char::from(self.info.alphabet.letter(sequence.ids()[at]));
        format!("`{}` at position {} may not be followed by `{}`", letter(at), at + 1, letter(at + 1))
    }
}

impl Oracle for Ehrlich {
    fn info(&self) -> &OracleInfo {
        &self.info
    }

    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
        let outcome = |sequence: &Sequence| {
            self.info.check_letters(sequence)?;
            let (got, length) = (sequence.len(), self.initial.len());
            if got != length {
                let reason = format!("{got} letters; `{}` reads {length}", self.info.name);
                return Ok(Outcome::Infeasible { reason });
            }
            Ok(match self.broken(sequence) {
                Some(at) => Outcome::Infeasible { reason: self.reason(sequence, at) },
                None => Outcome::exact(self.value(sequence)),
            })
        };
        batch.iter().map(outcome).collect()
    }
}

/// Opens `FILE`, or `states=32,length=32,motifs=4,motif-length=4,quantisation=4,epistasis=0,seed=0`.
pub(super) fn open(argument: &str, _: &OracleOptions) -> Result<Box<dyn Oracle>> {
    if !argument.contains('=') || Path::new(argument).exists() {
        return Ok(Box::new(Ehrlich::read(Path::new(argument))?));
    }
    let (mut shape, mut quantisation, mut seed) = (EhrlichShape::default(), None, 0);
    for (key, value) in option::pairs(argument) {
        let whole = || option::value::<usize>("ehrlich", key, value, "a whole number");
        match key {
            "states" => shape.states = whole()?,
            "length" => shape.length = whole()?,
            "motifs" => shape.motifs = whole()?,
            "motif-length" => shape.motif_length = whole()?,
            "quantisation" => quantisation = Some(whole()?),
            "epistasis" => shape.epistasis = option::value("ehrlich", key, value, "a number")?,
            "seed" => seed = option::value("ehrlich", key, value, "a whole number")?,
            _ => {
                let known = ["states", "length", "motifs", "motif-length", "quantisation", "epistasis", "seed"];
                return Err(unknown("option of `ehrlich`", key, known));
            }
        }
    }
    shape.quantisation = quantisation.unwrap_or(shape.motif_length);
    Ok(Box::new(Ehrlich::generate(&shape, Seed::root(seed))?))
}

/// It counts letters: there is no slope.
pub(super) fn reward(_: &str, _: &OracleOptions) -> Result<Box<dyn Reward>> {
    Err(Error::usage("an Ehrlich function has no gradient").hint(
        "methods that ask for values alone take it; `seqtilt list methods` and `seqtilt list proposers` show some",
    ))
}
