//! Lists of facts, and notes.

use super::svg::escape;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// A list of names and values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// Title; may be empty.
    pub title: String,
    /// (name, value).
    pub items: Vec<(String, String)>,
}

impl Facts {
    pub(super) fn html(&self) -> String {
        list(&self.items)
    }
}

/// Names and values as a definition list.
pub(super) fn list(items: &[(String, String)]) -> String {
    let mut out = String::from(r#"<dl class="facts">"#);
    for (name, value) in items {
        let _ = write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape(name), escape(value));
    }
    out + "</dl>"
}

/// A sentence set apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// What it says.
    pub text: String,
    /// How it is meant.
    pub tone: Tone,
}

/// How a note is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tone {
    /// Worth knowing.
    #[default]
    Info,
    /// Something is right.
    Good,
    /// Something may be wrong.
    Warning,
}

impl Note {
    /// Worth knowing.
    #[must_use]
    pub fn info(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Info }
    }

    /// Something is right.
    #[must_use]
    pub fn good(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Good }
    }

    /// Something may be wrong.
    #[must_use]
    pub fn warning(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Warning }
    }

    pub(super) fn html(&self) -> String {
        let (class, word) = match self.tone {
            Tone::Info => ("info", "Note"),
            Tone::Good => ("good", "Good"),
            Tone::Warning => ("warning", "Warning"),
        };
        format!(r#"<p class="callout {class}"><strong>{word}.</strong> {}</p>"#, escape(&self.text))
    }
}
