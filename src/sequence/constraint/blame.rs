//! Which rules leave nothing.

use super::{Constraint, Imposed};
use crate::error::Error;
use crate::sequence::Alphabet;
use std::f64::consts::LN_10;

/// The constraint without one of its rules, each with what that is called.
fn relaxed(constraint: &Constraint) -> Vec<(String, Constraint)> {
    let mut found = Vec::new();
    let mut without = |name: String, change: &dyn Fn(&mut Constraint)| {
        let mut other = constraint.clone();
        change(&mut other);
        if other != *constraint {
            found.push((name, other));
        }
    };
    without("fixed".to_owned(), &|c| c.fixed.clear());
    without("mutable".to_owned(), &|c| c.mutable.clear());
    for key in constraint.allowed.keys() {
        without(format!("allowed at {key}"), &|c| {
            c.allowed.remove(key);
        });
    }
    without("min-mutations".to_owned(), &|c| c.min_mutations = None);
    without("max-mutations".to_owned(), &|c| c.max_mutations = None);
    for motif in &constraint.forbidden {
        without(format!("forbidden {motif}"), &|c| c.forbidden.retain(|other| other != motif));
    }
    for name in &constraint.enzymes {
        without(format!("enzymes {name}"), &|c| c.enzymes.retain(|other| other != name));
    }
    without("gc".to_owned(), &|c| c.gc = None);
    without("gc-window".to_owned(), &|c| c.gc_window = None);
    without("max-homopolymer".to_owned(), &|c| c.max_homopolymer = None);
    without("min-length".to_owned(), &|c| c.min_length = None);
    without("max-length".to_owned(), &|c| c.max_length = None);
    found
}

/// The error of a constraint that nothing keeps.
pub(super) fn infeasible(constraint: &Constraint, alphabet: &Alphabet, length: usize) -> Error {
    let count = |other: &Constraint| -> Option<f64> {
        let imposed = Imposed::compiled(&other.compile(alphabet, length).ok()?, alphabet).ok()?;
        imposed.log_count().is_finite().then(|| imposed.log_count())
    };
    let gains: Vec<String> = relaxed(constraint)
        .into_iter()
        .filter_map(|(name, other)| Some(format!("without `{name}` {}", many(count(&other)?))))
        .collect();
    let upto = if alphabet.padding().is_some() { "up to " } else { "" };
    let error = Error::constraint(format!("no sequence of {upto}{length} letters keeps all constraints"));
    if gains.is_empty() {
        error.hint("no single rule is to blame: leave out two or more")
    } else {
        error.hint(format!("{} would be left", gains.join(", ")))
    }
}

/// A number of sequences in words, from its log.
fn many(log_count: f64) -> String {
    let count = log_count.exp();
    if count < 1e6 { format!("{count:.0}") } else { format!("10^{:.1}", log_count / LN_10) }
}
