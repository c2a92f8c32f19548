//! The frame of a plot: axes, grid, labels, legend.

use super::marker::Marker;
use super::palette;
use super::scale::{Axis, Scale};
use super::svg::{Anchor, Svg, coordinate, text_width};

/// Width of a plot in pixels.
pub(super) const WIDTH: f64 = 560.0;
/// Height of a plot in pixels.
pub(super) const HEIGHT: f64 = 340.0;

/// How an entry of the legend looks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Swatch {
    Line,
    Dashed,
    Theory,
    /// A line with dots.
    Joined(Marker),
    /// Dots of a shape.
    Marker(Marker),
    Dot,
    Ring,
    Block,
}

/// An entry of the legend: its name, colour class and look.
pub(super) struct Key {
    pub(super) name: String,
    pub(super) class: String,
    pub(super) swatch: Swatch,
}

impl Key {
    pub(super) fn new(name: &str, series: usize, swatch: Swatch) -> Self {
        Self { name: name.to_owned(), class: palette::class(series), swatch }
    }
}

/// A plot with its axes drawn, ready for marks.
pub(super) struct Frame {
    pub(super) svg: Svg,
    pub(super) x: Scale,
    pub(super) y: Scale,
    area: [f64; 4],
}

impl Frame {
    /// Draws axes for data in the given ranges and the legend above them.
    pub(super) fn new(
        label: &str,
        x: (&Axis, impl IntoIterator<Item = f64>),
        y: (&Axis, impl IntoIterator<Item = f64>),
        keys: &[Key],
    ) -> Self {
        let mut svg = Svg::new(WIDTH, HEIGHT, label);
        let top = 10.0 + legend(&mut svg, keys);
        let y_scale = Scale::new(y.0, y.1, 5);
        let widest = y_scale.ticks.iter().map(|t| text_width(&t.label)).fold(12.0, f64::max);
        let (left, right, bottom) = (widest + 36.0, WIDTH - 18.0, HEIGHT - 46.0);
        let x_scale = Scale::new(x.0, x.1, 6).between(left, right);
        let y_scale = y_scale.between(bottom, top);
        for tick in &y_scale.ticks {
            let at = y_scale.at(tick.value);
            svg.line((left, at), (right, at), "grid");
            svg.text((left - 7.0, at + 4.0), Anchor::End, "tick", &tick.label);
        }
        let mut free_from = f64::NEG_INFINITY;
        for tick in &x_scale.ticks {
            let (at, half) = (x_scale.at(tick.value), 0.5 * text_width(&tick.label));
            svg.line((at, bottom), (at, bottom + 5.0), "axis");
            if at - half >= free_from {
                svg.text((at, bottom + 18.0), Anchor::Middle, "tick", &tick.label);
                free_from = at + half + 6.0;
            }
        }
        svg.line((left, bottom), (right, bottom), "axis");
        svg.line((left, top), (left, bottom), "axis");
        svg.text((f64::midpoint(left, right), HEIGHT - 9.0), Anchor::Middle, "label", &x.0.label);
        svg.upright((15.0, f64::midpoint(top, bottom)), "label", &y.0.label);
        Self { svg, x: x_scale, y: y_scale, area: [left, top, right - left, bottom - top] }
    }

    /// The pixels of a point.
    pub(super) fn at(&self, x: f64, y: f64) -> (f64, f64) {
        (self.x.at(x), self.y.at(y))
    }

