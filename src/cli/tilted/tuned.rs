//! A chain with its control, whatever lies before it.

use super::InitialLaw;
use crate::cli::certify::Walkable;
use crate::diffusion::{Chain, DiffusionChain};
use crate::error::{Error, Result};
use crate::finetune::initial::{Joined, Staged};
use crate::finetune::{Control, FinetuneConfig, Renoised, TokenControl};
use crate::nn::{Params, Tensors};
use candle_core::Tensor;

/// A tuned chain: the control of a sequence chain, or of a lead and the chain behind it. What has no weights yet walks as the prior
/// does. Log-ratios are those of the whole path, lead included.
pub(in crate::cli) struct Tuned<'a> {
    chain: &'a DiffusionChain,
    joined: Option<Joined<'a>>,
    control: Box<dyn Control + 'a>,
}

impl<'a> Tuned<'a> {
    /// On the weights that a run keeps.
    ///
    /// # Errors
    /// When the weights do not fit the configuration.
    pub(in crate::cli) fn new(
        chain: &'a DiffusionChain,
        tuning: &FinetuneConfig,
        law: Option<&InitialLaw>,
        weights: Tensors,
    ) -> Result<Self> {
        let has = |part: &str| weights.keys().any(|name| name.starts_with(part));
        let (has_lead, has_main) = (has("lead."), has("main."));
        let params = Params::frozen(weights, chain.device());
        let Some(law) = law else {
            let control = Box::new(TokenControl::new(chain, &tuning.control, &params)?);
            return Ok(Self { chain, joined: None, control });
        };
        let (joined, forms) = (Joined::new(chain, law.lead)?, law.forms(chain, tuning)?);
        let main = if has_main { Some((forms.main)(&params.child("main"))?) } else { None };
        match main {
            Some(control) if !law.is_learned() => Ok(Self { chain, joined: None, control }),
            main => {
                let lead = if has_lead { Some((forms.lead)(&params.child("lead"))?) } else { None };
                let control = Box::new(Staged::new(&joined, lead, main));
                Ok(Self { chain, joined: Some(joined), control })
            }
        }
    }

    /// The control that was trained from the frozen initial law on the way, where the route has one.
    ///
    /// # Errors
    /// When the weights do not fit the configuration.
    pub(in crate::cli) fn frozen(
        chain: &'a DiffusionChain,
        tuning: &FinetuneConfig,
        weights: &Tensors,
    ) -> Result<Option<Self>> {
        let part =
            |(name, tensor): (&String, &Tensor)| Some((name.strip_prefix("frozen.main.")?.to_owned(), tensor.clone()));
        let weights: Tensors = weights.iter().filter_map(part).collect();
        if weights.is_empty() { Ok(None) } else { Self::new(chain, tuning, None, weights).map(Some) }
    }

    /// The lead alone under its control, where there is one.
    pub(in crate::cli) fn lead(&self) -> Option<Walkable<'_>> {
        self.joined.as_ref().map(|joined| (joined.lead() as &dyn Chain, Some(self.control.as_ref())))
    }

    /// The control at another share of noise than it was trained with, from the same start.
    ///
    /// # Errors
    /// When its initial law was learned, its chain remembers its start, or the share is out of range.
    pub(in crate::cli) fn renoised(&self, eta: f64) -> Result<Renoised<'_>> {
        if self.joined.is_some() {
            return Err(Error::usage(
                "the initial law of the sampler was learned at its own noise; another `eta` is for those that start as the prior does",
            )
            .hint("leave `--eta` out, or run `seqtilt finetune` without --initial"));
        }
        Renoised::of_letters(self.chain, self.control.as_ref(), eta)
    }

    /// What is walked: it ends in states of the sequence chain.
    pub(in crate::cli) fn walk(&self) -> Walkable<'_> {
        (self.joined.as_ref().map_or(self.chain as &dyn Chain, |joined| joined), Some(self.control.as_ref()))
    }
}
