//! Relative trajectory balance.

use super::score::row;
use super::{Ledger, Objective, PathLoss, PathObjective, Weighed};
use crate::error::{Error, Result};
use crate::finetune::FinetuneConfig;
use crate::nn::{Tensors, read};
use candle_core::{Device, Tensor};

/// Relative trajectory balance (Venkatraman et al. 2024, arXiv 2405.20971): at the optimum `L − r/α` is −log Z on every path, so that with a
/// learned number log Z
///
/// ```text
/// loss = E_Q[δ²],   δ = log Z_φ + L_θ − r/α,   ∂loss/∂L_i = 2 δ_i/n,   log Z_φ ← log Z_φ − ρ mean δ
/// ```
/// for any law Q of the paths of full support. The loss is a parabola in log Z_φ, whose Newton step is −mean δ: ρ is a learning rate in
/// those units, so that ρ = 1 takes the batch's own estimate, which is the log-variance loss (but for n/(n − 1)). It begins as
/// `log mean e^{r/α − L}` of the first batch. With `y₀ = −log Z_φ` this is the moment loss (Nüsken and Richter 2021, arXiv 2005.05409).
///
/// The figure `log_z` is to be read beside the certificate's log Z: on paths of the control itself it settles at `E[r/α − L]`, which is
/// `log Z − KL(P^θ‖P*)`, so that what it is short of log Z is the gap, and it is log Z only where the control is the optimum.
///
/// At the exact optimum δ is 0 on every path, so that gradient and noise vanish together, for Gaussian steps of a memoryless chain; one
/// that remembers its start has `−V₀(x_0)` in the place of the number, and is refused.
///
/// # Cost
/// That of [`PathObjective`]. The loss depends on the weights through one sum a path: values first, then the graph of one block at a
/// time, so that activations do not grow with K; states do. Measured on 8 letters, 256 paths, one thread: 81, 108 and 252 MB at K 64, 256
/// and 1024, 0.73 kB more a step and path, of which states, innovations, means and beliefs are 0.51.
#[derive(Clone, Copy, Debug)]
pub struct TrajectoryBalance {
    /// Optimiser steps on one batch of paths.
    pub reuse: u64,
    /// ρ.
    pub rate: f64,
    /// log Z_φ, once a batch was seen.
    pub log_z: Option<f64>,
}

pub(super) fn make(config: &FinetuneConfig) -> Box<dyn Objective> {
    let loss = TrajectoryBalance { reuse: config.reuse, rate: config.balance.log_z_rate, log_z: None };
    Box::new(PathObjective::new(loss).replaying(&config.replay))
}

/// What the learned number is filed under.
const LOG_Z: &str = "log_z";

impl TrajectoryBalance {
    /// δ with a log Z of 0.
    fn residuals(ledger: &Ledger<'_>) -> Vec<f64> {
        ledger.ratio().iter().zip(ledger.values).map(|(l, r)| l - r / ledger.alpha).collect()
    }
}

impl PathLoss for TrajectoryBalance {
    fn learn(&mut self, ledger: &Ledger<'_>) -> Result<()> {
        let residuals = Self::residuals(ledger);
        let n = residuals.len() as f64;
        let mean = residuals.iter().sum::<f64>() / n;
        self.log_z = Some(if let Some(log_z) = self.log_z {
            log_z - self.rate * (log_z + mean)
        } else {
            let most = residuals.iter().map(|d| -d).fold(f64::NEG_INFINITY, f64::max);
            most + (residuals.iter().map(|d| (-d - most).exp()).sum::<f64>() / n).ln()
        });
        Ok(())
    }

    fn weigh(&self, ledger: &Ledger<'_>) -> Result<Weighed> {
        let log_z =
            self.log_z.ok_or_else(|| Error::usage("trajectory balance begins with a batch to learn log Z of"))?;
        let residuals: Vec<f64> = Self::residuals(ledger).into_iter().map(|d| log_z + d).collect();
        let n = residuals.len() as f64;
        let loss = residuals.iter().map(|d| d * d).sum::<f64>() / n;
        let weights = residuals.iter().map(|d| 2.0 * d / n).collect();
        Ok(Weighed { weights: row(weights), figures: vec![("residual_square", loss), ("log_z", log_z)] })
    }

    fn reuse(&self) -> u64 {
        self.reuse
    }

    fn replays(&self) -> bool {
        true
    }

    fn explores(&self) -> bool {
        true
    }

    fn state(&self) -> Result<Tensors> {
        let number = self.log_z.map(|log_z| Tensor::from_slice(&[log_z], 1, &Device::Cpu)).transpose()?;
        Ok(number.into_iter().map(|number| (LOG_Z.to_owned(), number)).collect())
    }

    fn restore(&mut self, state: &Tensors) -> Result<()> {
        self.log_z = match state.get(LOG_Z) {
            Some(number) => read(&[number])?.concat().first().copied(),
            None => None,
        };
        Ok(())
    }
}
