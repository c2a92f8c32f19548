//! Tables that can be sorted.

use super::svg::{escape, figure};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// A table; a click on a heading sorts by it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// Title.
    pub title: String,
    /// What to see.
    #[serde(default)]
    pub caption: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows, one cell per column.
    pub rows: Vec<Vec<Cell>>,
    /// A sequence, such as the wild type: letters of sequence columns that differ from it are set in bold.
    #[serde(default)]
    pub reference: Option<String>,
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its heading.
    pub name: String,
    /// What its cells hold.
    pub kind: ColumnKind,
    /// What the heading means, as a tooltip.
    #[serde(default)]
    pub meaning: String,
}

/// What the cells of a column hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColumnKind {
    /// Text, sorted alphabetically.
    Text,
    /// Numbers with this many decimals, sorted by value.
    Number(u8),
    /// Sequences in a monospaced face.
    Sequence,
}

impl Column {
    /// A column of text.
    #[must_use]
    pub fn text(name: &str) -> Self {
        Self { name: name.to_owned(), kind: ColumnKind::Text, meaning: String::new() }
    }

    /// A column of numbers with so many decimals.
    #[must_use]
    pub fn number(name: &str, decimals: u8) -> Self {
        Self { name: name.to_owned(), kind: ColumnKind::Number(decimals), meaning: String::new() }
    }

    /// A column of sequences.
    #[must_use]
    pub fn sequence(name: &str) -> Self {
        Self { name: name.to_owned(), kind: ColumnKind::Sequence, meaning: String::new() }
    }

    /// With a tooltip that says what it means.
    #[must_use]
    pub fn meaning(mut self, text: &str) -> Self {
        text.clone_into(&mut self.meaning);
        self
    }
}

/// A cell of a table: null, a number or a text in JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Cell {
    /// Missing: shown empty, sorted last.
    #[default]
    Missing,
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

impl From<f64> for Cell {
    /// A number that is not finite is missing.
    fn from(value: f64) -> Self {
        if value.is_finite() { Self::Number(value) } else { Self::Missing }
    }
}

impl From<usize> for Cell {
    fn from(value: usize) -> Self {
        Self::Number(value as f64)
    }
}

impl From<&str> for Cell {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Missing, Into::into)
    }
}

impl Table {
    pub(super) fn html(&self) -> String {
        let mut out = String::from(r#"<div class="scroll"><table class="sortable"><thead><tr>"#);
        for column in &self.columns {
            let class = if matches!(column.kind, ColumnKind::Number(_)) { r#" class="num""# } else { "" };
            let title = if column.meaning.is_empty() {
                String::new()
            } else {
                format!(r#" title="{}""#, escape(&column.meaning))
            };
            let _ = write!(out, r#"<th scope="col"{class}{title}>{}</th>"#, escape(&column.name));
        }
        out.push_str("</tr></thead><tbody>\n");
        for row in &self.rows {
            out.push_str("<tr>");
            for (index, column) in self.columns.iter().enumerate() {
                self.cell(&mut out, column.kind, row.get(index).unwrap_or(&Cell::Missing));
            }
            out.push_str("</tr>\n");
        }
        out + "</tbody></table></div>"
    }

    fn cell(&self, out: &mut String, kind: ColumnKind, cell: &Cell) {
        let _ = match (kind, cell) {
            (_, Cell::Missing) => write!(out, "<td></td>"),
            (ColumnKind::Number(digits), Cell::Number(value)) => {
                write!(out, r#"<td class="num" data-v="{value:?}">{}</td>"#, figure(*value, usize::from(digits)))
            }
            (ColumnKind::Sequence, Cell::Text(text)) => write!(out, r#"<td class="seq">{}</td>"#, self.marked(text)),
            (_, Cell::Number(value)) => write!(out, r#"<td class="num" data-v="{value:?}">{value}</td>"#),
            (_, Cell::Text(text)) => write!(out, "<td>{}</td>", escape(text)),
        };
    }

    /// A sequence with the letters that differ from the reference in bold.
    fn marked(&self, text: &str) -> String {
        let Some(reference) = self.reference.as_ref().filter(|r| r.len() == text.len() && text.is_ascii()) else {
            return escape(text);
        };
        let pairs: Vec<(u8, bool)> = text.bytes().zip(reference.bytes()).map(|(a, b)| (a, a != b)).collect();
        pairs
            .chunk_by(|a, b| a.1 == b.1)
            .map(|run| {
                let letters = escape(&run.iter().map(|(letter, _)| char::from(*letter)).collect::<String>());
                if run[0].1 { format!("<b>{letters}</b>") } else { letters }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_keep_their_kind_and_differences_are_marked() {
        let table = Table {
            columns: vec![Column::text("id"), Column::sequence("sequence"), Column::number("value", 2)],
            rows: vec![
                vec!["<d1>".into(), "ACGT".into(), 0.125.into()],
                vec!["d2".into(), "AAAA".into(), f64::NAN.into()],
            ],
            reference: Some("AAGA".to_owned()),
            ..Table::default()
        };
        let html = table.html();
        assert!(html.contains("<td>&lt;d1&gt;</td>"));
        assert!(html.contains("A<b>C</b>G<b>T</b>"));
        assert!(html.contains(r#"data-v="0.125">0.12</td>"#));
        assert!(html.contains("AA<b>A</b>A</td><td></td>"));
        let text = serde_json::to_string(&table.rows).unwrap();
        assert_eq!(text, r#"[["<d1>","ACGT",0.125],["d2","AAAA",null]]"#);
        assert_eq!(serde_json::from_str::<Vec<Vec<Cell>>>(&text).unwrap(), table.rows);
    }
}
