//! The running average of weights.

use super::host::with_f32;
use super::parallel::Pool;
use super::params::{Params, Tensors};
use crate::error::{Error, Result};
use candle_core::Tensor;

/// An exponential moving average of the parameters.
///
/// ```text
/// e ← γ e + (1 − γ) w
/// ```
#[derive(Clone, Debug)]
pub struct Ema {
    weights: Tensors,
    decay: f64,
}

impl Ema {
    /// An average that starts at the current weights.
    ///
    /// # Errors
    /// A usage error when `decay` is not in [0, 1), or when a copy fails.
    pub fn new(params: &Params, decay: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&decay) {
            return Err(Error::usage(format!("decay `{decay}` of an average is out of range; [0, 1) is accepted")));
        }
        Ok(Self { weights: params.snapshot()?, decay })
    }

    /// Takes the current weights into the average.
    ///
    /// # Errors
    /// When the parameters are not those the average started with.
    pub fn update(&mut self, params: &Params, pool: &Pool) -> Result<()> {
        let vars = params.vars();
        let next = pool.worth(params.count()).map(vars.len(), |index| {
            let (name, var) = &vars[index];
            let average = self
                .weights
                .get(name)
                .ok_or_else(|| Error::integrity(format!("the average does not hold parameter `{name}`")))?;
            mix(average, &var.as_detached_tensor(), self.decay)
        })?;
        self.weights.extend(vars.into_iter().map(|(name, _)| name).zip(next));
        Ok(())
    }

    /// The average, by full name.
    #[must_use]
    pub fn weights(&self) -> &Tensors {
        &self.weights
    }

    /// Continues from the [`Ema::weights`] of an earlier run.
    ///
    /// # Errors
    /// An integrity error when names or shapes differ; nothing is changed then.
    pub fn restore(&mut self, weights: &Tensors) -> Result<()> {
        let same = weights.len() == self.weights.len()
            && weights.iter().zip(&self.weights).all(|(a, b)| a.0 == b.0 && a.1.shape() == b.1.shape());
        if !same {
            return Err(Error::integrity("the stored average belongs to other parameters"));
        }
        // what is restored comes from a file, and the average stays where it is
        let pairs = self.weights.iter().zip(weights.values());
        let placed = pairs.map(|((name, mine), theirs)| Ok((name.clone(), theirs.to_device(mine.device())?.copy()?)));
        self.weights = placed.collect::<Result<_>>()?;
        Ok(())
    }
}

/// γ e + (1 − γ) w
fn mix(average: &Tensor, weights: &Tensor, decay: f64) -> Result<Tensor> {
    let (keep, take) = (decay as f32, (1.0 - decay) as f32);
    let mixed = with_f32(average, |e| {
        with_f32(weights, |w| e.iter().zip(w).map(|(e, w)| e * keep + w * take).collect::<Vec<_>>())
    });
    Ok(match mixed.flatten() {
        Some(mixed) => Tensor::from_vec(mixed, average.shape(), average.device())?,
        None => ((average * decay)? + (weights * (1.0 - decay))?)?.detach(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Init, check};

    #[test]
    fn two_updates_weigh_the_past_by_the_decay() {
        let params = check::params();
        params.get("w", 1, Init::Const(1.0)).unwrap();
        let mut ema = Ema::new(&params, 0.9).unwrap();
        let var = params.vars()[0].1.clone();
        var.set(&(var.ones_like().unwrap() * 11.0).unwrap()).unwrap();
        ema.update(&params, Pool::inline()).unwrap();
        ema.update(&params, Pool::inline()).unwrap();
        let value = ema.weights()["w"].to_vec1::<f64>().unwrap()[0];
        assert!((value - (0.81 + 0.19 * 11.0)).abs() < 1e-12, "{value}");
        let mut resumed = Ema::new(&params, 0.9).unwrap();
        resumed.restore(ema.weights()).unwrap();
        assert_eq!(resumed.weights()["w"].to_vec1::<f64>().unwrap(), [value]);
        assert!(resumed.restore(&Tensors::new()).is_err());
        assert!(Ema::new(&params, 1.0).is_err());
    }
}
