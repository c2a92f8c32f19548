//! Potts models in files.

use super::Potts;
use crate::error::{Error, Result};
use crate::sequence::{Alphabet, read_text};
use csv::{ReaderBuilder, StringRecord, Trim};
use std::collections::BTreeMap;
use std::path::Path;

/// Columns of the table.
const HEADER: [&str; 5] = ["i", "a", "j", "b", "value"];

/// One row: a field, or a coupling.
struct Term {
    line: u64,
    first: (usize, u8),
    second: Option<(usize, u8)>,
    value: f64,
}

impl Potts {
    /// From a file, as [`parse`](Self::parse), named after it.
    ///
    /// # Errors
    /// When the file cannot be read or is not such a table; the error has file, line and column.
    pub fn read(path: &Path) -> Result<Self> {
        let name = path.file_stem().map_or_else(|| "potts".to_owned(), |stem| stem.to_string_lossy().into_owned());
        Self::parse(name, &read_text(path)?).map_err(|error| error.at(path))
    }

    /// From the text of a CSV table with the columns `i,a,j,b,value`: position and letter, and for a coupling those of the second
    /// position; positions count from 1, in any order, and terms that are not there are 0.
    ///
    /// ```text
    /// # alphabet: dna          optional: dna, rna, protein, or the letters; else the first of the three that has all letters
    /// # length: 8              optional: else the largest position
    /// i,a,j,b,value
    /// 1,A,,,0.5                h_1(A)
    /// 1,A,2,C,-1.25            J_12(A, C)
    /// ```
    ///
    /// # Errors
    /// When a row is not of this form, a term comes twice, or a letter or position is not of the stated alphabet or length; the
    /// error has line and column.
    pub fn parse(name: impl Into<String>, text: &str) -> Result<Self> {
        let stated = |key: &str| {
            text.lines().zip(1..).find_map(|(line, number)| {
                let (found, value) = line.trim().strip_prefix('#')?.split_once(':')?;
                (found.trim() == key).then(|| (value.trim().to_owned(), number))
            })
        };
        let mut reader =
            ReaderBuilder::new().comment(Some(b'#')).flexible(true).trim(Trim::All).from_reader(text.as_bytes());
        let header = reader.headers().map_err(broken)?.clone();
        if header.iter().ne(HEADER) {
            let line = header.position().map_or(1, csv::Position::line);
            let got = header.iter().collect::<Vec<_>>().join(",");
            return Err(Error::data(format!("header `{got}`; `{}` is accepted", HEADER.join(","))).line(line));
        }
        let terms = reader.records().map(|record| term(&record.map_err(broken)?)).collect::<Result<Vec<_>>>()?;
        if terms.is_empty() {
            return Err(Error::data("no fields or couplings; at least one row is needed"));
        }
        let alphabet = match stated("alphabet") {
            Some((name, line)) => {
                Alphabet::named(&name).or_else(|_| Alphabet::of_letters(&name)).map_err(|error| error.line(line))?
            }
            None => detected(&terms)?,
        };
        let ends = |term: &Term| [Some(term.first), term.second].into_iter().flatten().map(|(position, _)| position);
        let most = terms.iter().flat_map(ends).max().unwrap_or(1);
        let length = match stated("length") {
            Some((text, line)) => {
                let wrong = || Error::data(format!("length `{text}`; a whole number is accepted")).line(line);
                text.parse::<usize>().ok().filter(|length| *length > 0).ok_or_else(wrong)?
            }
            None => most,
        };
        Self::of_terms(name.into(), alphabet, length, &terms)
    }

    fn of_terms(name: String, alphabet: Alphabet, length: usize, terms: &[Term]) -> Result<Self> {
        let v = alphabet.len();
        if length.saturating_mul(v) > super::SIDE {
            let most = super::SIDE / v;
            return Err(Error::data(format!("{length} positions over {v} letters; at most {most} are accepted")));
        }
        let mut fields = vec![None; length * v];
        let mut couplings: BTreeMap<(usize, usize), Vec<Option<f64>>> = BTreeMap::new();
        for term in terms {
            let place = |(position, letter): (usize, u8), column: u64| {
                let fault = |message: String| Error::data(message).line(term.line).column(column);
                if position > length {
                    return Err(fault(format!("position {position}; 1 to {length} is accepted")));
                }
                let id = alphabet.id(letter).ok_or_else(|| {
                    let letters = String::from_utf8_lossy(alphabet.letters());
                    let (letter, name) = (char::from(letter), alphabet.name());
                    fault(format!("letter `{letter}` is not in alphabet `{name}`, which accepts `{letters}`"))
                        .column(column + 1)
                })?;
                Ok((position - 1, usize::from(id)))
            };
            let first = place(term.first, 1)?;
            let slot = match term.second.map(|second| place(second, 3)).transpose()? {
                None => &mut fields[first.0 * v + first.1],
                Some(second) => {
                    if first.0 == second.0 {
                        let message = format!("position {} twice; two positions make a coupling", first.0 + 1);
                        return Err(Error::data(message)
                            .line(term.line)
                            .column(3)
                            .hint("leave `j` and `b` empty for a field"));
                    }
                    let (low, high) = if first.0 < second.0 { (first, second) } else { (second, first) };
                    let table = couplings.entry((low.0, high.0)).or_insert_with(|| vec![None; v * v]);
                    &mut table[low.1 * v + high.1]
                }
            };
            if slot.replace(term.value).is_some() {
                return Err(Error::data("this term was given before; once is accepted").line(term.line).column(1));
            }
        }
        let filled = |values: Vec<Option<f64>>| values.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>();
        let couplings = couplings.into_iter().map(|(pair, values)| (pair, filled(values))).collect();
        Self::new(name, alphabet, filled(fields), couplings)
    }
}

