//! The best control of a chain's means.

use super::super::Outcome;
use super::kernel::Kernel;
use super::{Lattice, column};
use crate::error::Result;
use candle_core::Tensor;

/// Most of Newton's steps to a best mean.
const STEPS: usize = 60;

impl Lattice<'_> {
    /// What the best control over all functions of step and state reaches.
    ///
    /// A control moves a step's mean, never its noise, so for finite K this stays short of the tilt, by O(1/K):
    ///
    /// ```text
    /// v_k(x) = max_m  E[v_{k+1}(m + s ε)] − (m − m_k(x))²/(2 s²),      u = (m − m_k(x))/s       (in nats)
    /// ```
    #[must_use]
    pub fn best(&self) -> Outcome {
        self.pushed(&self.best_controls()).0
    }

    /// What the control reaches that is the best of every step by itself, where states after step k are worth `worth(k, states)` nats:
    ///
    /// ```text
    /// u_k(x) = argmax_u E[w_k(m_k(x) + s (u + ε))] − ½u²
    /// ```
    /// With `w_k = v_{k+1}` that is [`best`](Self::best); with guesses `γ^k' r(x̂₀)/α` it is what soft-Q fine-tuning aims at.
    ///
    /// # Errors
    /// When `worth` fails.
    pub fn stepwise(&self, worth: impl Fn(usize, &Tensor) -> Result<Tensor>) -> Result<Outcome> {
        let (dtype, device) = (self.chain.dtype(), self.chain.device());
        let states = Tensor::from_vec(self.points.clone(), (self.points.len(), 1), device)?.to_dtype(dtype)?;
        let controls = self.moves.iter().enumerate().map(|(k, (means, kernel))| {
            let ahead = column(&worth(k, &states)?)?;
            Ok(means.iter().map(|mean| self.best_mean(kernel, &ahead, *mean).0).collect())
        });
        Ok(self.pushed(&controls.collect::<Result<Vec<_>>>()?).0)
    }

    /// The best controls of every step, at the points.
    fn best_controls(&self) -> Vec<Vec<f64>> {
        let mut values = self.gains.clone();
        let mut controls: Vec<Vec<f64>> = self
            .moves
            .iter()
            .rev()
            .map(|(means, kernel)| {
                let best = means.iter().map(|mean| self.best_mean(kernel, &values, *mean));
                let (controls, here): (Vec<f64>, Vec<f64>) = best.unzip();
                values = here;
                controls
            })
            .collect();
        controls.reverse();
        controls
    }

    /// The best push of a mean, in units of noise, and the value it leads to.
    fn best_mean(&self, kernel: &Kernel, ahead: &[f64], mean: f64) -> (f64, f64) {
        let mut push = 0.0;
        for _ in 0..STEPS {
            // E[v'], slope and bend with respect to the push
            let (mut slope, mut bend) = (0.0, 0.0);
            let at = mean + kernel.std() * push;
            let level = self.near(ahead, at);
            kernel.over(&self.points, at, |j, z, share| {
                let value = share * (ahead[j] - level);
                slope += value * z;
                bend += value * (z * z - 1.0);
            });
            // where the value bends up as much as the price does, a plain step of the fixed-point equation is safe
            let newton = (slope - push) / if bend < 0.5 { 1.0 - bend } else { 1.0 };
            push += newton;
            if newton.abs() < 1e-12 * (1.0 + push.abs()) {
                break;
            }
        }
        let mut value = 0.0;
        kernel.over(&self.points, mean + kernel.std() * push, |j, _, share| value += share * ahead[j]);
        (push, value - 0.5 * push * push)
    }

    /// The value at the point next to a state.
    fn near(&self, values: &[f64], x: f64) -> f64 {
        let index = ((x - self.points[0]) / self.spacing).clamp(0.0, (values.len() - 1) as f64);
        values[index.round() as usize]
    }
}
