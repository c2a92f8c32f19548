//! Histograms laid over one another.

use super::Axis;
use super::frame::{self, Frame, Key, Swatch};
use super::line::Rule;
use super::palette;
use super::svg::{polyline, significant};
use serde::{Deserialize, Serialize};

/// Histograms of one quantity for several sets, over the same bins.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistogramPlot {
    /// Title.
    pub title: String,
    /// What to see.
    #[serde(default)]
    pub caption: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Edges of the bins, one more than bins, increasing.
    pub edges: Vec<f64>,
    /// The sets.
    pub groups: Vec<HistogramGroup>,
    /// Vertical reference lines, such as the wild type.
    #[serde(default)]
    pub rules: Vec<Rule>,
}

/// The histogram of one set.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistogramGroup {
    /// Its name in the legend.
    pub name: String,
    /// Count by bin.
    pub counts: Vec<u64>,
}

impl HistogramPlot {
    /// Counts samples into `bins` equal bins over the range of all of them; values that are not finite are left out.
    #[must_use]
    pub fn new(title: &str, x: Axis, bins: usize, samples: &[(&str, &[f64])]) -> Self {
        let finite = || samples.iter().flat_map(|(_, v)| v.iter().copied()).filter(|v| v.is_finite());
        let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
        let high = if high > low { high } else { low + 1.0 };
        Self::over(title, x, (low, high), bins, samples)
    }

    /// One bin per whole number, such as distances.
    #[must_use]
    pub fn whole(title: &str, x: Axis, samples: &[(&str, &[usize])]) -> Self {
        let top = samples.iter().flat_map(|(_, v)| v.iter().copied()).max().unwrap_or(0);
        let values: Vec<Vec<f64>> = samples.iter().map(|(_, v)| v.iter().map(|d| *d as f64).collect()).collect();
        let named: Vec<(&str, &[f64])> = samples.iter().zip(&values).map(|((n, _), v)| (*n, v.as_slice())).collect();
        Self::over(title, x, (-0.5, top as f64 + 0.5), top + 1, &named)
    }

    fn over(title: &str, x: Axis, (low, high): (f64, f64), bins: usize, samples: &[(&str, &[f64])]) -> Self {
        let bins = bins.max(1);
        let mut plot = Self { title: title.to_owned(), x, ..Self::default() };
        if low.is_finite() {
            let width = (high - low) / bins as f64;
            plot.edges = (0..=bins).map(|i| low + width * i as f64).collect();
        }
        for (name, values) in samples {
            let mut counts = vec![0; bins];
            for value in values.iter().filter(|v| v.is_finite()) {
                counts[(((value - low) / (high - low) * bins as f64) as usize).min(bins - 1)] += 1;
            }
            plot.groups.push(HistogramGroup { name: (*name).to_owned(), counts });
        }
        plot
    }

    pub(super) fn svg(&self) -> String {
        if self.edges.len() < 2 || self.groups.iter().all(|g| g.counts.iter().sum::<u64>() == 0) {
            return frame::empty(&self.title);
        }
        let share = |group: &HistogramGroup, bin: usize| {
            let total: u64 = group.counts.iter().sum();
            group.counts.get(bin).map_or(0.0, |c| 100.0 * *c as f64 / total.max(1) as f64)
        };
        let bins = self.edges.len() - 1;
        let heights = self.groups.iter().flat_map(|g| (0..bins).map(move |b| share(g, b))).chain([0.0]);
        let label = |g: &HistogramGroup| format!("{} (n = {})", g.name, g.counts.iter().sum::<u64>());
        let keys: Vec<Key> =
            self.groups.iter().enumerate().map(|(i, g)| Key::new(&label(g), i, Swatch::Block)).collect();
        let spread = self.edges.iter().copied().chain(self.rules.iter().map(|r| r.value));
        let mut frame = Frame::new(&self.title, (&self.x, spread), (&Axis::new("share (%)"), heights), &keys);
        for (index, group) in self.groups.iter().enumerate() {
            let mut outline = vec![frame.at(self.edges[0], 0.0)];
            for bin in 0..bins {
                let height = share(group, bin);
                outline.push(frame.at(self.edges[bin], height));
                outline.push(frame.at(self.edges[bin + 1], height));
            }
            outline.push(frame.at(self.edges[bins], 0.0));
            let colour = palette::class(index);
            frame.clipped(&polyline(outline), &format!("hist {colour}"), Some(&label(group)));
        }
        for bin in 0..bins {
            let figures: Vec<String> =
                self.groups.iter().map(|g| format!("{} {}%", g.name, significant(share(g, bin)))).collect();
            let (left, right) = (frame.x.at(self.edges[bin]), frame.x.at(self.edges[bin + 1]));
            let [_, top, _, height] = frame.area();
            let place = [("x", left), ("y", top), ("width", right - left), ("height", height)];
            let range = format!("{} to {}: ", significant(self.edges[bin]), significant(self.edges[bin + 1]));
            frame.svg.shape("rect", &place, "touch", Some(&(range + &figures.join(", "))));
        }
        for (row, rule) in self.rules.iter().enumerate() {
            frame.post(rule.value, &rule.label, row);
        }
        frame.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finite_value_falls_in_one_bin() {
        let values = [0.0, 0.24, 0.25, 1.0, f64::NAN];
        let plot = HistogramPlot::new("h", Axis::new("x"), 4, &[("a", &values), ("b", &[0.5])]);
        assert_eq!(plot.edges, [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(plot.groups[0].counts, [2, 1, 0, 1]);
        assert_eq!(plot.groups[1].counts, [0, 0, 1, 0]);
        let whole = HistogramPlot::whole("d", Axis::new("x"), &[("a", &[0, 2, 2])]);
        assert_eq!(whole.groups[0].counts, [1, 0, 2]);
        assert!(HistogramPlot::new("h", Axis::new("x"), 4, &[]).svg().contains("no data"));
    }
}
