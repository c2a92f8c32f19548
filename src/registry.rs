//! Families of named kinds: one file and one line each.
//!
//! A family is a static list of [`Entry`]s. Adding a kind is one file and one line of [`registry!`]; it is then looked
//! up by name, listed, and put through the family's conformance tests.

use crate::error::{Error, Result};

/// One kind: its name, one line about it, and what builds it.
#[derive(Clone, Copy, Debug)]
pub struct Entry<C> {
    /// What the user types.
    pub name: &'static str,
    /// One line about it.
    pub doc: &'static str,
    /// What builds it; usually a function pointer.
    pub make: C,
}

/// A list of kinds that can stand in for each other, such as the noise schedules.
///
/// ```
/// use seqtilt::registry::{Entry, Family};
/// static ROUNDING: Family<fn(f64) -> f64> = Family::new("rounding", "roundings", &[
///     Entry { name: "floor", doc: "towards -∞", make: f64::floor },
///     Entry { name: "ceil", doc: "towards +∞", make: f64::ceil },
/// ]);
/// assert_eq!((ROUNDING.get("ceil")?.make)(1.2), 2.0);
/// let error = ROUNDING.get("flor").unwrap_err();
/// assert_eq!(error.to_string(), "unknown rounding `flor`; accepted: `floor`, `ceil`");
/// assert_eq!(error.hint_text(), Some("did you mean `floor`?"));
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Debug)]
pub struct Family<C: 'static> {
    noun: &'static str,
    plural: &'static str,
    entries: &'static [Entry<C>],
}

impl<C> Family<C> {
    /// A family of the given entries; [`registry!`] writes this call.
    #[must_use]
    pub const fn new(noun: &'static str, plural: &'static str, entries: &'static [Entry<C>]) -> Self {
        Self { noun, plural, entries }
    }

    /// What one kind is called, such as `schedule`.
    #[must_use]
    pub const fn noun(&self) -> &'static str {
        self.noun
    }

    /// What several are called, such as `schedules`.
    #[must_use]
    pub const fn plural(&self) -> &'static str {
        self.plural
    }

    /// The kinds in the order in which they were registered.
    #[must_use]
    pub const fn entries(&self) -> &'static [Entry<C>] {
        self.entries
    }

    /// The names in the order of [`entries`](Self::entries).
    pub fn names(&self) -> impl Iterator<Item = &'static str> + use<C> {
        self.entries.iter().map(|entry| entry.name)
    }

    /// The kind with a name.
    ///
    /// # Errors
    /// When there is none; the message lists what is accepted and the hint names the nearest.
    pub fn get(&self, name: &str) -> Result<&'static Entry<C>> {
        self.entries.iter().find(|entry| entry.name == name).ok_or_else(|| unknown(self.noun, name, self.names()))
    }
}

/// The error for a name that is not among the accepted ones.
///
/// ```
/// let error = seqtilt::registry::unknown("key", "bacth", ["batch", "steps"]);
/// assert_eq!(error.hint_text(), Some("did you mean `batch`?"));
/// ```
#[must_use]
pub fn unknown<'a>(noun: &str, name: &str, accepted: impl IntoIterator<Item = &'a str>) -> Error {
    let accepted: Vec<&str> = accepted.into_iter().collect();
    let list = match accepted.as_slice() {
        [] => "none".to_owned(),
        names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
    };
    let error = Error::usage(format!("unknown {noun} `{name}`; accepted: {list}"));
    match nearest(name, accepted) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    }
}

/// The candidate that a mistyped name most likely meant: at most a third of its letters (two at least) away by
/// insertion, deletion, substitution and transposition, or the only one that it begins.
///
/// ```
/// assert_eq!(seqtilt::registry::nearest("learning_rate", ["learning-rate", "steps"]), Some("learning-rate"));
/// assert_eq!(seqtilt::registry::nearest("zebra", ["learning-rate", "steps"]), None);
/// ```
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let limit = (name.chars().count() / 3).max(2);
    let near = candidates
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance);
    if let Some((_, candidate)) = near {
        return Some(candidate);
    }
    let mut begun = candidates.into_iter().filter(|candidate| name.len() >= 3 && candidate.starts_with(name));
    begun.next().filter(|_| begun.next().is_none())
}

/// Declares a [`Family`]: one line per kind, `"name" => constructor, "what it is in one line";`.
///
/// ```
/// seqtilt::registry! {
///     /// How to round.
///     pub ROUNDINGS: fn(f64) -> f64, "rounding", "roundings";
///     "floor" => f64::floor, "towards -∞";
///     "ceil" => f64::ceil, "towards +∞";
/// }
/// assert_eq!(ROUNDINGS.names().collect::<Vec<_>>(), ["floor", "ceil"]);
/// ```
#[macro_export]
macro_rules! registry {
    ($(#[$attribute:meta])* $vis:vis $family:ident: $constructor:ty, $noun:literal, $plural:literal;
     $($name:literal => $make:expr, $doc:literal;)*) => {
        $(#[$attribute])*
        $vis static $family: $crate::registry::Family<$constructor> = $crate::registry::Family::new($noun, $plural, &[
            $($crate::registry::Entry { name: $name, doc: $doc, make: $make },)*
        ]);
    };
}
pub use crate::registry;

#[cfg(test)]
mod tests {
    use super::*;

    registry! {
        /// Signs.
        SIGNS: fn(i32) -> i32, "sign", "signs";
        "plus" => |x| x, "keeps it";
        "minus" => |x| -x, "turns it";
    }

    #[test]
    fn a_kind_is_built_by_its_name() {
        assert_eq!((SIGNS.get("minus").unwrap().make)(3), -3);
        assert_eq!((SIGNS.get("plus").unwrap().make)(3), 3);
    }

    #[test]
    fn an_unknown_name_lists_what_is_accepted_and_names_the_nearest() {
        let error = SIGNS.get("mnius").unwrap_err();
        assert_eq!(error.message(), "unknown sign `mnius`; accepted: `plus`, `minus`");
        assert_eq!(error.hint_text(), Some("did you mean `minus`?"));
        assert_eq!(SIGNS.get("seventeen").unwrap_err().hint_text(), None);
    }

    #[test]
    fn names_are_case_sensitive_and_never_matched_by_halves() {
        assert!(SIGNS.get("Plus").is_err());
        assert!(SIGNS.get("plu").is_err());
        assert!(SIGNS.get("").is_err());
    }

    #[test]
    fn a_beginning_is_enough_when_it_is_the_only_one() {
        assert_eq!(nearest("evalu", ["evaluate", "sample"]), Some("evaluate"));
        assert_eq!(nearest("tfbind8", ["tfbind8-prior-full", "tfbind8-reward-lower"]), None);
    }

    #[test]
    fn of_two_near_names_the_nearer_wins() {
        assert_eq!(nearest("steps", ["step", "stops", "steps2x"]), Some("step"));
    }
}
