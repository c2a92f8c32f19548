//! Rules that designs keep, from flags and files.

use super::input;
use crate::diffusion::{Prior, PriorConfig, constrain, open_prior, prior_of};
use crate::error::{Error, Result};
use crate::sequence::{Alphabet, Constraint, GcWindow, Imposed, Sequence, read_text};
use crate::store::ModelFolder;
use candle_core::Device;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What designs must and must not be; flags take the place of the same keys in the file.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "Constraints")]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Constraining {
    /// TOML file of rules, by the names of the flags below; also `allowed = { "65-67" = "AVLI" }` and `one-strand = true`
    #[arg(long, value_name = "FILE")]
    constraints: Option<PathBuf>,
    /// Most substitutions from the wild type
    #[arg(long, value_name = "N")]
    max_mutations: Option<usize>,
    /// Fewest substitutions from the wild type
    #[arg(long, value_name = "N")]
    min_mutations: Option<usize>,
    /// Positions that keep the wild type's letters, such as 1,65-67; the first letter is 1 unless --first-position says otherwise
    #[arg(long, value_name = "POSITIONS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixed: Vec<String>,
    /// The only positions that may change, such as 100-150
    #[arg(long, value_name = "POSITIONS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mutable: Vec<String>,
    /// Motifs that may not occur, on either strand: letters, IUPAC codes, X or . for any, [AB], [^P]
    #[arg(long, value_name = "MOTIFS", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    forbidden: Vec<String>,
    /// Restriction enzymes whose sites may not occur, such as EcoRI,BsaI
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    enzymes: Vec<String>,
    /// Share of G and C, such as 0.4-0.6
    #[arg(long, value_name = "FROM-TO")]
    gc: Option<String>,
    /// Share of G and C in every window of so many letters, such as 50:0.3-0.7
    #[arg(long, value_name = "LETTERS:FROM-TO")]
    #[serde(skip_serializing_if = "Option::is_none")]
    gc_window: Option<String>,
    /// Longest run of one letter
    #[arg(long, value_name = "N")]
    max_homopolymer: Option<usize>,
    /// Fewest letters, of a prior whose sequences differ in length
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    min_length: Option<usize>,
    /// Most letters, of a prior whose sequences differ in length
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    max_length: Option<usize>,
}

/// The wild type, for verbs that read no table.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "Constraints")]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Origin {
    /// The wild type that constraints count from: its letters, or a FASTA file with it
    #[arg(long, value_name = "LETTERS|FILE")]
    wild_type: Option<String>,
    /// The number of its first letter in positions [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    first_position: Option<i64>,
}

impl Origin {
    /// The rules of flags and file around this wild type.
    ///
    /// # Errors
    /// As [`Constraining::rules`], and when there is a wild type but no rule.
    pub(super) fn rules(&self, constraining: &Constraining) -> Result<Constraint> {
        let wild_type = self.wild_type.as_deref().map(input::wild_type).transpose()?;
        let rules = constraining.rules(wild_type, None, self.first_position)?;
        if rules.is_empty() && *self != Self::default() {
            return Err(Error::usage("`--wild-type` and `--first-position` are for constraints, and there are none")
                .hint("for example --max-mutations 8"));
        }
        Ok(rules)
    }
}

impl Constraining {
    /// The rules: flags before the file, and the file before the wild type of a table, if `known`.
    ///
    /// # Errors
    /// When the file cannot be read or is no table of rules, or a flag is none.
    pub(super) fn rules(
        &self,
        wild_type: Option<String>,
        known: Option<String>,
        first_position: Option<i64>,
    ) -> Result<Constraint> {
        let mut rules = match &self.constraints {
            Some(path) => Constraint::from_toml(&read_text(path)?).map_err(|error| error.at(path))?,
            None => Constraint::default(),
        };
        rules.max_mutations = self.max_mutations.or(rules.max_mutations);
        rules.min_mutations = self.min_mutations.or(rules.min_mutations);
        rules.max_homopolymer = self.max_homopolymer.or(rules.max_homopolymer);
        rules.min_length = self.min_length.or(rules.min_length);
        rules.max_length = self.max_length.or(rules.max_length);
        for (flag, key) in [
            (&self.fixed, &mut rules.fixed),
            (&self.mutable, &mut rules.mutable),
            (&self.forbidden, &mut rules.forbidden),
            (&self.enzymes, &mut rules.enzymes),
        ] {
            if !flag.is_empty() {
                key.clone_from(flag);
            }
        }
        if let Some(text) = &self.gc {
            rules.gc =
                Some(share(text).ok_or_else(|| {
                    Error::usage(format!("`gc` is `{text}`; two shares such as `0.4-0.6` are accepted"))
                })?);
        }
        if let Some(text) = &self.gc_window {
            let parts = text.split_once(':').and_then(|(letters, ends)| Some((letters.parse().ok()?, share(ends)?)));
            let (length, share) = parts.ok_or_else(|| {
                Error::usage(format!(
                    "`gc-window` is `{text}`; letters and two shares such as `50:0.3-0.7` are accepted"
                ))
            })?;
            rules.gc_window = Some(GcWindow { length, share });
        }
        if rules.is_empty() {
            return Ok(Constraint::default());
        }
        rules.wild_type = wild_type.or(rules.wild_type).or(known);
        rules.first_position = first_position.or(rules.first_position);
        Ok(rules)
    }
}

/// Two shares such as `0.4-0.6`.
fn share(text: &str) -> Option<[f64; 2]> {
    let (least, most) = text.split_once('-')?;
    Some([least.parse().ok()?, most.parse().ok()?])
}

/// The prior of a name under rules, and its folder.
///
/// # Errors
/// As [`open_prior`], and when a rule does not fit the prior or nothing keeps them all.
pub(super) fn open_constrained(name: &str, rules: &Constraint, device: &Device) -> Result<(Prior, ModelFolder)> {
    let (prior, folder) = open_prior(name, device)?;
    if rules.is_empty() {
        return Ok((prior, folder));
    }
    // before they are written down, so that the message is about the rules
    let shape = PriorConfig { constraint: rules.clone(), ..prior.config().clone() };
    Imposed::new(&shape.rules(), prior.alphabet(), shape.length)?;
    let folder = constrain(&folder, rules)?;
    Ok((prior_of(&folder, device)?, folder))
}

/// Looks once more at what is about to be written.
///
/// # Errors
/// An integrity error when a sequence breaks a rule: that is a fault of this program.
pub(super) fn verify(rules: &Constraint, sequences: &[Sequence], alphabet: &Alphabet) -> Result<()> {
    for sequence in sequences {
        if let Some(broken) = rules.violations(sequence, alphabet)?.first() {
            let text = sequence.text(alphabet);
            return Err(
                Error::integrity(format!("`{text}` breaks {broken}")).hint("please report this with the command")
            );
        }
    }
    Ok(())
}
