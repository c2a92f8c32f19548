//! Plots as one drawing that stands alone, such as in a README.

use super::LinePlot;
use super::frame::{HEIGHT, WIDTH};
use super::svg::{coordinate, escape};
use std::fmt::Write as _;

/// Height of a title.
const TITLE: f64 = 34.0;

/// Space around a plot.
const SPACE: f64 = 12.0;

/// What the page's style sheet says of plots, in its light colours; under a class, so that a page that holds the drawing keeps
/// its own.
const STYLE: &str = "\
.seqtilt-picture text{font:12px system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif;fill:#1b1f24}\
.seqtilt-picture .tick,.seqtilt-picture .note{fill:#59636e;font-size:11.5px}\
.seqtilt-picture .label{font-size:12.5px}\
.seqtilt-picture .title{font-size:15px;font-weight:650}\
.seqtilt-picture .halo{paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}\
.seqtilt-picture .grid{stroke:#e8ebef;stroke-width:1}\
.seqtilt-picture .axis{stroke:#59636e;stroke-width:1}\
.seqtilt-picture .rule{stroke:#59636e;stroke-width:1.2;stroke-dasharray:5 4;fill:none}\
.seqtilt-picture .stroke{stroke:var(--c);stroke-width:2;fill:none;stroke-linejoin:round}\
.seqtilt-picture .dash{stroke-dasharray:7 4}\
.seqtilt-picture .fill{fill:var(--c)}\
.seqtilt-picture .band{fill:var(--c);fill-opacity:.17}";

const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#a8527f", "#c98a00", "#3a96c8", "#6b7280"];

/// Line plots in rows of `columns`, each under its title, as one SVG document without anything outside itself.
///
/// ```
/// use seqtilt::eval::report::{LinePlot, Series, picture};
/// let plot = LinePlot { title: "a < b".into(), series: vec![Series::line("s", [(0.0, 1.0), (1.0, 2.0)])], ..LinePlot::default() };
/// let svg = picture(&[plot], 2);
/// assert!(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && svg.contains(">a &lt; b</text>"));
/// ```
#[must_use]
pub fn picture(plots: &[LinePlot], columns: usize) -> String {
    let columns = columns.clamp(1, plots.len().max(1));
    let (across, down) = (WIDTH + 2.0 * SPACE, HEIGHT + TITLE + SPACE);
    let width = coordinate(across * columns as f64);
    let height = coordinate(down * plots.len().div_ceil(columns) as f64);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"seqtilt-picture\" viewBox=\"0 0 {width} {height}\" \
         style=\"max-width:100%\" width=\"{width}\" height=\"{height}\">\n<style>{STYLE}"
    );
    for (index, colour) in COLOURS.iter().enumerate() {
        let _ = write!(out, ".seqtilt-picture .c{index}{{--c:{colour}}}");
    }
    out.push_str("</style>\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n");
    for (index, plot) in plots.iter().enumerate() {
        let (column, row) = (index % columns, index / columns);
        let (x, y) = (across * column as f64 + SPACE, down * row as f64);
        let title = escape(&plot.title);
        let _ = writeln!(
            out,
            "<text class=\"title\" x=\"{}\" y=\"{}\">{title}</text>",
            coordinate(x + 8.0),
            coordinate(y + 22.0)
        );
        let place = format!("<svg x=\"{}\" y=\"{}\" ", coordinate(x), coordinate(y + TITLE));
        let _ = writeln!(out, "{}", plot.svg().replacen("<svg ", &place, 1));
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::report::Series;

    #[test]
    fn plots_stand_side_by_side_and_the_page_s_colours_are_used() {
        let plot = |title: &str| LinePlot {
            title: title.to_owned(),
            series: vec![Series::line("s", [(0.0, 1.0), (1.0, 2.0)])],
            ..LinePlot::default()
        };
        let svg = picture(&[plot("one"), plot("two"), plot("three")], 2);
        assert_eq!(svg.matches("class=\"title\"").count(), 3);
        assert!(svg.contains("viewBox=\"0 0 1168 772\""), "{}", &svg[..200]);
        assert!(svg.contains("<svg x=\"596\" y=\"34\" ") && svg.contains("<svg x=\"12\" y=\"420\" "));
        assert_eq!(svg.matches("<svg").count(), svg.matches("</svg>").count());
        let sheet = include_str!("page.css");
        assert!(COLOURS.iter().enumerate().all(|(i, colour)| sheet.contains(&format!("--s{i}: {colour}"))));
        assert!(!svg.contains("\n\n"), "a blank line would end it inside Markdown");
    }
}
