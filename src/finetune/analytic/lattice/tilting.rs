//! The exact tilt of a chain.

use super::super::Normal;
use super::Lattice;

/// The tilt of the chain that is walked, K steps, over all laws of paths.
#[derive(Clone, Debug, PartialEq)]
pub struct Tilting {
    /// `log Z = log E[e^{r/α}]` under the base chain.
    pub log_z: f64,
    /// End of the base chain.
    pub base: Normal,
    /// End of the tilt, `∝ p_K e^{r/α}`: what a learned initial law leads to.
    pub learned: Normal,
    /// The initial law that leads there, `∝ p_0 e^{V_0}`.
    pub start: Normal,
    /// End of the best law with the initial one held, `p_0(x_0) P(x_K | x_0) e^{r/α − V_0(x_0)}`.
    pub frozen: Normal,
    /// The best value with the initial law held, `E[V_0]`, in nats: it is short of log Z by `KL(p_0‖p_0*)`.
    pub frozen_value: f64,
    /// Densities of the end of the base chain at the lattice's points.
    pub base_density: Vec<f64>,
    /// Densities of the learned end at the lattice's points.
    pub learned_density: Vec<f64>,
    /// Densities of the frozen one.
    pub frozen_density: Vec<f64>,
}

impl Lattice<'_> {
    /// The tilt.
    ///
    /// ```text
    /// e^{V_K} = e^{r/α},   e^{V_k(x)} = E[e^{V_{k+1}(x')} | x],   log Z = log E[e^{V_0}]
    /// ```
    #[must_use]
    pub fn tilting(&self) -> Tilting {
        let values = self.soft_values();
        let (mut base, mut frozen) = (self.start.clone(), self.start.clone());
        for (k, (means, kernel)) in self.moves.iter().enumerate() {
            base = kernel.push(&self.points, &base, means);
            let (here, ahead) = (&values[k], &values[k + 1]);
            let mut next = vec![0.0; frozen.len()];
            for (i, p) in frozen.iter().enumerate().filter(|(_, p)| **p > 0.0) {
                kernel.over(&self.points, means[i], |j, _, share| next[j] += p * share * (ahead[j] - here[i]).exp());
            }
            frozen = next;
        }
        let tilt = |law: &[f64], value: &[f64]| {
            let top = value.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let tilted: Vec<f64> = law.iter().zip(value).map(|(p, v)| p * (v - top).exp()).collect();
            let mass = self.mean_of(&tilted, |_| 1.0);
            (tilted.iter().map(|p| p / mass).collect::<Vec<f64>>(), top + mass.ln())
        };
        let (start, log_z) = tilt(&self.start, &values[0]);
        let (learned, _) = tilt(&base, &self.gains);
        Tilting {
            log_z,
            base: self.moments(&base),
            learned: self.moments(&learned),
            start: self.moments(&start),
            frozen: self.moments(&frozen),
            frozen_value: self.mean_of(&self.start, |i| values[0][i]),
            base_density: base,
            learned_density: learned,
            frozen_density: frozen,
        }
    }

    /// Total variation between a law on the lattice and a density: `½ ∫ |p − q|`.
    #[must_use]
    pub fn apart(&self, law: &[f64], density: impl Fn(f64) -> f64) -> f64 {
        let apart: f64 = self.points.iter().zip(law).map(|(x, p)| (p - density(*x)).abs()).sum();
        0.5 * apart * self.spacing
    }

    /// Wasserstein distance W₁ between a law on the lattice and a density: `∫ |F − G|` of their distribution functions.
    #[must_use]
    pub fn transport(&self, law: &[f64], density: impl Fn(f64) -> f64) -> f64 {
        let (mut ahead, mut sum) = (0.0, 0.0);
        for (x, p) in self.points.iter().zip(law) {
            let more = (p - density(*x)) * self.spacing;
            // half of a point's mass lies before it
            sum += (ahead + 0.5 * more).abs();
            ahead += more;
        }
        sum * self.spacing
    }

    /// log Z alone.
    pub(super) fn log_z(&self) -> f64 {
        let mut base = self.start.clone();
        for (means, kernel) in &self.moves {
            base = kernel.push(&self.points, &base, means);
        }
        let top = self.gains.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        top + self.mean_of(&base, |i| (self.gains[i] - top).exp()).ln()
    }

    /// `V_0 … V_K` at the points, in nats.
    fn soft_values(&self) -> Vec<Vec<f64>> {
        let mut values = vec![self.gains.clone()];
        for (means, kernel) in self.moves.iter().rev() {
            let ahead = &values[values.len() - 1];
            let here = means.iter().map(|mean| {
                let (mut top, mut sum) = (f64::NEG_INFINITY, 0.0);
                kernel.over(&self.points, *mean, |j, _, share| {
                    if ahead[j] > top {
                        sum *= (top - ahead[j]).exp();
                        top = ahead[j];
                    }
                    sum += share * (ahead[j] - top).exp();
                });
                top + sum.ln()
            });
            let here = here.collect();
            values.push(here);
        }
        values.reverse();
        values
    }
}
