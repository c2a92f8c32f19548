//! Vector instructions chosen at run time, the exponential and the logarithm.
#![allow(unsafe_code, reason = "functions compiled for a processor feature are called after checking for it")]

use std::sync::OnceLock;

/// Instruction sets with their own compiled copy of each kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    /// Whatever every processor of the target has.
    Baseline,
    /// AVX2 with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    V3,
    /// AVX-512.
    #[cfg(target_arch = "x86_64")]
    V4,
}

/// What this processor has.
pub(super) fn level() -> Level {
    static LEVEL: OnceLock<Level> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        #[cfg(target_arch = "x86_64")]
        {
            let v3 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2");
            let v4 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512bw");
            if v3 && v4 {
                return Level::V4;
            }
            if v3 {
                return Level::V3;
            }
        }
        Level::Baseline
    })
}

/// Defines a function that calls `body`, an `#[inline(always)]` function generic over whether there is a fused
/// multiply-add, compiled for the best instruction set of this processor.
macro_rules! dispatch {
    ($(#[$doc:meta])* $name:ident => $body:ident ( $($arg:ident : $kind:ty),* $(,)? )) => {
        $(#[$doc])*
        #[allow(unsafe_code, clippy::too_many_arguments, reason = "the processor's features are checked before the call")]
        pub(super) fn $name($($arg: $kind),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,bmi1,bmi2")]
                fn v4($($arg: $kind),*) {
                    $body::<true>($($arg),*);
                }
                #[target_feature(enable = "avx2,fma,bmi1,bmi2")]
                fn v3($($arg: $kind),*) {
                    $body::<true>($($arg),*);
                }
                match $crate::nn::kernel::simd::level() {
                    // SAFETY: `level` has seen every feature that `v4` is compiled for.
                    $crate::nn::kernel::simd::Level::V4 => return unsafe { v4($($arg),*) },
                    // SAFETY: `level` has seen every feature that `v3` is compiled for.
                    $crate::nn::kernel::simd::Level::V3 => return unsafe { v3($($arg),*) },
                    $crate::nn::kernel::simd::Level::Baseline => {}
                }
            }
            $body::<false>($($arg),*);
        }
    };
}
pub(super) use dispatch;

/// a b + c
#[inline(always)]
pub(super) fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// The exponential to 1 ulp for |x| < 87, without branches: 1.2e-38 below, 2.2e38 above, NaN stays.
#[inline(always)]
#[allow(clippy::manual_clamp, reason = "two comparisons keep NaN and become two vector instructions")]
pub(super) fn exp<const FMA: bool>(x: f32) -> f32 {
    let x = if x > 88.3 { 88.3 } else { x };
    let x = if x < -87.3 { -87.3 } else { x };
    // adding 1.5 · 2²³ rounds to an integer, whose low bits then become the exponent
    let z = fma::<FMA>(x, std::f32::consts::LOG2_E, 12_582_912.0);
    let n = z - 12_582_912.0;
    let r = fma::<FMA>(n, -0.693_359_4, x);
    let r = fma::<FMA>(n, 2.121_944_4e-4, r);
    let mut p = 1.987_569_1e-4;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = fma::<FMA>(p, r, c);
    }
    (fma::<FMA>(p, r * r, r) + 1.0) * f32::from_bits(z.to_bits().wrapping_shl(23).wrapping_add(0x3f80_0000))
}

/// The natural logarithm to 2 ulp of normal numbers above zero, without branches.
#[inline(always)]
pub(super) fn ln<const FMA: bool>(x: f32) -> f32 {
    // x = m · 2ⁿ with m in [√½, √2)
    let bits = x.to_bits().wrapping_sub(0x3f35_04f3);
    let n = (bits.cast_signed() >> 23) as f32;
    let r = f32::from_bits((bits & 0x007f_ffff).wrapping_add(0x3f35_04f3)) - 1.0;
    let mut p = 7.037_683_6e-2;
    for c in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        p = fma::<FMA>(p, r, c);
    }
    let square = r * r;
    let tail = fma::<FMA>(n, -2.121_944_4e-4, fma::<FMA>(p * r, square, -0.5 * square));
    fma::<FMA>(n, 0.693_359_4, r + tail)
}

/// Σ f(aᵢ, bᵢ) in sixteen running sums.
#[inline(always)]
pub(super) fn sum2(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> f32) -> f32 {
    let (a16, a_rest) = a.as_chunks::<16>();
    let (b16, b_rest) = b.as_chunks::<16>();
    let mut sums = [0.0_f32; 16];
    for (a, b) in a16.iter().zip(b16) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += f(*a, *b);
        }
    }
    let mut half = [0.0_f32; 8];
    for (index, sum) in half.iter_mut().enumerate() {
        *sum = sums[index] + sums[index + 8];
    }
    let total = ((half[0] + half[4]) + (half[1] + half[5])) + ((half[2] + half[6]) + (half[3] + half[7]));
    a_rest.iter().zip(b_rest).fold(total, |total, (a, b)| total + f(*a, *b))
}

/// Σ f(aᵢ) in sixteen running sums.
#[inline(always)]
pub(super) fn sum(a: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    sum2(a, a, |a, _| f(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_one_ulp() {
        for step in -87_000..87_000_i32 {
            let x = step as f32 / 1000.0;
            let exact = f64::from(x).exp();
            for value in [exp::<true>(x), exp::<false>(x)] {
                assert!((f64::from(value) / exact - 1.0).abs() < 2.4e-7, "{x}: {value} {exact}");
            }
        }
        assert!(exp::<true>(f32::NAN).is_nan());
        assert!(exp::<true>(f32::NEG_INFINITY) < 2e-38 && exp::<true>(f32::INFINITY) > 2e38);
    }

    #[test]
    fn the_logarithm_is_right_to_two_ulps() {
        let near_one = (-20_000..20_000_i32).map(|step| 1.0 + step as f32 * 1e-5);
        let all = (f32::MIN_POSITIVE.to_bits()..=f32::MAX.to_bits()).step_by(9973).map(f32::from_bits);
        for x in near_one.chain(all).chain([f32::MIN_POSITIVE, 1.0, f32::MAX]) {
            let exact = f64::from(x).ln();
            let ulp = f64::from((exact as f32).next_up()) - f64::from((exact as f32).next_down());
            for value in [ln::<true>(x), ln::<false>(x)] {
                assert!((f64::from(value) - exact).abs() <= ulp, "{x}: {value} {exact}");
            }
        }
    }

    #[test]
    fn sums_take_every_element() {
        for n in [0, 1, 15, 16, 33] {
            let a: Vec<f32> = (0..n).map(|i| i as f32).collect();
            assert_eq!(sum(&a, |a| a), (0..n).sum::<usize>() as f32);
        }
    }
}
