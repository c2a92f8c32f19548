//! What a settings struct accepts, and what serde's messages mean for people.

use crate::error::Error;
use crate::registry::unknown;
use toml::de::{DeTable, DeValue};

/// The long flags of an argument group that can be written in a file: the file's keys.
pub(super) fn keys<A: clap::Args>() -> Vec<String> {
    let group = A::augment_args(clap::Command::new("keys"));
    let names = group.get_arguments().filter_map(|argument| argument.get_long());
    names.filter(|name| *name != "config").map(str::to_owned).collect()
}

/// The dotted path of the key or value at a byte of the file.
pub(super) fn key_at(table: &DeTable<'_>, offset: usize) -> Option<String> {
    for (key, value) in table {
        let name = key.get_ref().as_ref();
        let inner = match value.get_ref() {
            DeValue::Table(inner) => key_at(inner, offset).map(|rest| format!("{name}.{rest}")),
            DeValue::Array(items) => items.iter().find_map(|item| match item.get_ref() {
                DeValue::Table(inner) => key_at(inner, offset).map(|rest| format!("{name}.{rest}")),
                _ => None,
            }),
            _ => None,
        };
        if inner.is_some() {
            return inner;
        }
        if key.span().contains(&offset) || value.span().contains(&offset) {
            return Some(name.to_owned());
        }
    }
    None
}

/// Turns a message of serde into ours. `key` is the dotted path of the place that it speaks of.
pub(super) fn explain(message: &str, key: Option<&str>) -> Error {
    if let Some((name, accepted)) = mistyped(message, "unknown field ") {
        let parent = key.and_then(|key| key.rsplit_once('.')).map_or(String::new(), |(parent, _)| format!("{parent}."));
        let error = unknown("key", name, accepted.iter().copied());
        return renamed(&error, &format!("unknown key `{name}`"), &format!("unknown key `{parent}{name}`"));
    }
    if let Some((name, accepted)) = mistyped(message, "unknown variant ") {
        let error = unknown("value", name, accepted.iter().copied());
        let place = key.map_or(String::new(), |key| format!(" for `{key}`"));
        return renamed(&error, &format!("unknown value `{name}`"), &format!("unknown value `{name}`{place}"));
    }
    let line = message.trim_end().replace('\n', "; ");
    match key {
        Some(key) => Error::usage(format!("`{key}`: {line}")),
        None => Error::usage(line),
    }
}

fn renamed(error: &Error, from: &str, to: &str) -> Error {
    let new = Error::usage(error.message().replacen(from, to, 1));
    match error.hint_text() {
        Some(hint) => new.hint(hint),
        None => new,
    }
}

/// Reads "unknown field `x`, expected one of `a`, `b`", its shorter forms, and toml's own "unexpected keys in table:
/// x, available keys: a, b" for the fields of an enum's variant.
fn mistyped<'a>(message: &'a str, beginning: &str) -> Option<(&'a str, Vec<&'a str>)> {
    if let Some(rest) = message.strip_prefix("unexpected keys in table: ") {
        let (found, accepted) = rest.split_once(", available keys: ")?;
        return Some((found.split(", ").next()?, accepted.split(", ").collect()));
    }
    let mut quoted = message.strip_prefix(beginning)?.split('`').skip(1).step_by(2);
    let name = quoted.next()?;
    Some((name, quoted.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_serdes_message_is_read() {
        let read = |message| mistyped(message, "unknown field ");
        assert_eq!(read("unknown field `x`, expected one of `a`, `b`, `c`"), Some(("x", vec!["a", "b", "c"])));
        assert_eq!(read("unknown field `x`, expected `a` or `b`"), Some(("x", vec!["a", "b"])));
        assert_eq!(read("unknown field `x`, there are no fields"), Some(("x", vec![])));
        let table = "unexpected keys in table: x, y, available keys: a, b";
        assert_eq!(read(table), Some(("x", vec!["a", "b"])));
        assert_eq!(read("invalid type: string \"`\", expected u32"), None);
    }

    #[test]
    fn the_dotted_path_is_found_by_place() {
        let text = "a = 1\n[b.c]\nd = [1, 2]\n[[e]]\nf = 3\n[[e]]\nf = 4\n";
        let table = DeTable::parse(text).unwrap();
        let at = |needle: &str| key_at(table.get_ref(), text.find(needle).unwrap());
        assert_eq!(at("1\n").as_deref(), Some("a"));
        assert_eq!(at("d = ").as_deref(), Some("b.c.d"));
        assert_eq!(at("4\n").as_deref(), Some("e.f"));
        assert_eq!(key_at(table.get_ref(), text.len() + 5), None);
    }
}
