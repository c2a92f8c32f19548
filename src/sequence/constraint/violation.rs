//! What a finished sequence breaks.

use super::Compiled;
use crate::sequence::{Alphabet, Sequence};
use std::fmt;

/// A rule that a sequence breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The rule's key.
    pub rule: &'static str,
    /// What was found, and where.
    pub found: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.found)
    }
}

pub(super) fn find(rules: &Compiled, sequence: &Sequence, alphabet: &Alphabet) -> Vec<Violation> {
    let mut found = Vec::new();
    let number = |index: usize| rules.numbering.number(index);
    let ids = sequence.padded(alphabet, rules.length);
    let [least, most] = rules.lengths;
    if !(least..=most).contains(&sequence.len()) {
        let rule = if sequence.len() < least { "min-length" } else { "max-length" };
        found.push(Violation { rule, found: format!("{} letters of {least} to {most}", sequence.len()) });
    }
    for (index, id) in ids.iter().enumerate().filter(|(index, _)| (0..most).contains(index)) {
        if rules.allowed[index] >> id & 1 == 0 && !(index < least && index >= sequence.len()) {
            let letter =
                if index < sequence.len() { char::from(alphabet.letter(*id)).to_string() } else { "none".to_owned() };
            found.push(Violation { rule: "allowed", found: format!("{letter} at {}", number(index)) });
        }
    }
    if let Some(origin) = &rules.wild_type {
        let changed = ids.iter().zip(origin).filter(|(a, b)| a != b).count();
        let [least, most] = rules.mutations;
        let rule = if changed < least { "min-mutations" } else { "max-mutations" };
        if !(least..=most).contains(&changed) {
            found.push(Violation { rule, found: format!("{changed} substitutions of {least} to {most}") });
        }
    }
    for pattern in &rules.patterns {
        for index in pattern.sites(sequence) {
            found.push(Violation { rule: pattern.rule, found: format!("{} at {}", pattern.name, number(index)) });
        }
    }
    if let Some((set, share)) = rules.gc {
        let [least, most] = share.of(sequence.len());
        let count = sequence.ids().iter().filter(|id| set >> *id & 1 == 1).count();
        if !(least..=most).contains(&count) {
            let share = |count: usize| 100.0 * count as f64 / sequence.len() as f64;
            let text = format!("{:.1} % of {:.1} % to {:.1} %", share(count), share(least), share(most));
            found.push(Violation { rule: "gc", found: text });
        }
    }
    if let Some(window) = &rules.window {
        let [least, most] = window.ends;
        for (index, letters) in sequence.ids().windows(window.length).enumerate() {
            let count = letters.iter().filter(|id| window.set >> *id & 1 == 1).count();
            if !(least..=most).contains(&count) {
                let of = window.length;
                let text =
                    format!("{count} G or C of {of} letters at {}; {least} to {most} are accepted", number(index));
                found.push(Violation { rule: "gc-window", found: text });
            }
        }
    }
    found
}
