//! Rules in a file.

use super::{Breach, LetterSet, Rule};
use crate::error::{Error, Result};
use crate::sequence::{Alphabet, Sequence, read_text};
use serde::Deserialize;
use std::path::Path;

/// Letters of a sequence that rules are about, at most.
const LONGEST: usize = 65_535;

/// What a violation of a rule is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Severity {
    /// It costs this much.
    Penalty(f64),
    /// The sequence can never work.
    Hard,
}

/// A rule of a set.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleEntry {
    /// What it is called in a violation, in the place of its words.
    pub name: Option<String>,
    /// What must hold.
    pub rule: Rule,
    /// What it costs where it does not.
    pub severity: Severity,
}

/// Rules for sequences of an alphabet.
///
/// A file of them is TOML: `letters` (an alphabet by name, or its letters), `length` (a number, or the least and the greatest),
/// `wild-type`, and any number of tables `[[gc]]`, `[[share]]`, `[[forbidden]]`, `[[run]]`, `[[allowed]]` and `[[mutations]]`, each
/// with a `penalty` (1 unless told otherwise) or `hard = true`, and a `name`.
///
/// ```
/// use seqtilt::sequence::{Rules, Sequence};
/// let rules = Rules::parse("letters = 'dna'\n[[forbidden]]\nmotif = 'GAATTC'\nboth-strands = true\n[[run]]\nmost = 3\npenalty = 2\n")?;
/// let word = Sequence::parse("AGAATTCTTTT", &rules.alphabet)?;
/// let found: Vec<String> = rules.violations(&word).map(|(_, violation)| violation.to_string()).collect();
/// assert_eq!(found, ["no `GAATTC`: found `GAATTC` at position 2", "runs of at most 3 equal letters: found `TTTT` at position 8"]);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// The letters of the sequences.
    pub alphabet: Alphabet,
    /// The least and the greatest length, where there are limits.
    pub length: Option<(usize, usize)>,
    /// The rules.
    pub entries: Vec<RuleEntry>,
}

/// A table of a kind of rule: what all have, and what it has of its own.
macro_rules! table {
    ($name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)* }) => {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields, rename_all = "kebab-case")]
        struct $name {
            name: Option<String>,
            penalty: Option<f64>,
            #[serde(default)]
            hard: bool,
            $($(#[$attribute])* $field: $type,)*
        }

        impl $name {
            fn entry(&self, rule: Rule) -> Result<RuleEntry> {
                entry(self.name.clone(), self.penalty, self.hard, rule)
            }
        }
    };
}

table!(Gc { window: Option<usize>, least: Option<f64>, most: Option<f64>, });
table!(Share { letters: String, window: Option<usize>, least: Option<f64>, most: Option<f64>, });
table!(Forbidden {
    motif: String,
    #[serde(default)]
    both_strands: bool,
});
table!(Run { most: usize, letters: Option<String>, });
table!(Allowed { letters: String, positions: Option<String>, });
table!(Mutations { least: Option<usize>, most: Option<usize>, });

#[derive(Deserialize)]
#[serde(untagged)]
enum Length {
    One(usize),
    Limits([usize; 2]),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    letters: String,
    length: Option<Length>,
    wild_type: Option<String>,
    #[serde(default)]
    gc: Vec<Gc>,
    #[serde(default)]
    share: Vec<Share>,
    #[serde(default)]
    forbidden: Vec<Forbidden>,
    #[serde(default)]
    run: Vec<Run>,
    #[serde(default)]
    allowed: Vec<Allowed>,
    #[serde(default)]
    mutations: Vec<Mutations>,
}

impl Rules {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, is not TOML, or a rule is not one.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(&read_text(path)?).map_err(|error| error.at(path))
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// As [`read`](Self::read); where the text is not TOML the error has its line and column.
    pub fn parse(text: &str) -> Result<Self> {
        let written: Written = toml::from_str(text).map_err(|error| {
            let before = text.get(..error.span().map_or(0, |span| span.start)).unwrap_or(text);
            let line = before.matches('\n').count() as u64 + 1;
            let column = before.rsplit('\n').next().unwrap_or_default().chars().count() as u64 + 1;
            Error::data(format!("not a file of rules: {}", error.message())).line(line).column(column)
        })?;
        let alphabet = Alphabet::named(&written.letters).or_else(|_| Alphabet::of_letters(&written.letters))?;
        let length = match written.length {
            None => None,
            Some(Length::One(length)) => Some((length, length)),
            Some(Length::Limits([least, most])) => Some((least, most)),
        };
        if let Some((least, most)) = length.filter(|(least, most)| *least == 0 || least > most || *most > LONGEST) {
            return Err(Error::data(format!(
                "`length` runs from {least} to {most}; 1 to {LONGEST}, the least first, is accepted"
            )));
        }
        let wild_type = written.wild_type.as_ref().map(|text| Sequence::parse(text, &alphabet)).transpose()?;
        let mut entries = Vec::new();
        for one in &written.gc {
            entries.push(one.entry(share("GC", one.window, (one.least, one.most), &alphabet)?)?);
        }
        for one in &written.share {
            entries.push(one.entry(share(&one.letters, one.window, (one.least, one.most), &alphabet)?)?);
        }
        for one in &written.forbidden {
            entries.push(one.entry(forbidden(&one.motif, one.both_strands, &alphabet)?)?);
        }
        for one in &written.run {
            let letters = match &one.letters {
                Some(letters) => LetterSet::of(letters, &alphabet)?,
                None => LetterSet::all(&alphabet),
            };
            if one.most == 0 {
                return Err(Error::data("`most` of a `run` is 0; 1 or more is accepted")
                    .hint("`[[allowed]]` says which letters may stand"));
            }
            entries.push(one.entry(Rule::Run { letters, most: one.most })?);
        }
        for one in &written.allowed {
            let positions = one.positions.as_ref().map(|text| positions(text, length)).transpose()?;
            entries.push(one.entry(Rule::Allowed { positions, letters: LetterSet::of(&one.letters, &alphabet)? })?);
        }
        for one in &written.mutations {
            let Some(wild_type) = wild_type.clone() else {
                return Err(Error::data("`mutations` are counted against a wild type, and there is none")
                    .hint("add `wild-type = \"…\"` above the first table"));
            };
            let (least, most) = (one.least.unwrap_or(0), one.most.unwrap_or(usize::MAX));
            if least > most || (one.least, one.most) == (None, None) {
                return Err(Error::data("`mutations` needs `least`, `most` or both, the least first"));
            }
            entries.push(one.entry(Rule::Mutations { wild_type, least, most })?);
        }
        if entries.is_empty() && length.is_none() {
            return Err(Error::data(
                "no rule; one `[[gc]]`, `[[share]]`, `[[forbidden]]`, `[[run]]`, `[[allowed]]` or `[[mutations]]` is needed",
            ));
        }
        Ok(Self { alphabet, length, entries })
    }

