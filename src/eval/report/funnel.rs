//! What each filter removed.

use super::frame::WIDTH;
use super::svg::{Anchor, Svg, text_width};
use serde::{Deserialize, Serialize};

/// A chain of filters with the count each let through.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Funnel {
    /// Title.
    pub title: String,
    /// What to see.
    #[serde(default)]
    pub caption: String,
    /// What went in, such as `sampled`.
    pub start_name: String,
    /// How many went in.
    pub start: u64,
    /// The filters in order.
    pub stages: Vec<Stage>,
}

/// One filter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// The rule.
    pub rule: String,
    /// How many passed.
    pub passed: u64,
    /// What came closest to passing, such as `7 letters in a run where 6 are allowed`.
    #[serde(default)]
    pub nearest_miss: Option<String>,
}

impl Funnel {
    pub(super) fn svg(&self) -> String {
        let row = |stage: &Stage| if stage.nearest_miss.is_some() { 46.0 } else { 32.0 };
        let height = 46.0 + self.stages.iter().map(row).sum::<f64>();
        let mut svg = Svg::new(WIDTH, height, &self.title);
        let names = self.stages.iter().map(|s| text_width(&s.rule)).chain([text_width(&self.start_name)]);
        let left = names.fold(60.0, f64::max).min(220.0) + 16.0;
        let room = WIDTH - left - 150.0;
        let bar = |count: u64| room * count as f64 / self.start.max(1) as f64;
        svg.text((left - 8.0, 23.0), Anchor::End, "key", &self.start_name);
        svg.shape(
            "rect",
            &[("x", left), ("y", 8.0), ("width", bar(self.start)), ("height", 22.0), ("rx", 2.0)],
            "fill bar c0",
            None,
        );
        svg.text((left + bar(self.start) + 8.0, 23.0), Anchor::Start, "key strong", grouped(self.start));
        let (mut y, mut before) = (40.0, self.start);
        for stage in &self.stages {
            let (lost, width) = (before.saturating_sub(stage.passed), bar(stage.passed));
            svg.text((left - 8.0, y + 15.0), Anchor::End, "key", &stage.rule);
            let title = format!("{}: {} of {} passed", stage.rule, stage.passed, before);
            let place = |x: f64, width: f64| [("x", x), ("y", y), ("width", width), ("height", 22.0), ("rx", 2.0)];
            svg.shape("rect", &place(left, bar(before).max(1.0)), "blank", Some(&title));
            svg.shape("rect", &place(left, width.max(1.0)), "fill bar c0", Some(&title));
            let x = left + bar(before) + 8.0;
            svg.text((x, y + 15.0), Anchor::Start, "key strong", grouped(stage.passed));
            let after = x + text_width(&grouped(stage.passed)) + 8.0;
            if lost > 0 {
                svg.text((after, y + 15.0), Anchor::Start, "note", format!("−{}", grouped(lost)));
            }
            if let Some(miss) = &stage.nearest_miss {
                svg.text((left, y + 36.0), Anchor::Start, "note", format!("nearest miss: {miss}"));
            }
            y += row(stage);
            before = stage.passed;
        }
        svg.finish()
    }
}

/// A count with thin spaces between groups of three digits.
fn grouped(count: u64) -> String {
    let text = count.to_string();
    let groups: Vec<&str> = text.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join("\u{202f}")
}
