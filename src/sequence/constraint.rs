//! What designs must and must not be.

mod automaton;
mod blame;
mod count;
mod enzyme;
mod imposed;
mod pattern;
mod span;
mod violation;
mod window;

pub use enzyme::{ENZYMES, Enzyme};
pub use imposed::{Imposed, Pick};
pub use pattern::Pattern;
pub use violation::Violation;
pub use window::GcWindow;

use super::{Alphabet, Numbering, Sequence};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use span::Spans;
use std::collections::BTreeMap;

/// Rules that every design keeps, as a TOML table; all of them are optional.
///
/// ```toml
/// wild-type = "MSKGEELFTG"     # what mutations are counted from, and fixed positions keep
/// first-position = 1           # the number of its first letter
/// fixed = ["1", "3-5"]         # positions that keep the wild type's letter
/// mutable = ["6-10"]           # or: the only positions that may change
/// allowed = { "7" = "AVLI" }   # letters of a position or a span
/// max-mutations = 8
/// min-mutations = 1
/// forbidden = ["N[^P][ST]"]    # motifs: letters, IUPAC codes for DNA and RNA, X or . for any, [AB], [^P]
/// enzymes = ["EcoRI", "BsaI"]  # restriction sites by name
/// one-strand = false           # motifs of DNA and RNA are forbidden on both strands unless this is true
/// gc = [0.4, 0.6]              # share of G and C, both ends included
/// gc-window = { length = 50, share = [0.3, 0.7] }  # share of G and C in every window of so many letters
/// max-homopolymer = 4          # longest run of one letter
/// min-length = 20              # fewest and most letters, where designs differ in length
/// max-length = 30
/// ```
///
/// Where designs differ in length, positions are counted from the first letter: a position that is fixed or has allowed letters is
/// there, letters beyond or short of the wild type's end are substitutions, and shares are those of the letters that there are.
///
/// [`Imposed`] makes a sampler keep them; [`violations`](Self::violations) looks at a finished sequence without it.
///
/// ```
/// use seqtilt::sequence::{Alphabet, Constraint, Sequence};
/// let dna = Alphabet::dna();
/// let rules = Constraint::from_toml("enzymes = [\"EcoRI\"]\ngc = [0.4, 0.6]\nmax-homopolymer = 2")?;
/// let word = Sequence::parse("ACGAATTCAT", &dna)?;
/// let broken: Vec<String> = rules.violations(&word, &dna)?.iter().map(ToString::to_string).collect();
/// assert_eq!(broken, ["enzymes: EcoRI (GAATTC) at 3", "gc: 30.0 % of 40.0 % to 60.0 %"]);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Constraint {
    /// The wild type's letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wild_type: Option<String>,
    /// The number that positions give to the first letter; default 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_position: Option<i64>,
    /// Positions and spans that keep the wild type's letters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fixed: Vec<String>,
    /// The only positions and spans that may differ from the wild type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mutable: Vec<String>,
    /// Letters by position or span.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub allowed: BTreeMap<String, String>,
    /// Fewest substitutions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_mutations: Option<usize>,
    /// Most substitutions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_mutations: Option<usize>,
    /// Motifs that may not occur.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forbidden: Vec<String>,
    /// Restriction enzymes whose sites may not occur.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub enzymes: Vec<String>,
    /// Whether motifs may occur on the other strand.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub one_strand: bool,
    /// Least and greatest share of G and C.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gc: Option<[f64; 2]>,
    /// Least and greatest share of G and C in every window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gc_window: Option<GcWindow>,
    /// Longest run of one letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_homopolymer: Option<usize>,
    /// Fewest letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_length: Option<usize>,
    /// Most letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
}

/// The rules of a [`Constraint`] for sequences of one length.
pub(super) struct Compiled {
    length: usize,
    letters: usize,
    numbering: Numbering,
    /// Token ids, padded.
    wild_type: Option<Vec<u8>>,
    /// Letters of every position, a bit each.
    allowed: Vec<u64>,
    patterns: Vec<Pattern>,
    /// Fewest and most substitutions.
    mutations: [usize; 2],
    /// Letters that are G or C, and their least and greatest share.
    gc: Option<(u64, Share)>,
    /// Letters that are G or C, letters of a window, and how many of them at least and at most.
    window: Option<window::Window>,
    /// Fewest and most letters.
    lengths: [usize; 2],
}