fn broken(error: csv::Error) -> Error {
    let line = error.position().map(csv::Position::line);
    let error = Error::data("not a row of a CSV table").because(error);
    match line {
        Some(line) => error.line(line),
        None => error,
    }
}

fn term(record: &StringRecord) -> Result<Term> {
    let line = record.position().map_or(0, csv::Position::line);
    let fault = |column: usize, message: String| Error::data(message).line(line).column(column as u64 + 1);
    if record.len() != HEADER.len() {
        return Err(fault(0, format!("{} columns; `{}` is accepted", record.len(), HEADER.join(","))));
    }
    let position = |column: usize| {
        let text = &record[column];
        let accepted = || fault(column, format!("position `{text}`; a whole number from 1 is accepted"));
        text.parse::<usize>().ok().filter(|position| *position > 0).ok_or_else(accepted)
    };
    let letter = |column: usize| match record[column].as_bytes() {
        [letter] => Ok(letter.to_ascii_uppercase()),
        _ => Err(fault(column, format!("letter `{}`; one letter is accepted", &record[column]))),
    };
    let second = match (record[2].is_empty(), record[3].is_empty()) {
        (true, true) => None,
        _ => Some((position(2)?, letter(3)?)),
    };
    let text = &record[4];
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
    let value = value.ok_or_else(|| fault(4, format!("value `{text}`; a finite number is accepted")))?;
    Ok(Term { line, first: (position(0)?, letter(1)?), second, value })
}

/// The first built-in alphabet with all letters.
fn detected(terms: &[Term]) -> Result<Alphabet> {
    let letters = |term: &Term| [Some(term.first), term.second].into_iter().flatten().map(|(_, letter)| letter);
    let known = [Alphabet::dna(), Alphabet::rna(), Alphabet::protein()];
    let has_all = |alphabet: &Alphabet| terms.iter().flat_map(letters).all(|letter| alphabet.id(letter).is_some());
    known.into_iter().find(has_all).ok_or_else(|| {
        Error::data("the letters are not those of `dna`, `rna` or `protein`")
            .hint("state them in the first line, such as `# alphabet: ACGT-`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::Sequence;

    const GOOD: &str = "# two terms\n# length: 4\ni,a,j,b,value\n1,A,,,0.5\n 3 , c , 1 , A , -1.25\n";

    #[test]
    fn fields_and_couplings_are_read_in_any_order() {
        let potts = Potts::parse("two", GOOD).unwrap();
        let score = |text: &str| potts.score(&Sequence::parse(text, potts.alphabet()).unwrap());
        assert_eq!((potts.length(), potts.alphabet().name()), (4, "dna"));
        assert_eq!((score("AAAA"), score("AACA"), score("CACA")), (0.5, -0.75, 0.0));
        let own = Potts::parse("own", "# alphabet: AB\ni,a,j,b,value\n2,B,,,1\n").unwrap();
        assert_eq!((own.alphabet().letters(), own.length()), (b"AB".as_slice(), 2));
        let protein = Potts::parse("p", "i,a,j,b,value\n1,A,,,1\n2,W,,,1\n").unwrap();
        assert_eq!(protein.alphabet().name(), "protein");
    }

    #[test]
    fn bad_files_are_refused_with_line_and_column() {
        let head = "i,a,j,b,value\n";
        for (rows, place, wrong) in [
            ("i,a,value\n1,A,1\n".to_owned(), ":1: ", "header `i,a,value`"),
            (head.to_owned(), ": ", "at least one row"),
            (format!("{head}1,A,,\n"), ":2:1: ", "4 columns"),
            (format!("{head}0,A,,,1\n"), ":2:1: ", "position `0`"),
            (format!("{head}1,AC,,,1\n"), ":2:2: ", "letter `AC`"),
            (format!("{head}1,A,2,,1\n"), ":2:4: ", "letter ``"),
            (format!("{head}1,A,,C,1\n"), ":2:3: ", "position ``"),
            (format!("{head}1,A,,,x\n"), ":2:5: ", "value `x`"),
            (format!("{head}1,A,,,inf\n"), ":2:5: ", "value `inf`"),
            (format!("{head}1,A,1,C,1\n"), ":2:3: ", "position 1 twice"),
            (format!("{head}1,A,,,1\n1,A,,,2\n"), ":3:1: ", "given before"),
            (format!("{head}1,A,2,C,1\n2,C,1,A,2\n"), ":3:1: ", "given before"),
            (format!("# length: 2\n{head}1,A,,,1\n3,C,,,2\n"), ":4:1: ", "position 3; 1 to 2"),
            (format!("# alphabet: dna\n{head}1,A,2,W,1\n"), ":3:4: ", "letter `W`"),
            (format!("# length: x\n{head}1,A,,,1\n"), ":1: ", "length `x`"),
            (format!("# length: 9999999\n{head}1,A,,,1\n"), ": ", "at most 1024"),
            (format!("# alphabet: a\n{head}1,A,,,1\n"), ":1: ", "alphabet"),
            (format!("{head}1,!,,,1\n"), ": ", "not those of"),
        ] {
            let error = Potts::parse("bad", &rows).unwrap_err().at("bad.csv").to_string();
            assert!(error.starts_with(&format!("bad.csv{place}")) && error.contains(wrong), "{rows}: {error}");
        }
    }
}
