//! `seqtilt data`

pub(super) mod advice;
mod shown;

use super::check::required;
use super::context::Context;
use super::input::{self, Reading};
use crate::data::{self, Condition, Difficulty, FetchOptions, ImportOptions, Split};
use crate::error::{Error, Result};
use advice::Advice;
use serde::{Deserialize, Serialize};
use shown::{Checked, Described, Listed, Parts, Sets};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  seqtilt data list                     data sets by name, and which are on this machine
  seqtilt data fetch tfbind8            download one; an interrupted download resumes
  seqtilt data describe variants.csv    what is in a table of your own
  seqtilt data import variants.csv --name mine
  seqtilt data split mine --out parts   train.csv, valid.csv, test.csv";

const LIST_EXAMPLES: &str = "\
Examples:
  seqtilt data list
  seqtilt data list --json              with hashes, origins, licences and citations";

const FETCH_EXAMPLES: &str = "\
Examples:
  seqtilt data fetch tfbind8 gfp
  seqtilt data fetch gfp --data-dir data-here";

const IMPORT_EXAMPLES: &str = "\
Examples:
  seqtilt data import variants.csv --name mine
  seqtilt data import assay.tsv --name mine --sequence-column variant_seq --value-column fold_change
  seqtilt data import mutants.csv --name mine --wild-type wt.fasta --first-position 0";

const DESCRIBE_EXAMPLES: &str = "\
Examples:
  seqtilt data describe gfp
  seqtilt data describe library.fasta.gz
  seqtilt data describe variants.csv --skip-invalid --json

Models are cross-validated on at most a thousand of the measured sequences: rank correlation and error on sequences that they did
not see, and how many of the values their 90 % intervals hold.";

const SPLIT_EXAMPLES: &str = "\
Examples:
  seqtilt data split gfp --out parts
  seqtilt data split tfbind8 --out parts --by strands --shares 0.8,0.1,0.1
  seqtilt data split tfbind8 --out parts --by quantile --at 0.5
  seqtilt data split gfp --out parts --difficulty medium
                                        start.csv: what a search of this difficulty may see; rest.csv";

const VERIFY_EXAMPLES: &str = "\
Examples:
  seqtilt data verify                   every data set that is on this machine
  seqtilt data verify tfbind8           one; exit code 7 when its file was changed";

/// Fetch, import, describe, split and check data sets and your own tables
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the data sets and which of them are on this machine
    #[command(after_long_help = LIST_EXAMPLES)]
    List,
    /// Download data sets and check them against their hashes
    #[command(after_long_help = FETCH_EXAMPLES)]
    Fetch {
        /// Names that `seqtilt data list` shows
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Copy a table or FASTA file of your own into the data folder, under a name
    #[command(after_long_help = IMPORT_EXAMPLES)]
    Import {
        /// FASTA, CSV or TSV, plain or gzip
        file: PathBuf,
        #[command(flatten)]
        settings: ImportSettings,
    },
    /// Count what is in a data set or file, and say which models its values support
    #[command(after_long_help = DESCRIBE_EXAMPLES)]
    Describe {
        /// A data set by name, or a file
        source: String,
        #[command(flatten)]
        settings: DescribeSettings,
    },
    /// Divide a data set or file into parts that do not leak into each other
    #[command(after_long_help = SPLIT_EXAMPLES)]
    Split {
        /// A data set by name, or a file
        source: String,
        #[command(flatten)]
        settings: SplitSettings,
    },
    /// Hash data sets again and compare with what is recorded
    #[command(after_long_help = VERIFY_EXAMPLES)]
    Verify {
        /// Names that `seqtilt data list` shows [default: all that are on this machine]
        names: Vec<String>,
    },
}