/// A share of letters, both ends included.
#[derive(Clone, Copy)]
pub(super) struct Share([f64; 2]);

impl Share {
    /// How many of `letters` that is, at least and at most.
    fn of(self, letters: usize) -> [usize; 2] {
        // shares that are meant to be whole numbers of letters are not lost to rounding
        let (Self([least, most]), slack, letters) = (self, 1e-9, letters as f64);
        [(least * letters - slack).ceil().max(0.0) as usize, (most * letters + slack).floor() as usize]
    }
}

/// Letters of a design at most.
const LONGEST: usize = 4096;

impl Constraint {
    /// Reads a TOML table.
    ///
    /// # Errors
    /// When a key is unknown or a value is of another kind, with line and column.
    pub fn from_toml(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| Error::usage(error.message().to_owned()).because(error))
    }

    /// The rules on one line, for records.
    #[must_use]
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether there is no rule at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { wild_type: _, first_position: _, one_strand: _, .. } = self;
        let bare = Self {
            wild_type: self.wild_type.clone(),
            first_position: self.first_position,
            one_strand: self.one_strand,
            ..Self::default()
        };
        *self == bare
    }

    /// Whether a rule ties letters of several positions together; others only take letters away from positions.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        let masks = Self {
            fixed: Vec::new(),
            mutable: Vec::new(),
            allowed: BTreeMap::new(),
            min_length: None,
            max_length: None,
            ..self.clone()
        };
        !masks.is_empty()
    }

    /// What a sequence breaks, in the order of the rules; nothing where it keeps them all.
    ///
    /// This reads the sequence letter by letter and shares no step with the automaton that a sampler keeps the rules by.
    ///
    /// # Errors
    /// When a rule does not fit the alphabet or the length.
    pub fn violations(&self, sequence: &Sequence, alphabet: &Alphabet) -> Result<Vec<Violation>> {
        // where designs differ in length, positions beyond the end of this one may be spoken of
        let length = alphabet.padding().map_or(sequence.len(), |_| LONGEST.max(sequence.len()));
        Ok(violation::find(&self.compile(alphabet, length)?, sequence, alphabet))
    }

    pub(super) fn compile(&self, alphabet: &Alphabet, length: usize) -> Result<Compiled> {
        let wild_type = self.wild_type(alphabet, length)?;
        let numbering = Numbering { first: self.first_position.unwrap_or(1) };
        let spans = |rule: &'static str, texts: &[String]| Spans::parse(rule, texts, numbering, length);
        let every = pattern::every(alphabet);
        let lengths = self.lengths(alphabet, length)?;
        let end = alphabet.padding().map_or(0, |id| 1 << id);
        let letters = |index: usize| {
            let letter = if index < lengths[1] { every } else { 0 };
            if index < lengths[0] { letter } else { letter | end }
        };
        let mut allowed: Vec<u64> = (0..length).map(letters).collect();
        let origin = |rule: &str| {
            wild_type.as_ref().ok_or_else(|| {
                Error::usage(format!("`{rule}` needs a wild type")).hint("give `wild-type` with its letters")
            })
        };
        for (text, letters) in &self.allowed {
            let chosen = Pattern::letters("allowed", letters, alphabet)?;
            for index in spans("allowed", std::slice::from_ref(text))?.indices() {
                allowed[index] &= chosen;
            }
        }
        let mut kept = vec![!self.mutable.is_empty(); length];
        for index in spans("mutable", &self.mutable)?.indices() {
            kept[index] = false;
        }
        for index in spans("fixed", &self.fixed)?.indices() {
            kept[index] = true;
        }
        if kept.contains(&true) {
            let origin = origin(if self.fixed.is_empty() { "mutable" } else { "fixed" })?;
            for (index, _) in kept.iter().enumerate().filter(|(_, kept)| **kept) {
                allowed[index] &= 1 << origin[index];
            }
        }
        let mutations = [self.min_mutations.unwrap_or(0), self.max_mutations.unwrap_or(length).min(length)];
        if self.min_mutations.is_some_and(|least| least > length) {
            return Err(Error::usage(format!("`min-mutations` is {}; designs have {length} letters", mutations[0])));
        }
        if self.min_mutations.is_some() || self.max_mutations.is_some() {
            origin("max-mutations")?;
        }
        if mutations[0] > mutations[1] {
            let [least, most] = mutations;
            return Err(Error::usage(format!("`min-mutations` is {least} and `max-mutations` {most}")));
        }
        Ok(Compiled {
            length,
            letters: alphabet.len(),
            numbering,
            wild_type,
            allowed,
            patterns: self.patterns(alphabet, length)?,
            mutations,
            gc: self.gc.map(|share| Self::share("gc", share, alphabet)).transpose()?,
            window: self.gc_window.map(|rule| rule.compile(alphabet)).transpose()?,
            lengths,
        })
    }

    /// Fewest and most letters.
    fn lengths(&self, alphabet: &Alphabet, length: usize) -> Result<[usize; 2]> {
        let fewest = if alphabet.padding().is_some() { 1 } else { length };
        let (least, most) = (self.min_length.unwrap_or(fewest), self.max_length.unwrap_or(length));
        for (key, value) in [("min-length", least), ("max-length", most)] {
            // a design is looked at under rules for longer ones too
            if !(fewest..=LONGEST.max(length)).contains(&value) || value > length && length < LONGEST {
                let letters = if fewest < length { format!("{fewest} to {length}") } else { format!("{length}") };
                return Err(Error::usage(format!("`{key}` is {value}; designs have {letters} letters")));
            }
        }
        if least > most {
            return Err(Error::usage(format!("`min-length` is {least} and `max-length` {most}")));
        }
        Ok([least, most.min(length)])
    }

    fn wild_type(&self, alphabet: &Alphabet, length: usize) -> Result<Option<Vec<u8>>> {
        let Some(text) = &self.wild_type else { return Ok(None) };
        let wild_type = Sequence::parse(text, alphabet)?;
        let fits = wild_type.len() == length || alphabet.padding().is_some() && wild_type.len() < length;
        if !fits {
            let got = wild_type.len();
            return Err(Error::usage(format!("`wild-type` has {got} letters where designs have {length}")));
        }
        Ok(Some(wild_type.padded(alphabet, length)))
    }

    /// Forbidden motifs, sites of enzymes and runs, on the strands that they are forbidden on.
    fn patterns(&self, alphabet: &Alphabet, length: usize) -> Result<Vec<Pattern>> {
        let mut patterns = Vec::new();
        for motif in &self.forbidden {
            patterns.push(Pattern::parse("forbidden", motif, motif, alphabet)?);
        }
        if !self.enzymes.is_empty() && alphabet.name() != "dna" {
            return Err(Error::usage(format!("`enzymes` cut DNA; the alphabet is `{}`", alphabet.name())));
        }
        for name in &self.enzymes {
            let site = ENZYMES.get(name)?.make.site;
            patterns.push(Pattern::parse("enzymes", &format!("{name} ({site})"), site, alphabet)?);
        }
        if !self.one_strand {
            let others: Vec<Pattern> = patterns.iter().filter_map(|p| p.reverse_complement(alphabet)).collect();
            patterns.extend(
                others.into_iter().filter(|other| !patterns.iter().any(|p| p.sets == other.sets)).collect::<Vec<_>>(),
            );
        }
        if let Some(most) = self.max_homopolymer {
            if most == 0 {
                return Err(Error::usage("`max-homopolymer` is 0; at least 1 is accepted"));
            }
            let runs = if most < length { 0..alphabet.plain().len() } else { 0..0 };
            patterns.extend(runs.map(|id| Pattern::run(id as u8, most + 1, alphabet)));
        }
        patterns.extend(alphabet.padding().map(|id| Pattern::resumed(id, alphabet)));
        // what is longer than a design cannot be in it
        patterns.retain(|pattern| pattern.sets.len() <= length);
        Ok(patterns)
    }

    /// Letters that are G or C, and their least and greatest share.
    fn share(rule: &str, [least, most]: [f64; 2], alphabet: &Alphabet) -> Result<(u64, Share)> {
        if !(0.0..=1.0).contains(&least) || !(least..=1.0).contains(&most) {
            return Err(Error::usage(format!(
                "`{rule}` is [{least}, {most}]; two shares in order, 0 to 1, are accepted"
            )));
        }
        let (Some(g), Some(c), Some(_)) = (alphabet.id(b'G'), alphabet.id(b'C'), alphabet.complement(0)) else {
            return Err(Error::usage(format!("`{rule}` is for DNA and RNA, not for alphabet `{}`", alphabet.name())));
        };
        Ok((1 << g | 1 << c, Share([least, most])))
    }
}

#[cfg(test)]
mod tests;
