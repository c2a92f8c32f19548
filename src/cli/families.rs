//! Everything that can be named: one line per family.

use super::bench::{METHODS, OFFLINE_METHODS};
use super::optimize::{RANKINGS, SEARCHES};
use crate::baseline::PROPOSERS;
use crate::campaign::SELECTIONS;
use crate::data;
use crate::diffusion::{GRIDS, SCHEDULES, SOLVERS};
use crate::error::Result;
use crate::finetune::divergence::DIVERGENCES;
use crate::finetune::initial::INITIAL_ROUTES;
use crate::finetune::{CONTROLS, GLIMPSES, OBJECTIVES, REPLAY_RULES};
use crate::inference::{GUIDES, OUTLOOKS, STEERINGS};
use crate::oracle::{FAMILIES, ORACLES};
use crate::registry::Family;
use crate::reward::{SITES, SURROGATES};
use crate::sequence::Alphabet;
use crate::store::embedded;

/// A family as `seqtilt list` shows it.
pub(super) struct Listing {
    /// What several are called, such as `schedules`.
    pub(super) plural: String,
    /// Name and one line about each.
    pub(super) kinds: Vec<(String, String)>,
}

/// All families, in the order in which they are shown.
///
/// # Errors
/// When the manifest of data sets cannot be read.
pub(super) fn all() -> Result<Vec<Listing>> {
    Ok(vec![
        alphabets(),
        data_sets()?,
        models(),
        of(&SCHEDULES),
        of(&SOLVERS),
        of(&GRIDS),
        of(&OBJECTIVES),
        of(&CONTROLS),
        of(&GLIMPSES),
        of(&REPLAY_RULES),
        of(&DIVERGENCES),
        of(&STEERINGS),
        of(&OUTLOOKS),
        of(&GUIDES),
        of(&INITIAL_ROUTES),
        of(&ORACLES),
        of(&SITES),
        of(&PROPOSERS),
        of(&SEARCHES),
        of(&SELECTIONS),
        of(&RANKINGS),
        of(&SURROGATES),
        of(&FAMILIES),
        of(&METHODS),
        of(&OFFLINE_METHODS),
        of(&data::DIFFICULTIES),
    ])
}

/// The listing of a registered family.
fn of<C>(family: &Family<C>) -> Listing {
    let kinds = family.entries().iter().map(|entry| (entry.name.to_owned(), entry.doc.to_owned())).collect();
    Listing { plural: family.plural().replace(' ', "-"), kinds }
}

fn alphabets() -> Listing {
    let kinds = [Alphabet::dna(), Alphabet::rna(), Alphabet::protein()]
        .map(|alphabet| (alphabet.name().to_owned(), String::from_utf8_lossy(alphabet.letters()).into_owned()));
    Listing { plural: "alphabets".to_owned(), kinds: kinds.into() }
}

fn data_sets() -> Result<Listing> {
    let kinds = data::built_in()?.into_iter().map(|set| (set.name, set.description)).collect();
    Ok(Listing { plural: "data-sets".to_owned(), kinds })
}

fn models() -> Listing {
    let kinds = embedded::MODELS.iter().map(|model| (model.name.to_owned(), model.title())).collect();
    Listing { plural: "models".to_owned(), kinds }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::registry! {
        /// Signs.
        SIGNS: i32, "kind of sign", "kinds of signs";
        "plus" => 1, "keeps it";
    }

    #[test]
    fn a_registered_family_is_listed_as_it_was_registered() {
        let listing = of(&SIGNS);
        assert_eq!(listing.plural, "kinds-of-signs");
        assert_eq!(listing.kinds, [("plus".to_owned(), "keeps it".to_owned())]);
    }

    #[test]
    fn names_are_unique_within_a_family() {
        for listing in all().unwrap() {
            let mut names: Vec<_> = listing.kinds.iter().map(|(name, _)| name).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), listing.kinds.len(), "{}", listing.plural);
        }
    }
}
