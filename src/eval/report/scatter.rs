//! Points against points, with the line of equality.

use super::Axis;
use super::frame::{self, Frame, Key, Swatch};
use super::palette;
use super::svg::{Anchor, polyline, significant};
use serde::{Deserialize, Serialize};

/// A scatter plot, such as predicted against measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scatter {
    /// Title.
    pub title: String,
    /// What to see.
    #[serde(default)]
    pub caption: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// The points by group.
    pub groups: Vec<ScatterGroup>,
    /// Whether to draw the line y = x.
    #[serde(default)]
    pub identity: bool,
    /// Figures to print in the plot, such as `Spearman 0.81`.
    #[serde(default)]
    pub figures: Vec<String>,
}

/// A group of points.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScatterGroup {
    /// Its name in the legend.
    pub name: String,
    /// The points.
    pub dots: Vec<Dot>,
}

/// A point with an optional vertical error and name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dot {
    /// Horizontal; null is left out.
    pub x: Option<f64>,
    /// Vertical; null is left out.
    pub y: Option<f64>,
    /// Half-length of a vertical error bar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
    /// Its name in the tooltip, such as a sequence's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Dot {
    /// A point without error or name.
    #[must_use]
    pub fn new(x: f64, y: f64) -> Self {
        let finite = |v: f64| Some(v).filter(|v| v.is_finite());
        Self { x: finite(x), y: finite(y), error: None, name: None }
    }

    /// With a vertical error bar.
    #[must_use]
    pub fn with_error(mut self, error: f64) -> Self {
        self.error = Some(error).filter(|e| e.is_finite());
        self
    }

    /// With a name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

impl Scatter {
    pub(super) fn svg(&self) -> String {
        let dots =
            || self.groups.iter().flat_map(|g| &g.dots).filter_map(|d| Some((d.x?, d.y?, d.error.unwrap_or(0.0))));
        if dots().next().is_none() {
            return frame::empty(&self.title);
        }
        let keys: Vec<Key> = self.groups.iter().enumerate().map(|(i, g)| Key::new(&g.name, i, Swatch::Dot)).collect();
        let (xs, ys) = (dots().map(|d| d.0), dots().flat_map(|d| [d.1 - d.2, d.1 + d.2]));
        let mut frame = Frame::new(&self.title, (&self.x, xs), (&self.y, ys), &keys);
        if self.identity {
            let low = frame.x.low().max(frame.y.low());
            let high = frame.x.high().min(frame.y.high());
            if low < high {
                let ends = polyline([frame.at(low, low), frame.at(high, high)]);
                frame.clipped(&ends, "rule", Some("equality"));
            }
        }
        let count = dots().count();
        let radius = if count > 2_000 {
            1.8
        } else if count > 400 {
            2.5
        } else {
            3.8
        };
        for (index, group) in self.groups.iter().enumerate() {
            let colour = palette::class(index);
            for dot in &group.dots {
                let (Some(x), Some(y)) = (dot.x, dot.y) else { continue };
                if let Some(error) = dot.error {
                    let bar = polyline([frame.at(x, y - error), frame.at(x, y + error)]);
                    frame.clipped(&bar, &format!("error {colour}"), None);
                }
                let name = dot.name.as_deref().unwrap_or(&group.name);
                let title = format!("{name}: ({}, {})", significant(x), significant(y));
                frame.dot(x, y, radius, &format!("fill dot {colour}"), &title);
            }
        }
        let [left, top, ..] = frame.area();
        for (row, text) in self.figures.iter().enumerate() {
            frame.svg.text((left + 10.0, top + 16.0 + 16.0 * row as f64), Anchor::Start, "note halo", text);
        }
        frame.finish()
    }
}
