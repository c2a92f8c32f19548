//! Reward against divergence: the exact frontier and the run's path below it.

use super::frame::{self, Frame, Key, Swatch};
use super::svg::{Anchor, coordinate, polyline, significant, text_width};
use super::{Axis, Point, palette};
use serde::{Deserialize, Serialize};

/// The reward–divergence plane: the exact frontier where it is known, the run's path, the chosen checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrontierPlot {
    /// Title.
    pub title: String,
    /// What to see.
    #[serde(default)]
    pub caption: String,
    /// Horizontal axis, in nats.
    pub x: Axis,
    /// Vertical axis, in reward units.
    pub y: Axis,
    /// Points (KL, best mean reward) of the exact frontier; empty where it is not known.
    #[serde(default)]
    pub curve: Vec<Point>,
    /// The run's checkpoints in order.
    pub path: Vec<PathStep>,
    /// Index into `path` of the chosen checkpoint.
    #[serde(default)]
    pub chosen: Option<usize>,
    /// Other samplers to compare with, such as best-of-n.
    #[serde(default)]
    pub marks: Vec<Mark>,
}

/// A checkpoint of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathStep {
    /// Gradient steps taken.
    pub step: u64,
    /// KL from the prior, in nats, and mean reward.
    pub at: Point,
}

/// Another sampler's place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Its name.
    pub name: String,
    /// KL from the prior, in nats, and mean reward.
    pub at: Point,
}

impl FrontierPlot {
    pub(super) fn svg(&self) -> String {
        let points = || {
            let others = self.path.iter().map(|s| s.at).chain(self.marks.iter().map(|m| m.at));
            self.curve.iter().copied().chain(others)
        };
        if !points().any(|p| p.x.is_finite() && p.y.is_finite()) {
            return frame::empty(&self.title);
        }
        let mut keys = Vec::new();
        if !self.curve.is_empty() {
            keys.push(Key { name: "exact frontier".to_owned(), class: "ck".to_owned(), swatch: Swatch::Line });
        }
        if !self.path.is_empty() {
            keys.push(Key { name: "this run".to_owned(), class: "cm".to_owned(), swatch: Swatch::Dot });
        }
        if self.chosen.is_some() {
            keys.push(Key { name: "chosen checkpoint".to_owned(), class: "c1".to_owned(), swatch: Swatch::Ring });
        }
        let mut frame =
            Frame::new(&self.title, (&self.x, points().map(|p| p.x)), (&self.y, points().map(|p| p.y)), &keys);
        draw_bound(&mut frame, &self.curve);
        self.draw_path(&mut frame);
        self.draw_marks(&mut frame);
        if let Some(step) = self.chosen.and_then(|index| self.path.get(index)) {
            let (x, y) = frame.at(step.at.x, step.at.y);
            if x.is_finite() && y.is_finite() {
                frame.svg.shape(
                    "circle",
                    &[("cx", x), ("cy", y), ("r", 9.0)],
                    "ring c1",
                    Some(&step.title("chosen, ")),
                );
            }
        }
        self.draw_ramp(&mut frame);
        frame.finish()
    }

    fn draw_path(&self, frame: &mut Frame) {
        let pixels: Vec<(f64, f64)> = self.path.iter().map(|s| frame.at(s.at.x, s.at.y)).collect();
        frame.clipped(&polyline(pixels.iter().copied()), "thin", None);
        for pair in pixels.windows(2) {
            arrow(frame, pair[0], pair[1]);
        }
        let last = self.path.iter().map(|s| s.step).max().unwrap_or(0).max(1) as f64;
        for (step, (x, y)) in self.path.iter().zip(&pixels) {
            if x.is_finite() && y.is_finite() {
                let colour = palette::ramp(step.step as f64 / last);
                frame.svg.filled("circle", &[("cx", *x), ("cy", *y), ("r", 4.5)], &colour, Some(&step.title("")));
                frame.svg.shape("circle", &[("cx", *x), ("cy", *y), ("r", 4.5)], "edge", None);
            }
        }
    }

