//! Motifs in files: MEME's minimal format and JASPAR's.

use crate::error::{Error, Result};
use crate::registry::unknown;
use crate::sequence::{Alphabet, read_text};
use std::collections::BTreeMap;
use std::path::Path;

/// Number of sites that MEME's format stands for where a motif does not say.
const SITES: f64 = 20.0;

/// Letter probabilities of a motif, and those of the background.
///
/// One count is spread over the letters as the background has them, so that no probability is 0:
///
/// ```text
/// q_j(v) = (n_j(v) + b(v)) / (N_j + 1)
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Motif {
    /// What it is called.
    pub name: String,
    /// Its letters.
    pub alphabet: Alphabet,
    /// One row of V probabilities for each position.
    pub rows: Vec<Vec<f64>>,
    /// V probabilities.
    pub background: Vec<f64>,
}

/// A line with its number.
type Line<'a> = (u64, &'a str);

impl Motif {
    /// From a file, as [`parse`](Self::parse).
    ///
    /// # Errors
    /// When the file cannot be read or holds no such motif; the error has file, line and column.
    pub fn read(path: &Path, name: Option<&str>) -> Result<Self> {
        Self::parse(&read_text(path)?, name).map_err(|error| error.at(path))
    }

    /// The motif of a name, or the only one, of a text in MEME's minimal format (it begins with `MEME version`) or in JASPAR's, with
    /// counts of letters:
    ///
    /// ```text
    /// >MA0001.1 name
    /// A [ 0 3 79 ]
    /// C [ 94 75 4 ]
    /// …
    /// ```
    /// MEME's background is read; JASPAR's is uniform.
    ///
    /// # Errors
    /// When the text is of neither format, a number is missing or negative, or there are several motifs and none is named; the error
    /// has line and column.
    pub fn parse(text: &str, name: Option<&str>) -> Result<Self> {
        let lines: Vec<Line<'_>> = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()).collect();
        let mut motifs = match lines.first() {
            Some((_, line)) if line.trim_start().starts_with("MEME version") => meme(&lines)?,
            Some((_, line)) if line.starts_with('>') => jaspar(&lines)?,
            first => {
                let line = first.map_or(1, |(number, _)| *number);
                return Err(Error::data("neither `MEME version …` nor `>NAME` in the first line")
                    .line(line)
                    .column(1)
                    .hint("motifs in MEME's minimal format and in JASPAR's are accepted"));
            }
        };
        match name {
            Some(name) => {
                let names: Vec<String> = motifs.iter().map(|motif| motif.name.clone()).collect();
                let at = names.iter().position(|known| known == name);
                at.map(|at| motifs.swap_remove(at))
                    .ok_or_else(|| unknown("motif", name, names.iter().map(String::as_str)))
            }
            None if motifs.len() == 1 => Ok(motifs.swap_remove(0)),
            None => {
                let names: Vec<&str> = motifs.iter().take(8).map(|motif| motif.name.as_str()).collect();
                Err(Error::data(format!("{} motifs: {}", motifs.len(), names.join(", ")))
                    .hint("name one, as in `pwm:motif=NAME:FILE`"))
            }
        }
    }
}

/// Counts and one more, spread as the background is.
fn smoothed(counts: &[f64], background: &[f64]) -> Vec<f64> {
    let total: f64 = counts.iter().sum();
    counts.iter().zip(background).map(|(n, b)| (n + b) / (total + 1.0)).collect()
}

/// The numbers of a line from byte `from` on.
fn numbers((number, line): Line<'_>, from: usize) -> Result<Vec<f64>> {
    let mut found = Vec::new();
    let separator = |c: char| c.is_whitespace() || matches!(c, '[' | ']');
    let mut rest = from;
    for word in line[from..].split(separator) {
        let column = rest as u64 + 1;
        rest += word.len() + 1;
        if word.is_empty() {
            continue;
        }
        let value = word.parse::<f64>().ok().filter(|value| value.is_finite() && *value >= 0.0);
        found.push(value.ok_or_else(|| {
            Error::data(format!("`{word}`; a number of 0 or more is accepted")).line(number).column(column)
        })?);
    }
    Ok(found)
}

