//! How many fused multiply-adds the processor can do: the yardstick of the train steps.

use seqtilt::Result;
use seqtilt::nn::Pool;
use serde_json::json;
use std::hint::black_box;
use std::time::Instant;

/// Independent chains of multiply-adds: enough to fill the pipelines, few enough for the registers.
const CHAINS: usize = 14;
/// Links of a chain in one measurement.
const LINKS: usize = 4_000_000;

/// Prints the best rate seen, in 10⁹ operations a second; a multiply-add counts as two.
pub(crate) fn print(threads: usize, seconds: f64) -> Result<()> {
    let pool = Pool::new(threads)?;
    let (method, lanes, chains) = widest();
    let (start, mut best) = (Instant::now(), f64::INFINITY);
    while start.elapsed().as_secs_f64() < seconds.min(3.0) {
        let call = Instant::now();
        pool.map(threads, |_| {
            chains(LINKS);
            Ok(())
        })?;
        best = best.min(call.elapsed().as_secs_f64());
    }
    let operations = (2 * lanes * CHAINS * LINKS * threads) as f64;
    let line = json!({
        "side": "seqtilt", "case": "peak", "threads": threads, "gflops": operations / best / 1e9, "method": method,
    });
    println!("{line}");
    Ok(())
}

/// The widest multiply-add of this processor: its name, its numbers at once, and a function that does `LINKS` of them in
/// each chain.
fn widest() -> (&'static str, usize, fn(usize)) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the feature has just been seen
            #[allow(
                unsafe_code,
                reason = "a function compiled for a processor feature is called after checking for it"
            )]
            return ("AVX-512 fused multiply-adds in registers", 16, |links| unsafe { x86::sixteen(links) });
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the features have just been seen
            #[allow(
                unsafe_code,
                reason = "a function compiled for a processor feature is called after checking for it"
            )]
            return ("AVX2 fused multiply-adds in registers", 8, |links| unsafe { x86::eight(links) });
        }
    }
    ("multiply-adds of four numbers", 4, four)
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::CHAINS;
    use std::arch::x86_64::{__m256, __m512, _mm256_fmadd_ps, _mm256_set1_ps, _mm512_fmadd_ps, _mm512_set1_ps};
    use std::hint::black_box;

    #[target_feature(enable = "avx512f")]
    pub(super) fn sixteen(links: usize) {
        let (a, b) = (_mm512_set1_ps(black_box(0.5)), _mm512_set1_ps(black_box(1.0)));
        let mut sums: [__m512; CHAINS] = [b; CHAINS];
        for _ in 0..links {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, a, b);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn eight(links: usize) {
        let (a, b) = (_mm256_set1_ps(black_box(0.5)), _mm256_set1_ps(black_box(1.0)));
        let mut sums: [__m256; CHAINS] = [b; CHAINS];
        for _ in 0..links {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, a, b);
            }
        }
        black_box(sums);
    }
}

/// For other processors: what the compiler makes of it.
fn four(links: usize) {
    let (a, b) = (black_box(0.5_f32), black_box(1.0_f32));
    let mut sums = [[b; 4]; CHAINS];
    for _ in 0..links {
        for sum in sums.as_flattened_mut() {
            *sum = if cfg!(target_arch = "aarch64") { sum.mul_add(a, b) } else { *sum * a + b };
        }
    }
    black_box(sums);
}
