//! Variances by sampled paths, against exact scores.

use super::grid::{Node, nodes};
use super::law::dots;
use super::target::Seen;
use super::variance::{TARGETS, WINDOWS};
use super::{Growth, Sampled, Window, WordLaw, WordLevel, WordTarget, WordVariance};
use crate::diffusion::Scales;
use crate::error::Result;
use crate::nn::Pool;
use crate::random::{Rng, Seed};
use ndarray::Array2;

/// Paths of a shard.
pub(super) const SHARD: usize = 64;
/// Every so many levels curvatures are looked at, in the first so many shards.
const LOOK: (usize, usize) = (8, 4);
/// `m b²` that the base has at the level which the bound on adjoints is counted from.
const CONCAVE: f64 = 0.5;

/// What a shard measures at one level.
struct Part {
    score: f64,
    control: f64,
    square: [f64; TARGETS],
    /// Squared errors of each target, a path each.
    errors: [Vec<f64>; TARGETS],
    ratios: Vec<f64>,
    of_bound: f64,
    curvature: Option<f64>,
}

/// What a shard measures.
struct Shard {
    /// From the last state to noise.
    levels: Vec<Part>,
    /// Of each window: of each target, the control, and what adjoints recover of it; a path each.
    windows: Vec<[Vec<f64>; TARGETS + 2]>,
}

/// `(B, N)` standard normal numbers.
pub(super) fn normals(rows: usize, columns: usize, rng: &mut Rng) -> Array2<f64> {
    Array2::from_shape_fn((rows, columns), |_| rng.normal())
}

/// The score `(a E[e|x] − x)/b²`.
pub(super) fn score(scales: Scales, mean: &Array2<f64>, x: &Array2<f64>) -> Array2<f64> {
    (mean * scales.signal - x) / scales.noise.powi(2)
}

/// Evidence of a state in units of its letters, `a/b²`.
pub(super) fn evidence(scales: Scales) -> f64 {
    scales.signal / scales.noise.powi(2)
}

/// Paths of the tilted law: letters and last states, `a e(w) + b ε`.
pub(super) fn ends(tilted: &WordLaw, scales: Scales, rows: usize, rng: &mut Rng) -> Result<[Array2<f64>; 2]> {
    let drawn: Vec<f64> = (0..rows).flat_map(|_| tilted.draw(rng)).collect();
    let letters = Array2::from_shape_vec((rows, tilted.dim()), drawn)
        .map_err(|error| crate::error::Error::device("a matrix of letters").because(error))?;
    let x = &letters * scales.signal + normals(rows, tilted.dim(), rng) * scales.noise;
    Ok([letters, x])
}

impl WordVariance {
    /// Over so many paths of the optimum: words of `tilted`, noised to the last state at `end` and from there on by the exact kernels.
    ///
    /// The lean adjoint is carried along every path with the exact Jacobian of the base's score. In evidence `z = (a/b²) x` on the clock
    /// `τ = snr` the base is `dz = E[e|z] dτ + dW`, and
    ///
    /// ```text
    /// −ã = (a/b²) y,   y_1 = E*[e|z_1] − E[e|z_1],   −dy/dτ = Cov(e|z) y,   E*[y_τ | z_τ] = E*[e|z_τ] − E[e|z_τ]
    /// ```
    /// each piece by `1 + Δτ C + ½ Δτ² C²` with the covariance C of its middle. `η dt = ½ b² dλ`, as `b² dλ = β dt` and `½|u|² = η|Δs|²`.
    ///
    /// # Errors
    /// When the laws are of different words, or a worker fails.
    ///
    /// # Cost
    /// Eight products with the n × n table of words for each of about 210 levels and path.
    pub fn sampled(base: &WordLaw, tilted: &WordLaw, end: f64, paths: usize, seed: Seed, pool: &Pool) -> Result<Self> {
        let last = Scales::at_log_snr(end);
        let (nodes, rest) = nodes(last);
        let shards = pool.map(paths.div_ceil(SHARD), |i| {
            let rows = SHARD.min(paths - i * SHARD);
            let look = (i < LOOK.1).then_some(LOOK.0);
            walk(base, tilted, (last, &nodes, rest), rows, look, &mut seed.index(i as u64).rng())
        })?;
        let total = paths as f64;
        let level = |(k, node): (usize, &Node)| {
            let parts = || shards.iter().map(|shard| &shard.levels[nodes.len() - 1 - k]);
            let mean = |of: &dyn Fn(&Part) -> f64| parts().map(of).sum::<f64>() / total;
            let errors =
                |which: usize| -> Vec<f64> { parts().flat_map(|part| part.errors[which].iter().copied()).collect() };
            let of_bound = parts().map(|part| part.of_bound).fold(0.0, f64::max);
            WordLevel {
                log_snr: node.scales.log_snr(),
                relative: node.relative,
                weight: node.weight,
                length: 2.0 * node.weight / node.from_end.noise.powi(2),
                score: mean(&|part| part.score),
                control: mean(&|part| part.control),
                square: std::array::from_fn(|which| mean(&|part| part.square[which])),
                variance: std::array::from_fn(|which| Sampled::of(&errors(which))),
                growth: Growth::of(
                    parts().flat_map(|part| part.ratios.iter().copied()).collect(),
                    (of_bound > 0.0).then_some(of_bound),
                ),
                curvature: parts().filter_map(|part| part.curvature).reduce(f64::min),
            }
        };
        let window = |(at, (from, to)): (usize, (f64, f64))| {
            let all = |which: usize| -> Vec<f64> {
                shards.iter().flat_map(|shard| shard.windows[at][which].iter().copied()).collect()
            };
            let control = all(TARGETS);
            Window {
                from,
                to,
                totals: std::array::from_fn(|which| Sampled::of(&all(which))),
                recovered: Sampled::ratio(&all(TARGETS + 1), &control),
                control: Sampled::of(&control),
            }
        };
        Ok(Self {
            end,
            paths,
            levels: nodes.iter().enumerate().map(level).collect(),
            windows: WINDOWS.into_iter().enumerate().map(window).collect(),
        })
    }
}

