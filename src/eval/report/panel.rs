//! The kinds of panel a section may hold.

use super::svg::escape;
use super::{
    Bars, Facts, FrontierPlot, Funnel, HeatMap, HistogramPlot, LinePlot, Logos, Note, PlateMap, Scatter, Table,
};
use serde::{Deserialize, Serialize};

/// A panel of a section.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Panel {
    /// Lines against steps or rounds.
    Line(LinePlot),
    /// Reward against divergence.
    Frontier(FrontierPlot),
    /// Points against points.
    Scatter(Scatter),
    /// Histograms laid over one another.
    Histogram(HistogramPlot),
    /// Grouped bars.
    Bars(Bars),
    /// Sequence logos.
    Logos(Logos),
    /// Position by letter.
    HeatMap(HeatMap),
    /// What each filter removed.
    Funnel(Funnel),
    /// The plate.
    Plate(PlateMap),
    /// A sortable table.
    Table(Table),
    /// Names and values.
    Facts(Facts),
    /// A sentence set apart.
    Note(Note),
}

macro_rules! from {
    ($($kind:ident($data:ident)),*) => { $(
        impl From<$data> for Panel {
            fn from(data: $data) -> Self {
                Self::$kind(data)
            }
        }
    )* };
}
from!(
    Line(LinePlot),
    Frontier(FrontierPlot),
    Scatter(Scatter),
    Histogram(HistogramPlot),
    Bars(Bars),
    Logos(Logos),
    HeatMap(HeatMap),
    Funnel(Funnel),
    Plate(PlateMap),
    Table(Table),
    Facts(Facts),
    Note(Note)
);

impl Panel {
    /// The letters whose glyphs the panel draws.
    pub(super) fn letters(&self) -> &str {
        if let Self::Logos(logos) = self { &logos.letters } else { "" }
    }

    pub(super) fn html(&self) -> String {
        let (title, caption, wide, body) = match self {
            Self::Line(p) => (&p.title, Some(&p.caption), false, p.svg()),
            Self::Frontier(p) => (&p.title, Some(&p.caption), false, p.svg()),
            Self::Scatter(p) => (&p.title, Some(&p.caption), false, p.svg()),
            Self::Histogram(p) => (&p.title, Some(&p.caption), false, p.svg()),
            Self::Bars(p) => (&p.title, Some(&p.caption), false, p.svg()),
            Self::Logos(p) => {
                let class = if p.is_wide() { "logos stacked" } else { "logos" };
                (&p.title, Some(&p.caption), true, format!(r#"<div class="{class}">{}</div>"#, p.html()))
            }
            Self::HeatMap(p) => (&p.title, Some(&p.caption), p.is_wide(), p.svg()),
            Self::Funnel(p) => (&p.title, Some(&p.caption), false, p.svg()),
            Self::Plate(p) => (&p.title, Some(&p.caption), p.columns > 12, p.svg()),
            Self::Table(p) => (&p.title, Some(&p.caption), true, p.html()),
            Self::Facts(p) => (&p.title, None, false, p.html()),
            Self::Note(note) => return note.html(),
        };
        let class = if wide { r#" class="wide""# } else { "" };
        let heading = if title.is_empty() { String::new() } else { format!("<h3>{}</h3>", escape(title)) };
        let caption = caption.filter(|c| !c.is_empty());
        let caption = caption.map_or_else(String::new, |c| format!("<figcaption>{}</figcaption>", escape(c)));
        format!("<figure{class}>{heading}{body}{caption}</figure>\n")
    }
}
