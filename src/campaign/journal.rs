//! What every phase found, kept before the next begins.

use super::Pick;
use crate::error::{Error, Result};
use crate::oracle::{Outcome, Record};
use crate::reward::Prediction;
use crate::sequence::{Alphabet, Sequence};
use crate::store::{append_lines, remove_partials_below, whole_lines, write_atomic};
use serde::{Deserialize, Serialize};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where a campaign keeps what it found.
///
/// | file | content |
/// |---|---|
/// | `rounds/003/search.json` | how many sequences a surrogate scored to find it, where the proposer counts them |
/// | `rounds/003/batch.csv` | what the third round asks for, and why; written as a whole |
/// | `rounds/003/labels.jsonl` | what came of it, in order, added as it comes and on the disk before the next is asked for |
///
/// A line that a crash left torn is dropped and asked for again; labels before it were paid for and stay.
#[derive(Clone, Debug)]
pub struct Journal {
    folder: Option<PathBuf>,
}

const BATCH: &str = "batch.csv";
const LABELS: &str = "labels.jsonl";
const SEARCH: &str = "search.json";

/// What `search.json` holds.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Searched {
    surrogate_calls: u64,
}

/// A row of `batch.csv`.
#[derive(Serialize, Deserialize)]
struct Row {
    sequence: String,
    expected_mean: Option<f64>,
    expected_sd: Option<f64>,
    reason: String,
}

impl Journal {
    /// Keeps nothing beyond the life of the campaign.
    #[must_use]
    pub fn in_memory() -> Self {
        Self { folder: None }
    }

    /// Keeps everything below a folder, which nobody else may write to meanwhile. What a crash left half written there is removed.
    #[must_use]
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        remove_partials_below(&folder);
        Self { folder: Some(folder) }
    }

    /// The folder of a round, where there is one.
    #[must_use]
    pub fn round(&self, round: usize) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join("rounds").join(format!("{round:03}")))
    }

    /// The batch of a round, if it was chosen before.
    pub(super) fn batch(&self, round: usize, alphabet: &Alphabet) -> Result<Option<Vec<Pick>>> {
        let Some(path) = self.round(round).map(|folder| folder.join(BATCH)) else { return Ok(None) };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path, error)),
        };
        let row = |row: std::result::Result<Row, csv::Error>| -> Result<Pick> {
            let row = row.map_err(|error| foreign(&path, "not a batch").because(error))?;
            let sequence = Sequence::parse(&row.sequence, alphabet)
                .map_err(|error| foreign(&path, "not a batch of this campaign").because(error))?;
            let expected = row.expected_mean.map(|mean| Prediction { mean, sd: row.expected_sd });
            Ok(Pick { sequence, expected, reason: row.reason })
        };
        csv::Reader::from_reader(bytes.as_slice()).deserialize().map(row).collect::<Result<_>>().map(Some)
    }

    /// Keeps the batch of a round.
    pub(super) fn keep_batch(&self, round: usize, picks: &[Pick], alphabet: &Alphabet) -> Result<()> {
        let Some(path) = self.round(round).map(|folder| folder.join(BATCH)) else { return Ok(()) };
        let failed = |error: csv::Error| Error::device("cannot write a batch").at(&path).because(error);
        let mut writer = csv::Writer::from_writer(Vec::new());
        for pick in picks {
            let row = Row {
                sequence: pick.sequence.text(alphabet),
                expected_mean: pick.expected.map(|expected| expected.mean),
                expected_sd: pick.expected.and_then(|expected| expected.sd),
                reason: pick.reason.clone(),
            };
            writer.serialize(row).map_err(failed)?;
        }
        let bytes =
            writer.into_inner().map_err(|error| Error::device("cannot write a batch").because(error.to_string()))?;
        write_atomic(&path, &bytes)
    }

    /// How many sequences a surrogate scored for the batch of a round, if that was kept.
    pub(super) fn calls(&self, round: usize) -> Result<Option<u64>> {
        let Some(path) = self.round(round).map(|folder| folder.join(SEARCH)) else { return Ok(None) };
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice::<Searched>(&bytes)
                .map(|searched| Some(searched.surrogate_calls))
                .map_err(|error| foreign(&path, "not the count of a search").because(error)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &path, error)),
        }
    }

    /// Keeps that count: before the batch, which says that the choice is over.
    pub(super) fn keep_calls(&self, round: usize, surrogate_calls: u64) -> Result<()> {
        let Some(path) = self.round(round).map(|folder| folder.join(SEARCH)) else { return Ok(()) };
        let bytes = serde_json::to_vec(&Searched { surrogate_calls })
            .map_err(|error| Error::device("cannot write the count of a search").because(error))?;
        write_atomic(&path, &bytes)
    }

    /// What is known of a round's picks, in their order.
    pub(super) fn outcomes(&self, round: usize, picks: &[Pick], alphabet: &Alphabet) -> Result<Vec<Outcome>> {
        let Some(path) = self.round(round).map(|folder| folder.join(LABELS)) else { return Ok(Vec::new()) };
        let bytes = whole_lines(&path)?;
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let outcomes = lines.enumerate().map(|(index, text)| {
            let at = |what: &str| foreign(&path, what).line(index as u64 + 1);
            let line: Record = serde_json::from_slice(text).map_err(|error| at("not a label").because(error))?;
            let pick = picks.get(index).ok_or_else(|| at("more labels than the batch has sequences"))?;
            let asked = pick.sequence.text(alphabet);
            if line.sequence != asked {
                return Err(at(&format!("a label of `{}`, where the batch has `{asked}`", line.sequence)));
            }
            line.outcome().ok_or_else(|| at("a label without its status, value or reason"))
        });
        outcomes.collect()
    }

    /// Adds what came of some picks.
    pub(super) fn append(&self, round: usize, picks: &[Pick], outcomes: &[Outcome], alphabet: &Alphabet) -> Result<()> {
        let Some(path) = self.round(round).map(|folder| folder.join(LABELS)) else { return Ok(()) };
        let mut lines = Vec::new();
        for (pick, outcome) in picks.iter().zip(outcomes) {
            serde_json::to_writer(&mut lines, &Record::new(pick.sequence.text(alphabet), outcome))
                .map_err(|error| Error::device("cannot write a label").because(error))?;
            lines.push(b'\n');
        }
        append_lines(&path, &lines)
    }
}

