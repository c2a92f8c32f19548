//! Axes: ranges, nice ticks, positions.

use super::svg::figure;
use serde::{Deserialize, Serialize};

/// An axis of a plot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Axis {
    /// What it shows, with the unit in brackets, such as `KL to the prior (nats)`.
    pub label: String,
    /// Logarithmic; values that are not positive are left out.
    #[serde(default)]
    pub log: bool,
    /// Fixed range; otherwise the data's.
    #[serde(default)]
    pub range: Option<[f64; 2]>,
}

impl Axis {
    /// A linear axis over the data's range.
    #[must_use]
    pub fn new(label: impl Into<String>) -> Self {
        Self { label: label.into(), log: false, range: None }
    }

    /// A logarithmic axis over the data's range.
    #[must_use]
    pub fn log(label: impl Into<String>) -> Self {
        Self { label: label.into(), log: true, range: None }
    }

    /// With a fixed range.
    #[must_use]
    pub fn within(mut self, low: f64, high: f64) -> Self {
        self.range = Some([low, high]);
        self
    }
}

/// A tick: where, and what it says.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) value: f64,
    pub(super) label: String,
}

/// A map from values to pixels.
#[derive(Clone, Debug)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    pixels: (f64, f64),
    log: bool,
    pub(super) ticks: Vec<Tick>,
}

impl Scale {
    /// A scale for an axis over data values, with about `count` ticks. Without a fixed range the ends are rounded out
    /// to ticks.
    pub(super) fn new(axis: &Axis, data: impl IntoIterator<Item = f64>, count: usize) -> Self {
        let usable = |v: &f64| v.is_finite() && (!axis.log || *v > 0.0);
        let fixed = axis.range.filter(|[a, b]| usable(a) && usable(b) && a < b);
        let (low, high) = match fixed {
            Some([low, high]) => (low, high),
            None => data
                .into_iter()
                .filter(usable)
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v))),
        };
        let (low, high) = match (low.is_finite(), axis.log) {
            (false, false) => (0.0, 1.0),
            (false, true) => (1.0, 10.0),
            (true, _) => (low, high),
        };
        if axis.log {
            Self::logarithmic(low, high, fixed.is_some())
        } else {
            Self::linear(low, high, fixed.is_some(), count)
        }
    }

    fn linear(mut low: f64, mut high: f64, fixed: bool, count: usize) -> Self {
        if high - low <= 1e-12 * low.abs().max(high.abs()) || high == low {
            let pad = if low == 0.0 { 1.0 } else { 0.1 * low.abs() };
            (low, high) = (low - pad, high + pad);
        }
        let step = nice_step((high - low) / count as f64);
        if !fixed {
            (low, high) = ((low / step + 1e-9).floor() * step, (high / step - 1e-9).ceil() * step);
        }
        let digits = (-step.log10().floor()).max(0.0) as usize;
        let digits = if (step * 10_f64.powi(digits as i32)).fract().abs() > 1e-6 { digits + 1 } else { digits };
        let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
        let ticks = (first..=last)
            .map(|i| i as f64 * step)
            .map(|value| Tick { value, label: tick_label(value, digits) })
            .collect();
        Self { low, high, pixels: (0.0, 1.0), log: false, ticks }
    }

    fn logarithmic(mut low: f64, mut high: f64, fixed: bool) -> Self {
        if !fixed {
            let wide = high / low > 20.0;
            let (from, to) = (low.log10(), high.log10());
            if wide {
                (low, high) = (10_f64.powf((from + 1e-9).floor()), 10_f64.powf((to - 1e-9).ceil()));
            } else {
                (low, high) = (low / 1.1, high * 1.1);
            }
        }
        let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let inside = |v: &f64| *v >= low * (1.0 - 1e-9) && *v <= high * (1.0 + 1e-9);
        let steps: &[f64] = match last - first {
            0..=1 => &[1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0],
            2 => &[1.0, 2.0, 5.0],
            3 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let stride = if last - first > 8 { (last - first) / 6 + 1 } else { 1 };
        let ticks = (first..=last)
            .filter(|e| (e - first) % stride == 0)
            .flat_map(|e| steps.iter().map(move |m| (*m, e)))
            .map(|(m, e)| (m * 10_f64.powi(e), m, e))
            .filter(|(value, ..)| inside(value))
            .map(|(value, m, e)| Tick { value, label: log_label(value, m, e) })
            .collect();
        Self { low, high, pixels: (0.0, 1.0), log: true, ticks }
    }

    /// The same scale between two pixels.
    pub(super) fn between(mut self, from: f64, to: f64) -> Self {
        self.pixels = (from, to);
        self
    }

    /// The pixel of a value; NaN when it has none.
    pub(super) fn at(&self, value: f64) -> f64 {
        let share = if self.log {
            if value <= 0.0 {
                return f64::NAN;
            }
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        self.pixels.0 + share * (self.pixels.1 - self.pixels.0)
    }

    pub(super) fn low(&self) -> f64 {
        self.low
    }

    pub(super) fn high(&self) -> f64 {
        self.high
    }

    /// Whether a value lies on the axis.
    pub(super) fn holds(&self, value: f64) -> bool {
        let slack = 1e-9 * (self.high - self.low);
        value >= self.low - slack && value <= self.high + slack
    }
}

/// 1, 2, 2.5 or 5 times a power of ten, not below `rough`.
fn nice_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    let share = rough / power;
    let nice = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|n| share <= n + 1e-9).unwrap_or(10.0);
    nice * power
}

