//! Who proposes.

use super::settings::Plan;
use super::start::Known;
use super::tilted::Tilted;
use crate::baseline::{Kept, PROPOSERS, Proposer};
use crate::campaign::Journal;
use crate::cli::context::Context;
use crate::diffusion::{PriorConfig, fingerprint, open_prior};
use crate::error::{Error, Result};
use crate::registry::registry;
use crate::sequence::Imposed;
use std::path::Path;

/// How labels steer a search that draws from a prior.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Search {
    /// Every round draws from a sampler tilted by all labels.
    Adaptive,
    /// All rounds but the last draw from the prior; the last from a sampler tilted by the mean of a surrogate on all labels.
    NonAdaptive,
    /// Every round draws from the prior, guided on the way by the slope of the acquisition; nothing is trained.
    Guided,
    /// Every round draws from the prior.
    Prior,
}

registry! {
    /// The searches that draw from a prior.
    pub(in crate::cli) SEARCHES: Search, "search of a prior", "searches of a prior";
    "tilted" => Search::Adaptive, "the prior tilted towards a surrogate's acquisition, again every round";
    "non-adaptive" => Search::NonAdaptive, "the prior until the last round, then one tilt by all labels";
    "guided" => Search::Guided, "the prior, guided on the way by the slope of a surrogate's acquisition; nothing is trained";
    "prior" => Search::Prior, "the prior alone; labels are not used";
}

/// A proposer with what it lives on.
pub(super) enum Searcher<'a> {
    Tilted(Box<Tilted<'a>>),
    Other(Box<dyn Proposer>),
}

impl<'a> Searcher<'a> {
    /// Refuses what cannot work before anything is written; answers with what identifies a prior that was named.
    ///
    /// # Errors
    /// When a setting is out of range, or the prior cannot be opened or writes other sequences.
    pub(super) fn check(plan: &Plan, known: &Known, context: &Context) -> Result<Option<String>> {
        let domain = &known.domain;
        if !plan.constraint.is_empty() {
            Imposed::new(&plan.constraint, &domain.alphabet, domain.length)?;
        }
        if !plan.has_prior() {
            (PROPOSERS.get(&plan.proposer)?.make)(&plan.floor())?;
            return Ok(None);
        }
        let tuning = plan.round_tuning(domain.alphabet.len(), domain.length);
        let Some(name) = &plan.prior else {
            if known.records.is_none() {
                let message = format!("proposer `{}` needs `--prior`, or `--start` to train one on", plan.proposer);
                return Err(Error::usage(message).hint("built-in ones are listed by `seqtilt models list`"));
            }
            tuning.plan(&PriorConfig::new(&domain.alphabet, domain.length))?;
            return Ok(None);
        };
        let (prior, folder) = open_prior(name, &context.device()?)?;
        let (config, letters) = (prior.config(), prior.alphabet());
        if *letters != domain.alphabet || config.length != domain.length {
            return Err(Error::usage(format!(
                "prior `{name}` writes {} letters of {}, the search is over {} letters of {}",
                config.length,
                letters.name(),
                domain.length,
                domain.alphabet.name()
            ))
            .hint("name a prior of the oracle's sequences, or leave out --prior to train one on the start table"));
        }
        tuning.plan(config)?;
        Ok(Some(fingerprint(&folder)?))
    }

    /// Opens or trains what it needs.
    ///
    /// # Errors
    /// When a prior cannot be opened or trained.
    pub(super) fn new(
        plan: &'a Plan,
        known: &Known,
        journal: &'a Journal,
        out: &Path,
        context: &'a Context,
    ) -> Result<Self> {
        if let Ok(search) = SEARCHES.get(&plan.proposer) {
            return Ok(Self::Tilted(Box::new(Tilted::new(plan, search.make, known, journal, out, context)?)));
        }
        let own = (PROPOSERS.get(&plan.proposer)?.make)(&plan.floor())?;
        let (rules, domain) = (&plan.constraint, &known.domain);
        if rules.is_empty() {
            return Ok(Self::Other(own));
        }
        let imposed = Imposed::new(rules, &domain.alphabet, domain.length)?;
        Ok(Self::Other(Box::new(Kept::new(own, imposed, domain.alphabet.len()))))
    }

    /// It.
    pub(super) fn proposer(&mut self) -> &mut dyn Proposer {
        match self {
            Self::Tilted(tilted) => tilted.as_mut(),
            Self::Other(other) => other.as_mut(),
        }
    }
}