    /// Diamonds, each labelled on the first side that is free.
    fn draw_marks(&self, frame: &mut Frame) {
        let [left, top, width, height] = frame.area();
        let mut taken = self.occupied(frame);
        for mark in &self.marks {
            let (x, y) = frame.at(mark.at.x, mark.at.y);
            if !(x.is_finite() && y.is_finite()) {
                continue;
            }
            let d = format!("M{0} {1}l5.5 5.5l-5.5 5.5l-5.5 -5.5z", coordinate(x), coordinate(y - 5.5));
            let title = format!("{}: {} nats, reward {}", mark.name, significant(mark.at.x), significant(mark.at.y));
            frame.svg.path(&d, "fill c3", Some(&title));
            let half = 0.5 * text_width(&mark.name);
            let (right, below) = (half + 10.0, half + 6.0);
            let sides =
                [(right, 4.0), (-right, 4.0), (below, 18.0), (0.0, 20.0), (0.0, -11.0), (below, 32.0), (half, 46.0)];
            let place = |(dx, dy): (f64, f64)| [x + dx - half, y + dy - 11.0, x + dx + half, y + dy + 3.0];
            let free = |side: &(f64, f64)| {
                let at = place(*side);
                at[0] > left && at[2] < left + width && at[3] < top + height && !taken.iter().any(|t| overlap(t, &at))
            };
            let side = sides.iter().copied().find(free).unwrap_or(sides[0]);
            taken.push(place(side));
            frame.svg.text((x + side.0, y + side.1), Anchor::Middle, "note halo", &mark.name);
        }
    }

    /// What labels must not cover: the curve, the path, the marks and the colour scale.
    fn occupied(&self, frame: &Frame) -> Vec<Place> {
        let [left, top, width, height] = frame.area();
        let path: Vec<(f64, f64)> = self.path.iter().map(|s| frame.at(s.at.x, s.at.y)).collect();
        let along = path.windows(2).flat_map(|pair| {
            let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
            (0..=8_u32).map(|i| f64::from(i) / 8.0).map(move |share| (x0 + share * (x1 - x0), y0 + share * (y1 - y0)))
        });
        let still = self.marks.iter().map(|m| m.at).chain(self.curve.iter().copied()).map(|p| frame.at(p.x, p.y));
        along
            .chain(still)
            .map(|(x, y)| [x - 4.0, y - 4.0, x + 4.0, y + 4.0])
            .chain([[left + width - 140.0, top + height - 36.0, left + width, top + height]])
            .collect()
    }

    /// The colour scale of the steps, in the lower right corner, which the frontier leaves free.
    fn draw_ramp(&self, frame: &mut Frame) {
        let (Some(first), Some(last)) =
            (self.path.iter().map(|s| s.step).min(), self.path.iter().map(|s| s.step).max())
        else {
            return;
        };
        if first == last {
            return;
        }
        let [left, top, width, height] = frame.area();
        let (x, y) = (left + width - 132.0, top + height - 20.0);
        for i in 0..24_u32 {
            let colour = palette::ramp(f64::from(i) / 23.0);
            let place = [("x", x + 5.0 * f64::from(i)), ("y", y), ("width", 5.3), ("height", 8.0)];
            frame.svg.filled("rect", &place, &colour, None);
        }
        frame.svg.text((x, y - 5.0), Anchor::Start, "note", format!("step {first}"));
        frame.svg.text((x + 120.0, y - 5.0), Anchor::End, "note", last);
    }
}

impl PathStep {
    fn title(&self, prefix: &str) -> String {
        format!("{prefix}step {}: {} nats, reward {}", self.step, significant(self.at.x), significant(self.at.y))
    }
}

/// The exact frontier, and the area beyond it.
pub(super) fn draw_bound(frame: &mut Frame, curve: &[Point]) {
    let [_, top, ..] = frame.area();
    let line = || curve.iter().map(|p| frame.at(p.x, p.y)).filter(|(x, y)| x.is_finite() && y.is_finite());
    let (Some(first), Some(last)) = (line().next(), line().next_back()) else { return };
    let above = line().chain([(last.0, top), (first.0, top)]);
    let (area, d) = (polyline(above), polyline(line()));
    frame.clipped(&area, "beyond", Some("no sampler can reach here"));
    frame.clipped(&d, "stroke ck", Some("exact frontier"));
}

/// The box of a label: left, top, right, bottom.
pub(super) type Place = [f64; 4];

/// Whether two boxes share a point.
pub(super) fn overlap(a: &Place, b: &Place) -> bool {
    a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3]
}

/// An arrow head in the middle of a stretch long enough to hold one.
fn arrow(frame: &mut Frame, from: (f64, f64), to: (f64, f64)) {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy);
    if length.is_nan() || length <= 26.0 {
        return;
    }
    let (ux, uy) = (dx / length, dy / length);
    let tip = (f64::midpoint(from.0, to.0) + 5.0 * ux, f64::midpoint(from.1, to.1) + 5.0 * uy);
    let corner = |side: f64| (tip.0 - 9.0 * ux - side * 4.0 * uy, tip.1 - 9.0 * uy + side * 4.0 * ux);
    frame.svg.path(&format!("{}Z", polyline([tip, corner(1.0), corner(-1.0)])), "head", None);
}
