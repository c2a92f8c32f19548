//! What happens between the matrix products of a block, a row at a time, so that a row is read once while it is near.

use crate::nn::kernel::gelu::value_and_slope;
use crate::nn::kernel::simd::{dispatch, fma, sum, sum2};
use crate::nn::norm::EPSILON;

/// How rows are steered.
#[derive(Clone, Copy)]
pub(super) struct Plan<'a> {
    pub(super) dim: usize,
    /// Rows that share a condition.
    pub(super) group: usize,
    /// Shift, scale and gate for each condition.
    pub(super) steer: &'a [f32],
}

impl<'a> Plan<'a> {
    /// Shift, scale and gate of a row.
    #[inline(always)]
    fn of(self, row: usize) -> (&'a [f32], &'a [f32], &'a [f32]) {
        let at = row / self.group * 3 * self.dim;
        let (shift, rest) = self.steer[at..at + 3 * self.dim].split_at(self.dim);
        let (scale, gate) = rest.split_at(self.dim);
        (shift, scale, gate)
    }

    /// As [`of`](Self::of) in the gradient of all of them, to add to.
    #[inline(always)]
    fn in_gradient(self, steer: &mut [f32], row: usize) -> (&mut [f32], &mut [f32], &mut [f32]) {
        let at = row / self.group * 3 * self.dim;
        let (shift, rest) = steer[at..at + 3 * self.dim].split_at_mut(self.dim);
        let (scale, gate) = rest.split_at_mut(self.dim);
        (shift, scale, gate)
    }
}