fn foreign(path: &Path, what: &str) -> Error {
    Error::integrity(what).at(path).hint("the file was changed after the campaign wrote it; put it back, or start anew")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Bound;

    fn picks(texts: &[&str], dna: &Alphabet) -> Vec<Pick> {
        let pick = |(index, text): (usize, &&str)| Pick {
            sequence: Sequence::parse(text, dna).unwrap(),
            expected: (index != 1).then_some(Prediction { mean: 0.1 + 0.2, sd: (index == 0).then_some(1e-300) }),
            reason: "a \"quoted\", reason".to_owned(),
        };
        texts.iter().enumerate().map(pick).collect()
    }

    #[test]
    fn what_is_kept_comes_back_to_the_last_bit() {
        let (folder, dna) = (tempfile::tempdir().unwrap(), Alphabet::dna());
        let journal = Journal::in_folder(folder.path());
        let picks = picks(&["AC", "AG", "AT", "CA", "CC", "CG"], &dna);
        assert_eq!(journal.batch(1, &dna).unwrap(), None);
        journal.keep_batch(1, &picks, &dna).unwrap();
        assert_eq!(journal.batch(1, &dna).unwrap().unwrap(), picks);
        let outcomes = [
            Outcome::Value { mean: 1.0 / 3.0, sd: Some(0.1) },
            Outcome::exact(-2e-8),
            Outcome::Failed { reason: "line\nfeed".to_owned() },
            Outcome::Infeasible { reason: "stop codon".to_owned() },
            Outcome::Censored { bound: Bound::Below(0.25) },
            Outcome::Skipped,
        ];
        journal.append(1, &picks[..2], &outcomes[..2], &dna).unwrap();
        assert_eq!(journal.outcomes(1, &picks, &dna).unwrap(), outcomes[..2]);
        journal.append(1, &picks[2..], &outcomes[2..], &dna).unwrap();
        assert_eq!(journal.outcomes(1, &picks, &dna).unwrap(), outcomes);
        assert_eq!(journal.calls(1).unwrap(), None);
        journal.keep_calls(1, u64::MAX).unwrap();
        assert_eq!(journal.calls(1).unwrap(), Some(u64::MAX));
        let memory = Journal::in_memory();
        memory.keep_batch(1, &picks, &dna).unwrap();
        assert_eq!((memory.round(1), memory.batch(1, &dna).unwrap()), (None, None));
    }

    #[test]
    fn labels_of_another_batch_are_an_integrity_error_with_their_line() {
        let (folder, dna) = (tempfile::tempdir().unwrap(), Alphabet::dna());
        let journal = Journal::in_folder(folder.path());
        let (mine, other) = (picks(&["AC", "AG"], &dna), picks(&["AC", "TT", "GG"], &dna));
        journal.append(2, &other, &[Outcome::exact(1.0), Outcome::exact(2.0), Outcome::exact(3.0)], &dna).unwrap();
        let error = journal.outcomes(2, &mine, &dna).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Integrity);
        assert!(error.to_string().contains("a label of `TT`, where the batch has `AG`"), "{error}");
        assert!(journal.outcomes(2, &other[..2], &dna).unwrap_err().message().contains("more labels"));
        std::fs::write(folder.path().join("rounds/002/batch.csv"), "sequence,why\nAX,1\n").unwrap();
        assert_eq!(journal.batch(2, &dna).unwrap_err().kind(), crate::Kind::Integrity);
        std::fs::write(folder.path().join("rounds/002/labels.jsonl"), "{\"sequence\":\"AC\",\"status\":\"ok\"}\n")
            .unwrap();
        assert!(journal.outcomes(2, &mine, &dna).unwrap_err().message().contains("without its status"));
    }
}