#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct ImportSettings {
    /// The name: lower-case letters, digits, `-`, `_`, `.`
    #[arg(long)]
    name: Option<String>,
    /// What it is, in a line
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Its licence, shown in reports
    #[arg(long, value_name = "TEXT")]
    licence: Option<String>,
    /// What to cite, shown in reports
    #[arg(long, value_name = "TEXT")]
    citation: Option<String>,
    /// Replace a data set of yours with the same name
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    replace: bool,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct DescribeSettings {
    /// Only count: no model is tried on the values
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    counts_only: bool,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct SplitSettings {
    /// Folder for the parts
    #[arg(long, short, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// How to divide [default: random]
    #[arg(long, value_name = "RULE")]
    by: Option<Rule>,
    /// Shares of train, valid and test, which sum to 1 [default: 0.8,0.1,0.1]
    #[arg(long, value_name = "SHARES", value_delimiter = ',')]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    shares: Vec<f64>,
    /// With --by quantile: the share of records that goes to `low` [default: 0.5]
    #[arg(long, value_name = "SHARE")]
    at: Option<f64>,
    /// Into a start set of poor values far from the best, and the rest: medium (20th to 40th percentile, 6 mutations or more from
    /// any of the top 1 %), hard (up to the 30th, 7 or more), or FROM:TO:GAP such as 0.2:0.4:6
    #[arg(long, value_name = "NAME", conflicts_with_all = ["by", "shares", "at"])]
    #[serde(skip_serializing_if = "Option::is_none")]
    difficulty: Option<String>,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Rule {
    /// Shares drawn at random; equal sequences stay together
    Random,
    /// As random; both strands of a molecule stay together
    Strands,
    /// By value, into low and high
    Quantile,
}

impl SplitSettings {
    fn rule(&self) -> Result<Split> {
        if let Some(name) = &self.difficulty {
            if self.by.is_some() || !self.shares.is_empty() || self.at.is_some() {
                return Err(Error::usage("`difficulty` and `by`, `shares` or `at` exclude each other"));
            }
            return Ok(Split::Start { difficulty: Difficulty::named(name)? });
        }
        let rule = self.by.unwrap_or(Rule::Random);
        let shares = match *self.shares.as_slice() {
            [] => [0.8, 0.1, 0.1],
            [train, valid, test] => [train, valid, test],
            _ => {
                let message = format!("`shares` has {} numbers; train, valid and test are needed", self.shares.len());
                return Err(Error::usage(message).hint("for example --shares 0.8,0.1,0.1"));
            }
        };
        let unused = |flag: &str, rule: &str| Error::usage(format!("`{flag}` has no meaning when dividing by {rule}"));
        match rule {
            Rule::Quantile if !self.shares.is_empty() => Err(unused("shares", "quantile").hint("pass --at")),
            Rule::Quantile => Ok(Split::Quantile { at: self.at.unwrap_or(0.5) }),
            _ if self.at.is_some() => Err(unused("at", "random or strands").hint("pass --by quantile")),
            Rule::Random => Ok(Split::Random { shares }),
            Rule::Strands => Ok(Split::Strands { shares }),
        }
    }
}

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    match args.action {
        Action::List => list(context),
        Action::Fetch { names } => fetch(&names, context),
        Action::Import { file, settings } => import(&file, context.settings(&["data", "import"], settings)?, context),
        Action::Describe { source, settings } => {
            let settings = context.settings(&["data", "describe"], settings)?;
            let records = settings.reading.records(&source, context)?;
            let advice = if settings.counts_only {
                None
            } else {
                Advice::of(&records, context.seed().child("advice"), &context.pool()?)?
            };
            context.emit(&Described { source, description: data::describe(&records), advice })
        }
        Action::Split { source, settings } => split(&source, &context.settings(&["data", "split"], settings)?, context),
        Action::Verify { names } => verify(&names, context),
    }
}

fn list(context: &Context) -> Result<()> {
    let dir = context.data_dir()?;
    let here = |set: data::Dataset| Listed { here: dir.join(&set.file).is_file(), set };
    context.emit(&Sets(data::datasets(dir)?.into_iter().map(here).collect()))?;
    context.note(format!("data folder: {}", dir.display()));
    Ok(())
}

fn fetch(names: &[String], context: &Context) -> Result<()> {
    let dir = context.data_dir()?;
    let sets = names.iter().map(|name| data::find(name, dir)).collect::<Result<Vec<_>>>()?;
    let mut done = Vec::new();
    for set in sets {
        data::fetch(&set, dir, &FetchOptions::default(), &mut context.observer())?;
        context.note(format!("{}: cite {}", set.name, set.credit()));
        done.push(Listed { here: true, set });
    }
    context.emit(&Sets(done))
}

fn import(file: &std::path::Path, settings: ImportSettings, context: &Context) -> Result<()> {
    let name = required("data import", "name", settings.name)?;
    let options = ImportOptions {
        description: settings.description.unwrap_or_default(),
        licence: settings.licence.unwrap_or_default(),
        citation: settings.citation.unwrap_or_default(),
        replace: settings.replace,
    };
    let (set, records) = data::import(file, &name, context.data_dir()?, &settings.reading.options()?, options)?;
    input::tell(&records, context);
    context.emit(&Described { source: set.name, description: data::describe(&records), advice: None })?;
    context.note(format!("next: `seqtilt pretrain {name} --out prior`, or `seqtilt data split {name} --out parts`"));
    Ok(())
}

fn split(source: &str, settings: &SplitSettings, context: &Context) -> Result<()> {
    let out = required("data split", "out", settings.out.clone())?;
    let rule = settings.rule()?;
    let records = settings.reading.records(source, context)?;
    let parts = data::split(&records, rule, context.seed())?;
    let files = data::write_split(&records, &parts, &out)?;
    let filled = parts.iter().filter(|(_, indices)| !indices.is_empty());
    let rows = filled.zip(files).map(|((name, indices), file)| shown::Part { name, records: indices.len(), file });
    context.emit(&Parts(rows.collect()))
}

fn verify(names: &[String], context: &Context) -> Result<()> {
    let dir = context.data_dir()?;
    for name in names {
        data::locate(name, dir)?;
    }
    let mut all = data::verify(dir)?;
    all.retain(|(set, condition)| match names {
        [] => *condition != Condition::Absent,
        names => names.contains(&set.name),
    });
    if all.is_empty() {
        let message = format!("no data set is in `{}`; nothing to verify", dir.display());
        return Err(Error::data(message).hint("`seqtilt data list` shows what can be fetched"));
    }
    let checked: Vec<_> = all.iter().map(Checked::of).collect();
    context.emit(&shown::Checks(checked))?;
    match all.iter().find(|(_, condition)| matches!(condition, Condition::Changed { .. })) {
        Some((set, _)) => data::load(&set.name, dir).map(drop),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_that_do_not_belong_to_a_rule_are_refused() {
        let rule = |by, shares: &[f64], at| {
            SplitSettings { by, shares: shares.to_vec(), at, ..SplitSettings::default() }.rule()
        };
        assert_eq!(rule(None, &[], None).unwrap(), Split::Random { shares: [0.8, 0.1, 0.1] });
        assert_eq!(rule(Some(Rule::Quantile), &[], Some(0.9)).unwrap(), Split::Quantile { at: 0.9 });
        assert!(rule(Some(Rule::Quantile), &[0.8, 0.1, 0.1], None).is_err());
        assert!(rule(Some(Rule::Strands), &[], Some(0.5)).is_err());
        assert!(rule(None, &[0.9, 0.1], None).unwrap_err().message().contains("2 numbers"));
        let medium = SplitSettings { difficulty: Some("medium".to_owned()), ..SplitSettings::default() };
        assert_eq!(medium.rule().unwrap(), Split::Start { difficulty: Difficulty { from: 0.2, to: 0.4, gap: 6 } });
        let both = SplitSettings { at: Some(0.5), ..medium };
        assert!(both.rule().unwrap_err().message().contains("exclude each other"));
    }
}