fn jaspar(lines: &[Line<'_>]) -> Result<Vec<Motif>> {
    let starts: Vec<usize> = (0..lines.len()).filter(|i| lines[*i].1.starts_with('>')).collect();
    let ends = starts.iter().skip(1).copied().chain([lines.len()]);
    starts.iter().copied().zip(ends).map(|(start, end)| jaspar_motif(lines[start], &lines[start + 1..end])).collect()
}

fn jaspar_motif(head: Line<'_>, lines: &[Line<'_>]) -> Result<Motif> {
    let name = head.1[1..].split_whitespace().next().unwrap_or("motif").to_owned();
    let mut letters = String::new();
    let mut rows: Vec<Vec<f64>> = Vec::new();
    for (number, line) in lines {
        let indent = line.len() - line.trim_start().len();
        let letter = line[indent..].chars().next().filter(char::is_ascii_alphabetic);
        let letter = letter
            .ok_or_else(|| Error::data("no letter in front of the counts").line(*number).column(indent as u64 + 1))?;
        letters.push(letter.to_ascii_uppercase());
        let row = numbers((*number, line), indent + 1)?;
        if rows.first().is_some_and(|first| first.len() != row.len()) || row.is_empty() {
            let (got, wanted) = (row.len(), rows.first().map_or(1, Vec::len));
            return Err(
                Error::data(format!("{got} counts; {wanted} as for the first letter are accepted")).line(*number)
            );
        }
        rows.push(row);
    }
    // a built-in alphabet in any order is that alphabet
    let sorted: BTreeMap<char, Vec<f64>> = letters.chars().zip(rows.iter().cloned()).collect();
    let in_order: String = sorted.keys().collect();
    let known =
        Alphabet::of_letters(&in_order).ok().filter(|known| known.name() != "custom" && sorted.len() == rows.len());
    if known.is_some() {
        (letters, rows) = (in_order, sorted.into_values().collect());
    }
    let alphabet = Alphabet::of_letters(&letters).map_err(|error| error.line(head.0))?;
    let background = vec![1.0 / alphabet.len() as f64; alphabet.len()];
    let width = rows.first().map_or(0, Vec::len);
    let positions = (0..width).map(|j| rows.iter().map(|row| row[j]).collect::<Vec<_>>());
    let rows = positions.map(|counts| smoothed(&counts, &background)).collect();
    Ok(Motif { name, alphabet, rows, background })
}

fn meme(lines: &[Line<'_>]) -> Result<Vec<Motif>> {
    let mut alphabet = Alphabet::dna();
    let mut background: Option<Vec<f64>> = None;
    let mut motifs = Vec::new();
    let mut name = None;
    let mut left = lines.iter().copied().peekable();
    while let Some((number, line)) = left.next() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let Some(letters) = line.trim().strip_prefix("ALPHABET=") {
            alphabet = Alphabet::of_letters(letters.trim()).map_err(|error| error.line(number))?;
        } else if line.trim_start().starts_with("ALPHABET") {
            return Err(Error::data("an alphabet by symbols; `ALPHABET= ACGT` is accepted").line(number).column(1));
        } else if line.trim_start().starts_with("Background letter frequencies") {
            let mut pairs = Vec::new();
            while pairs.len() < 2 * alphabet.len() {
                let Some((_, line)) = left.next_if(|(_, line)| !line.trim_start().starts_with("MOTIF")) else { break };
                pairs.extend(line.split_whitespace());
            }
            background = Some(frequencies(&pairs, &alphabet).map_err(|error| error.line(number + 1))?);
        } else if words.first() == Some(&"MOTIF") {
            name = words.get(1).map(|name| (*name).to_owned());
        } else if line.trim_start().starts_with("letter-probability matrix") {
            let stated = |key: &str| {
                let at = words.iter().position(|word| word.starts_with(key))?;
                let tail = words[at].trim_start_matches(key);
                (if tail.is_empty() { words.get(at + 1)? } else { &tail }).parse::<f64>().ok()
            };
            let background = background.clone().unwrap_or_else(|| vec![1.0 / alphabet.len() as f64; alphabet.len()]);
            let (width, sites) = (stated("w="), stated("nsites=").filter(|n| *n > 0.0).unwrap_or(SITES));
            let mut rows = Vec::new();
            let is_row = |(_, line): &Line<'_>| line.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '.');
            while let Some(row) = left.next_if(|next| width.is_none_or(|w| (rows.len() as f64) < w) && is_row(next)) {
                let probabilities = numbers(row, 0)?;
                let total: f64 = probabilities.iter().sum();
                if probabilities.len() != alphabet.len() || (total - 1.0).abs() > 0.01 {
                    let message = format!(
                        "{} numbers with sum {total}; {} with sum 1 are accepted",
                        probabilities.len(),
                        alphabet.len()
                    );
                    return Err(Error::data(message).line(row.0).column(1));
                }
                let counts: Vec<f64> = probabilities.iter().map(|p| p / total * sites).collect();
                rows.push(smoothed(&counts, &background));
            }
            if rows.is_empty() || width.is_some_and(|width| width != rows.len() as f64) {
                let wanted = width.map_or_else(|| "at least 1".to_owned(), |width| width.to_string());
                let message = format!("{} rows of probabilities; {wanted} accepted", rows.len());
                return Err(Error::data(message).line(number));
            }
            let name = name.take().unwrap_or_else(|| format!("motif{}", motifs.len() + 1));
            motifs.push(Motif { name, alphabet: alphabet.clone(), rows, background });
        }
    }
    if motifs.is_empty() {
        return Err(Error::data("no `letter-probability matrix`; at least one motif is needed"));
    }
    Ok(motifs)
}

