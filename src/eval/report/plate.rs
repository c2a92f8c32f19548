//! The plate: which design goes into which well.

use super::palette;
use super::svg::{Anchor, Svg, significant};
use serde::{Deserialize, Serialize};

/// A plate with the role of every well.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlateMap {
    /// Title.
    pub title: String,
    /// What to see.
    #[serde(default)]
    pub caption: String,
    /// Rows, lettered from `A`.
    pub rows: usize,
    /// Columns, numbered from 1.
    pub columns: usize,
    /// The wells in use.
    pub wells: Vec<Well>,
}

/// A well in use.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Well {
    /// Row, from 0.
    pub row: usize,
    /// Column, from 0.
    pub column: usize,
    /// What it is for, such as `design` or `wild type`; each role has a colour.
    pub role: String,
    /// The design's id.
    pub id: String,
    /// A predicted or measured value.
    #[serde(default)]
    pub value: Option<f64>,
}

impl PlateMap {
    pub(super) fn svg(&self) -> String {
        let cell = (760.0 / self.columns.max(1) as f64).clamp(14.0, 40.0);
        let (left, top) = (30.0, 48.0);
        let width = (left + cell * self.columns as f64 + 6.0).max(420.0);
        let mut svg = Svg::new(width, top + cell * self.rows as f64 + 8.0, &self.title);
        let mut roles: Vec<&str> = Vec::new();
        for well in &self.wells {
            if !roles.contains(&well.role.as_str()) {
                roles.push(&well.role);
            }
        }
        let mut x = left;
        for (index, role) in roles.iter().enumerate() {
            let count = self.wells.iter().filter(|w| w.role == *role).count();
            let text = format!("{role} ({count})");
            let class = format!("fill {}", palette::class(index));
            svg.shape("circle", &[("cx", x + 6.0), ("cy", 10.0), ("r", 6.0)], &class, None);
            svg.text((x + 17.0, 14.0), Anchor::Start, "key", &text);
            x += 17.0 + super::svg::text_width(&text) + 16.0;
        }
        for column in 0..self.columns {
            svg.text((left + cell * (column as f64 + 0.5), top - 6.0), Anchor::Middle, "tick", column + 1);
        }
        for row in 0..self.rows {
            let y = top + cell * (row as f64 + 0.5);
            svg.text((left - 8.0, y + 4.0), Anchor::End, "tick", row_name(row));
            for column in 0..self.columns {
                let at = [("cx", left + cell * (column as f64 + 0.5)), ("cy", y), ("r", 0.41 * cell)];
                svg.shape("circle", &at, "well", None);
            }
        }
        for well in self.wells.iter().filter(|w| w.row < self.rows && w.column < self.columns) {
            let role = roles.iter().position(|r| *r == well.role).unwrap_or(0);
            let at = [
                ("cx", left + cell * (well.column as f64 + 0.5)),
                ("cy", top + cell * (well.row as f64 + 0.5)),
                ("r", 0.41 * cell),
            ];
            let value = well.value.map_or_else(String::new, |v| format!(", {}", significant(v)));
            let title = format!("{}{}: {} ({}{value})", row_name(well.row), well.column + 1, well.id, well.role);
            svg.shape("circle", &at, &format!("fill bar {}", palette::class(role)), Some(&title));
        }
        svg.finish()
    }
}

/// `A` … `Z`, `AA` …
fn row_name(row: usize) -> String {
    let letter = |i: usize| char::from(b'A' + (i % 26) as u8);
    if row < 26 { letter(row).to_string() } else { format!("{}{}", letter(row / 26 - 1), letter(row)) }
}
