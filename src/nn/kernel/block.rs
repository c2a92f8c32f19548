//! The transformer block steered by a condition, as one operation.
//!
//! ```text
//! s = Wₐ gelu(c) + bₐ,  t = Wₘ gelu(c) + bₘ                  (shift, scale, gate) of each half
//! h₁ = norm(x) (1 + s.scale) + s.shift      q = W_qkv h₁ + b_qkv      o = W_out attention(q)
//! x₁ = x + s.gate (o + b_out)
//! h₂ = norm(x₁) (1 + t.scale) + t.shift     u = W_up h₂               m = W_down gelu(u + b_up)
//! y  = x₁ + t.gate (m + b_down)
//! ```
//!
//! A pass that keeps its activations keeps q, o, x₁, u, m, the attention's output and the moments of both normalisations;
//! h₁, h₂ and gelu(u) are made again on the way back. With [`recompute`] a block keeps nothing but its operands, and
//! runs its forward pass a second time on the way back.

mod back;
mod passes;

use super::arrays::{gradient, operand, result, values};
use super::attention::{Sizes, attend, mask_bias};
use super::buffer::Buffer;
use super::gelu;
use super::matmul::{View, matmul};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use passes::Plan;
use std::cell::Cell;
use std::sync::OnceLock;

thread_local! {
    static RECOMPUTE: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work` with every transformer block on this thread keeping nothing but its operands for the backward pass: one number
/// instead of twelve, for a third more time.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use seqtilt::{Seed, nn::{Block, Params, gradients, recompute}};
/// # fn main() -> seqtilt::Result<()> {
/// let params = Params::trainable(Seed::root(1), DType::F32, &Device::Cpu);
/// let block = Block::new(&params, 8, 2, 8)?;
/// let (x, cond) = (Tensor::ones((1, 5, 8), DType::F32, &Device::Cpu)?, Tensor::ones((1, 8), DType::F32, &Device::Cpu)?);
/// let norm = || gradients(&block.forward(&x, &cond, None)?.sqr()?.sum_all()?, &params.vars())?.norm(seqtilt::nn::Pool::inline());
/// assert_eq!(recompute(norm)?, norm()?);
/// # Ok(()) }
/// ```
pub fn recompute<T>(work: impl FnOnce() -> T) -> T {
    super::with_flag(&RECOMPUTE, work)
}

/// Weight (out, in) and bias (out) of the maps of a block.
#[derive(Clone)]
pub(crate) struct Weights {
    pub(crate) qkv: (Tensor, Tensor),
    pub(crate) out: (Tensor, Tensor),
    pub(crate) up: (Tensor, Tensor),
    pub(crate) down: (Tensor, Tensor),
    pub(crate) steer_attention: (Tensor, Tensor),
    pub(crate) steer_mlp: (Tensor, Tensor),
}

impl Weights {
    fn all(&self) -> [&(Tensor, Tensor); 6] {
        [&self.qkv, &self.out, &self.up, &self.down, &self.steer_attention, &self.steer_mlp]
    }

    /// Whether one operation can treat them all: all are variables, or none gets a gradient.
    pub(crate) fn alike(&self) -> bool {
        let variable = |tensor: &Tensor| tensor.is_variable();
        let mut each = self.all().into_iter().flat_map(|(weight, bias)| [weight, bias]);
        if self.qkv.0.is_variable() { each.all(variable) } else { !each.any(Tensor::track_op) }
    }
}

/// The block for x (B, L, d) and conditions (B, c), or one condition (1, c) for all.
pub(crate) fn block(
    x: &Tensor,
    cond: &Tensor,
    mask: Option<&Tensor>,
    weights: &Weights,
    heads: usize,
) -> Result<Tensor> {
    let (batch, length, dim) = x.dims3()?;
    let (conditions, cond_dim) = cond.dims2()?;
    let fits =
        |(weight, bias): &(Tensor, Tensor), out: usize, inp: usize| weight.dims() == [out, inp] && bias.dims() == [out];
    let Weights { qkv, out, up, down, steer_attention, steer_mlp } = weights;
    let hidden = up.1.elem_count();
    let maps = [(qkv, 3 * dim, dim), (out, dim, dim), (up, hidden, dim), (down, dim, hidden)];
    let steering = [(steer_attention, 3 * dim, cond_dim), (steer_mlp, 3 * dim, cond_dim)];
    let known = maps.into_iter().chain(steering).all(|(map, out, inp)| fits(map, out, inp));
    if !known || (conditions != batch && conditions != 1) || batch * length * dim * cond_dim == 0 {
        candle_core::bail!("a block of width {} got shapes {:?} and {:?}", out.1.elem_count(), x.dims(), cond.dims());
    }
    let tracked = x.track_op() || cond.track_op() || qkv.0.track_op();
    let op = Block {
        sizes: Sizes { batch, length, dim, heads },
        conditions,
        hidden,
        bias: mask_bias(mask, batch, length)?,
        keep: tracked && !RECOMPUTE.get(),
        kept: OnceLock::new(),
        weights: weights.clone(),
    };
    // the third operand ties the block to its weights; their gradients are added to the leaves
    x.contiguous()?.apply_op3(&cond.contiguous()?, &weights.qkv.0, op)
}

struct Block {
    sizes: Sizes,
    conditions: usize,
    hidden: usize,
    /// Added to the scores of each position, (B, L).
    bias: Vec<f32>,
    keep: bool,
    kept: OnceLock<Kept>,
    weights: Weights,
}

/// What the backward pass needs to see again.
struct Kept {
    condition: Buffer,
    steer_attention: Buffer,
    steer_mlp: Buffer,
    moments: [Vec<[f32; 2]>; 2],
    qkv: Buffer,
    probabilities: Buffer,
    attended: Buffer,
    mixed: Buffer,
    middle: Buffer,
    hidden: Buffer,
    answer: Buffer,
}

impl Block {
    fn rows(&self) -> usize {
        self.sizes.batch * self.sizes.length
    }

    fn plan<'a>(&self, steer: &'a [f32]) -> Plan<'a> {
        Plan { dim: self.sizes.dim, group: self.rows() / self.conditions, steer }
    }

    fn forward(&self, x: &[f32], cond: &[f32], keep: bool) -> Result<(Vec<f32>, Kept)> {
        let (rows, dim, weights) = (self.rows(), self.sizes.dim, &self.weights);
        let mut condition = Buffer::new(cond.len());
        condition.copy_from_slice(cond);
        gelu::activate(&mut condition);
        let steer_attention = with_bias(&condition, self.conditions, &weights.steer_attention)?;
        let steer_mlp = with_bias(&condition, self.conditions, &weights.steer_mlp)?;
        let mut moments = [vec![[0.0; 2]; rows], vec![[0.0; 2]; rows]];

        let mut h = Buffer::new(rows * dim);
        passes::normalise(&mut h, &mut moments[0], x, self.plan(&steer_attention));
        let qkv = with_bias(&h, rows, &weights.qkv)?;
        let mut attended = Buffer::new(rows * dim);
        let probabilities = attend(&mut attended, &qkv, &self.bias, self.sizes, keep);
        let mixed = times(&attended, rows, &weights.out.0)?;
        let mut middle = Buffer::new(rows * dim);
        passes::add_gated(&mut middle, x, &mixed, &values(&weights.out.1)?, self.plan(&steer_attention));

        passes::normalise(&mut h, &mut moments[1], &middle, self.plan(&steer_mlp));
        let hidden = times(&h, rows, &weights.up.0)?;
        let mut activated = Buffer::new(rows * self.hidden);
        passes::activate(&mut activated, &hidden, &values(&weights.up.1)?);
        let answer = times(&activated, rows, &weights.down.0)?;
        let mut y = vec![0.0; rows * dim];
        passes::add_gated(&mut y, &middle, &answer, &values(&weights.down.1)?, self.plan(&steer_mlp));
        let kept = Kept {
            condition,
            steer_attention,
            steer_mlp,
            moments,
            qkv,
            probabilities,
            attended,
            mixed,
            middle,
            hidden,
            answer,
        };
        Ok((y, kept))
    }
}

