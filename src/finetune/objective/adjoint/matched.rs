//! Paths with the adjoints that a control is matched with.

use crate::diffusion::{Chain, Memory};
use crate::error::{Error, Result};
use crate::finetune::backprop::{KEPT, Start};
use crate::finetune::rollout::{Draw, Noise};
use crate::finetune::trace::{Kept, Trace, increment};
use crate::finetune::{Alignment, Control, Problem};
use crate::nn::{gradients_with, read};
use candle_core::{Tensor, Var};
use ndarray::Array2;
use std::ops::Range;

/// Whole paths of one shard, held fixed, with the lean adjoint of their states:
///
/// ```text
/// x_{k+1} = m_k(x_k) + p_k,   p_k = s_k (u_k + ε_k) held
/// ã_K = −∂V(x_K)/∂x_K /α,   ã_{k+1} = −∂V(x_K)/∂p_k /α = (∂m_{k+1}/∂x)ᵀ ã_{k+2}
/// ```
/// The base chain alone is differentiated, a block with its held context as one graph: a push inside a block moves the states after it and
/// not the context, that of a block's first state moves both. V is the value of a stretch's last state.
pub(in crate::finetune) struct Matched {
    /// The paths.
    pub(in crate::finetune) trace: Trace,
    /// `−s ã` of every step, in the shape of the states.
    pub(in crate::finetune) targets: Vec<Tensor>,
    /// Where the stretch of every step ends.
    pub(in crate::finetune) until: Vec<usize>,
    /// Σ ½|u|² of the control that drew the paths.
    pub(in crate::finetune) costs: Vec<f64>,
    /// |ã| that every step is matched with, (K, B).
    pub(in crate::finetune) norms: Array2<f64>,
}

/// What paths are drawn by.
#[derive(Clone, Copy, Debug)]
pub(in crate::finetune) struct Drawing {
    /// Steps that are walked.
    pub(in crate::finetune) steps: usize,
    /// Steps of a stretch.
    pub(in crate::finetune) lookahead: Option<usize>,
    /// Blocks of a stretch whose graphs are kept from the walk; the others are built twice.
    pub(in crate::finetune) keep: usize,
    /// Which adjoint a step is matched with.
    pub(in crate::finetune) alignment: Alignment,
}

/// A block on its way from the walk to its adjoints.
struct Part {
    steps: Range<usize>,
    start: Start,
    pushes: Vec<Var>,
    end: Option<Tensor>,
}

/// What the walk of a path leaves, step by step.
#[derive(Default)]
struct Walked {
    kept: Vec<Kept>,
    increments: Vec<Tensor>,
    costs: Vec<Tensor>,
}

impl Matched {
    /// Draws the paths of `draws` under `behaviour`, and finds their adjoints.
    ///
    /// # Errors
    /// When a tensor operation fails or there is no step.
    ///
    /// # Cost
    /// One walk, and one reverse walk of the base chain; blocks whose graph is not kept are walked by the base chain once more.
    pub(in crate::finetune) fn draw(
        problem: &Problem<'_>,
        behaviour: &dyn Control,
        drawing: Drawing,
        draws: &[Draw],
    ) -> Result<Self> {
        let Drawing { steps, lookahead, keep, alignment } = drawing;
        let (chain, block, price) = (problem.chain, problem.chain.block(), problem.alpha.unwrap_or(1.0));
        let length = lookahead.map_or(steps, |steps| steps.next_multiple_of(block)).max(1);
        let mut noises = Noise::new(chain, draws);
        let mut x = chain.start(&noises.next(1)?.squeeze(0)?)?;
        let (mut walked, mut known, mut value) = (Walked::default(), Memory::default(), None);
        let (mut targets, mut until) = (Vec::with_capacity(steps), Vec::with_capacity(steps));
        let mut from = 0;
        while from < steps {
            // stretches are counted from the end of the path
            let to = steps - (steps - from - 1) / length * length;
            let mut parts: Vec<Part> = Vec::with_capacity((to - from).div_ceil(block));
            for first in (from..to).step_by(block) {
                let here = first..(first + block).min(to);
                let noise = noises.next(here.len())?;
                // the adjoint of a stretch's first state is for those who match a step with the state before it
                let start = if first > from || alignment == Alignment::Released {
                    Start::Inner(Var::from_tensor(&x)?)
                } else {
                    Start::First(x, known.clone())
                };
                let (pushes, end) = walked.block(chain, behaviour, here.clone(), &start, &noise)?;
                x = end.detach();
                let kept = (to - first).div_ceil(block) <= keep.max(KEPT);
                parts.push(Part { steps: here, start, pushes, end: kept.then_some(end) });
            }
            let end = Var::from_tensor(&x)?;
            known = Memory::default();
            let values = problem.terminal.value_at(to, end.as_tensor(), problem.alpha, &mut known)?;
            let loss = (values.sum_all()? * (-1.0 / price))?;
            let mut adjoint = gradients_with(&loss, &[], &[&end])?.1.remove(0);
            known.context = known.context.map(|context| context.detach());
            value = Some(values.detach());
            let mut stretch = Vec::with_capacity(to - from);
            for part in parts.into_iter().rev() {
                let (adjoints, of_start) = part.adjoints(chain, &adjoint, alignment)?;
                adjoint = of_start;
                stretch.extend(adjoints.into_iter().rev());
            }
            targets.extend(stretch.into_iter().rev());
            until.extend(vec![to; to - from]);
            from = to;
        }
        let value = value.ok_or_else(|| Error::usage("a path needs at least one step"))?;
        let norms = targets.iter().map(|adjoint| Ok(squares(adjoint)?.sqrt()?)).collect::<Result<Vec<_>>>()?;
        for (target, kept) in targets.iter_mut().zip(&walked.kept) {
            *target = (&*target * -kept.base.std)?;
        }
        let rows = [&walked.increments, &walked.costs, &norms].map(|rows| Tensor::stack(rows, 0));
        let [increments, costs, norms] = rows;
        let mut read = read(&[&value, &increments?, &costs?, &norms?])?.into_iter();
        let mut next = || read.next().unwrap_or_default();
        let values = next();
        let mut matrix = || -> Result<Array2<f64>> {
            let shape = (steps, noises.rows());
            Array2::from_shape_vec(shape, next()).map_err(|error| Error::device("a matrix of steps").because(error))
        };
        let (increments, costs, norms) = (matrix()?, matrix()?, matrix()?);
        let trace = Trace::walked(walked.kept, x, block, values, increments);
        Ok(Self { trace, targets, until, costs: costs.sum_axis(ndarray::Axis(0)).to_vec(), norms })
    }
}

