//! The settings of a process that maximise its evidence.

use super::evidence::Problem;
use super::kernel::{Kernel, Words};
use crate::error::Result;
use crate::nn::Pool;
use crate::random::Seed;
use crate::reward::surrogate::config::SurrogateConfig;
use crate::reward::surrogate::tuned::Tuned;

/// Steps of a climb: each is a fit of the labels that the evidence is taken of.
const STEPS: usize = 24;

/// The first and the greatest change of a logarithm in one step.
const CHANGE: (f64, f64) = (0.3, 0.7);

/// What the evidence decides.
#[derive(Clone, Debug)]
pub(super) struct Hyper {
    /// ℓ of every position.
    pub(super) lengths: Vec<f64>,
    /// σ².
    pub(super) noise: f64,
    /// What a shift by one letter costs a view's weight, as a factor.
    pub(super) decay: f64,
}

/// Which settings are climbed, and where they may go, as logarithms.
#[derive(Clone, Copy)]
struct Free {
    lengths: Lengths,
    noise: bool,
    decay: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Lengths {
    Held,
    /// One for all positions.
    One,
    /// One for each, and the logarithm of the one that they stay near.
    Each(f64),
}

/// The settings of the configuration, those that are `auto` at a maximum of the evidence. One ℓ is found first; from
/// there every position's own, with a prior N(log ℓ, 1) on its logarithm.
pub(super) fn search(
    config: &SurrogateConfig,
    shape: &Kernel,
    words: &Words,
    z: &[f64],
    seed: Seed,
    pool: &Pool,
) -> Result<Hyper> {
    let mut hyper = Hyper {
        lengths: vec![config.length_scale.fixed().unwrap_or(2.5); shape.rho.len()],
        noise: config.noise.fixed().unwrap_or(1e-2),
        decay: config.shift_decay.fixed().unwrap_or(0.5),
    };
    let lengths = if config.length_scale == Tuned::Auto { Lengths::One } else { Lengths::Held };
    let decay = shape.is_moved() && config.shift_decay == Tuned::Auto;
    let free = Free { lengths, noise: config.noise == Tuned::Auto, decay };
    if lengths == Lengths::Held && !(free.noise || free.decay || config.per_position) {
        return Ok(hyper);
    }
    let mut rows: Vec<usize> = (0..z.len()).collect();
    seed.child("evidence").rng().shuffle(&mut rows);
    rows.truncate(config.evidence_points);
    let words: Words = rows.iter().map(|row| words[*row].clone()).collect();
    let z: Vec<f64> = rows.iter().map(|row| z[*row]).collect();
    let climb = |hyper: Hyper, free: Free| {
        let at = |theta: &[f64]| {
            let hyper = free.read(theta, &hyper);
            let kernel = shape.clone().with(&hyper.lengths, hyper.decay);
            let problem = Problem { kernel: &kernel, words: &words, z: &z, noise: hyper.noise };
            let Some(solved) = problem.solve(config.amplitude, pool)? else { return Ok(None) };
            let slope = problem.slope(&solved, &hyper.lengths, pool)?;
            let decay = slope.decay(&kernel, hyper.decay);
            Ok(Some(free.value(theta, solved.evidence, (&slope.lengths, slope.noise, decay))))
        };
        let best = maximise(free.start(&hyper), &free.bounds(&hyper), at)?;
        Ok::<_, crate::Error>(free.read(&best, &hyper))
    };
    if lengths == Lengths::One || free.noise || free.decay {
        hyper = climb(hyper, free)?;
    }
    if config.per_position {
        let centre = hyper.lengths.first().map_or(0.0, |length| length.ln());
        // with both strands the two ends of a word are alike, and the evidence flat across: start beside
        let mut rng = seed.child("lengths").rng();
        hyper.lengths.iter_mut().for_each(|length| *length *= (0.1 * rng.normal()).exp());
        hyper = climb(hyper, Free { lengths: Lengths::Each(centre), ..free })?;
    }
    Ok(hyper)
}

impl Free {
    fn start(self, hyper: &Hyper) -> Vec<f64> {
        let lengths = hyper.lengths.iter().map(|length| length.ln());
        let mut theta: Vec<f64> = match self.lengths {
            Lengths::Held => Vec::new(),
            Lengths::One => lengths.take(1).collect(),
            Lengths::Each(_) => lengths.collect(),
        };
        theta.extend(self.noise.then(|| hyper.noise.ln()));
        theta.extend(self.decay.then(|| (hyper.decay / (1.0 - hyper.decay)).ln()));
        theta
    }

    /// ℓ from 0.1 to 100, σ² from 1e-6 to 10, decay from 0.007 to 0.993.
    fn bounds(self, hyper: &Hyper) -> Vec<(f64, f64)> {
        let count = self.start(hyper).len() - usize::from(self.noise) - usize::from(self.decay);
        let mut bounds = vec![(0.1_f64.ln(), 100_f64.ln()); count];
        bounds.extend(self.noise.then(|| (1e-6_f64.ln(), 10_f64.ln())));
        bounds.extend(self.decay.then_some((-5.0, 5.0)));
        bounds
    }

