//! What a model's card says, read back: the command that made it, and its figures.

use crate::error::{Error, Result};

/// The text of a card.
#[derive(Clone, Copy, Debug)]
pub(super) struct Card<'a>(&'a str);

/// A figure of a card as it comes out when it is computed again.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Figure {
    /// What the card calls it.
    pub(super) label: &'static str,
    /// What it is measured on, or in.
    pub(super) of: &'static str,
    /// Its value, where there is one.
    pub(super) value: Option<f64>,
}

impl<'a> Card<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// The words of the command that made the model; `None` where the card names none.
    ///
    /// # Errors
    /// An integrity error when a quote in it is not closed.
    pub(super) fn command(&self) -> Result<Option<Vec<String>>> {
        let mut inside = false;
        for line in self.0.lines() {
            if line.starts_with("```") {
                inside = !inside;
            } else if inside && line.starts_with("seqtilt ") {
                let words = words(line);
                return words.map(Some).ok_or_else(|| Error::integrity(format!("a quote is not closed in `{line}`")));
            }
        }
        Ok(None)
    }

    /// The number behind a label in the figures.
    pub(super) fn figure(&self, label: &str) -> Option<f64> {
        let rest = self.0.lines().find_map(|line| line.trim_start().strip_prefix(label)?.strip_prefix("  "))?;
        rest.split_whitespace().next()?.parse().ok()
    }

    /// What stands behind a name in the list of origins.
    pub(super) fn origin(&self, name: &str) -> Option<&'a str> {
        let rest = self.0.lines().find_map(|line| line.strip_prefix("- ")?.strip_prefix(name)?.strip_prefix(": `"))?;
        rest.split('`').next()
    }
}

/// The words of a line as a POSIX shell splits one that quotes with `'` only; `None` where a quote is not closed.
fn words(line: &str) -> Option<Vec<String>> {
    let (mut words, mut word, mut quoted) = (Vec::new(), None::<String>, false);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if !quoted => word.get_or_insert_default().push(letters.next()?),
            _ if letter.is_whitespace() && !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    (!quoted).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARD: &str = "# A\n\nseqtilt is not this line.\n\n```sh\nseqtilt pretrain 'my data.csv' --out 'it'\\''s'\n```\n\n\
                        - data: `sha256:12`\n\n```text\n  error         0.0663\nheld-out bound  1.3576 ± 0.0032 nats\n\
                        none            -\n```\n";

    #[test]
    fn commands_figures_and_origins_are_read_back() {
        let card = Card::new(CARD);
        let command = card.command().unwrap().unwrap();
        assert_eq!(command, ["seqtilt", "pretrain", "my data.csv", "--out", "it's"]);
        assert_eq!((card.figure("held-out bound"), card.figure("error")), (Some(1.3576), Some(0.0663)));
        assert_eq!((card.figure("none"), card.figure("held-out")), (None, None));
        assert_eq!((card.origin("data"), card.origin("dat")), (Some("sha256:12"), None));
    }

    #[test]
    fn a_card_without_a_command_has_none_and_half_a_quote_is_refused() {
        assert_eq!(Card::new("# Mine\n").command().unwrap(), None);
        assert_eq!(Card::new("```sh\nseqtilt sample 'x\n```").command().unwrap_err().kind(), crate::Kind::Integrity);
    }

    #[test]
    fn words_may_be_empty_and_blanks_do_not_count() {
        assert_eq!(words("a  '' b ").unwrap(), ["a", "", "b"]);
    }
}
