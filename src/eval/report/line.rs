//! Lines against steps, rounds or anything else.

use super::frame::{self, Frame, Key, Swatch};
use super::palette;
use super::svg::{polyline, significant};
use super::{Axis, Point};
use serde::{Deserialize, Serialize};

/// A line plot of one or more series.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinePlot {
    /// Title.
    pub title: String,
    /// What to see.
    #[serde(default)]
    pub caption: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// The series.
    pub series: Vec<Series>,
    /// Horizontal reference lines, such as the wild type.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// A series of points.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// How it is drawn.
    #[serde(default)]
    pub style: Style,
    /// The points, in order of x.
    pub points: Vec<Point>,
    /// Half-width of a band around each point, such as a standard error; empty for none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub band: Vec<f64>,
}

/// How a series is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// Straight lines.
    #[default]
    Line,
    /// Dashed lines.
    Dashed,
    /// Steps that hold a value until the next point.
    Step,
    /// Dots only.
    Dots,
    /// Lines with dots.
    Marked,
}

/// A labelled reference line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// What it marks.
    pub label: String,
    /// Where.
    pub value: f64,
}

impl Series {
    /// A series of straight lines.
    #[must_use]
    pub fn line(name: &str, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let points = points.into_iter().map(Point::from).collect();
        Self { name: name.to_owned(), style: Style::Line, points, band: Vec::new() }
    }

    /// The same series drawn otherwise.
    #[must_use]
    pub fn styled(mut self, style: Style) -> Self {
        self.style = style;
        self
    }
}

/// Points kept per series; longer ones keep the least and greatest of each stretch.
const KEPT: usize = 800;

impl LinePlot {
    pub(super) fn svg(&self) -> String {
        let points = || self.series.iter().flat_map(|s| &s.points);
        if !points().any(|p| p.x.is_finite() && p.y.is_finite()) {
            return frame::empty(&self.title);
        }
        let keys: Vec<Key> = self.series.iter().enumerate().map(|(i, s)| Key::new(&s.name, i, s.swatch(i))).collect();
        let edges = self.series.iter().flat_map(|s| s.points.iter().zip(&s.band).flat_map(|(p, b)| [p.y - b, p.y + b]));
        let heights = points().map(|p| p.y).chain(edges).chain(self.rules.iter().map(|r| r.value));
        let mut frame = Frame::new(&self.title, (&self.x, points().map(|p| p.x)), (&self.y, heights), &keys);
        for rule in &self.rules {
            frame.rule(rule.value, &rule.label);
        }
        for (index, series) in self.series.iter().enumerate() {
            series.draw(&mut frame, index);
        }
        frame.finish()
    }
}

impl Style {
    fn swatch(self) -> Swatch {
        match self {
            Self::Line | Self::Step | Self::Marked => Swatch::Line,
            Self::Dashed => Swatch::Dashed,
            Self::Dots => Swatch::Dot,
        }
    }
}

impl Series {
    /// How the legend shows it: dashed, too, where the colours start over.
    fn swatch(&self, index: usize) -> Swatch {
        match self.style.swatch() {
            Swatch::Line if index >= palette::SERIES => Swatch::Dashed,
            swatch => swatch,
        }
    }

    fn draw(&self, frame: &mut Frame, index: usize) {
        let colour = palette::class(index);
        if self.band.len() == self.points.len() && !self.band.is_empty() {
            let edge = |(p, b): (&Point, &f64), sign: f64| (p.x, p.y + sign * b);
            let pairs =
                || self.points.iter().zip(&self.band).filter(|(p, b)| p.x.is_finite() && (p.y + **b).is_finite());
            let outline = pairs().map(|pair| edge(pair, 1.0)).chain(pairs().rev().map(|pair| edge(pair, -1.0)));
            let d = polyline(outline.map(|(x, y)| frame.at(x, y)));
            frame.clipped(&d, &format!("band {colour}"), None);
        }
        let kept = thinned(&self.points, KEPT);
        if self.style != Style::Dots {
            let mut pixels = Vec::with_capacity(2 * kept.len());
            for point in &kept {
                let (x, y) = frame.at(point.x, point.y);
                if let (Style::Step, Some((_, before))) = (self.style, pixels.last().copied()) {
                    pixels.push((x, before));
                }
                pixels.push((x, y));
            }
            let dash = if self.style == Style::Dashed || index >= palette::SERIES { " dash" } else { "" };
            frame.clipped(&polyline(pixels), &format!("stroke{dash} {colour}"), Some(&self.name));
        }
        if matches!(self.style, Style::Dots | Style::Marked) || kept.len() == 1 {
            for point in &kept {
                let title = format!("{}: ({}, {})", self.name, significant(point.x), significant(point.y));
                frame.dot(point.x, point.y, 3.5, &format!("fill {colour}"), &title);
            }
        }
    }
}

/// At most about `limit` points: of every stretch the least and the greatest, in order, so that no spike is lost.
fn thinned(points: &[Point], limit: usize) -> Vec<Point> {
    if points.len() <= limit {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(limit / 2);
    let mut kept = Vec::with_capacity(limit + 2);
    for chunk in points.chunks(stretch) {
        let known = |p: &&Point| p.y.is_finite();
        let by_height = |a: &&Point, b: &&Point| a.y.total_cmp(&b.y);
        let ends = [chunk.iter().filter(known).min_by(by_height), chunk.iter().filter(known).max_by(by_height)];
        let mut ends: Vec<Point> = ends.into_iter().flatten().copied().collect();
        ends.sort_by(|a, b| a.x.total_cmp(&b.x));
        kept.extend(ends);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_legend_is_dashed_where_the_colours_start_over() {
        let series = |i: usize| Series::line(&format!("s{i}"), [(0.0, i as f64), (1.0, 2.0)]);
        let plot = LinePlot { series: (0..=palette::SERIES).map(series).collect(), ..LinePlot::default() };
        // the line and its key
        assert_eq!(plot.svg().matches("stroke dash c0").count(), 2);
    }

    #[test]
    fn thinning_keeps_spikes_and_short_series() {
        let mut points: Vec<Point> = (0..10_000).map(|i| Point { x: f64::from(i), y: 0.0 }).collect();
        points[7_321].y = 9.0;
        let kept = thinned(&points, 800);
        assert!(kept.len() <= 810 && kept.iter().any(|p| p.y == 9.0 && p.x == 7_321.0));
        assert!(kept.windows(2).all(|w| w[0].x <= w[1].x));
        assert_eq!(thinned(&points[..10], 800).len(), 10);
    }
}
