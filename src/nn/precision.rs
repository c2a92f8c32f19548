//! How exactly a device multiplies matrices.

use crate::error::Result;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};

/// The numbers that a device's matrix products take in; weights, sums, normalisation, softmax and losses are f32 in every case.
///
/// Only CUDA devices have a choice. `tests/device/README.md` says what each costs in accuracy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Precision {
    /// 24 bits.
    #[default]
    F32,
    /// Every matrix product with operands of 11 bits, summed in f32 (NVIDIA's TF32, from Ampere on).
    Tf32,
    /// Products of layers with operands and results of 8 bits (bfloat16), summed in f32. The products of the sampler itself, of
    /// letters with their points, stay in f32.
    Bf16,
}

impl Precision {
    /// Every precision.
    pub const ALL: [Self; 3] = [Self::F32, Self::Tf32, Self::Bf16];

    const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Precision {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|precision| precision.name() == text)
            .ok_or_else(|| format!("unknown precision `{text}`; accepted: `f32`, `tf32`, `bf16`"))
    }
}

impl TryFrom<String> for Precision {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Precision> for String {
    fn from(precision: Precision) -> Self {
        precision.name().to_owned()
    }
}

/// Of devices, for the whole process, as candle's own switch is.
static CHOSEN: AtomicU8 = AtomicU8::new(Precision::F32 as u8);

thread_local! {
    static EMULATED: Cell<Precision> = const { Cell::new(Precision::F32) };
}

/// Sets the precision of devices for the whole process; the CPU keeps f32.
pub fn set_precision(precision: Precision) {
    CHOSEN.store(precision as u8, Ordering::Relaxed);
    candle_core::cuda::set_gemm_reduced_precision_f32(precision == Precision::Tf32);
}

/// Runs `work` with the products of layers on the CPU rounded as a device would round them, on this thread and where layers
/// are [`composed`](super::composed): an emulation, to see what a precision costs without a device.
pub fn emulated<T>(precision: Precision, work: impl FnOnce() -> T) -> T {
    struct Reset(Precision);
    impl Drop for Reset {
        fn drop(&mut self) {
            EMULATED.set(self.0);
        }
    }
    let _reset = Reset(EMULATED.replace(precision));
    work()
}

/// The product of matrices inside a composed layer.
pub(crate) fn product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    multiplied(a, b, true)
}

/// The product of matrices elsewhere, which bfloat16 leaves alone.
pub(crate) fn exact_product(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    multiplied(a, b, false)
}

fn multiplied(a: &Tensor, b: &Tensor, in_layer: bool) -> Result<Tensor> {
    let (a, b) = (packed(a)?, packed(b)?);
    if a.dtype() != DType::F32 {
        return Ok(a.matmul(&b)?);
    }
    let on_cpu = a.device().is_cpu();
    let chosen = CHOSEN.load(Ordering::Relaxed);
    let of_devices = Precision::ALL.into_iter().find(|precision| *precision as u8 == chosen).unwrap_or_default();
    match if on_cpu { EMULATED.get() } else { of_devices } {
        Precision::Bf16 if in_layer => {
            Ok(a.to_dtype(DType::BF16)?.matmul(&b.to_dtype(DType::BF16)?)?.to_dtype(DType::F32)?)
        }
        Precision::Tf32 if on_cpu => {
            let rounded = |x: &Tensor| x.contiguous()?.apply_op1(Tf32::Value);
            Ok(rounded(&a)?.matmul(&rounded(&b)?)?.apply_op1(Tf32::Gradient)?)
        }
        _ => Ok(a.matmul(&b)?),
    }
}

/// The same numbers with rows or columns that follow each other without a gap: what a device multiplies.
fn packed(x: &Tensor) -> Result<Tensor> {
    if x.is_contiguous() || x.t()?.is_contiguous() { Ok(x.clone()) } else { Ok(x.contiguous()?) }
}

/// Rounds a value, or the gradient that comes back, to the 11 bits of TF32; the other passes as it is.
enum Tf32 {
    Value,
    Gradient,
}

impl CustomOp1 for Tf32 {
    fn name(&self) -> &'static str {
        "tf32"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets()) else {
            candle_core::bail!("tf32 rounds contiguous f32 numbers")
        };
        let values = values[start..end].iter().map(|value| match self {
            Self::Value => tf32(*value),
            Self::Gradient => *value,
        });
        Ok((CpuStorage::F32(values.collect()), layout.shape().clone()))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, gradient: &Tensor) -> candle_core::Result<Option<Tensor>> {
        match self {
            Self::Value => Ok(Some(gradient.clone())),
            Self::Gradient => Ok(Some(gradient.contiguous()?.apply_op1_no_bwd(&Self::Value)?)),
        }
    }
}

/// The nearest number with 11 significant bits, ties away from zero.
fn tf32(x: f32) -> f32 {
    if x.is_finite() { f32::from_bits(x.to_bits().wrapping_add(0x1000) & 0xffff_e000) } else { x }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Linear, check, composed, gradients};

    #[test]
    fn names_are_read_and_written_alike() {
        for precision in Precision::ALL {
            assert_eq!(precision.to_string().parse(), Ok(precision));
        }
        let error = "f16".parse::<Precision>().unwrap_err();
        assert_eq!(error, "unknown precision `f16`; accepted: `f32`, `tf32`, `bf16`");
    }

    #[test]
    fn tf32_keeps_eleven_bits() {
        assert_eq!(tf32(1.0 + 1.0 / 1024.0), 1.0 + 1.0 / 1024.0);
        assert_eq!(tf32(1.0 + 1.0 / 4096.0), 1.0);
        assert_eq!(tf32(-1.0 - 3.0 / 4096.0), -1.0 - 1.0 / 1024.0);
        assert!(tf32(f32::NAN).is_nan() && tf32(f32::INFINITY).is_infinite());
    }

    #[test]
    fn an_emulated_layer_is_off_by_the_bits_that_are_left() {
        let params = check::params_f32();
        let linear = Linear::new(&params, 64, 32).unwrap();
        let x = check::normal_f32(1, &[16, 64]);
        let run = |precision| {
            composed(|| {
                emulated(precision, || {
                    let y = linear.forward(&x).unwrap();
                    let slopes = gradients(&y.sqr().unwrap().sum_all().unwrap(), &params.vars()).unwrap();
                    (y, slopes.get("weight").unwrap().clone())
                })
            })
        };
        let (exact, slope) = run(Precision::F32);
        // the largest number here is 2 to 4; its sum of 64 products of rounded operands is off by a few of their last bits
        for (precision, least, most) in [(Precision::Tf32, 1e-5, 2e-3), (Precision::Bf16, 1e-3, 3e-2)] {
            let (y, rounded) = run(precision);
            let error = check::distance(&y, &exact);
            assert!(error > least && error < most, "{precision}: {error}");
            let size = slope.abs().unwrap().flatten_all().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap();
            let error = check::distance(&rounded, &slope) / f64::from(size);
            assert!(error > least / 10.0 && error < most, "{precision}: gradient {error}");
        }
    }

    #[test]
    fn operands_with_gaps_are_packed_first() {
        let wide = check::normal(3, &[4, 6]);
        let (gapped, b) = (wide.narrow(1, 0, 3).unwrap(), check::normal(4, &[3, 2]));
        assert!(!packed(&wide.t().unwrap()).unwrap().is_contiguous(), "a transposed matrix needs no copy");
        assert!(packed(&gapped).unwrap().is_contiguous());
        assert_eq!(check::distance(&product(&gapped, &b).unwrap(), &gapped.matmul(&b).unwrap()), 0.0);
    }
}