/// `A 0.3 C 0.2 …` in the order of the alphabet.
fn frequencies(words: &[&str], alphabet: &Alphabet) -> Result<Vec<f64>> {
    let mut found = vec![None; alphabet.len()];
    for pair in words.chunks(2) {
        let ([letter], Some(value)) = (pair[0].as_bytes(), pair.get(1).and_then(|text| text.parse::<f64>().ok()))
        else {
            return Err(Error::data(format!("`{}`; letters and their frequencies are accepted", pair.join(" "))));
        };
        if let (Some(id), true) = (alphabet.id(*letter), value > 0.0) {
            found[usize::from(id)] = Some(value);
        }
    }
    let all: Option<Vec<f64>> = found.into_iter().collect();
    let all = all.ok_or_else(|| {
        Error::data(format!(
            "a frequency above 0 for each of `{}` is needed",
            String::from_utf8_lossy(alphabet.letters())
        ))
    })?;
    let total: f64 = all.iter().sum();
    Ok(all.into_iter().map(|value| value / total).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const JASPAR: &str = ">MA1 a\nA [ 3 0 ]\nC [ 0 1 ]\nG [ 0 1 ]\nT [ 0 1 ]\n\n>MA2 b\nT 1\nG 0\nC 0\nA 0\n";

    #[test]
    fn both_formats_give_the_same_motif() {
        let jaspar = Motif::parse(JASPAR, Some("MA1")).unwrap();
        // (n + 1/4)/(N + 1)
        assert_eq!(jaspar.rows, [vec![3.25 / 4.0, 0.0625, 0.0625, 0.0625], vec![0.0625, 0.3125, 0.3125, 0.3125]]);
        let text = "MEME version 4\nALPHABET= ACGT\nMOTIF MA1 a\nletter-probability matrix: alength=4 w=2 nsites=3\n\
                    1 0 0 0\n0 0.333333 0.333333 0.333333\nURL x\n";
        let meme = Motif::parse(text, None).unwrap();
        for (a, b) in meme.rows.concat().iter().zip(jaspar.rows.concat()) {
            assert!((a - b).abs() < 1e-6, "six printed digits: {a} {b}");
        }
        let turned = Motif::parse(JASPAR, Some("MA2")).unwrap();
        assert_eq!((turned.alphabet.name(), turned.rows), ("dna", vec![vec![0.125, 0.125, 0.125, 0.625]]));
    }

    #[test]
    fn backgrounds_and_proteins_are_read() {
        let letters = "ACDEFGHIKLMNPQRSTVWY";
        let row = vec!["0.05"; 20].join(" ");
        let text = format!("MEME version 5\nALPHABET= {letters}\nMOTIF p\nletter-probability matrix: w= 1\n {row}\n");
        let motif = Motif::parse(&text, None).unwrap();
        assert_eq!((motif.alphabet.name(), motif.rows.len()), ("protein", 1));
        let text = "MEME version 4\nBackground letter frequencies\nA 0.4 C 0.1\nG 0.1 T 0.4\nMOTIF d\n\
                    letter-probability matrix:\n1 0 0 0\n";
        let motif = Motif::parse(text, None).unwrap();
        assert_eq!(motif.background, [0.4, 0.1, 0.1, 0.4]);
        assert!((motif.rows[0][0] - 20.4 / 21.0).abs() < 1e-15);
    }

    #[test]
    fn bad_files_are_refused_with_line_and_column() {
        let meme = "MEME version 4\nMOTIF m\nletter-probability matrix: w= 1\n";
        for (text, place, wrong) in [
            ("hello\n".to_owned(), ":1:1: ", "neither"),
            (JASPAR.to_owned(), ": ", "2 motifs: MA1, MA2"),
            (">m\nA [ 1 x ]\n".to_owned(), ":2:7: ", "`x`"),
            (">m\nA [ 1 -2 ]\n".to_owned(), ":2:7: ", "`-2`"),
            (">m\nA 1 2\nC 1\n".to_owned(), ":3: ", "1 counts; 2"),
            (">m\n 1 2\n".to_owned(), ":2:2: ", "no letter"),
            (">m\nA 1\nA 1\n".to_owned(), ":1: ", "repeats"),
            ("MEME version 4\nMOTIF m\n".to_owned(), ": ", "at least one motif"),
            (format!("{meme}0.5 0.5 0\n"), ":4:1: ", "3 numbers"),
            (format!("{meme}0.5 0.5 0.5 0\n"), ":4:1: ", "sum 1.5"),
            (meme.to_owned(), ":3: ", "0 rows"),
            ("MEME version 5\nALPHABET \"DNA\" DNA-LIKE\n".to_owned(), ":2:1: ", "by symbols"),
            (
                "MEME version 4\nBackground letter frequencies\nA 0.5 C 0.5\nMOTIF m\n".to_owned(),
                ":3: ",
                "each of `ACGT`",
            ),
        ] {
            let error = Motif::parse(&text, None).unwrap_err().at("m.txt").to_string();
            assert!(error.starts_with(&format!("m.txt{place}")) && error.contains(wrong), "{text}: {error}");
        }
        let error = Motif::parse(JASPAR, Some("MA3")).unwrap_err();
        assert!(error.message().contains("unknown motif `MA3`"));
    }
}
