//! States that are walked and chosen from.

use super::{Calls, Target};
use crate::diffusion::{Chain as _, Memory, shard_rows};
use crate::error::Result;
use crate::finetune::{Control, Walker};
use crate::nn::read;
use crate::random::Rng;
use candle_core::{Device, Tensor};
use std::ops::Range;

/// States of one unit between two blocks of the chain.
pub(super) struct Cloud {
    x: Tensor,
    /// The prior's context at the states, where they were valued.
    context: Option<Tensor>,
    /// v/α of every state, where they were valued.
    pub(super) worth: Vec<f64>,
}

/// What a walk did to some of the rows.
struct Part {
    x: Tensor,
    context: Option<Tensor>,
    worth: Vec<f64>,
    log_ratio: Vec<f64>,
}

impl Cloud {
    /// The chain's start; `value` says whether states on the way are valued.
    pub(super) fn start(
        target: &Target<'_>,
        rows: usize,
        value: bool,
        rng: &mut Rng,
        calls: &mut Calls,
    ) -> Result<Self> {
        let parts = chunks(target, rows).map(|range| {
            let x = target.chain.start(&normals(target, 1, range.len(), rng)?.squeeze(0)?)?;
            Part::at(target, 0, x, value, calls)
        });
        let parts = parts.collect::<Result<Vec<_>>>()?;
        Ok(Self::join(&parts)?.0)
    }

    /// The blocks of the chain.
    pub(super) fn blocks(target: &Target<'_>) -> impl Iterator<Item = Range<usize>> {
        let (steps, block) = (target.chain.steps(), target.chain.block());
        (0..steps).step_by(block).map(move |first| first..(first + block).min(steps))
    }

    /// Walks one block; returns its log-ratios, all 0 without control. States are not valued where the chain ends.
    pub(super) fn walk(
        &mut self,
        target: &Target<'_>,
        control: Option<&dyn Control>,
        steps: &Range<usize>,
        rng: &mut Rng,
        calls: &mut Calls,
    ) -> Result<Vec<f64>> {
        let (rows, value) = (self.x.dim(0)?, !self.worth.is_empty() && steps.end < target.chain.steps());
        let mut parts = Vec::new();
        for range in chunks(target, rows) {
            let slice = |tensor: &Tensor| tensor.narrow(0, range.start, range.len())?.contiguous();
            let context = self.context.as_ref().map(slice).transpose()?;
            calls.denoised += u64::from(context.is_none()) * range.len() as u64;
            calls.slopes += u64::from(control.is_some()) * (range.len() * steps.len()) as u64;
            let noise = normals(target, steps.len(), range.len(), rng)?;
            let walker = Walker { chain: target.chain, control, held: None, anchor: None };
            let walk = walker.walk(steps.clone(), &slice(&self.x)?, &noise, Memory { context, change: None })?;
            let mut part = Part::at(target, steps.end, walk.x.detach(), value, calls)?;
            if let (Some(cost), Some(product)) = (&walk.cost, &walk.product) {
                let nats = read(&[cost, product])?;
                part.log_ratio = nats[0].iter().zip(&nats[1]).map(|(cost, product)| cost + product).collect();
            }
            parts.push(part);
        }
        let (walked, mut log_ratio) = Self::join(&parts)?;
        *self = walked;
        log_ratio.resize(rows, 0.0);
        Ok(log_ratio)
    }

    /// Keeps these rows, in this order; a row may be kept many times.
    pub(super) fn select(&mut self, rows: &[u32]) -> Result<()> {
        let index = Tensor::new(rows, &Device::Cpu)?.to_device(self.x.device())?;
        self.x = self.x.index_select(&index, 0)?;
        self.context = self.context.as_ref().map(|context| context.index_select(&index, 0)).transpose()?;
        if !self.worth.is_empty() {
            self.worth = rows.iter().map(|row| self.worth[*row as usize]).collect();
        }
        Ok(())
    }

    /// The states.
    pub(super) fn states(&self) -> &Tensor {
        &self.x
    }

    fn join(parts: &[Part]) -> Result<(Self, Vec<f64>)> {
        let cat = |pick: fn(&Part) -> Option<&Tensor>| -> Result<Option<Tensor>> {
            let tensors: Vec<&Tensor> = parts.iter().filter_map(pick).collect();
            Ok(if tensors.len() < parts.len() { None } else { Some(Tensor::cat(&tensors, 0)?) })
        };
        let x = cat(|part| Some(&part.x))?;
        let context = cat(|part| part.context.as_ref())?;
        let x = x.ok_or_else(|| crate::Error::usage("no rows to walk; at least 1 is needed"))?;
        let worth = parts.iter().flat_map(|part| part.worth.iter().copied()).collect();
        let log_ratio = parts.iter().flat_map(|part| part.log_ratio.iter().copied()).collect();
        Ok((Self { x, context, worth }, log_ratio))
    }
}

impl Part {
    fn at(target: &Target<'_>, k: usize, x: Tensor, value: bool, calls: &mut Calls) -> Result<Self> {
        let mut memory = Memory::default();
        let worth = if value { target.worth(k, &x, &mut memory, calls)? } else { Vec::new() };
        Ok(Self { x, context: memory.context, worth, log_ratio: Vec::new() })
    }
}

/// Rows that are walked at a time.
fn chunks(target: &Target<'_>, rows: usize) -> impl Iterator<Item = Range<usize>> {
    let most = shard_rows(target.chain.prior().config().length);
    (0..rows).step_by(most).map(move |first| first..(first + most).min(rows))
}

/// Standard normal draws (steps, B, …).
fn normals(target: &Target<'_>, steps: usize, rows: usize, rng: &mut Rng) -> Result<Tensor> {
    let shape = [vec![steps, rows], target.chain.shape()].concat();
    let values = rng.normals(shape.iter().product());
    Ok(Tensor::from_vec(values, shape, target.chain.device())?.to_dtype(target.chain.dtype())?)
}
