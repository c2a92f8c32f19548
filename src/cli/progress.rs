//! Progress: a bar on a terminal, a line now and then elsewhere.

use super::interrupt::Interrupt;
use super::printer;
use crate::observe::{Event, Observer};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Between two plain lines, at least.
const EVERY: Duration = Duration::from_secs(5);

/// Shows the events of long work, and asks it to stop after Ctrl-C.
#[derive(Debug)]
pub(super) struct Progress {
    display: Display,
    interrupt: Interrupt,
}

#[derive(Debug)]
enum Display {
    Quiet,
    Bar(ProgressBar),
    Lines(Lines),
}

impl Progress {
    pub(super) fn new(quiet: bool, interrupt: Interrupt) -> Self {
        let display = if quiet {
            Display::Quiet
        } else if std::io::stderr().is_terminal() {
            Display::Bar(ProgressBar::hidden())
        } else {
            Display::Lines(Lines::new(EVERY))
        };
        Self { display, interrupt }
    }
}

impl Observer for Progress {
    fn on_event(&mut self, event: &Event<'_>) -> ControlFlow<()> {
        match &mut self.display {
            Display::Quiet => {}
            Display::Bar(bar) => draw(bar, event),
            Display::Lines(lines) => {
                if let Some(line) = lines.line(event, Instant::now()) {
                    printer::note(line);
                }
            }
        }
        if self.interrupt.is_set() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn draw(bar: &mut ProgressBar, event: &Event<'_>) {
    match event {
        Event::Start { stage, total, done } => {
            let style = ProgressStyle::with_template("{prefix:>12} [{bar:30}] {pos}/{len} {msg} ({eta} left)");
            *bar = ProgressBar::new(*total).with_position(*done).with_prefix((*stage).to_owned());
            if let Ok(style) = style {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.reset_eta();
        }
        Event::Step { done, figures, .. } => {
            bar.set_message(shown(figures));
            bar.set_position(*done);
        }
        Event::Finish { .. } => bar.abandon(),
        Event::Note(line) => bar.suspend(|| printer::note(line)),
        Event::Checkpoint { .. } => {}
    }
}

fn shown(figures: &[(&str, f64)]) -> String {
    figures.iter().map(|(name, value)| format!("{name} {}", short(*value))).collect::<Vec<_>>().join("  ")
}

/// Four significant digits.
fn short(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude == 0.0 || !value.is_finite() || (1e-3..1e5).contains(&magnitude) {
        let digits = if magnitude > 0.0 && value.is_finite() { 3 - magnitude.log10().floor() as i32 } else { 0 };
        format!("{value:.*}", digits.clamp(0, 6) as usize)
    } else {
        format!("{value:.3e}")
    }
}

/// Decides which events become lines.
#[derive(Debug)]
struct Lines {
    every: Duration,
    last: Option<Instant>,
    begun: Option<(Instant, u64)>,
    total: u64,
    text: String,
}

impl Lines {
    fn new(every: Duration) -> Self {
        Self { every, last: None, begun: None, total: 0, text: String::new() }
    }

    fn line(&mut self, event: &Event<'_>, now: Instant) -> Option<String> {
        match event {
            Event::Start { stage, total, done } => {
                (self.total, self.begun, self.last) = (*total, Some((now, *done)), Some(now));
                self.text.clear();
                let resumed = if *done > 0 { format!(", resumed at {done}") } else { String::new() };
                Some(format!("{stage}: {total} steps{resumed}"))
            }
            Event::Step { stage, done, figures } => {
                let figures = if figures.is_empty() { String::new() } else { format!(" {}", shown(figures)) };
                self.text = format!("{stage}: {done}/{}{figures}", self.total);
                if self.last.is_some_and(|last| now.duration_since(last) < self.every) {
                    return None;
                }
                self.last = Some(now);
                Some(format!("{}{}", self.text, self.left(*done, now)))
            }
            Event::Finish { stage } => {
                let seconds = self.begun.map_or(0.0, |(begun, _)| now.duration_since(begun).as_secs_f64());
                let text = if self.text.is_empty() { (*stage).to_owned() } else { self.text.clone() };
                Some(format!("{text} (done in {seconds:.1} s)"))
            }
            Event::Note(line) => Some((*line).to_owned()),
            Event::Checkpoint { .. } => None,
        }
    }

    fn left(&self, done: u64, now: Instant) -> String {
        match self.begun {
            Some((begun, from)) if done > from && self.total >= done => {
                let per_step = now.duration_since(begun).as_secs_f64() / (done - from) as f64;
                format!(" ({:.0} s left)", per_step * (self.total - done) as f64)
            }
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_is_asked_for_at_the_next_event() {
        let interrupt = Interrupt::default();
        let mut progress = Progress::new(true, interrupt.clone());
        assert!(progress.on_event(&Event::Checkpoint { done: 1 }).is_continue());
        interrupt.set();
        assert!(progress.on_event(&Event::Checkpoint { done: 2 }).is_break());
    }

    #[test]
    fn plain_lines_come_at_most_every_few_seconds() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut lines = Lines::new(EVERY);
        let stage = "pretrain";
        let begun = lines.line(&Event::Start { stage, total: 100, done: 0 }, start);
        assert_eq!(begun.as_deref(), Some("pretrain: 100 steps"));
        let step = |done| Event::Step { stage, done, figures: &[("loss", 1.385_4)] };
        assert_eq!(lines.line(&step(10), at(1)), None);
        assert_eq!(lines.line(&step(50), at(5)).as_deref(), Some("pretrain: 50/100 loss 1.385 (5 s left)"));
        assert_eq!(lines.line(&step(90), at(9)), None);
        let end = lines.line(&Event::Finish { stage }, at(10));
        assert_eq!(end.as_deref(), Some("pretrain: 90/100 loss 1.385 (done in 10.0 s)"));
    }

    #[test]
    fn figures_have_four_significant_digits() {
        let numbers = [0.0, 1.385_44, 12.345_67, -0.012_345, 1e-7, 123_456.0, f64::NAN];
        let texts = numbers.map(short);
        assert_eq!(texts, ["0", "1.385", "12.35", "-0.01235", "1.000e-7", "1.235e5", "NaN"]);
    }
}
