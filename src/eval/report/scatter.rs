//! Points against points, with the line of equality, and what theory says about them.

use super::frame::{self, Frame, Key, Swatch};
use super::frontier::{Place, draw_bound, overlap};
use super::marker::Marker;
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
            if self.joined {
                let line = polyline(group.dots.iter().filter_map(|dot| Some(frame.at(dot.x?, dot.y?))));
                frame.clipped(&line, &format!("joined {colour}"), Some(&group.name));
            }
            for dot in &group.dots {
                let (Some(x), Some(y)) = (dot.x, dot.y) else { continue };
                if let Some(error) = dot.error {
                    let bar = polyline([frame.at(x, y - error), frame.at(x, y + error)]);
                    frame.clipped(&bar, &format!("error {colour}"), None);
                }
                let name = dot.name.as_deref().unwrap_or(&group.name);
                let title = format!("{name}: ({}, {})", significant(x), significant(y));
                if self.shaped() {
                    frame.mark((x, y), Marker::of(index), &format!("fill cut {colour}"), &title);
                } else {
                    frame.dot(x, y, radius, &format!("fill dot {colour}"), &title);
                }
            }
        }
        self.draw_rings(&mut frame);
        let [left, top, ..] = frame.area();
        for (row, text) in self.figures.iter().enumerate() {
            frame.svg.text((left + 10.0, top + 16.0 + 16.0 * row as f64), Anchor::Start, "note halo", text);
        }
        frame.finish()
    }

    /// Whether groups differ by shape too: where lines tell them apart, and where colours start over.
    fn shaped(&self) -> bool {
        self.joined || self.groups.len() > palette::SERIES
    }

    fn keys(&self) -> Vec<Key> {
        let mut keys: Vec<Key> =
            self.groups.iter().enumerate().map(|(i, g)| Key::new(&g.name, i, Swatch::Dot)).collect();
        if self.shaped() {
            for (index, (key, group)) in keys.iter_mut().zip(&self.groups).enumerate() {
                let (marker, line) = (Marker::of(index), self.joined && group.dots.len() > 1);
                key.swatch = if line { Swatch::Joined(marker) } else { Swatch::Marker(marker) };
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

    /// Rings, each labelled where the label covers least.
    fn draw_rings(&self, frame: &mut Frame) {
        let [left, top, width, height] = frame.area();
        let mut taken = if self.rings.is_empty() { Vec::new() } else { self.occupied(frame) };
        for ring in &self.rings {
            let (x, y) = frame.at(ring.at.x, ring.at.y);
            if !(x.is_finite() && y.is_finite()) {
                continue;
            }
            let title = format!("{}: ({}, {})", ring.name, significant(ring.at.x), significant(ring.at.y));
            frame.svg.shape("circle", &[("cx", x), ("cy", y), ("r", 8.0)], "ring ck", Some(&title));
            let half = 0.5 * text_width(&ring.name);
            let rows = [4.0, 20.0, -14.0, 34.0, -28.0, 48.0, -42.0, 62.0, -56.0];
            let sides = rows.into_iter().flat_map(|dy| [half + 14.0, -half - 14.0, 0.0].map(|dx| (dx, dy)));
            let place = |(dx, dy): (f64, f64)| [x + dx - half, y + dy - 11.0, x + dx + half, y + dy + 4.0];
            let inside = |at: &Place| at[0] > left && at[1] > top && at[2] < left + width && at[3] < top + height;
            let covered = |at: &Place| taken.iter().filter(|other| overlap(other, at)).count();
            let places = sides.filter(|side| *side != (0.0, 4.0) && inside(&place(*side)));
            let side = places.min_by_key(|side| covered(&place(*side))).unwrap_or((half + 14.0, 4.0));
            taken.push(place(side));
            frame.svg.text((x + side.0, y + side.1), Anchor::Middle, "note halo", &ring.name);
        }
    }

    /// What labels should not cover: dots, the lines that join them, curves and rings.
    fn occupied(&self, frame: &Frame) -> Vec<Place> {
        let joined = self.groups.iter().filter(|_| self.joined).map(|group| {
            group.dots.iter().filter_map(|dot| Some(frame.at(dot.x?, dot.y?))).collect::<Vec<(f64, f64)>>()
        });
        let drawn = self.curves.iter().map(|curve| &curve.points).chain([&self.bound]);
        let lines = joined.chain(drawn.map(|line| line.iter().map(|p| frame.at(p.x, p.y)).collect()));
        let along = lines.flat_map(|line| {
            let stretches = line.windows(2).flat_map(|pair| {
                let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
                let shares = (0..=8_u32).map(|i| f64::from(i) / 8.0);
                shares.map(move |share| (x0 + share * (x1 - x0), y0 + share * (y1 - y0)))
            });
            stretches.collect::<Vec<_>>()
        });
        let dots = self.groups.iter().flat_map(|g| &g.dots).filter_map(|dot| Some(frame.at(dot.x?, dot.y?)));
        let rings = self.rings.iter().map(|ring| frame.at(ring.at.x, ring.at.y));
        let around = |(x, y): (f64, f64), by: f64| [x - by, y - by, x + by, y + by];
        let small = along.chain(dots).map(|at| around(at, 4.0)).collect::<Vec<_>>();
        small.into_iter().chain(rings.map(|at| around(at, 9.0))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fronts() -> Scatter {
        let group = |name: &str, lift: f64| ScatterGroup {
            name: name.to_owned(),
            dots: (1..4).map(|i| Dot::new(f64::from(i), lift + f64::from(i).sqrt())).collect(),
        };
        let point = |i: i32| Point { x: f64::from(i), y: 1.5 + f64::from(i).sqrt() };
        Scatter {
            title: "fronts".to_owned(),
            groups: vec![group("a", 0.0), group("b", 0.5)],
            joined: true,
            curves: vec![Curve { name: "of b".to_owned(), group: Some(1), points: (0..4).map(point).collect() }],
            bound: (0..4).map(point).collect(),
            rings: vec![Mark { name: "the one".to_owned(), at: Point { x: 2.0, y: 2_f64.sqrt() } }],
            ..Scatter::default()
        }
    }

    #[test]
    fn what_is_asked_for_is_drawn_once_and_named_in_the_legend() {
        let svg = fronts().svg();
        let count = |what: &str| svg.matches(what).count();
        // the line of each group, and its entry in the legend
        assert_eq!((count(r#"class="joined c0""#), count(r#"class="joined c1""#)), (2, 2));
        assert_eq!((count(r#"class="theory c1""#), count(r#"class="theory ck""#)), (1, 1));
        assert_eq!((count(r#"class="beyond""#), count(r#"class="stroke ck""#)), (1, 2));
        assert_eq!((count(r#"class="ring ck""#), count(">the one</text>"), count(">picked</text>")), (2, 1, 1));
        let plain = Scatter { groups: fronts().groups, ..Scatter::default() }.svg();
        assert!(!["joined", "theory", "beyond", "ring"].iter().any(|class| plain.contains(class)), "{plain}");
    }

    #[test]
    fn the_label_of_a_ring_stays_within_the_plot_and_off_the_dots() {
        let mut scatter = fronts();
        scatter.rings[0] =
            Mark { name: "a long name at the right end".to_owned(), at: Point { x: 3.0, y: 3_f64.sqrt() } };
        let svg = scatter.svg();
        let label = svg.split("<text").find(|text| text.contains("a long name")).unwrap();
        let x: f64 = label.split('"').nth(1).unwrap().parse().unwrap();
        assert!(x + 0.5 * text_width("a long name at the right end") <= frame::WIDTH - 18.0, "{label}");
    }
}
