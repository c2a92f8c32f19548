//! Paths of the base chain, with what a control makes of them.

use super::rollout::Noise;
use super::{Control, Paths};
use crate::diffusion::{Chain, Memory, shard_rows};
use crate::error::Result;
use crate::nn::{Pool, read as read_back};
use crate::random::Seed;
use candle_core::{DType, Tensor};

/// Walks `count` paths of the *base* chain, reads their ends with `read`, and evaluates a control along them:
///
/// ```text
/// x_{k+1} = m_k(x_k) + s_k z_k,  z_k ~ N(0, I)      L = log dPᵘ/dP = Σ_k u_k(x_k)·z_k − ½|u_k(x_k)|²
/// ```
/// so that `E_P[e^L] = 1`, and paths weighted by `e^{r/α}` are a sample of the optimum on which the control's density is known: what
/// upper bounds of log Z, Bennett's ratio and defensive mixtures are made of (`eval::weights`). It is
/// [`Trace::under`](super::Trace::under) of paths of the base, without keeping them. The costs are `Σ ½|u|²` on base paths.
///
/// # Errors
/// When a tensor operation or `read` fails.
///
/// # Cost
/// A base step and a control a step and path; memory of one shard's states.
pub fn base_paths<T: Send + Sync>(
    chain: &dyn Chain,
    control: &dyn Control,
    count: usize,
    seed: Seed,
    pool: &Pool,
    read: impl Fn(&Tensor) -> Result<Vec<T>> + Sync,
) -> Result<Paths<T>> {
    let most = shard_rows(chain.shape().first().copied().unwrap_or(1));
    let parts = pool.map(count.div_ceil(most), |shard| {
        let rows = most.min(count - shard * most);
        let (end, log_ratio, cost) = walk(chain, control, rows, seed.index(shard as u64))?;
        Ok((read(&end)?, read_back(&[&log_ratio, &cost])?))
    })?;
    let mut paths = Paths { ends: Vec::with_capacity(count), log_ratio: Vec::new(), cost: Vec::new() };
    for (ends, mut nats) in parts {
        paths.ends.extend(ends);
        paths.cost.append(&mut nats[1]);
        paths.log_ratio.append(&mut nats[0]);
    }
    Ok(paths)
}

/// Ends, log-ratios and costs of one shard, the latter two (B,) in f64.
fn walk(chain: &dyn Chain, control: &dyn Control, rows: usize, seed: Seed) -> Result<(Tensor, Tensor, Tensor)> {
    let mut noises = Noise::new(chain, &[(seed, rows)]);
    let mut x = chain.start(&noises.next(1)?.squeeze(0)?)?;
    let mut log_ratio = Tensor::zeros(rows, DType::F64, chain.device())?;
    let mut cost = log_ratio.clone();
    let per_row = |values: Tensor| -> Result<Tensor> { Ok(values.flatten_from(1)?.sum(1)?.to_dtype(DType::F64)?) };
    for first in (0..chain.steps()).step_by(chain.block()) {
        let block = first..(first + chain.block()).min(chain.steps());
        let noise = noises.next(block.len())?;
        let mut memory = Memory::default();
        for (index, k) in block.enumerate() {
            let base = chain.advance(k, &x, &mut memory)?;
            let innovation = noise.get(index)?;
            let u = control.control(k, &x, &base, &mut memory)?.detach();
            let half = per_row((u.sqr()? * 0.5)?)?;
            log_ratio = (log_ratio + (per_row((&u * &innovation)?)? - &half)?)?;
            cost = (cost + half)?;
            x = (&base.mean + (&innovation * base.std)?)?.detach();
        }
    }
    Ok((x, log_ratio, cost))
}

#[cfg(test)]
mod tests {
    use super::super::analytic::{Affine, Gain, LinearChain, LinearQuadratic, Start};
    use super::super::{Trace, Undecoded, roll_out};
    use super::*;
    use crate::nn::read;

    fn ends(x: &Tensor) -> Result<Vec<f64>> {
        Ok(read(&[x])?.remove(0))
    }

    #[test]
    fn ends_are_the_bases_and_log_ratios_are_those_of_a_kept_trace() {
        let problem = LinearQuadratic::default();
        let chain = LinearChain::euler(&problem, Start::Frozen, 6, 1).unwrap();
        let control = Affine::held(&[Gain { slope: -0.3, offset: 0.4 }; 6]).unwrap();
        let (pool, seed) = (Pool::new(2).unwrap(), Seed::root(4));
        let got = base_paths(&chain, &control, 20_000, seed, &pool, ends).unwrap();
        let plain = roll_out(&chain, None, 20_000, seed, &pool, ends).unwrap();
        // the same noise and the same arithmetic
        assert_eq!(got.ends, plain.ends);
        // the first shard, kept: sums of six products in another order
        let kept = Trace::draw(&chain, None, &Undecoded(&problem), 6, &[(seed.index(0), 128)]).unwrap();
        for (row, nats) in kept.under(&control).unwrap().columns().into_iter().enumerate() {
            assert!((nats.sum() - got.log_ratio[row]).abs() < 1e-12);
        }
        // E_P[e^L] = 1 and E_P[L] = −E_P[Σ ½u²]; 3.5 standard errors
        let mean = |values: Vec<f64>| {
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            (mean, (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n * (n - 1.0))).sqrt())
        };
        let (one, se) = mean(got.log_ratio.iter().map(|l| l.exp()).collect());
        assert!((one - 1.0).abs() < 3.5 * se && se < 0.02, "{one} ± {se}");
        let (none, se) = mean(got.log_ratio.iter().zip(&got.cost).map(|(l, c)| l + c).collect());
        assert!(none.abs() < 3.5 * se, "{none} ± {se}");
    }
}
