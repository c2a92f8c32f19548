//! GELU as x · σ(2u): one exponential and one division.

use super::arrays::{gradient, operand, result, values};
use super::simd::{dispatch, exp, fma};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// 2 √(2/π)
const A: f32 = 1.595_769_2;
/// 2 √(2/π) · 0.044715
const B: f32 = 0.071_354_82;

/// GELU, element by element.
pub(crate) fn gelu(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Gelu)
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut y = operand(x, layout)?.to_vec();
        activate(&mut y);
        Ok(result(y, layout.shape()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let g = g.contiguous()?;
        let mut slope = values(x)?.to_vec();
        chain(&mut slope, &values(&g)?);
        Ok(Some(gradient(slope, x)?))
    }
}

dispatch!(
    /// x ← gelu(x)
    activate => activate_body(x: &mut [f32])
);
dispatch!(
    /// x ← gelu(x), slope ← gelu'(x)
    activate_with_slope => activate_with_slope_body(x: &mut [f32], slope: &mut [f32])
);
dispatch!(
    /// x ← gelu'(x) · g
    chain => chain_body(x: &mut [f32], g: &[f32])
);

/// gelu(x) and gelu'(x).
#[inline(always)]
pub(super) fn value_and_slope<const F: bool>(x: f32) -> (f32, f32) {
    let square = x * x;
    let sigmoid = 1.0 / (1.0 + exp::<F>(-x * fma::<F>(square, B, A)));
    // d(2u)/dx = a + 3 b x²
    let value = x * sigmoid;
    (value, fma::<F>(value * (1.0 - sigmoid), fma::<F>(square, 3.0 * B, A), sigmoid))
}

#[inline(always)]
fn activate_body<const F: bool>(x: &mut [f32]) {
    for x in x {
        *x = value_and_slope::<F>(*x).0;
    }
}

#[inline(always)]
fn activate_with_slope_body<const F: bool>(x: &mut [f32], slope: &mut [f32]) {
    for (x, slope) in x.iter_mut().zip(slope) {
        (*x, *slope) = value_and_slope::<F>(*x);
    }
}

#[inline(always)]
fn chain_body<const F: bool>(x: &mut [f32], g: &[f32]) {
    for (x, g) in x.iter_mut().zip(g) {
        *x = value_and_slope::<F>(*x).1 * g;
    }
}

#[cfg(test)]
mod tests {
    use crate::nn::{check, gelu};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(check::cases())]

        #[test]
        fn it_agrees_with_the_composed_form(n in 1_usize..70, seed in 0_u64..1000) {
            let x = (check::normal_f32(seed, &[n]) * 3.0).unwrap();
            check::against_composed(&[x], |x| gelu(&x[0]));
        }
    }

    #[test]
    fn far_tails_are_zero_and_the_identity() {
        let x = candle_core::Tensor::new(&[-50.0_f32, 50.0, -1e9, 1e9], &candle_core::Device::Cpu).unwrap();
        let y = gelu(&x).unwrap().to_vec1::<f32>().unwrap();
        assert!(y[0].abs() < 1e-30 && y[2].abs() < 1e-20, "{y:?}");
        assert_eq!((y[1], y[3]), (50.0, 1e9));
    }
}
