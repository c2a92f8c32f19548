//! Writing SVG and HTML text: escaping, numbers, elements.

use std::fmt::{Display, Write as _};

/// Escapes text for element content and double-quoted attributes; control characters become spaces.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if c.is_control() && c != '\n' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A coordinate with at most two decimals.
pub(super) fn coordinate(value: f64) -> String {
    let mut text = format!("{value:.2}");
    while text.ends_with('0') {
        text.pop();
    }
    if text.ends_with('.') {
        text.pop();
    }
    if text == "-0" { "0".to_owned() } else { text }
}

/// A number for people: fixed digits, a true minus sign, scientific where fixed digits would be useless.
pub(super) fn figure(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "–".to_owned()
        } else if value > 0.0 {
            "∞".to_owned()
        } else {
            "−∞".to_owned()
        };
    }
    let size = value.abs();
    let text = if size != 0.0 && (size >= 1e7 || size < 0.5 * 0.1_f64.powi(digits as i32)) {
        format!("{value:.2e}")
    } else {
        format!("{value:.digits$}")
    };
    let zero = text.trim_start_matches('-').chars().all(|c| c == '0' || c == '.');
    if zero { text.trim_start_matches('-').to_owned() } else { text.replace('-', "−") }
}

/// A number for people in about four significant digits.
pub(super) fn significant(value: f64) -> String {
    if value == value.trunc() && value.abs() < 1e7 {
        return figure(value, 0);
    }
    let digits = if value == 0.0 { 0.0 } else { 3.0 - value.abs().log10().floor() };
    figure(value, digits.clamp(0.0, 6.0) as usize)
}

/// Pixels that a text of the plots' 12-pixel sans-serif takes, roughly.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars()
        .map(|c| {
            if "iljtf.,:;|'()[]I ".contains(c) {
                3.9
            } else if c.is_ascii_uppercase() {
                8.2
            } else {
                6.7
            }
        })
        .sum()
}

/// Where a text is anchored.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// An SVG drawing under construction.
pub(super) struct Svg {
    body: String,
    width: f64,
    height: f64,
    label: String,
}

impl Svg {
    pub(super) fn new(width: f64, height: f64, label: &str) -> Self {
        Self { body: String::new(), width, height, label: label.to_owned() }
    }

    /// An element with numeric attributes, a class and an optional tooltip.
    pub(super) fn shape(&mut self, name: &str, attributes: &[(&str, f64)], class: &str, title: Option<&str>) {
        self.open(name, attributes, &[("class", class)]);
        self.close(name, title);
    }

    /// As [`Self::shape`] with a fill colour of its own.
    pub(super) fn filled(&mut self, name: &str, attributes: &[(&str, f64)], fill: &str, title: Option<&str>) {
        self.open(name, attributes, &[("fill", fill)]);
        self.close(name, title);
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), class: &str) {
        self.shape("line", &[("x1", from.0), ("y1", from.1), ("x2", to.0), ("y2", to.1)], class, None);
    }

    pub(super) fn path(&mut self, d: &str, class: &str, title: Option<&str>) {
        self.open("path", &[], &[("d", d), ("class", class)]);
        self.close("path", title);
    }

    pub(super) fn text(&mut self, at: (f64, f64), anchor: Anchor, class: &str, content: impl Display) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.open("text", &[("x", at.0), ("y", at.1)], &[("text-anchor", anchor), ("class", class)]);
        let _ = write!(self.body, ">{}</text>", escape(&content.to_string()));
    }

    /// A text that reads upwards.
    pub(super) fn upright(&mut self, at: (f64, f64), class: &str, content: &str) {
        let turn = format!("rotate(-90 {} {})", coordinate(at.0), coordinate(at.1));
        self.open(
            "text",
            &[("x", at.0), ("y", at.1)],
            &[("text-anchor", "middle"), ("class", class), ("transform", &turn)],
        );
        let _ = write!(self.body, ">{}</text>", escape(content));
    }

    /// Appends finished markup.
    pub(super) fn raw(&mut self, markup: &str) {
        self.body.push_str(markup);
    }

    pub(super) fn finish(self) -> String {
        let (w, h, label) = (coordinate(self.width), coordinate(self.height), escape(&self.label));
        format!(
            r#"<svg viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" aria-label="{label}">{}</svg>"#,
            self.body
        )
    }

    fn open(&mut self, name: &str, numbers: &[(&str, f64)], texts: &[(&str, &str)]) {
        let _ = write!(self.body, "<{name}");
        for (key, value) in numbers {
            let _ = write!(self.body, r#" {key}="{}""#, coordinate(*value));
        }
        for (key, value) in texts {
            let _ = write!(self.body, r#" {key}="{}""#, escape(value));
        }
    }

    fn close(&mut self, name: &str, title: Option<&str>) {
        match title {
            Some(title) => {
                let _ = write!(self.body, "><title>{}</title></{name}>", escape(title));
            }
            None => self.body.push_str("/>"),
        }
    }
}

/// Path data of a polyline through `points`; a gap where a coordinate is not finite.
pub(super) fn polyline(points: impl IntoIterator<Item = (f64, f64)>) -> String {
    let mut d = String::new();
    let mut pen = 'M';
    for (x, y) in points {
        if x.is_finite() && y.is_finite() {
            let _ = write!(d, "{pen}{} {}", coordinate(x), coordinate(y));
            pen = 'L';
        } else {
            pen = 'M';
        }
    }
    d
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_text_are_written_as_people_and_parsers_expect() {
        assert_eq!([coordinate(-0.001), coordinate(1.50), coordinate(10.0)], ["0", "1.5", "10"]);
        assert_eq!(figure(-0.0004, 2), "−4.00e−4");
        assert_eq!(figure(-1.25, 1), "−1.2");
        assert_eq!([figure(0.0, 2), figure(f64::NAN, 2)], ["0.00", "–"]);
        assert_eq!([significant(1234.0), significant(0.98765), significant(12.345)], ["1234", "0.9877", "12.35"]);
        assert_eq!(escape("<a href='x'>&\u{0}"), "&lt;a href=&#39;x&#39;&gt;&amp; ");
        assert_eq!(polyline([(0.0, 1.0), (f64::NAN, 2.0), (2.0, 3.0), (4.0, 5.0)]), "M0 1M2 3L4 5");
    }
}
