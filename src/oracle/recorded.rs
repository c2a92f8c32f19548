//! An oracle whose answers outlive the program.

use super::{Cache, Oracle, OracleInfo, Outcome, Record};
use crate::error::{Error, Result};
use crate::sequence::Sequence;
use crate::store::{append_lines, whole_lines, write_atomic};
use std::path::{Path, PathBuf};

/// An oracle whose evaluations are written to a file before anyone reads them, one line of JSON each.
///
/// Opened again on the same file it knows what was paid for: a deterministic oracle is not asked twice where a
/// [`Metered`](super::Metered) has its [`cache`](Self::cache), any other is told ([`Oracle::recall`]). A line that a crash left torn is
/// dropped and asked for again.
///
/// ```
/// use seqtilt::oracle::{Metered, Oracle, Recorded, Table};
/// use seqtilt::sequence::{Alphabet, Sequence};
/// let folder = tempfile::tempdir().unwrap();
/// let dna = Alphabet::dna();
/// let word = Sequence::parse("A", &dna)?;
/// let table = Table::new("one", dna, [(word.clone(), 0.25)])?;
/// let file = folder.path().join("evaluations.jsonl");
/// Recorded::open(table.clone(), &file)?.evaluate(&[word.clone()])?;
/// let again = Recorded::open(table, &file)?;
/// let (known, cache) = (again.before(), again.cache());
/// let mut metered = Metered::new(again).with_cache(cache);
/// metered.evaluate(&[word])?;
/// assert_eq!((known, metered.usage().unique, metered.usage().cached), (1, 0, 1));
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Debug)]
pub struct Recorded<O> {
    inner: O,
    path: PathBuf,
    before: usize,
    cache: Cache,
}

impl<O: Oracle> Recorded<O> {
    /// Reads what the file holds; what is evaluated from now on is added.
    ///
    /// # Errors
    /// When the file cannot be read, or holds something else than evaluations of sequences that the oracle reads.
    pub fn open(mut inner: O, path: &Path) -> Result<Self> {
        let foreign = |line: usize, what: &str| {
            Error::integrity(what.to_owned()).at(path).line(line as u64 + 1).hint("remove the file to ask anew")
        };
        let info = inner.info().clone();
        let mut cache = Cache::default();
        let mut known = Vec::new();
        let bytes = whole_lines(path)?;
        for (line, text) in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).enumerate() {
            let record: Record =
                serde_json::from_slice(text).map_err(|error| foreign(line, "not an evaluation").because(error))?;
            let sequence = Sequence::parse(&record.sequence, &info.alphabet)
                .map_err(|error| foreign(line, "an evaluation of another alphabet").because(error))?;
            let outcome = record.outcome().ok_or_else(|| foreign(line, "an evaluation without its outcome"))?;
            cache.insert(&info.fingerprint, &sequence, &outcome);
            known.push(sequence);
        }
        inner.recall(&known);
        Ok(Self { inner, path: path.to_owned(), before: known.len(), cache })
    }

    /// Evaluations that the file held when it was opened.
    #[must_use]
    pub const fn before(&self) -> usize {
        self.before
    }

    /// Their outcomes.
    #[must_use]
    pub fn cache(&self) -> Cache {
        self.cache.clone()
    }

    /// Puts the lines of a file in order: threads that ask side by side leave them in the order of their answers.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn sort(path: &Path) -> Result<()> {
        let bytes = whole_lines(path)?;
        let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
        if lines.is_sorted() {
            return Ok(());
        }
        lines.sort();
        write_atomic(path, &lines.concat())
    }
}

impl<O: Oracle> Oracle for Recorded<O> {
    fn info(&self) -> &OracleInfo {
        self.inner.info()
    }

    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
        let outcomes = self.inner.evaluate(batch)?;
        let alphabet = &self.inner.info().alphabet;
        let mut lines = Vec::new();
        for (sequence, outcome) in batch.iter().zip(&outcomes) {
            serde_json::to_writer(&mut lines, &Record::new(sequence.text(alphabet), outcome))
                .map_err(|error| Error::device("cannot write an evaluation").because(error))?;
            lines.push(b'\n');
        }
        append_lines(&self.path, &lines)?;
        Ok(outcomes)
    }

    /// The file told it all before.
    fn recall(&mut self, _: &[Sequence]) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{Noisy, Table};
    use crate::sequence::Alphabet;

    fn table() -> (Table, Vec<Sequence>) {
        let dna = Alphabet::dna();
        let words: Vec<Sequence> = ["A", "C", "G"].iter().map(|text| Sequence::parse(text, &dna).unwrap()).collect();
        let pairs = words.iter().cloned().zip([0.5, -0.25, 1.0 / 3.0]).take(2);
        (Table::new("two", dna, pairs).unwrap(), words)
    }

    #[test]
    fn outcomes_come_back_as_they_were_and_a_torn_line_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("run").join("evaluations.jsonl");
        let (oracle, words) = table();
        let mut first = Recorded::open(oracle.clone(), &file).unwrap();
        // the third is not in the table: it failed, and may be asked for again
        let outcomes = first.evaluate(&words).unwrap();
        let mut torn = std::fs::read(&file).unwrap();
        torn.extend(b"{\"sequence\":\"G\",\"sta");
        std::fs::write(&file, torn).unwrap();
        let again = Recorded::open(oracle, &file).unwrap();
        let print = again.info().fingerprint.clone();
        assert_eq!((again.before(), again.cache().len(&print)), (3, 2));
        assert_eq!(again.cache().get(&print, &words[0]), Some(&outcomes[0]));
        assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 3);
        Recorded::<Table>::sort(&file).unwrap();
        assert!(std::fs::read_to_string(&file).unwrap().lines().is_sorted());
    }

    #[test]
    fn an_oracle_with_noise_goes_on_where_it_stood() {
        let folder = tempfile::tempdir().unwrap();
        let (oracle, words) = table();
        let noisy = || Noisy::new(oracle.clone(), 0.5, 0.0, 3).unwrap();
        let mut whole = noisy();
        let (one, two) = (whole.evaluate(&words[..1]).unwrap(), whole.evaluate(&words[..1]).unwrap());
        let file = folder.path().join("evaluations.jsonl");
        assert_eq!(Recorded::open(noisy(), &file).unwrap().evaluate(&words[..1]).unwrap(), one);
        assert_eq!(Recorded::open(noisy(), &file).unwrap().evaluate(&words[..1]).unwrap(), two);
        assert_ne!(one, two);
    }

    #[test]
    fn a_foreign_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("evaluations.jsonl");
        for text in [
            "value\n",
            "{\"sequence\":\"X\",\"status\":\"ok\",\"value\":1}\n",
            "{\"sequence\":\"A\",\"status\":\"ok\"}\n",
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(Recorded::open(table().0, &file).unwrap_err().kind(), crate::Kind::Integrity, "{text}");
        }
    }
}