fn tick_label(value: f64, digits: usize) -> String {
    if value.abs() >= 1e4 && digits == 0 {
        let whole = format!("{:.0}", value.abs());
        let groups: Vec<&str> =
            whole.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
        let sign = if value < 0.0 { "−" } else { "" };
        return format!("{sign}{}", groups.join("\u{202f}"));
    }
    figure(if value.abs() < 1e-12 { 0.0 } else { value }, digits)
}

fn log_label(value: f64, mantissa: f64, exponent: i32) -> String {
    if (-3..=4).contains(&exponent) {
        let digits = (-exponent).max(0) as usize + usize::from(mantissa.fract() != 0.0);
        return tick_label(value, digits);
    }
    let raised: String = exponent
        .to_string()
        .chars()
        .map(|c| {
            if c == '-' {
                '⁻'
            } else {
                "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(c as usize - '0' as usize).unwrap_or(c)
            }
        })
        .collect();
    if mantissa == 1.0 { format!("10{raised}") } else { format!("{mantissa}·10{raised}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|t| t.label.as_str()).collect()
    }

    #[test]
    fn linear_ticks_are_round_and_enclose_the_data() {
        let scale = Scale::new(&Axis::new("x"), [0.13, 0.87], 5);
        assert_eq!(labels(&scale), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!((scale.low(), scale.high()), (0.0, 1.0));
        assert_eq!(labels(&Scale::new(&Axis::new("x"), [0.0, 1.0], 4)), ["0.00", "0.25", "0.50", "0.75", "1.00"]);
        assert_eq!(labels(&Scale::new(&Axis::new("x"), [-3.0, 12_000.0], 3)).last(), Some(&"15\u{202f}000"));
        assert_eq!(labels(&Scale::new(&Axis::new("x"), [5.0, 5.0], 2)).len(), 3);
        assert!(!labels(&Scale::new(&Axis::new("x"), [], 5)).is_empty());
        let scale = Scale::new(&Axis::new("x").within(0.0, 8.5), [], 5).between(0.0, 85.0);
        assert_eq!(scale.at(4.25), 42.5);
        assert!(!scale.holds(9.0));
    }

    #[test]
    fn logarithmic_ticks_are_powers_and_positions_are_ratios() {
        let scale = Scale::new(&Axis::log("x"), [1e-6, 3e-2, -1.0], 5).between(0.0, 100.0);
        assert_eq!(labels(&scale), ["10⁻⁶", "10⁻⁵", "10⁻⁴", "0.001", "0.01", "0.1"]);
        assert!((scale.at(1e-6)).abs() < 1e-9 && (scale.at(1e-1) - 100.0).abs() < 1e-9);
        assert!(scale.at(0.0).is_nan());
        assert_eq!(labels(&Scale::new(&Axis::log("x"), [2.0, 90.0], 5)), ["1", "2", "5", "10", "20", "50", "100"]);
    }
}
