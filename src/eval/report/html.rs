//! The page around the panels.

use super::facts;
use super::glyph;
use super::svg::escape;
use super::{Answer, Report, Section};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let mut sections: Vec<&Section> = report.sections.iter().collect();
    sections.sort_by_key(|s| s.topic);
    let title = escape(&report.title);
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><meta name=\"generator\" content=\"seqtilt\">\
         <title>{title}</title>\n<style>\n{}</style></head>\n<body>\n",
        include_str!("page.css")
    );
    let letters: BTreeSet<char> = sections.iter().flat_map(|s| &s.panels).flat_map(|p| p.letters().chars()).collect();
    if !letters.is_empty() {
        out.push_str(&glyph::definitions(letters));
    }
    let _ = writeln!(out, "<header><h1>{title}</h1></header>\n<main>");
    answer(&mut out, &report.answer);
    if !sections.is_empty() {
        out.push_str("<nav aria-label=\"Contents\"><ol>");
        for (index, section) in sections.iter().enumerate() {
            let _ = write!(out, "<li><a href=\"#s{}\">{}</a></li>", index + 1, escape(&section.title));
        }
        out.push_str("<li><a href=\"#provenance\">Provenance</a></li></ol></nav>\n");
    }
    for (index, section) in sections.iter().enumerate() {
        let _ = writeln!(out, "<section id=\"s{}\"><h2>{}</h2>", index + 1, escape(&section.title));
        if !section.lead.is_empty() {
            let _ = writeln!(out, "<p class=\"lead\">{}</p>", escape(&section.lead));
        }
        out.push_str("<div class=\"panels\">\n");
        for panel in &section.panels {
            out.push_str(&panel.html());
        }
        out.push_str("</div></section>\n");
    }
    let _ =
        writeln!(out, "<section id=\"provenance\"><h2>Provenance</h2>{}</section>", facts::list(&report.provenance));
    let _ = write!(out, "</main>\n<script>\n{}</script>\n</body></html>\n", include_str!("sort.js"));
    out
}

fn answer(out: &mut String, answer: &Answer) {
    let _ = writeln!(
        out,
        "<section class=\"answer\" aria-label=\"Answer\"><p class=\"asked\">{}</p>",
        escape(&answer.asked)
    );
    if !answer.headlines.is_empty() {
        out.push_str("<dl class=\"headlines\">");
        for headline in &answer.headlines {
            let (label, value) = (escape(&headline.label), escape(&headline.value));
            let _ = write!(out, "<div><dt>{label}</dt><dd>{value}</dd>");
            if let Some(interval) = &headline.interval {
                let _ = write!(out, "<dd class=\"interval\">{}</dd>", escape(interval));
            }
            out.push_str("</div>");
        }
        out.push_str("</dl>\n");
    }
    if let Some(warning) = &answer.main_warning {
        let _ = writeln!(out, "<p class=\"callout warning\"><strong>Warning.</strong> {}</p>", escape(warning));
    }
    for sentence in &answer.verdict {
        let _ = writeln!(out, "<p class=\"verdict\">{}</p>", escape(sentence));
    }
    out.push_str("</section>\n");
}