/// x Wᵀ + b
fn with_bias(x: &[f32], rows: usize, (weight, bias): &(Tensor, Tensor)) -> Result<Buffer> {
    let (out, inp) = weight.dims2()?;
    let mut y = Buffer::new(rows * out);
    let bias = values(bias)?;
    for y in y.chunks_exact_mut(out) {
        y.copy_from_slice(&bias);
    }
    let w = (&*values(weight)?, View::dense(out, inp).t());
    matmul((&mut y, View::dense(rows, out)), (x, View::dense(rows, inp)), w, true);
    Ok(y)
}

/// x Wᵀ
fn times(x: &[f32], rows: usize, weight: &Tensor) -> Result<Buffer> {
    let (out, inp) = weight.dims2()?;
    let mut y = Buffer::new(rows * out);
    let w = (&*values(weight)?, View::dense(out, inp).t());
    matmul((&mut y, View::dense(rows, out)), (x, View::dense(rows, inp)), w, false);
    Ok(y)
}

impl CustomOp3 for Block {
    fn name(&self) -> &'static str {
        "transformer-block"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        cond: &CpuStorage,
        cl: &Layout,
        _: &CpuStorage,
        _: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (y, kept) = self.forward(operand(x, xl)?, operand(cond, cl)?, self.keep)?;
        if self.keep {
            let _ = self.kept.set(kept);
        }
        Ok(result(y, xl.shape()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        cond: &Tensor,
        _: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let again;
        let kept = if let Some(kept) = self.kept.get() {
            kept
        } else {
            again = self.forward(&values(x)?, &values(cond)?, true)?.1;
            &again
        };
        let g = g.contiguous()?;
        let (dx, d_cond) = self.back(kept, &values(x)?, (&values(cond)?, cond.track_op()), &values(&g)?)?;
        Ok((Some(gradient(dx, x)?), d_cond.map(|d_cond| gradient(d_cond, cond)).transpose()?, None))
    }
}

#[cfg(test)]
mod tests {
    use crate::nn::{self, Block, check};
    use candle_core::{Device, Tensor};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(check::cases())]

