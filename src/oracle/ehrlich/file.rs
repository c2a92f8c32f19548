//! Ehrlich functions in files.

use super::{Ehrlich, SpacedMotif};
use crate::error::{Error, Result};
use crate::sequence::{Alphabet, Sequence, read_text};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

const FORMAT: &str = "ehrlich-1";

/// A function as JSON has it: motifs, banned letters and the initial solution are text.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Problem {
    format: String,
    #[serde(default)]
    source: String,
    letters: String,
    length: usize,
    quantisation: usize,
    epistasis: f64,
    motifs: Vec<String>,
    /// Distances between letters of a motif.
    spacings: Vec<Vec<usize>>,
    /// Letters that may not follow a letter.
    banned: BTreeMap<char, String>,
    initial: String,
}

impl Ehrlich {
    /// Reads a function from a JSON file, as `tests/fixtures/ehrlich/export.py` writes it from pytorch-holo.
    ///
    /// # Errors
    /// When the file cannot be read, is not of the format, or its parts do not fit each other.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&read_text(path)?).map_err(|error| error.at(path))
    }

    /// Reads a function from JSON.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(text: &str) -> Result<Self> {
        let problem: Problem = serde_json::from_str(text).map_err(|error| {
            Error::data(format!("not an Ehrlich function: {error}"))
                .hint("tests/fixtures/ehrlich/export.py writes one from pytorch-holo")
        })?;
        if problem.format != FORMAT {
            return Err(Error::data(format!("format `{}`; `{FORMAT}` is accepted", problem.format)));
        }
        let alphabet = Alphabet::of_letters(&problem.letters)?;
        let initial = Sequence::parse(&problem.initial, &alphabet)?;
        let length = problem.length;
        if initial.len() != length {
            let got = initial.len();
            return Err(Error::data(format!("the initial solution has {got} letters; the length is {length}")));
        }
        if problem.motifs.len() != problem.spacings.len() {
            let (motifs, spacings) = (problem.motifs.len(), problem.spacings.len());
            return Err(Error::data(format!("{motifs} motifs and {spacings} spacings; as many of each are accepted")));
        }
        let motif = |(text, gaps): (&String, &Vec<usize>)| {
            let letters = Sequence::parse(text, &alphabet)?.ids().to_vec();
            if gaps.len() + 1 != letters.len() || gaps.iter().any(|gap| !(1..=length).contains(gap)) {
                return Err(Error::data(format!(
                    "spacing {gaps:?} of motif `{text}`; {} distances of 1 to {length} are accepted",
                    letters.len() - 1
                )));
            }
            let offsets = gaps.iter().scan(0, |at, gap| {
                *at += gap;
                Some(*at)
            });
            Ok(SpacedMotif { letters, offsets: std::iter::once(0).chain(offsets).collect() })
        };
        let motifs = problem.motifs.iter().zip(&problem.spacings).map(motif).collect::<Result<Vec<_>>>()?;
        let id = |letter: char| {
            let id = u8::try_from(letter).ok().and_then(|letter| alphabet.id(letter));
            id.map(usize::from).ok_or_else(|| Error::data(format!("banned letter `{letter}` is not among the letters")))
        };
        let mut banned = vec![false; alphabet.len() * alphabet.len()];
        for (from, after) in &problem.banned {
            for to in after.chars() {
                banned[id(*from)? * alphabet.len() + id(to)?] = true;
            }
        }
        let levels = (problem.quantisation, problem.epistasis);
        Self::new(alphabet, (motifs, banned), levels, initial, problem.source)
    }

    /// The function as JSON, as [`parse`](Self::parse) reads it.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn to_json(&self) -> Result<String> {
        write(&self.problem())
    }

    /// What decides values and feasibility, in one form.
    pub(super) fn canonical(&self) -> Result<String> {
        write(&Problem { source: String::new(), ..self.problem() })
    }

    fn problem(&self) -> Problem {
        let alphabet = &self.info.alphabet;
        let text = |ids: &[u8]| ids.iter().map(|id| char::from(alphabet.letter(*id))).collect::<String>();
        let letters = 0..alphabet.len() as u8;
        let row = |from: u8| {
            let after: Vec<u8> = letters.clone().filter(|to| self.is_banned(from, *to)).collect();
            (!after.is_empty()).then(|| (char::from(alphabet.letter(from)), text(&after)))
        };
        Problem {
            format: FORMAT.to_owned(),
            source: self.source.clone(),
            letters: String::from_utf8_lossy(alphabet.letters()).into_owned(),
            length: self.initial.len(),
            quantisation: self.quantisation,
            epistasis: self.epistasis,
            motifs: self.motifs.iter().map(|motif| text(&motif.letters)).collect(),
            spacings: self
                .motifs
                .iter()
                .map(|m| m.offsets.windows(2).map(|pair| pair[1] - pair[0]).collect())
                .collect(),
            banned: letters.clone().filter_map(row).collect(),
            initial: self.initial.text(alphabet),
        }
    }
}

fn write(problem: &Problem) -> Result<String> {
    serde_json::to_string_pretty(problem)
        .map_err(|error| Error::data("the function cannot be written as JSON").because(error))
}
