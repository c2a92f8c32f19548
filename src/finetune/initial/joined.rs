//! A lead and the chain that it leads to, as one.

use super::Lead;
use crate::diffusion::{Chain, Leap, Memory, Move};
use crate::error::{Error, Result};
use crate::finetune::Terminal;
use candle_core::{DType, Device, Tensor};

/// A [`Lead`] of J steps followed by the K steps of the main chain.
///
/// Its path log-ratio is that of both, `L = L_lead + L_main`: with the start a fixed point, `E[L]` is the divergence of the initial
/// law's path plus that of the main path, and its optimum ends in the main chain's tilt. The lead's steps are rounded up to whole
/// blocks of the main chain.
pub struct Joined<'a> {
    lead: Lead,
    main: &'a dyn Chain,
}

impl<'a> Joined<'a> {
    /// The main chain behind a lead of `steps` steps.
    ///
    /// # Errors
    /// As [`Lead::to`].
    pub fn new(main: &'a dyn Chain, steps: usize) -> Result<Self> {
        Ok(Self { lead: Lead::to(main, steps)?.in_blocks(main.block()), main })
    }

    /// The lead.
    #[must_use]
    pub fn lead(&self) -> &Lead {
        &self.lead
    }

    /// The main chain.
    #[must_use]
    pub fn main(&self) -> &'a dyn Chain {
        self.main
    }

    /// A reward of the main chain's states, as one of this chain's.
    #[must_use]
    pub fn terminal<'t>(&self, terminal: &'t dyn Terminal) -> Delayed<'t> {
        Delayed { terminal, steps: self.lead.steps() }
    }
}

impl Chain for Joined<'_> {
    fn steps(&self) -> usize {
        self.lead.steps() + self.main.steps()
    }

    fn shape(&self) -> Vec<usize> {
        self.main.shape()
    }

    fn dtype(&self) -> DType {
        self.main.dtype()
    }

    fn device(&self) -> &Device {
        self.main.device()
    }

    fn start(&self, noise: &Tensor) -> Result<Tensor> {
        self.lead.start(noise)
    }

    fn block(&self) -> usize {
        self.main.block()
    }

    fn advance(&self, k: usize, x: &Tensor, memory: &mut Memory) -> Result<Move> {
        match k.checked_sub(self.lead.steps()) {
            Some(k) => self.main.advance(k, x, memory),
            None => self.lead.advance(k, x, memory),
        }
    }

    fn leap(&self, leap: &Leap<'_>) -> Result<Option<Tensor>> {
        let lead = self.lead.steps();
        match leap.steps.start.checked_sub(lead) {
            Some(first) => self.main.leap(&Leap { steps: first..leap.steps.end - lead, ..leap.clone() }),
            None => Ok(None),
        }
    }
}

/// A reward of a main chain's states, asked after the steps of a lead too.
pub struct Delayed<'a> {
    terminal: &'a dyn Terminal,
    steps: usize,
}

impl Delayed<'_> {
    fn main_steps(&self, k: usize) -> Result<usize> {
        k.checked_sub(self.steps).ok_or_else(|| {
            Error::usage(format!("a state after {k} steps of a lead of {} has no value", self.steps))
                .hint("choose no `lookahead`, or a divisor of the main chain's steps")
        })
    }
}

impl Terminal for Delayed<'_> {
    fn reward(&self, k: usize, x: &Tensor) -> Result<Tensor> {
        self.terminal.reward(self.main_steps(k)?, x)
    }

    fn value(&self, k: usize, x: &Tensor, alpha: Option<f64>) -> Result<Tensor> {
        self.terminal.value(self.main_steps(k)?, x, alpha)
    }

    fn value_at(&self, k: usize, x: &Tensor, alpha: Option<f64>, memory: &mut Memory) -> Result<Tensor> {
        self.terminal.value_at(self.main_steps(k)?, x, alpha, memory)
    }
}
