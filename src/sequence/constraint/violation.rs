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
    for (index, id) in sequence.ids().iter().enumerate() {
        if rules.allowed[index] >> id & 1 == 0 {
            let letter = char::from(alphabet.letter(*id));
            found.push(Violation { rule: "allowed", found: format!("{letter} at {}", number(index)) });
        }
    }
    if let Some(origin) = &rules.wild_type {
        let changed = sequence.ids().iter().zip(origin.ids()).filter(|(a, b)| a != b).count();
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
    if let Some((set, [least, most])) = rules.gc {
        let count = sequence.ids().iter().filter(|id| set >> *id & 1 == 1).count();
        if !(least..=most).contains(&count) {
            let share = |count: usize| 100.0 * count as f64 / sequence.len() as f64;
            let text = format!("{:.1} % of {:.1} % to {:.1} %", share(count), share(least), share(most));
            found.push(Violation { rule: "gc", found: text });
        }
    }
    found
}
