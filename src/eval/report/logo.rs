//! Sequence logos, side by side.

use super::glyph;
use super::palette;
use super::svg::{Anchor, Svg, coordinate, significant};
use crate::eval::logo::Profile;
use serde::{Deserialize, Serialize};

/// Sequence logos of several sets on one scale.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logos {
    /// Title.
    pub title: String,
    /// What to see.
    #[serde(default)]
    pub caption: String,
    /// The alphabet's letters, in the order of the frequencies.
    pub letters: String,
    /// The number of the first position.
    #[serde(default = "one")]
    pub first: usize,
    /// The sets.
    pub logos: Vec<Logo>,
}

/// The logo of one set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logo {
    /// Its name.
    pub name: String,
    /// Frequencies and information by position.
    pub profile: Profile,
}

fn one() -> usize {
    1
}

/// Positions in one row of a logo.
const ROW: usize = 60;

impl Logos {
    /// Whether a logo needs the whole width of the page.
    pub(super) fn is_wide(&self) -> bool {
        self.logos.iter().any(|l| l.profile.bits.len() > 24)
    }

    pub(super) fn html(&self) -> String {
        let scale = (self.letters.chars().count().max(2) as f64).log2();
        self.logos.iter().map(|logo| self.one(logo, scale)).collect()
    }

    fn one(&self, logo: &Logo, scale: f64) -> String {
        let length = logo.profile.bits.len();
        let columns = length.clamp(1, ROW);
        let cell = if columns <= 12 { 32.0 } else { (900.0 / columns as f64).clamp(15.0, 32.0) };
        let (left, tall, gap) = (44.0, 110.0, 34.0);
        let rows = length.div_ceil(ROW).max(1);
        let (width, height) = (left + cell * columns as f64 + 6.0, 26.0 + (tall + gap) * rows as f64);
        let name = format!("{} (n = {})", logo.name, logo.profile.n);
        let mut svg = Svg::new(width, height, &format!("sequence logo of {name}"));
        svg.text((left, 14.0), Anchor::Start, "key strong", &name);
        for row in 0..rows {
            let bottom = 26.0 + (tall + gap) * row as f64 + tall;
            for tick in 0..=2 {
                let share = f64::from(tick) / 2.0;
                let y = bottom - tall * share;
                svg.line((left, y), (width - 6.0, y), if tick == 0 { "axis" } else { "grid" });
                svg.text(
                    (left - 6.0, y + 4.0),
                    Anchor::End,
                    "tick",
                    significant((scale * share * 100.0).round() / 100.0),
                );
            }
            svg.upright((11.0, bottom - 0.5 * tall), "tick", "bits");
            for position in row * ROW..((row + 1) * ROW).min(length) {
                let x = left + cell * (position - row * ROW) as f64;
                self.column(&mut svg, logo, position, [x, bottom, cell, tall / scale]);
                let number = position + self.first;
                if columns <= 24 || number.is_multiple_of(5) || position == 0 {
                    svg.text((x + 0.5 * cell, bottom + 15.0), Anchor::Middle, "tick", number);
                }
            }
        }
        svg.finish()
    }

    /// The letters of one position, the most frequent on top.
    fn column(&self, svg: &mut Svg, logo: &Logo, position: usize, [x, bottom, cell, per_bit]: [f64; 4]) {
        let nucleic = self.letters.chars().all(|c| "ACGTU".contains(c));
        let Some(frequencies) = logo.profile.frequencies.get(position) else { return };
        let mut stack: Vec<(char, f64)> =
            self.letters.chars().zip(frequencies).map(|(c, f)| (c, f * logo.profile.bits[position])).collect();
        stack.sort_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)));
        let shown: Vec<String> = self
            .letters
            .chars()
            .zip(frequencies)
            .filter(|(_, f)| **f >= 0.01)
            .map(|(c, f)| format!("{c} {:.0}%", 100.0 * f))
            .collect();
        svg.raw("<g>");
        let mut y = bottom;
        for (letter, bits) in stack {
            let height = bits * per_bit;
            if height < 0.6 {
                y -= height.max(0.0);
                continue;
            }
            y -= height;
            let [x, y, w, h] = [x + 0.04 * cell, y, 0.92 * cell, (height - 0.5).max(0.5)].map(coordinate);
            let (id, class) = (glyph::id(letter), palette::letter(letter, nucleic));
            svg.raw(&format!(r##"<use href="#{id}" x="{x}" y="{y}" width="{w}" height="{h}" class="{class}"/>"##));
        }
        let tall = per_bit * (self.letters.chars().count().max(2) as f64).log2();
        let place = [("x", x), ("y", bottom - tall), ("width", cell), ("height", tall)];
        svg.shape("rect", &place, "touch", Some(&format!("{}: {}", position + self.first, shown.join(", "))));
        svg.raw("</g>");
    }
}
