//! The report of a run: a plain data model, and one self-contained HTML page made from it.
//!
//! [`Report`] is stored as `report.json` and rendered by [`Report::html`] to the same bytes every time: inline SVG and
//! CSS, no network, no fonts, and one small script that sorts tables. What a page says is decided by who fills the
//! model; how it looks is decided here.

mod bars;
mod facts;
mod frame;
mod frontier;
mod funnel;
mod glyph;
mod heat_map;
mod histogram;
mod html;
mod line;
mod logo;
mod marker;
mod palette;
mod panel;
mod picture;
mod plate;
mod point;
mod scale;
mod scatter;
mod svg;
mod table;

pub use bars::{Bar, BarGroup, Bars};
pub use facts::{Facts, Note, Tone};
pub use frontier::{FrontierPlot, Mark, PathStep};
pub use funnel::{Funnel, Stage};
pub use heat_map::HeatMap;
pub use histogram::{HistogramGroup, HistogramPlot};
pub use line::{LinePlot, Rule, Series, Style};
pub use logo::{Logo, Logos};
pub use panel::Panel;
pub use picture::picture;
pub use plate::{PlateMap, Well};
pub use point::Point;
pub use scale::Axis;
pub use scatter::{Curve, Dot, Scatter, ScatterGroup};
pub use table::{Cell, Column, ColumnKind, Table};

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A report: the answer first, the evidence after it, where everything came from at the end.
///
/// ```
/// use seqtilt::eval::report::{Note, Report, Topic};
/// let mut report = Report::new("TFBind8 at α = 0.05", "best binders within 3 nats of the prior");
/// report.section(Topic::Diversity, "Designs differ.").add(Note::info("mean distance 5.7 of 8"));
/// let page = report.html();
/// assert!(page.starts_with("<!DOCTYPE html>") && page.contains("mean distance 5.7 of 8"));
/// assert_eq!(Report::from_json(&report.to_json()?)?, report);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Report {
    /// Title of the page.
    pub title: String,
    /// The answer box.
    pub answer: Answer,
    /// The sections, in any order; the page puts them in the order of [`Topic`].
    pub sections: Vec<Section>,
    /// Command, configuration, versions, seeds, hashes, device, duration, memory, licences: (name, value).
    pub provenance: Vec<(String, String)>,
}

/// The answer box.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// What was asked, in a sentence.
    pub asked: String,
    /// The numbers that answer it.
    pub headlines: Vec<Headline>,
    /// The one warning that matters most.
    pub main_warning: Option<String>,
    /// The answer in sentences.
    pub verdict: Vec<String>,
}

/// A number that answers the question.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Headline {
    /// What it is.
    pub label: String,
    /// The number as it is to be read, with its unit.
    pub value: String,
    /// Its interval or its source, in small print.
    pub interval: Option<String>,
}

/// What a section is about; sections appear in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Topic {
    /// The plate to order.
    Plate,
    /// Reward against steps or rounds.
    Progress,
    /// Reward against divergence from the prior.
    Frontier,
    /// The reward against other goals.
    TradeOffs,
    /// Whether the predictor can be trusted.
    Trust,
    /// Weights of the sampler's paths, and what is known of its start.
    Sampler,
    /// Scores far from the data: exploited predictors.
    Hacking,
    /// How different the designs are.
    Diversity,
    /// How new the designs are.
    Novelty,
    /// Sequence logos.
    Logos,
    /// Mutations relative to the wild type.
    Mutations,
    /// What the filters removed.
    Funnel,
    /// The table of sequences.
    Sequences,
    /// Anything else.
    Other,
}

impl Topic {
    /// The heading a section gets unless it brings its own.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Plate => "Plate",
            Self::Progress => "Reward over the run",
            Self::Frontier => "Reward against divergence",
            Self::TradeOffs => "Trade-offs between goals",
            Self::Trust => "Can the predictor be trusted?",
            Self::Sampler => "Can the sampler be trusted?",
            Self::Hacking => "Is the predictor being exploited?",
            Self::Diversity => "Diversity",
            Self::Novelty => "Novelty",
            Self::Logos => "Sequence logos",
            Self::Mutations => "Mutations",
            Self::Funnel => "Filters",
            Self::Sequences => "Sequences",
            Self::Other => "Further results",
        }
    }
}

/// A section: a heading, a sentence or two that says what to see, and panels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// What it is about; decides its place.
    pub topic: Topic,
    /// Heading.
    pub title: String,
    /// What to see in the panels.
    pub lead: String,
    /// The panels, in order.
    pub panels: Vec<Panel>,
}

impl Section {
    /// Adds a panel.
    pub fn add(&mut self, panel: impl Into<Panel>) -> &mut Self {
        self.panels.push(panel.into());
        self
    }
}

impl Report {
    /// A report without sections.
    #[must_use]
    pub fn new(title: impl Into<String>, asked: impl Into<String>) -> Self {
        let answer = Answer { asked: asked.into(), ..Answer::default() };
        Self { title: title.into(), answer, sections: Vec::new(), provenance: Vec::new() }
    }

    /// Adds a number to the answer box.
    pub fn headline(&mut self, label: &str, value: impl Into<String>, interval: Option<String>) -> &mut Self {
        self.answer.headlines.push(Headline { label: label.to_owned(), value: value.into(), interval });
        self
    }

    /// Adds a section with the topic's own heading and gives it back to be filled.
    pub fn section(&mut self, topic: Topic, lead: impl Into<String>) -> &mut Section {
        let section = Section { topic, title: topic.heading().to_owned(), lead: lead.into(), panels: Vec::new() };
        self.sections.push(section);
        let last = self.sections.len() - 1;
        &mut self.sections[last]
    }

    /// Adds a line to the provenance.
    pub fn origin(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.provenance.push((name.to_owned(), value.into()));
        self
    }

    /// The page: the same bytes for the same report.
    #[must_use]
    pub fn html(&self) -> String {
        html::page(self)
    }

    /// The report as JSON with a final newline; numbers that are not finite become null.
    ///
    /// # Errors
    /// When a value cannot be written as JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|source| Error::data("cannot write the report as JSON").because(source))
    }

    /// Reads what [`Self::to_json`] wrote.
    ///
    /// # Errors
    /// An integrity error when the text is not a report; it carries line and column.
    pub fn from_json(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|source| {
            Error::integrity(format!("not a report: {source}"))
                .line(source.line() as u64)
                .column(source.column() as u64)
                .hint("the file was changed after a run wrote it; the command of that run makes it again")
        })
    }
}