/// Walks the paths of a shard from their last states to noise.
fn walk(
    base: &WordLaw,
    tilted: &WordLaw,
    (last, nodes, rest): (Scales, &[Node], f64),
    rows: usize,
    look: Option<usize>,
    rng: &mut Rng,
) -> Result<Shard> {
    let [letters, end] = ends(tilted, last, rows, rng)?;
    let z = &end * evidence(last);
    let (of_base, of_tilted) = (base.beliefs(&z)?, tilted.beliefs(&z)?);
    let end_score = score(last, of_tilted.mean(), &end);
    let gradient = of_tilted.mean() - of_base.mean();
    let first: Vec<f64> = dots(&gradient, &gradient).iter().map(|square| square.sqrt() * evidence(last)).collect();
    // y of the last piece's edge
    let mut y = carried(&gradient, &of_base.covariance(&gradient), &of_base, rest);
    let concave = (CONCAVE / base.widest()).ln();
    let mut from: Option<(Scales, Vec<f64>)> = None;
    let (mut x, mut signal) = (end.clone(), 1.0);
    let mut shard =
        Shard { levels: Vec::new(), windows: vec![std::array::from_fn(|_| vec![0.0; rows]); WINDOWS.len()] };
    for (k, node) in nodes.iter().enumerate().rev() {
        let keep = node.from_end.signal / signal;
        signal = node.from_end.signal;
        x = x * keep + normals(rows, tilted.dim(), rng) * (1.0 - keep * keep).max(0.0).sqrt();
        let z = &x * evidence(node.scales);
        let (of_base, of_tilted) = (base.beliefs(&z)?, tilted.beliefs(&z)?);
        let slope = of_base.covariance(&y);
        let adjoint = carried(&y, &slope, &of_base, 0.5 * node.piece) * -evidence(node.scales);
        y = carried(&y, &slope, &of_base, node.piece);
        let (goal, base_score) = (score(node.scales, of_tilted.mean(), &x), score(node.scales, of_base.mean(), &x));
        let control = &goal - &base_score;
        let seen = Seen {
            x: &x,
            letters: &letters,
            end: &end,
            end_score: &end_score,
            base_score: &base_score,
            adjoint: &adjoint,
        };
        let values = WordTarget::ALL.map(|target| target.value(node.scales, node.from_end, &seen));
        let errors = values.each_ref().map(|value| {
            let error = value - &goal;
            dots(&error, &error)
        });
        let (controls, recovered) = (dots(&control, &control), dots(&control, &adjoint));
        for (window, (least, most)) in shard.windows.iter_mut().zip(WINDOWS) {
            if (least..most).contains(&node.relative) {
                for (which, sums) in window.iter_mut().enumerate() {
                    let (sign, numbers) = match which {
                        TARGETS => (1.0, &controls),
                        target if target < TARGETS => (1.0, &errors[target]),
                        _ => (-1.0, &recovered),
                    };
                    sums.iter_mut().zip(numbers).for_each(|(sum, number)| *sum += sign * node.weight * number);
                }
            }
        }
        let norms: Vec<f64> = dots(&adjoint, &adjoint).into_iter().map(f64::sqrt).collect();
        let of_bound = from.as_ref().map_or(0.0, |(at, since)| {
            let a = node.scales.signal / at.signal;
            let bound = a / (a * a + CONCAVE / at.noise.powi(2) * (1.0 - a * a));
            norms.iter().zip(since).map(|(now, then)| now / then / bound).filter(|r| r.is_finite()).fold(0.0, f64::max)
        });
        if from.is_none() && node.scales.log_snr() < concave {
            from = Some((node.scales, norms.clone()));
        }
        shard.levels.push(Part {
            score: goal.iter().map(|s| s * s).sum(),
            control: controls.iter().sum(),
            square: values.each_ref().map(|value| value.iter().map(|v| v * v).sum()),
            errors,
            ratios: norms.iter().zip(&first).map(|(norm, first)| norm / first).collect(),
            of_bound,
            curvature: look
                .filter(|every| k % every == 0)
                .map(|_| 1.0 - node.scales.snr() * of_base.widest().into_iter().fold(0.0, f64::max)),
        });
    }
    Ok(shard)
}

/// `(1 + Δτ C + ½ Δτ² C²) y`, given `C y`.
fn carried(y: &Array2<f64>, slope: &Array2<f64>, base: &super::Beliefs<'_>, piece: f64) -> Array2<f64> {
    y + &(slope * piece) + base.covariance(slope) * (0.5 * piece * piece)
}
