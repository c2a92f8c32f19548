//! What is proposed near the consensus: draws of a sampler, and mutants without any.

use super::{Proposed, Source};
use crate::cli::context::Context;
use crate::cli::finetune::Job;
use crate::cli::tilted::Sampler;
use crate::error::Result;
use crate::random::Seed;
use crate::sequence::Sequence;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Mutants that may be old for each one that is wanted.
const PATIENCE: usize = 200;

/// Distinct draws that are not in the start set, in the order in which they were drawn.
pub(super) struct Drawn {
    pub(super) distinct: Vec<Sequence>,
}

impl Drawn {
    pub(super) fn new(drawn: Vec<Sequence>, known: &[Sequence]) -> Self {
        let mut seen: BTreeSet<Sequence> = known.iter().cloned().collect();
        Self { distinct: drawn.into_iter().filter(|x| seen.insert(x.clone())).collect() }
    }
}

impl Source<'_> {
    /// The consensus with as many substitutions as the region allows, each one that the start set has, uniformly among the distinct
    /// ones.
    pub(super) fn mutants(&self, seed: Seed) -> Result<Vec<Sequence>> {
        let (origin, set) = (&self.start.origin, &self.start.set);
        let changes: BTreeSet<(usize, u8)> = set.sequences().iter().flat_map(|x| changes(x, origin)).collect();
        let changes: Vec<(usize, u8)> = changes.into_iter().collect();
        let sites: BTreeSet<usize> = changes.iter().map(|(site, _)| *site).collect();
        let wanted = self.region.min(sites.len());
        let count = self.task.setting.count;
        let mut rng = seed.child("mutants").rng();
        let mut drawn = Vec::new();
        for _ in 0..PATIENCE * count {
            let mut mutant: BTreeMap<usize, u8> = BTreeMap::new();
            while mutant.len() < wanted {
                let (site, letter) = changes[rng.below(changes.len())];
                mutant.entry(site).or_insert(letter);
            }
            let mut ids = origin.ids().to_vec();
            for (site, letter) in mutant {
                ids[site] = letter;
            }
            drawn.push(Sequence::from_ids(ids, &set.domain().alphabet)?);
        }
        Ok(Drawn::new(drawn, set.sequences()).distinct.into_iter().take(count).collect())
    }

    /// Draws of the prior under a control that was trained on the surrogate in `out`.
    pub(super) fn tilted(&self, out: &Path, seed: Seed, context: &Context) -> Result<Proposed> {
        let (prior, folder) = self.prior()?;
        let (setting, acquired) = (self.task.setting, self.acquired()?);
        let tuned = out.join("finetune");
        let job = Job {
            out: &tuned,
            prior: prior.clone(),
            prior_name: "prior of the start set near its consensus",
            prior_folder: folder,
            reward: &acquired,
            reward_name: format!("{} of surrogate `{}`", self.acquisition(), setting.surrogate.kind),
            reward_fingerprint: self.learned.clone(),
            plan: setting.plan.clone(),
            seed: self.number,
            base: None,
            from: None,
            weighs_base: false,
        };
        let outcome = job.run(context)?;
        let sampler = Sampler::open(&tuned, &context.device()?)?;
        let drawn = sampler.draw(setting.samples, seed.child("draw"), &context.pool()?)?.ends;
        let certificate = &outcome.verdict.certificate;
        let figures = [
            ("path_kl", certificate.path_kl.value),
            ("gap_nats", certificate.gap.value),
            ("gap_se", certificate.gap.se),
            ("gradient_steps", setting.plan.finetune.steps as f64),
        ];
        Ok((drawn, crate::cli::bench::results::finite(figures)))
    }
}

/// The letters that are not the origin's, with their sites.
pub(in crate::cli::bench::gfp_offline) fn changes<'a>(
    sequence: &'a Sequence,
    origin: &'a Sequence,
) -> impl Iterator<Item = (usize, u8)> + 'a {
    let pairs = sequence.ids().iter().zip(origin.ids()).enumerate();
    pairs.filter(|(_, (letter, known))| letter != known).map(|(site, (letter, _))| (site, *letter))
}
