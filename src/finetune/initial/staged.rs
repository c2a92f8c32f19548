//! A control of each part of a joined chain.

use crate::diffusion::{Chain as _, Change, Memory, Move};
use crate::error::Result;
use crate::finetune::Control;
use crate::finetune::initial::Joined;
use candle_core::Tensor;
use std::ops::Range;

/// The control of a [`Joined`] chain that leaves the lead to one control and the main chain to another, each by its own steps; a
/// part without one walks as the base does. A part whose weights are frozen is not trained.
#[derive(Default)]
pub struct Staged<'a> {
    lead: Option<Box<dyn Control + 'a>>,
    main: Option<Box<dyn Control + 'a>>,
    steps: usize,
}

impl<'a> Staged<'a> {
    /// The control of `chain` by its parts.
    #[must_use]
    pub fn new(chain: &Joined<'_>, lead: Option<Box<dyn Control + 'a>>, main: Option<Box<dyn Control + 'a>>) -> Self {
        Self { lead, main, steps: chain.lead().steps() }
    }
}

impl Control for Staged<'_> {
    fn control(&self, k: usize, x: &Tensor, base: &Move, memory: &mut Memory) -> Result<Tensor> {
        let (part, k) = match k.checked_sub(self.steps) {
            Some(k) => (&self.main, k),
            None => (&self.lead, k),
        };
        part.as_ref().map_or_else(|| Ok(x.zeros_like()?), |part| part.control(k, x, base, memory))
    }

    fn change(&self, steps: Range<usize>, x: &Tensor, base: &Move) -> Result<Option<Change>> {
        match (steps.start.checked_sub(self.steps), &self.main) {
            (Some(first), Some(main)) => main.change(first..steps.end - self.steps, x, base),
            _ => Ok(None),
        }
    }
}