        #[test]
        fn it_agrees_with_the_composed_form_whether_it_keeps_activations_or_not(
            (batch, length, heads, head_dim, cond_dim) in (1_usize..4, 1_usize..30, 1_usize..3, 4_usize..12, 1_usize..9),
            (one_condition, masked, again, seed) in (any::<bool>(), any::<bool>(), any::<bool>(), 0_u64..1000),
        ) {
            let params = check::params_f32();
            let dim = heads * head_dim;
            let block = Block::new(&params, dim, heads, cond_dim).unwrap();
            check::shake(&params);
            let x = check::normal_f32(seed, &[batch, length, dim]);
            let cond = check::normal_f32(seed + 1, &[if one_condition { 1 } else { batch }, cond_dim]);
            let mask: Vec<f32> = (0..batch * length).map(|i| f32::from(u8::from(i % 5 != 3 || i == 0))).collect();
            let mask = Tensor::from_vec(mask, (batch, length), &Device::Cpu).unwrap();
            let mask = masked.then_some(&mask);
            check::near_composed(4e-5, &params, &[x, cond], |x| {
                let forward = || block.forward(&x[0], &x[1], mask);
                if again { nn::recompute(forward) } else { forward() }
            });
        }
    }

    #[test]
    fn recomputing_changes_no_bit() {
        let params = check::params_f32();
        let block = Block::new(&params, 8, 2, 3).unwrap();
        check::shake(&params);
        let (x, cond) = (check::normal_f32(1, &[2, 30, 8]), check::normal_f32(2, &[2, 3]));
        let run = || {
            let loss = block.forward(&x, &cond, None).unwrap().sqr().unwrap().sum_all().unwrap();
            let gradients = nn::gradients(&loss, &params.vars()).unwrap();
            let of = |(_, gradient): (&str, Option<&Tensor>)| {
                gradient.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()
            };
            gradients.iter().flat_map(of).collect::<Vec<_>>()
        };
        assert_eq!(run(), nn::recompute(run));
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let block = Block::new(&check::params_f32(), 4, 2, 3).unwrap();
        let x = check::normal_f32(1, &[2, 3, 4]);
        for (x, cond) in [(&x, [3, 3]), (&x, [2, 4]), (&check::normal_f32(1, &[2, 3, 6]), [2, 3])] {
            assert!(block.forward(x, &check::normal_f32(2, &cond), None).is_err());
        }
        assert!(block.forward(&x, &check::normal_f32(2, &[2, 3]), Some(&check::normal_f32(3, &[2, 2]))).is_err());
    }
}