    /// Draws path data cut off at the edges of the plot.
    pub(super) fn clipped(&mut self, d: &str, class: &str, title: Option<&str>) {
        if d.is_empty() {
            return;
        }
        let [x, y, w, h] = self.area.map(coordinate);
        self.svg.raw(&format!(r#"<svg x="{x}" y="{y}" width="{w}" height="{h}" viewBox="{x} {y} {w} {h}">"#));
        self.svg.path(d, class, title);
        self.svg.raw("</svg>");
    }

    /// A dot with a tooltip; left out when it lies off the plot.
    pub(super) fn dot(&mut self, x: f64, y: f64, radius: f64, class: &str, title: &str) {
        if self.x.holds(x) && self.y.holds(y) {
            let (cx, cy) = self.at(x, y);
            if cx.is_finite() && cy.is_finite() {
                self.svg.shape("circle", &[("cx", cx), ("cy", cy), ("r", radius)], class, Some(title));
            }
        }
    }

    /// A dot of a shape with a tooltip; left out when it lies off the plot.
    pub(super) fn mark(&mut self, (x, y): (f64, f64), marker: Marker, class: &str, title: &str) {
        if self.x.holds(x) && self.y.holds(y) {
            let (cx, cy) = self.at(x, y);
            if cx.is_finite() && cy.is_finite() {
                self.svg.path(&marker.outline((cx, cy), 4.0), class, Some(title));
            }
        }
    }

    /// A labelled horizontal line across the plot.
    pub(super) fn rule(&mut self, y: f64, label: &str) {
        if !self.y.holds(y) {
            return;
        }
        let [left, top, width, _] = self.area;
        let at = self.y.at(y);
        self.svg.line((left, at), (left + width, at), "rule");
        let above = if at - top < 14.0 { at + 14.0 } else { at - 5.0 };
        self.svg.text((left + width - 4.0, above), Anchor::End, "note halo", label);
    }

    /// A labelled vertical line across the plot.
    pub(super) fn post(&mut self, x: f64, label: &str, row: usize) {
        if !self.x.holds(x) {
            return;
        }
        let [left, top, width, height] = self.area;
        let at = self.x.at(x);
        self.svg.line((at, top), (at, top + height), "rule");
        let right = at + text_width(label) + 8.0 < left + width;
        let (place, anchor) = if right { (at + 5.0, Anchor::Start) } else { (at - 5.0, Anchor::End) };
        self.svg.text((place, top + 12.0 + 15.0 * row as f64), anchor, "note halo", label);
    }

    /// The corners of the plot area: left, top, width, height.
    pub(super) fn area(&self) -> [f64; 4] {
        self.area
    }

    pub(super) fn finish(self) -> String {
        self.svg.finish()
    }
}

/// Draws the legend at the top; its height.
pub(super) fn legend(svg: &mut Svg, keys: &[Key]) -> f64 {
    if keys.len() < 2 {
        return 0.0;
    }
    let (mut x, mut y) = (8.0, 14.0);
    for key in keys {
        let width = 26.0 + text_width(&key.name) + 16.0;
        if x + width > WIDTH && x > 8.0 {
            (x, y) = (8.0, y + 18.0);
        }
        match key.swatch {
            Swatch::Line => svg.line((x, y - 4.0), (x + 20.0, y - 4.0), &format!("stroke {}", key.class)),
            Swatch::Dashed => svg.line((x, y - 4.0), (x + 20.0, y - 4.0), &format!("stroke dash {}", key.class)),
            Swatch::Theory => svg.line((x, y - 4.0), (x + 20.0, y - 4.0), &format!("theory {}", key.class)),
            Swatch::Joined(marker) | Swatch::Marker(marker) => {
                if matches!(key.swatch, Swatch::Joined(_)) {
                    svg.line((x, y - 4.0), (x + 20.0, y - 4.0), &format!("joined {}", key.class));
                }
                svg.path(&marker.outline((x + 10.0, y - 4.0), 4.0), &format!("fill {}", key.class), None);
            }
            Swatch::Dot => {
                svg.shape(
                    "circle",
                    &[("cx", x + 10.0), ("cy", y - 4.0), ("r", 4.5)],
                    &format!("fill {}", key.class),
                    None,
                );
            }
            Swatch::Ring => {
                let at = [("cx", x + 10.0), ("cy", y - 4.0), ("r", 6.0)];
                svg.shape("circle", &at, &format!("ring {}", key.class), None);
            }
            Swatch::Block => {
                let place = [("x", x + 3.0), ("y", y - 10.0), ("width", 14.0), ("height", 12.0), ("rx", 2.0)];
                svg.shape("rect", &place, &format!("fill {}", key.class), None);
            }
        }
        svg.text((x + 26.0, y), Anchor::Start, "key", &key.name);
        x += width;
    }
    y + 6.0
}

/// A drawing that says that there is nothing to draw.
pub(super) fn empty(label: &str) -> String {
    let mut svg = Svg::new(WIDTH, 80.0, label);
    svg.text((WIDTH / 2.0, 44.0), Anchor::Middle, "label", "no data");
    svg.finish()
}
