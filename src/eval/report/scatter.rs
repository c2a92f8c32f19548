//! Points against points, with the line of equality, and what theory says about them.

use super::frame::{self, Frame, Key, Swatch};
use super::frontier::draw_bound;
use super::palette;
use super::svg::{Anchor, polyline, significant, text_width};
use super::{Axis, Mark, Point};
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
    /// Whether the dots of each group are joined in their order.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub joined: bool,
    /// Lines behind the dots, such as the optimum that each group approaches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curves: Vec<Curve>,
    /// A line that nothing can lie above, the area beyond it shaded; empty for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bound: Vec<Point>,
    /// Points to point out, each with a ring and a label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rings: Vec<Mark>,
}

/// A line of a scatter plot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Curve {
    /// Its name in the tooltip.
    pub name: String,
    /// The group whose colour it has, by its place; without one it is drawn in ink.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<usize>,
    /// Its points in order.
    pub points: Vec<Point>,
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
        let beside = || {
            let curves = self.curves.iter().flat_map(|c| &c.points).chain(&self.bound).copied();
            curves.chain(self.rings.iter().map(|ring| ring.at))
        };
        let xs = dots().map(|d| d.0).chain(beside().map(|p| p.x));
        let ys = dots().flat_map(|d| [d.1 - d.2, d.1 + d.2]).chain(beside().map(|p| p.y));
        let mut frame = Frame::new(&self.title, (&self.x, xs), (&self.y, ys), &self.keys());
        draw_bound(&mut frame, &self.bound);
        for curve in &self.curves {
            let colour = curve.group.map_or_else(|| "ck".to_owned(), palette::class);
            let line = polyline(curve.points.iter().map(|p| frame.at(p.x, p.y)));
            frame.clipped(&line, &format!("theory {colour}"), Some(&curve.name));
        }
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
            let dash = if index >= palette::SERIES { " dash" } else { "" };
            if self.joined {
                let line = polyline(group.dots.iter().filter_map(|dot| Some(frame.at(dot.x?, dot.y?))));
                frame.clipped(&line, &format!("stroke{dash} {colour}"), Some(&group.name));
            }
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
        self.draw_rings(&mut frame);
        let [left, top, ..] = frame.area();
        for (row, text) in self.figures.iter().enumerate() {
            frame.svg.text((left + 10.0, top + 16.0 + 16.0 * row as f64), Anchor::Start, "note halo", text);
        }
        frame.finish()
    }

    fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<Key> =
            self.groups.iter().enumerate().map(|(i, g)| Key::new(&g.name, i, Swatch::Dot)).collect();
        if self.joined {
            for (index, key) in keys.iter_mut().enumerate() {
                key.swatch = if index < palette::SERIES { Swatch::Marked } else { Swatch::MarkedDash };
            }
        }
        let ink = |name: &str, swatch| Key { name: name.to_owned(), class: "ck".to_owned(), swatch };
        if self.curves.iter().any(|curve| curve.group.is_some()) {
            keys.push(ink("the same, exact optimum", Swatch::Theory));
        }
        if !self.bound.is_empty() {
            keys.push(ink("exact frontier", Swatch::Line));
        }
        if !self.rings.is_empty() {
            keys.push(ink("picked", Swatch::Ring));
        }
        keys
    }

    /// Rings with their labels, on the side that has room.
    fn draw_rings(&self, frame: &mut Frame) {
        let [left, _, width, _] = frame.area();
        for (index, ring) in self.rings.iter().enumerate() {
            let (x, y) = frame.at(ring.at.x, ring.at.y);
            if !(x.is_finite() && y.is_finite()) {
                continue;
            }
            let title = format!("{}: ({}, {})", ring.name, significant(ring.at.x), significant(ring.at.y));
            frame.svg.shape("circle", &[("cx", x), ("cy", y), ("r", 8.0)], "ring ck", Some(&title));
            let right = x + 14.0 + text_width(&ring.name) < left + width;
            let (place, anchor) = if right { (x + 12.0, Anchor::Start) } else { (x - 12.0, Anchor::End) };
            frame.svg.text((place, y + 18.0 + 14.0 * index as f64), anchor, "note halo", &ring.name);
        }
    }
}