impl Walked {
    /// Walks a block under a control, whose pushes and last state are answered, the latter in the graph of the base chain alone.
    fn block(
        &mut self,
        chain: &dyn Chain,
        behaviour: &dyn Control,
        steps: Range<usize>,
        start: &Start,
        noise: &Tensor,
    ) -> Result<(Vec<Var>, Tensor)> {
        let (mut memory, mut held, mut x) = (start.memory(), Memory::default(), start.state().clone());
        let mut pushes = Vec::with_capacity(steps.len());
        for (index, k) in steps.enumerate() {
            let step = chain.advance(k, &x, &mut memory)?;
            let (base, at) = (step.detached(), x.detach());
            let u = behaviour.control(k, &at, &base, &mut held)?.detach();
            let innovation = (noise.get(index)? + &u)?;
            let push = Var::from_tensor(&(&innovation * base.std)?)?;
            x = (step.mean + push.as_tensor())?;
            self.increments.push(increment(&u, &innovation)?);
            self.costs.push((squares(&u)? * 0.5)?);
            self.kept.push(Kept { k, x: at, innovation, base });
            pushes.push(push);
        }
        Ok((pushes, x))
    }
}

impl Part {
    /// The adjoints that the block's steps are matched with, given that of its last state; and that of its first, where it is asked for.
    fn adjoints(self, chain: &dyn Chain, last: &Tensor, alignment: Alignment) -> Result<(Vec<Tensor>, Tensor)> {
        let Self { steps, start, pushes, end } = self;
        let end = match end {
            Some(end) => end,
            None => retrace(chain, steps, &start, &pushes)?,
        };
        let local = (end * last)?.sum_all()?;
        let head = if let Start::Inner(head) = &start { Some(head) } else { None };
        let inputs: Vec<&Var> = pushes.iter().chain(head).collect();
        let mut found = gradients_with(&local, &[], &inputs)?.1;
        let of_start = if head.is_some() { found.pop() } else { None }.unwrap_or_else(|| last.clone());
        if alignment == Alignment::Released {
            found.insert(0, of_start.clone());
            found.pop();
        }
        Ok((found, of_start))
    }
}

/// The last state of a block in the graph of the base chain, by the pushes that were.
fn retrace(chain: &dyn Chain, steps: Range<usize>, start: &Start, pushes: &[Var]) -> Result<Tensor> {
    let (mut memory, mut x) = (start.memory(), start.state().clone());
    for (k, push) in steps.zip(pushes) {
        x = (chain.advance(k, &x, &mut memory)?.mean + push.as_tensor())?;
    }
    Ok(x)
}

/// Sums of squares per row, (B,).
pub(super) fn squares(x: &Tensor) -> Result<Tensor> {
    Ok(x.sqr()?.flatten_from(1)?.sum(1)?)
}
