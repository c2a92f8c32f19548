//! Grouped horizontal bars.

use super::frame::{self, Key, Swatch, WIDTH};
use super::scale::Scale;
use super::svg::{Anchor, Svg, significant, text_width};
use super::{Axis, palette};
use serde::{Deserialize, Serialize};

/// Bars by category and group, such as methods by metric; horizontal, so that long names stay readable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bars {
    /// Title.
    pub title: String,
    /// What to see.
    #[serde(default)]
    pub caption: String,
    /// The axis of values.
    pub axis: Axis,
    /// The categories, top to bottom.
    pub categories: Vec<String>,
    /// The groups, one colour each.
    pub groups: Vec<BarGroup>,
}

/// The bars of one group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BarGroup {
    /// Its name in the legend.
    pub name: String,
    /// One bar per category.
    pub bars: Vec<Bar>,
}

/// A bar with an optional error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bar {
    /// Its value; null leaves the place empty.
    pub value: Option<f64>,
    /// Half-length of its error bar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<f64>,
}

impl Bar {
    /// A bar with an error.
    #[must_use]
    pub fn new(value: f64, error: Option<f64>) -> Self {
        let finite = |v: &f64| v.is_finite();
        Self { value: Some(value).filter(finite), error: error.filter(finite) }
    }
}

impl Bars {
    pub(super) fn svg(&self) -> String {
        let ends = || {
            let bars = self.groups.iter().flat_map(|g| &g.bars);
            bars.filter_map(|b| b.value.map(|v| (v, b.error.unwrap_or(0.0)))).flat_map(|(v, e)| [v - e, v + e])
        };
        if ends().next().is_none() {
            return frame::empty(&self.title);
        }
        let keys: Vec<Key> = self.groups.iter().enumerate().map(|(i, g)| Key::new(&g.name, i, Swatch::Block)).collect();
        let thick = if self.groups.len() > 1 { 13.0 } else { 18.0 };
        let row = thick * self.groups.len() as f64 + 12.0;
        let legend = if keys.len() > 1 { 26.0 } else { 6.0 };
        let height = legend + row * self.categories.len() as f64 + 48.0;
        let mut svg = Svg::new(WIDTH, height, &self.title);
        let top = frame::legend(&mut svg, &keys).max(6.0);
        let left = self.categories.iter().map(|c| text_width(c)).fold(20.0, f64::max).min(200.0) + 16.0;
        let bottom = top + row * self.categories.len() as f64 + 4.0;
        let scale =
            Scale::new(&self.axis, ends().chain((!self.axis.log).then_some(0.0)), 5).between(left, WIDTH - 52.0);
        for tick in &scale.ticks {
            let x = scale.at(tick.value);
            svg.line((x, top), (x, bottom), "grid");
            svg.text((x, bottom + 17.0), Anchor::Middle, "tick", &tick.label);
        }
        let zero = if self.axis.log { left } else { scale.at(scale.low().max(0.0).min(scale.high())) };
        for (c, category) in self.categories.iter().enumerate() {
            let y = top + row * c as f64 + 6.0;
            svg.text((left - 8.0, y + 0.5 * (row - 12.0) + 4.0), Anchor::End, "key", category);
            for (g, group) in self.groups.iter().enumerate() {
                let Some((value, error)) = group.bars.get(c).and_then(|b| b.value.map(|v| (v, b.error))) else {
                    continue;
                };
                let (y, x) = (y + thick * g as f64, scale.at(value));
                let place = [
                    ("x", x.min(zero)),
                    ("y", y + 1.0),
                    ("width", (x - zero).abs()),
                    ("height", thick - 2.0),
                    ("rx", 1.5),
                ];
                let text = error
                    .map_or_else(|| significant(value), |e| format!("{} ± {}", significant(value), significant(e)));
                let title = format!("{category}, {}: {text}", group.name);
                svg.shape("rect", &place, &format!("fill bar {}", palette::class(g)), Some(&title));
                let mut end = x.max(zero);
                if let Some(error) = error {
                    let (low, high) = (scale.at(value - error), scale.at(value + error));
                    svg.line((low, y + 0.5 * thick), (high, y + 0.5 * thick), "whisker");
                    end = end.max(high);
                }
                svg.text((end + 5.0, y + 0.5 * thick + 4.0), Anchor::Start, "note", significant(value));
            }
        }
        svg.line((zero, top), (zero, bottom), "axis");
        svg.text((f64::midpoint(left, WIDTH - 52.0), bottom + 36.0), Anchor::Middle, "label", &self.axis.label);
        svg.finish()
    }
}
