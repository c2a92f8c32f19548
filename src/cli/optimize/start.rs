//! What is known before the first round.

use super::settings::Plan;
use crate::cli::context::Context;
use crate::cli::pretrain::one_length;
use crate::error::{Error, Result};
use crate::oracle::OracleInfo;
use crate::reward::Domain;
use crate::sequence::{Records, Sequence};
use crate::store::Sha256;

const HINT: &str = "name a start table and an oracle of the same sequences";

/// The start data, and the sequences that are searched.
pub(in crate::cli) struct Known {
    pub(super) domain: Domain,
    /// The table, where one was named.
    pub(super) records: Option<Records>,
    /// Its sequences and values, in order.
    pub(super) rows: Vec<(Sequence, f64)>,
}

impl Known {
    /// Sequences and values of what is searched, of which there need be none.
    pub(in crate::cli) fn of(domain: Domain, rows: Vec<(Sequence, f64)>) -> Self {
        Self { domain, records: None, rows }
    }

    /// Reads the start table; without one, what the oracle takes is searched.
    ///
    /// # Errors
    /// When the table cannot be read, has no values or several lengths, or the oracle cannot read its sequences.
    pub(super) fn read(plan: &Plan, oracle: &OracleInfo, context: &Context) -> Result<Self> {
        let Some(source) = &plan.start else {
            let (least, most) = oracle.length;
            if least != most {
                let message =
                    format!("oracle `{}` takes {} letters: which length to search?", oracle.name, oracle.lengths());
                return Err(Error::usage(message).hint("pass a table of known sequences of one length with --start"));
            }
            let domain = Domain { alphabet: oracle.alphabet.clone(), length: least };
            return Ok(Self::of(domain, Vec::new()));
        };
        let records = plan.reading.records(source, context)?;
        if records.is_empty() {
            return Err(Error::data(format!("start table `{source}` holds no sequence; at least 1 is needed"))
                .hint("leave out --start to begin from nothing"));
        }
        let sequences = records.sequences();
        let length = one_length(&sequences)?;
        let values = records.values()?;
        if let Some((row, value)) = records.rows.iter().zip(&values).find(|(_, value)| !value.is_finite()) {
            return Err(Error::data(format!("value {value} of `{}` in the start table is not finite", row.id))
                .hint("leave the row out, or pass --skip-invalid"));
        }
        if records.alphabet != oracle.alphabet {
            let (table, reads) = (records.alphabet.name(), oracle.alphabet.name());
            let message = format!("the start table is {table}, oracle `{}` reads {reads}", oracle.name);
            return Err(Error::usage(message).hint(HINT));
        }
        let (least, most) = oracle.length;
        if !(least..=most).contains(&length) {
            let message = format!(
                "the start table has sequences of {length} letters, oracle `{}` takes {}",
                oracle.name,
                oracle.lengths()
            );
            return Err(Error::usage(message).hint(HINT));
        }
        let domain = Domain { alphabet: records.alphabet.clone(), length };
        Ok(Self { domain, records: Some(records), rows: sequences.into_iter().zip(values).collect() })
    }

    /// Sequences and values, in order.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (Sequence, f64)> {
        self.rows.iter().cloned()
    }

    /// The sequences.
    pub(super) fn sequences(&self) -> Vec<Sequence> {
        self.rows.iter().map(|(sequence, _)| sequence.clone()).collect()
    }

    /// A hash of sequences and values.
    pub(super) fn digest(&self) -> String {
        digest(self.rows.iter().map(|(sequence, value)| (sequence, *value)))
    }
}

/// A hash of sequences and values in their order.
pub(super) fn digest<'a>(rows: impl IntoIterator<Item = (&'a Sequence, f64)>) -> String {
    let mut hash = Sha256::default();
    for (sequence, value) in rows {
        hash.update(&(sequence.len() as u64).to_le_bytes());
        hash.update(sequence.ids());
        hash.update(&value.to_bits().to_le_bytes());
    }
    format!("sha256:{}", hash.hex())
}
