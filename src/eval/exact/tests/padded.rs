//! Sequences of two lengths, all of them enumerated.

use crate::diffusion::{
    Chain as _, Decode, Denoiser, DiffusionChain, Embedding, Grid, Prior, PriorConfig, SolverKind, Warp, elbo,
};
use crate::error::Result;
use crate::eval::certificate::{Certificate, PathSample};
use crate::eval::exact::Tilt;
use crate::eval::histogram::Histogram;
use crate::finetune::roll_out;
use crate::nn::{Pool, check};
use crate::random::Seed;
use crate::sequence::{Alphabet, Sequence};
use candle_core::Tensor;
use std::sync::Arc;

/// Exact for A, B, AA, AB, BA and BB with the same probability: `p(x_i = v | z_j) ∝ Σ_w p(v, w) local_j(w)`.
struct Six;

/// p(v, w) of rows of two of A, B and padding, up to 1/6.
const JOINT: [[f64; 3]; 3] = [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]];

impl Denoiser for Six {
    fn context(&self, _: &Tensor, local: &Tensor, _: &[f64]) -> Result<Tensor> {
        let joint = Tensor::new(&JOINT, local.device())?.to_dtype(local.dtype())?;
        let first = local.narrow(1, 1, 1)?.squeeze(1)?.matmul(&joint.t()?.contiguous()?)?;
        let second = local.narrow(1, 0, 1)?.squeeze(1)?.matmul(&joint)?;
        Ok((Tensor::stack(&[first, second], 1)? + 1e-9)?.log()?)
    }
}

fn prior() -> Prior {
    let letters = Alphabet::custom("two", "AB").unwrap();
    let words: Vec<Sequence> = ["A", "BA"].map(|text| Sequence::parse(text, &letters).unwrap()).to_vec();
    let shape = PriorConfig::of_sequences(&letters, &words, None).unwrap();
    let mut config = PriorConfig { embedding: Embedding::Simplex, embedding_dim: 3, decode_log_snr: 2.5, ..shape };
    config.warp = Warp::new(config.range().0, config.decode_log_snr, 48);
    Prior::with_denoiser(&config, &check::params(), Box::new(Six)).unwrap()
}

#[test]
fn the_certificate_of_padded_words_has_the_closed_form() {
    let pool = Pool::new(2).unwrap();
    let chain = DiffusionChain::new(Arc::new(prior()), 48, 1, Grid::Time, SolverKind::Ancestral).unwrap();
    let alphabet = chain.prior().alphabet();
    let words: Vec<Sequence> = (1..=2).flat_map(|length| Sequence::all(alphabet, length)).collect();
    let value = |x: &Sequence| words.iter().position(|word| word == x).unwrap() as f64 / 5.0;
    let (count, alpha) = (6000, 0.4);
    let read = |x: &Tensor| Decode::Hard.read(&chain.read(chain.steps(), x)?, chain.prior(), &mut Seed::root(0).rng());
    let drawn = roll_out(&chain, None, count, Seed::root(1), &pool, read).unwrap();
    let mut counts = Histogram::new(3, 2).unwrap().with_padding(true);
    drawn.ends.iter().for_each(|x| counts.add(x).unwrap());
    for word in &words {
        let share = counts.counts()[counts.cell(word).unwrap()] as f64 / f64::from(count as u32);
        // standard error 0.0048, and a discrete chain
        assert!((share - 1.0 / 6.0).abs() < 0.02, "{}: {share}", word.text(alphabet));
    }
    let rewards: Vec<f64> = (0..9_u8)
        .map(|cell| Sequence::unpadded(&[cell / 3, cell % 3], alphabet).map_or(0.0, |word| value(&word)))
        .collect();
    let paths: Vec<PathSample> = drawn
        .ends
        .iter()
        .zip(drawn.log_ratio.iter().zip(&drawn.cost))
        .map(|(x, (log_ratio, cost))| PathSample { reward: value(x), log_ratio: *log_ratio, cost: *cost })
        .collect();
    let certificate = Certificate::counted(alpha, &paths, &rewards, counts.counts()).unwrap();
    let exact = Tilt::kl(&[1.0 / 6.0; 6], &words.iter().map(value).collect::<Vec<_>>(), alpha).unwrap();
    // three standard errors, and shares that are off by 0.005 where rewards differ by one
    assert!((certificate.log_z.value - exact.log_z).abs() < 3.0 * certificate.log_z.se + 0.02, "{certificate:?}");
    // the base chain itself: KL from the tilt is log Z − E[r]/α
    assert!((certificate.gap.value - (exact.log_z - 0.5 / alpha)).abs() < 3.0 * certificate.gap.se + 0.03);
    assert!(certificate.path_kl.value.abs() < 1e-12);
}

#[test]
fn the_bound_of_an_exact_padded_prior_counts_the_length() {
    let (prior, pool) = (prior(), Pool::new(2).unwrap());
    for text in ["A", "BA"] {
        let word = Sequence::parse(text, prior.alphabet()).unwrap();
        let bound = elbo(&prior, &vec![word.clone(); 512], 24, Seed::root(4), &pool).unwrap();
        // ln 6 in all, whatever the length, and per letter of the word
        let (exact, letters) = (6.0_f64.ln(), word.len() as f64);
        let z = (bound.nats_per_token - exact / letters) / bound.standard_error;
        assert_eq!(bound.outside, 0);
        assert!(
            z.abs() < 4.0 && bound.standard_error < 0.03,
            "{text}: {bound:?} {exact}",
            bound = bound.nats_per_token
        );
    }
}

#[test]
fn what_a_prior_cannot_draw_has_no_bound_and_leaves_those_of_others_alone() {
    let (prior, pool) = (prior(), Pool::new(1).unwrap());
    let words: Vec<Sequence> =
        ["A", "ABB", "BA"].iter().map(|text| Sequence::parse(text, prior.alphabet()).unwrap()).collect();
    let all = elbo(&prior, &words, 4, Seed::root(4), &pool).unwrap();
    let inside = elbo(&prior, &[words[0].clone(), words[2].clone()], 4, Seed::root(4), &pool).unwrap();
    assert_eq!(all.per_sequence, [inside.per_sequence[0], f64::NEG_INFINITY, inside.per_sequence[1]]);
    assert_eq!((all.outside, all.nats_per_token.to_bits()), (1, inside.nats_per_token.to_bits()));
}
