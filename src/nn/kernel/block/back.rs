//! The backward pass of a block.

use super::passes;
use super::{Block, Kept};
use crate::nn::kernel::arrays::values;
use crate::nn::kernel::attention::attend_back;
use crate::nn::kernel::buffer::Buffer;
use crate::nn::kernel::gelu;
use crate::nn::kernel::leaf;
use crate::nn::kernel::matmul::{View, matmul};
use candle_core::{Result, Tensor};

impl Block {
    /// The gradients of x and, where it is wanted, of the condition; those of the weights go to the leaves.
    pub(super) fn back(
        &self,
        kept: &Kept,
        x: &[f32],
        (cond, cond_tracked): (&[f32], bool),
        g: &[f32],
    ) -> Result<(Vec<f32>, Option<Vec<f32>>)> {
        let (rows, dim, weights) = (self.rows(), self.sizes.dim, &self.weights);
        let trained = weights.qkv.0.is_variable();
        let mut d_steer_attention = Buffer::zeros(self.conditions * 3 * dim);
        let mut d_steer_mlp = Buffer::zeros(self.conditions * 3 * dim);
        let mut d_bias = Buffer::zeros(dim);
        let mut d_hidden_bias = Buffer::zeros(self.hidden);

        // y = x₁ + gate (m + b)
        let mut dy = Buffer::new(rows * dim);
        let bias = values(&weights.down.1)?;
        let plan = self.plan(&kept.steer_mlp);
        passes::add_gated_back(&mut dy, &mut d_steer_mlp, &mut d_bias, g, &kept.answer, &bias, plan);
        let mut d_hidden = back_through(&dy, rows, &weights.down.0)?;
        let mut activated = Buffer::new(rows * self.hidden);
        let bias = values(&weights.up.1)?;
        passes::activate_back(&mut activated, &mut d_hidden, &mut d_hidden_bias, &kept.hidden, &bias);
        if trained {
            of_weight(&weights.down.0, &dy, &activated, rows)?;
            leaf::add_sum(&weights.down.1, &d_bias)?;
            leaf::add_sum(&weights.up.1, &d_hidden_bias)?;
        }
        drop(activated);
        let mut dx = g.to_vec();
        let mut h = Buffer::new(rows * dim);
        let mut dh = back_through(&d_hidden, rows, &weights.up.0)?;
        if trained {
            passes::normalise_again(&mut h, &kept.moments[1], &kept.middle, plan);
            of_weight(&weights.up.0, &d_hidden, &h, rows)?;
        }
        drop(d_hidden);
        passes::normalise_back(&mut dx, &mut d_steer_mlp, &mut dh, &kept.moments[1], &kept.middle, plan);

        // x₁ = x + gate (o + b)
        d_bias.fill(0.0);
        let bias = values(&weights.out.1)?;
        let plan = self.plan(&kept.steer_attention);
        passes::add_gated_back(&mut dy, &mut d_steer_attention, &mut d_bias, &dx, &kept.mixed, &bias, plan);
        let d_attended = back_through(&dy, rows, &weights.out.0)?;
        let mut d_qkv = Buffer::new(rows * 3 * dim);
        let (attended, sizes) = ((&*kept.attended, &*d_attended), self.sizes);
        attend_back(&mut d_qkv, &kept.probabilities, &kept.qkv, attended, &self.bias, sizes);
        let mut dh = back_through(&d_qkv, rows, &weights.qkv.0)?;
        if trained {
            of_weight(&weights.out.0, &dy, &kept.attended, rows)?;
            leaf::add_sum(&weights.out.1, &d_bias)?;
            passes::normalise_again(&mut h, &kept.moments[0], x, plan);
            of_weight(&weights.qkv.0, &d_qkv, &h, rows)?;
            leaf::add_sum(&weights.qkv.1, &d_qkv)?;
        }
        passes::normalise_back(&mut dx, &mut d_steer_attention, &mut dh, &kept.moments[0], x, plan);

        // (shift, scale, gate) = W gelu(c) + b
        let steering = [(&weights.steer_attention, &d_steer_attention), (&weights.steer_mlp, &d_steer_mlp)];
        if trained {
            for ((weight, bias), d_steer) in steering {
                of_weight(weight, d_steer, &kept.condition, self.conditions)?;
                leaf::add_sum(bias, d_steer)?;
            }
        }
        let d_cond = if cond_tracked {
            let mut through = back_through(&d_steer_attention, self.conditions, &weights.steer_attention.0)?;
            add_back_through(&mut through, &d_steer_mlp, self.conditions, &weights.steer_mlp.0)?;
            let mut slope = cond.to_vec();
            gelu::chain(&mut slope, &through);
            Some(slope)
        } else {
            None
        };
        Ok((dx, d_cond))
    }
}

/// g W
fn back_through(g: &[f32], rows: usize, weight: &Tensor) -> Result<Buffer> {
    let (out, inp) = weight.dims2()?;
    let mut dx = Buffer::new(rows * inp);
    let w = (&*values(weight)?, View::dense(out, inp));
    matmul((&mut dx, View::dense(rows, inp)), (g, View::dense(rows, out)), w, false);
    Ok(dx)
}

/// dx ← dx + g W
fn add_back_through(dx: &mut [f32], g: &[f32], rows: usize, weight: &Tensor) -> Result<()> {
    let (out, inp) = weight.dims2()?;
    let w = (&*values(weight)?, View::dense(out, inp));
    matmul((dx, View::dense(rows, inp)), (g, View::dense(rows, out)), w, true);
    Ok(())
}

/// Adds gᵀ x to the weight's gradient.
fn of_weight(weight: &Tensor, g: &[f32], x: &[f32], rows: usize) -> Result<()> {
    let (out, inp) = weight.dims2()?;
    leaf::add_product(weight, (g, View::dense(rows, out).t()), (x, View::dense(rows, inp)))
}