dispatch!(
    /// h ← norm(x) (1 + scale) + shift; keeps the mean and one over the standard deviation of each row.
    normalise => normalise_body(h: &mut [f32], moments: &mut [[f32; 2]], x: &[f32], plan: Plan<'_>)
);
dispatch!(
    /// h as [`normalise`] left it.
    normalise_again => normalise_again_body(h: &mut [f32], moments: &[[f32; 2]], x: &[f32], plan: Plan<'_>)
);
dispatch!(
    /// sum ← x + gate (y + bias)
    add_gated => add_gated_body(sum: &mut [f32], x: &[f32], y: &[f32], bias: &[f32], plan: Plan<'_>)
);
dispatch!(
    /// to ← gelu(x + bias)
    activate => activate_body(to: &mut [f32], x: &[f32], bias: &[f32])
);
dispatch!(
    /// The chain rule of [`activate`]: g ← gelu'(x + bias) g, adding its rows to `d_bias`, and gelu(x + bias) again.
    activate_back => activate_back_body(
        activated: &mut [f32], g: &mut [f32], d_bias: &mut [f32], x: &[f32], bias: &[f32],
    )
);
dispatch!(
    /// The chain rule of [`add_gated`]: dy ← g gate, adding its rows to `d_bias` and g (y + bias) to the gate's gradient.
    add_gated_back => add_gated_back_body(
        dy: &mut [f32], d_steer: &mut [f32], d_bias: &mut [f32], g: &[f32], y: &[f32], bias: &[f32],
        plan: Plan<'_>,
    )
);
dispatch!(
    /// The chain rule of [`normalise`]: adds the gradient of x to `dx`, and those of shift and scale.
    normalise_back => normalise_back_body(
        dx: &mut [f32], d_steer: &mut [f32], dh: &mut [f32], moments: &[[f32; 2]], x: &[f32],
        plan: Plan<'_>,
    )
);

#[inline(always)]
fn normalise_body<const F: bool>(h: &mut [f32], moments: &mut [[f32; 2]], x: &[f32], plan: Plan<'_>) {
    let n = plan.dim as f32;
    for (row, (x, moments)) in x.chunks_exact(plan.dim).zip(moments.iter_mut()).enumerate() {
        let mean = sum(x, |x| x) / n;
        let variance = sum(x, |x| (x - mean) * (x - mean)) / n;
        *moments = [mean, 1.0 / (variance + EPSILON as f32).sqrt()];
        normalise_row::<F>(&mut h[row * plan.dim..][..plan.dim], *moments, x, plan.of(row));
    }
}

#[inline(always)]
fn normalise_again_body<const F: bool>(h: &mut [f32], moments: &[[f32; 2]], x: &[f32], plan: Plan<'_>) {
    for (row, (x, moments)) in x.chunks_exact(plan.dim).zip(moments).enumerate() {
        normalise_row::<F>(&mut h[row * plan.dim..][..plan.dim], *moments, x, plan.of(row));
    }
}

#[inline(always)]
fn normalise_row<const F: bool>(h: &mut [f32], moments: [f32; 2], x: &[f32], steer: (&[f32], &[f32], &[f32])) {
    let ([mean, inverse], (shift, scale, _)) = (moments, steer);
    for (((h, x), shift), scale) in h.iter_mut().zip(x).zip(shift).zip(scale) {
        *h = fma::<F>((x - mean) * inverse, 1.0 + scale, *shift);
    }
}

#[inline(always)]
fn add_gated_body<const F: bool>(sum: &mut [f32], x: &[f32], y: &[f32], bias: &[f32], plan: Plan<'_>) {
    let rows = sum.chunks_exact_mut(plan.dim).zip(x.chunks_exact(plan.dim)).zip(y.chunks_exact(plan.dim));
    for (row, ((sum, x), y)) in rows.enumerate() {
        let (_, _, gate) = plan.of(row);
        for ((((sum, x), y), bias), gate) in sum.iter_mut().zip(x).zip(y).zip(bias).zip(gate) {
            *sum = fma::<F>(*gate, y + bias, *x);
        }
    }
}

#[inline(always)]
fn activate_body<const F: bool>(to: &mut [f32], x: &[f32], bias: &[f32]) {
    for (to, x) in to.chunks_exact_mut(bias.len()).zip(x.chunks_exact(bias.len())) {
        for ((to, x), bias) in to.iter_mut().zip(x).zip(bias) {
            *to = value_and_slope::<F>(x + bias).0;
        }
    }
}

#[inline(always)]
fn activate_back_body<const F: bool>(
    activated: &mut [f32],
    g: &mut [f32],
    d_bias: &mut [f32],
    x: &[f32],
    bias: &[f32],
) {
    let width = bias.len();
    let rows = activated.chunks_exact_mut(width).zip(g.chunks_exact_mut(width)).zip(x.chunks_exact(width));
    for ((activated, g), x) in rows {
        let columns = activated.iter_mut().zip(g).zip(x).zip(bias).zip(d_bias.iter_mut());
        for ((((activated, g), x), bias), d_bias) in columns {
            let (value, slope) = value_and_slope::<F>(x + bias);
            *activated = value;
            *g *= slope;
            *d_bias += *g;
        }
    }
}

#[inline(always)]
fn add_gated_back_body<const F: bool>(
    dy: &mut [f32],
    d_steer: &mut [f32],
    d_bias: &mut [f32],
    g: &[f32],
    y: &[f32],
    bias: &[f32],
    plan: Plan<'_>,
) {
    let rows = dy.chunks_exact_mut(plan.dim).zip(g.chunks_exact(plan.dim)).zip(y.chunks_exact(plan.dim));
    for (row, ((dy, g), y)) in rows.enumerate() {
        let ((_, _, gate), (_, _, d_gate)) = (plan.of(row), plan.in_gradient(d_steer, row));
        for ((((dy, g), gate), d_bias), ((y, bias), d_gate)) in
            dy.iter_mut().zip(g).zip(gate).zip(d_bias.iter_mut()).zip(y.iter().zip(bias).zip(d_gate))
        {
            *dy = g * gate;
            *d_bias += *dy;
            *d_gate = fma::<F>(*g, y + bias, *d_gate);
        }
    }
}

/// With n = (x − mean)/sd and h' = dh (1 + scale): dx += (h' − mean h' − n · mean(h' n)) / sd.
#[inline(always)]
fn normalise_back_body<const F: bool>(
    dx: &mut [f32],
    d_steer: &mut [f32],
    dh: &mut [f32],
    moments: &[[f32; 2]],
    x: &[f32],
    plan: Plan<'_>,
) {
    let n = plan.dim as f32;
    let rows = dx.chunks_exact_mut(plan.dim).zip(dh.chunks_exact_mut(plan.dim)).zip(x.chunks_exact(plan.dim));
    for (row, (((dx, dh), x), [mean, inverse])) in rows.zip(moments).enumerate() {
        let (_, scale, _) = plan.of(row);
        let (d_shift, d_scale, _) = plan.in_gradient(d_steer, row);
        for ((((dh, x), scale), d_shift), d_scale) in dh.iter_mut().zip(x).zip(scale).zip(d_shift).zip(d_scale) {
            *d_shift += *dh;
            *d_scale = fma::<F>(*dh, (x - mean) * inverse, *d_scale);
            *dh *= 1.0 + scale;
        }
        let mean_h = sum(dh, |h| h) / n;
        let mean_hn = sum2(dh, x, |h, x| h * (x - mean)) * inverse / n;
        for ((dx, dh), x) in dx.iter_mut().zip(&*dh).zip(x) {
            *dx = fma::<F>(*inverse, *dh - mean_h - (x - mean) * inverse * mean_hn, *dx);
        }
    }
}
