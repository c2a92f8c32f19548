//! One block of a chain's steps, with or without control.

use super::{Anchor, Control};
use crate::diffusion::{Chain, Change, Leap, Memory};
use crate::error::Result;
use candle_core::Tensor;
use std::ops::Range;

/// Where a block led.
#[derive(Clone, Debug)]
pub struct Walk {
    /// The states after it.
    pub x: Tensor,
    /// Σ ½|u|² per row, (B,); nothing without control.
    pub cost: Option<Tensor>,
    /// Σ u·ε per row, (B,).
    pub product: Option<Tensor>,
    /// Σ ½|u − v|² per row, (B,), v the earlier control of an [`Anchor`], and where a twin takes the gradient of the products
    /// `Σ (ū − v)·ε` of it on top; nothing without one.
    pub departure: Option<Tensor>,
}

/// Who walks.
#[derive(Clone, Copy)]
pub struct Walker<'a> {
    /// The base chain.
    pub chain: &'a dyn Chain,
    /// What moves its means.
    pub control: Option<&'a dyn Control>,
    /// The same control with its weights held fixed: takes the gradient of Σ u·ε in its stead.
    pub held: Option<&'a dyn Control>,
    /// An earlier control from which the departure is counted too; a block is then walked step by step.
    pub anchor: Option<Anchor<'a>>,
}

impl Walker<'_> {
    /// Walks the steps of one block; `noise` is (steps, B, …), and `memory` what is known of the block's first state.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn walk(&self, steps: Range<usize>, x: &Tensor, noise: &Tensor, mut memory: Memory) -> Result<Walk> {
        if self.anchor.is_some() {
            return self.walk_by_steps(steps, x, noise, memory);
        }
        let base = self.chain.advance(steps.start, x, &mut memory)?;
        let change = |control: Option<&dyn Control>| -> Result<Option<Change>> {
            control.map_or(Ok(None), |control| control.change(steps.clone(), x, &base))
        };
        let (change, twin) = (change(self.control)?, change(self.held)?);
        if change.is_some() == self.control.is_some() && twin.is_some() == self.held.is_some() {
            let leap =
                Leap { steps: steps.clone(), x, memory: &memory, change: change.as_ref(), twin: twin.as_ref(), noise };
            if let Some(rows) = self.chain.leap(&leap)? {
                let width = rows.dim(1)? - 2;
                let column = |i| -> Result<Option<Tensor>> {
                    self.control.map(|_| Ok(rows.narrow(1, width + i, 1)?.squeeze(1)?)).transpose()
                };
                let end = rows.narrow(1, 0, width)?.contiguous()?.reshape(x.shape())?;
                return Ok(Walk { x: end, cost: column(0)?, product: column(1)?, departure: None });
            }
        }
        self.walk_by_steps(steps, x, noise, memory)
    }

    fn walk_by_steps(&self, steps: Range<usize>, x: &Tensor, noise: &Tensor, mut memory: Memory) -> Result<Walk> {
        let (mut held_memory, mut earlier_memory) = (Memory::default(), Memory::default());
        let mut walk = Walk { x: x.clone(), cost: None, product: None, departure: None };
        let per_row = |values: Tensor| -> Result<Tensor> { Ok(values.flatten_from(1)?.sum(1)?) };
        let add = |sum: &mut Option<Tensor>, more: Tensor| -> Result<()> {
            *sum = Some(match sum.take() {
                None => more,
                Some(sum) => (sum + more)?,
            });
            Ok(())
        };
        for (index, k) in steps.enumerate() {
            let epsilon = noise.get(index)?;
            let base = self.chain.advance(k, &walk.x, &mut memory)?;
            let mut push = epsilon.clone();
            if let Some(control) = self.control {
                let u = control.control(k, &walk.x, &base, &mut memory)?;
                add(&mut walk.cost, per_row((u.sqr()? * 0.5)?)?)?;
                let held = self.held.map(|held| held.control(k, &walk.x, &base, &mut held_memory)).transpose()?;
                add(&mut walk.product, per_row((held.as_ref().unwrap_or(&u) * &epsilon)?)?)?;
                if let Some(anchor) = &self.anchor {
                    let earlier = anchor.control.control(k, &walk.x, &base, &mut earlier_memory)?;
                    let mut departure = ((&u - &earlier)?.sqr()? * 0.5)?;
                    if let Some(held) = &held {
                        departure = (departure + ((held - &earlier)? * &epsilon)?)?;
                    }
                    add(&mut walk.departure, per_row(departure)?)?;
                }
                push = (u + epsilon)?;
            }
            walk.x = (base.mean + (push * base.std)?)?;
        }
        Ok(walk)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{ControlConfig, ControlKind, TokenControl};
    use super::*;
    use crate::diffusion::{DenoiserConfig, DiffusionChain, Grid, Prior, PriorConfig, SolverKind};
    use crate::nn::{Params, check};
    use crate::random::Seed;
    use crate::sequence::Alphabet;
    use candle_core::{DType, Device};
    use std::sync::Arc;

    /// A chain of 6 steps in blocks of 3 over an untrained prior whose context is not zero.
    fn chain(dtype: DType) -> DiffusionChain {
        let mut config = PriorConfig::new(&Alphabet::dna(), 5);
        config.denoiser = DenoiserConfig { dim: 8, layers: 1, heads: 2 };
        let params = Params::trainable(Seed::root(3), dtype, &Device::Cpu);
        Prior::new(&config, &params).unwrap();
        check::shake(&params.child("denoiser"));
        let prior = Prior::new(&config, &Params::frozen(params.snapshot().unwrap(), &Device::Cpu)).unwrap();
        DiffusionChain::new(Arc::new(prior), 6, 3, Grid::Time, SolverKind::Ancestral).unwrap()
    }

    #[test]
    fn a_block_at_once_agrees_with_its_steps() {
        let chain = chain(DType::F32);
        for kind in [ControlKind::Mlp, ControlKind::Transformer, ControlKind::ProductMixture] {
            let config = ControlConfig { kind, dim: 8, layers: 1, heads: 2, ..ControlConfig::default() };
            let params = check::params_f32();
            TokenControl::new(&chain, &config, &params).unwrap();
            check::shake(&params);
            let held = Params::frozen(params.snapshot().unwrap(), &Device::Cpu);
            let control = TokenControl::new(&chain, &config, &params).unwrap();
            let held = TokenControl::new(&chain, &config, &held).unwrap();
            let noise = check::normal_f32(5, &[3, 7, 5, 4]);
            for twin in [None, Some(&held as &dyn Control)] {
                let walker = Walker { chain: &chain, control: Some(&control), held: twin, anchor: None };
                check::layer_against_composed(&params, &[check::normal_f32(4, &[7, 5, 4])], |x| {
                    let walk = walker.walk(3..6, &x[0], &noise, Memory::default())?;
                    let rows = [
                        walk.x.flatten_from(1)?,
                        walk.cost.unwrap().unsqueeze(1)?,
                        walk.product.unwrap().unsqueeze(1)?,
                    ];
                    Ok(Tensor::cat(&rows, 1)?)
                });
            }
        }
    }
}
