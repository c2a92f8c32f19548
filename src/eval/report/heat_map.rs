//! A table of colours: position by letter.

use super::frame;
use super::palette;
use super::svg::{Anchor, Svg, significant};
use serde::{Deserialize, Serialize};

/// A heat map, such as mutation frequency by position and letter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeatMap {
    /// Title.
    pub title: String,
    /// What to see.
    #[serde(default)]
    pub caption: String,
    /// What the colour shows, with the unit in brackets.
    pub unit: String,
    /// Names of the rows, such as letters.
    pub rows: Vec<String>,
    /// Names of the columns, such as positions.
    pub columns: Vec<String>,
    /// Values by row and column; null is left blank.
    pub values: Vec<Vec<Option<f64>>>,
    /// Per column, the row to mark with a dot, such as the wild type's letter.
    #[serde(default)]
    pub marks: Vec<Option<usize>>,
    /// What the dots mark.
    #[serde(default)]
    pub mark_name: String,
    /// Whether 0 is neutral and signs matter.
    #[serde(default)]
    pub diverging: bool,
}

/// Widest map in pixels.
const WIDE: f64 = 1060.0;

impl HeatMap {
    pub(super) fn is_wide(&self) -> bool {
        self.columns.len() > 24
    }

    pub(super) fn svg(&self) -> String {
        let finite = || self.values.iter().flatten().flatten().copied().filter(|v| v.is_finite());
        if finite().next().is_none() || self.columns.is_empty() {
            return frame::empty(&self.title);
        }
        let (least, most) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let bound = least.abs().max(most.abs()).max(f64::MIN_POSITIVE);
        let (low, high) = if self.diverging { (-bound, bound) } else { (least.min(0.0), most) };
        let colour = |value: f64| {
            let share = if high > low { (value - low) / (high - low) } else { 0.5 };
            if self.diverging { palette::diverging(share) } else { palette::sequential(share) }
        };
        let left = 34.0;
        let cell = ((WIDE - left - 10.0) / self.columns.len() as f64).clamp(3.5, 30.0);
        let tall = cell.clamp(13.0, 24.0);
        let width = (left + cell * self.columns.len() as f64 + 10.0).max(360.0);
        let top = 40.0;
        let height = top + tall * self.rows.len() as f64 + 26.0;
        let mut svg = Svg::new(width, height, &self.title);
        self.scale(&mut svg, left, (low, high), &colour);
        for (r, name) in self.rows.iter().enumerate() {
            let y = top + tall * r as f64;
            svg.text((left - 7.0, y + 0.5 * tall + 4.0), Anchor::End, "tick", name);
            for (c, column) in self.columns.iter().enumerate() {
                let x = left + cell * c as f64;
                let place = [("x", x), ("y", y), ("width", cell - 0.4), ("height", tall - 0.4)];
                match self.values.get(r).and_then(|row| row.get(c)).copied().flatten().filter(|v| v.is_finite()) {
                    Some(value) => {
                        let title = format!("{column} {name}: {}", significant(value));
                        svg.filled("rect", &place, &colour(value), Some(&title));
                    }
                    None => svg.shape("rect", &place, "blank", None),
                }
                if self.marks.get(c).copied().flatten() == Some(r) {
                    let at = [("cx", x + 0.5 * cell), ("cy", y + 0.5 * tall), ("r", (0.22 * cell).clamp(1.3, 3.5))];
                    svg.shape("circle", &at, "mark", Some(&format!("{column} {name}: {}", self.mark_name)));
                }
            }
        }
        let mut free_from = 0.0;
        for (c, name) in self.columns.iter().enumerate() {
            let x = left + cell * (c as f64 + 0.5);
            let half = 0.5 * super::svg::text_width(name);
            let regular = cell >= 18.0 || c == 0 || (c + 1) % 10 == 0;
            if regular && x - half > free_from {
                svg.text((x, height - 9.0), Anchor::Middle, "tick", name);
                free_from = x + half + 4.0;
            }
        }
        svg.finish()
    }

    fn scale(&self, svg: &mut Svg, left: f64, (low, high): (f64, f64), colour: &dyn Fn(f64) -> String) {
        let start = left + super::svg::text_width(&significant(low)) + 6.0;
        for i in 0..30_u32 {
            let share = f64::from(i) / 29.0;
            let place = [("x", start + 3.0 * f64::from(i)), ("y", 8.0), ("width", 3.2), ("height", 12.0)];
            svg.filled("rect", &place, &colour(low + share * (high - low)), None);
        }
        svg.text((start - 5.0, 18.0), Anchor::End, "tick", significant(low));
        svg.text((start + 95.0, 18.0), Anchor::Start, "tick", significant(high));
        let after = start + 95.0 + super::svg::text_width(&significant(high)) + 14.0;
        let dots = if self.mark_name.is_empty() { String::new() } else { format!("    • {}", self.mark_name) };
        svg.text((after, 18.0), Anchor::Start, "key", format!("{}{dots}", self.unit));
    }
}