    fn read(self, theta: &[f64], hyper: &Hyper) -> Hyper {
        let positions = hyper.lengths.len();
        let (lengths, rest) = match self.lengths {
            Lengths::Held => (hyper.lengths.clone(), theta),
            Lengths::One => (vec![theta[0].exp(); positions], &theta[1..]),
            Lengths::Each(_) => (theta[..positions].iter().map(|log| log.exp()).collect(), &theta[positions..]),
        };
        let noise = if self.noise { rest[0].exp() } else { hyper.noise };
        let decay = if self.decay { 1.0 / (1.0 + (-rest[usize::from(self.noise)]).exp()) } else { hyper.decay };
        Hyper { lengths, noise, decay }
    }

    /// Evidence and slope along what is free, with the prior of positions.
    fn value(self, theta: &[f64], evidence: f64, (lengths, noise, decay): (&[f64], f64, f64)) -> (f64, Vec<f64>) {
        let mut value = evidence;
        let mut slope = match self.lengths {
            Lengths::Held => Vec::new(),
            Lengths::One => vec![lengths.iter().sum()],
            Lengths::Each(centre) => {
                value -= theta.iter().take(lengths.len()).map(|log| 0.5 * (log - centre).powi(2)).sum::<f64>();
                lengths.iter().zip(theta).map(|(slope, log)| slope - (log - centre)).collect()
            }
        };
        slope.extend(self.noise.then_some(noise));
        slope.extend(self.decay.then_some(decay));
        (value, slope)
    }
}

/// Climbs by the signs of the slope, each coordinate with its own step, and answers the best point seen. Igel and
/// Hüsken 2003 (iRprop⁻). Where there is no value, it goes on from the best with shorter steps.
fn maximise(
    start: Vec<f64>,
    bounds: &[(f64, f64)],
    mut at: impl FnMut(&[f64]) -> Result<Option<(f64, Vec<f64>)>>,
) -> Result<Vec<f64>> {
    let (first, most) = CHANGE;
    let (mut theta, mut changes, mut last) = (start.clone(), vec![first; start.len()], vec![0.0; start.len()]);
    let mut best = (f64::NEG_INFINITY, start);
    for _ in 0..STEPS {
        let Some((value, slope)) = at(&theta)? else {
            theta.clone_from(&best.1);
            for change in &mut changes {
                *change *= 0.25;
            }
            continue;
        };
        if value > best.0 {
            best = (value, theta.clone());
        }
        for (i, slope) in slope.into_iter().enumerate() {
            let turned = slope * last[i];
            last[i] = slope;
            if turned > 0.0 {
                changes[i] = most.min(1.2 * changes[i]);
            } else if turned < 0.0 {
                changes[i] *= 0.5;
                last[i] = 0.0;
            }
            if last[i] != 0.0 {
                theta[i] = (theta[i] + changes[i] * slope.signum()).clamp(bounds[i].0, bounds[i].1);
            }
        }
    }
    Ok(best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_climb_ends_at_the_top_within_its_bounds() {
        // −(x − 1)² − 10 (y + 2)², y held above −1; no value beyond x = 1.5
        let at = |theta: &[f64]| {
            let (x, y) = (theta[0] - 1.0, theta[1] + 2.0);
            Ok((theta[0] < 1.5).then(|| (-x * x - 10.0 * y * y, vec![-2.0 * x, -20.0 * y])))
        };
        let top = maximise(vec![-1.0, 1.0], &[(-5.0, 5.0), (-1.0, 5.0)], at).unwrap();
        // 24 steps that start at 0.3 and halve at every turn leave a few hundredths
        assert!((top[0] - 1.0).abs() < 0.05 && top[1] == -1.0, "{top:?}");
    }

    #[test]
    fn settings_survive_their_logarithms_and_the_prior_has_its_slope() {
        let hyper = Hyper { lengths: vec![2.0, 0.5], noise: 0.01, decay: 0.3 };
        let free = Free { lengths: Lengths::Each(0.4), noise: true, decay: true };
        let theta = free.start(&hyper);
        let again = free.read(&theta, &hyper);
        assert!(again.lengths.iter().zip([2.0, 0.5]).all(|(a, b): (&f64, f64)| (a - b).abs() < 1e-12));
        assert!((again.noise - 0.01).abs() < 1e-12 && (again.decay - 0.3).abs() < 1e-12);
        assert_eq!(free.bounds(&hyper).len(), 4);
        let value = |theta: &[f64]| free.value(theta, 5.0, (&[0.0, 0.0], 0.7, -0.2));
        let (_, slope) = value(&theta);
        assert_eq!(slope[2..], [0.7, -0.2]);
        for i in 0..2 {
            let at = |step: f64| {
                let mut moved = theta.clone();
                moved[i] += step;
                value(&moved).0
            };
            // the prior is a parabola: central differences are exact to rounding
            assert!(((at(1e-3) - at(-1e-3)) / 2e-3 - slope[i]).abs() < 1e-9, "{slope:?}");
        }
    }
}