    /// Where a sequence does not meet them, rule by rule; a rule with a name goes by it. The length is not among the rules.
    pub fn violations<'a>(&'a self, sequence: &'a Sequence) -> impl Iterator<Item = (&'a RuleEntry, Breach)> {
        self.entries.iter().flat_map(|entry| {
            entry.rule.violations(sequence, &self.alphabet).into_iter().map(move |violation| {
                let rule = entry.name.clone().unwrap_or_else(|| violation.rule.clone());
                (entry, Breach { rule, ..violation })
            })
        })
    }
}

fn entry(name: Option<String>, penalty: Option<f64>, hard: bool, rule: Rule) -> Result<RuleEntry> {
    let severity = match (penalty, hard) {
        (Some(_), true) => return Err(Error::data("a rule has a `penalty` or is `hard`, not both")),
        (None, true) => Severity::Hard,
        (Some(penalty), false) if !(penalty > 0.0 && penalty.is_finite()) => {
            return Err(Error::data(format!("`penalty` is {penalty}; a finite number above 0 is accepted")));
        }
        (penalty, false) => Severity::Penalty(penalty.unwrap_or(1.0)),
    };
    Ok(RuleEntry { name, rule, severity })
}

fn share(
    letters: &str,
    window: Option<usize>,
    (least, most): (Option<f64>, Option<f64>),
    alphabet: &Alphabet,
) -> Result<Rule> {
    let letters = LetterSet::of(letters, alphabet)?;
    if window == Some(0) {
        return Err(Error::data("`window` is 0; 1 or more is accepted"));
    }
    if (least, most) == (None, None) {
        return Err(Error::data("a share needs `least`, `most` or both"));
    }
    let (least, most) = (least.unwrap_or(0.0), most.unwrap_or(1.0));
    if !(0.0 <= least && least <= most && most <= 1.0) {
        return Err(Error::data(format!("a share from {least} to {most}; 0 to 1, the least first, is accepted")));
    }
    Ok(Rule::Share { letters, window, least, most })
}

fn forbidden(motif: &str, both: bool, alphabet: &Alphabet) -> Result<Rule> {
    let motif = motif.chars().map(|letter| LetterSet::place_of(letter, alphabet)).collect::<Result<Vec<_>>>()?;
    if motif.is_empty() {
        return Err(Error::data("`motif` is empty; one letter or more is accepted"));
    }
    let mut motifs = vec![motif];
    if both {
        let other = motifs[0].iter().rev().map(|set| set.complement(alphabet)).collect::<Option<Vec<_>>>();
        let other = other.ok_or_else(|| {
            Error::data(format!("letters of alphabet `{}` have no complements", alphabet.name()))
                .hint("leave out `both-strands`")
        })?;
        if other != motifs[0] {
            motifs.push(other);
        }
    }
    Ok(Rule::Forbidden { motifs })
}

/// `3-5,9`, counted from 1, as places from 0.
fn positions(text: &str, length: Option<(usize, usize)>) -> Result<Vec<usize>> {
    let wrong = || Error::data(format!("positions `{text}`; numbers from 1 and ranges are accepted, such as 3-5,9"));
    let most = length.map_or(LONGEST, |(_, most)| most);
    let mut found = Vec::new();
    for piece in text.split(',') {
        let (from, to) = piece.split_once('-').unwrap_or((piece, piece));
        let number = |text: &str| text.trim().parse::<usize>().map_err(|_| wrong());
        let (from, to) = (number(from)?, number(to)?);
        if from == 0 || from > to {
            return Err(wrong());
        }
        if to > most {
            return Err(Error::data(format!("position {to} of `{text}`; sequences have at most {most} letters")));
        }
        found.extend(from - 1..to);
    }
    Ok(found)
}
