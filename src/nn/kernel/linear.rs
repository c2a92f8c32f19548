//! y = x Wᵀ + b, with GELU on demand.

use super::arrays::{gradient, operand, result, values};
use super::gelu::{activate, activate_with_slope};
use super::leaf;
use super::matmul::{View, matmul, product};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use std::sync::OnceLock;

/// The affine map of the last dimension, followed by GELU when `activated`.
pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: &Tensor, activated: bool) -> Result<Tensor> {
    let activation = match (activated, x.track_op() || weight.track_op() || bias.track_op()) {
        (false, _) => Activation::None,
        (true, false) => Activation::Gelu,
        (true, true) => Activation::GeluWithSlope(OnceLock::new()),
    };
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Linear { activation })
}

struct Linear {
    activation: Activation,
}

enum Activation {
    None,
    Gelu,
    /// Keeps gelu' of the forward pass for the backward pass.
    GeluWithSlope(OnceLock<Vec<f32>>),
}

impl CustomOp3 for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, w, b) = (operand(x, x_layout)?, operand(w, w_layout)?, operand(b, b_layout)?);
        let (out, inp) = w_layout.shape().dims2()?;
        let mut dims = x_layout.dims().to_vec();
        let rows = match dims.last_mut() {
            Some(last) if *last == inp && b.len() == out => {
                *last = out;
                dims.iter().rev().skip(1).product::<usize>()
            }
            _ => candle_core::bail!("a map from {inp} to {out} numbers got shape {:?}", x_layout.dims()),
        };
        let mut y = Vec::with_capacity(rows * out);
        for _ in 0..rows {
            y.extend_from_slice(b);
        }
        matmul((&mut y, View::dense(rows, out)), (x, View::dense(rows, inp)), (w, View::dense(out, inp).t()), true);
        match &self.activation {
            Activation::None => {}
            Activation::Gelu => activate(&mut y),
            Activation::GeluWithSlope(kept) => {
                let mut slope = vec![0.0; y.len()];
                activate_with_slope(&mut y, &mut slope);
                let _ = kept.set(slope);
            }
        }
        Ok(result(y, dims))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (out, inp) = w.dims2()?;
        let g = g.contiguous()?;
        let g = values(&g)?;
        let through;
        let g: &[f32] = match &self.activation {
            Activation::GeluWithSlope(kept) => {
                let Some(slope) = kept.get() else { candle_core::bail!("no slope was kept for the backward pass") };
                through = slope.iter().zip(&*g).map(|(slope, g)| slope * g).collect::<Vec<f32>>();
                &through
            }
            Activation::None | Activation::Gelu => &g,
        };
        let rows = g.len() / out.max(1);
        let g_view = View::dense(rows, out);
        let of_x = x
            .track_op()
            .then(|| gradient(product((g, g_view), (&values(w)?, View::dense(out, inp))), x))
            .transpose()?;
        let x_view = View::dense(rows, inp);
        let mut of_w = None;
        if leaf::takes(w) {
            leaf::add_product(w, (g, g_view.t()), (&values(x)?, x_view))?;
        } else if w.track_op() {
            of_w = Some(gradient(product((g, g_view.t()), (&values(x)?, x_view)), w)?);
        }
        let mut of_b = None;
        if leaf::takes(b) {
            leaf::add_sum(b, g)?;
        } else if b.track_op() {
            let mut db = vec![0.0; out];
            leaf::add_rows(&mut db, g);
            of_b = Some(gradient(db, b)?);
        }
        Ok((of_x, of_w, of_b))
    }
}

#[cfg(test)]
mod tests {
    use crate::nn::{Linear, check};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(check::cases())]

        #[test]
        fn it_agrees_with_the_composed_form(
            (batch, length, inp, out) in (1_usize..5, 1_usize..20, 1_usize..40, 1_usize..40), gelu: bool, seed in 0_u64..1000,
        ) {
            let params = check::params_f32();
            let layer = Linear::new(&params, inp, out).unwrap();
            let x = check::normal_f32(seed, &[batch, length, inp]);
            check::layer_against_composed(&params, &[x], |x| {
                if gelu { layer.forward_gelu(&x[0]) } else { layer.forward(&x[0]) }
            });
        }
    }

    #[test]
    fn a_wrong_width_and_an_empty_batch_are_handled() {
        let layer = Linear::new(&check::params_f32(), 3, 2).unwrap();
        assert!(layer.forward(&check::normal_f32(1, &[4, 6])).is_err());
        assert_eq!(layer.forward(&check::normal_f32(1, &[0, 3])).unwrap().dims(), [0, 2]);
    }
}
