//! Where residuals are cut.

/// A running average of a quantile of residuals, from which on they are left out: as the code that was released with adjoint matching
/// (arXiv 2409.08861) does, which cuts at the 0.9-quantile with a decay of 0.9.
///
/// ```text
/// τ ← 0.9 τ + 0.1 quantile_q(|u + s ã|),   entries with |u + s ã| ≥ τ count 0
/// ```
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    quantile: Option<f64>,
    most: Option<f64>,
}

/// How much of the average is left after a step.
const DECAY: f64 = 0.9;

impl Cut {
    /// A cut at a quantile, or none.
    pub(super) fn new(quantile: Option<f64>) -> Self {
        Self { quantile, most: None }
    }

    /// Where residuals are cut at present; nowhere before any was seen.
    pub(super) fn most(&self) -> Option<f64> {
        self.most
    }

    /// Goes on from an earlier average.
    pub(super) fn restore(&mut self, most: Option<f64>) {
        self.most = most;
    }

    /// Share of residuals that the present cut leaves out.
    pub(super) fn share(&self, residuals: &[f64]) -> f64 {
        let out = self.most.map_or(0, |most| residuals.iter().filter(|residual| **residual >= most).count());
        out as f64 / residuals.len().max(1) as f64
    }

    /// Takes the residuals of a step into the average.
    pub(super) fn see(&mut self, mut residuals: Vec<f64>) {
        let Some(quantile) = self.quantile.filter(|_| !residuals.is_empty()) else { return };
        residuals.sort_by(f64::total_cmp);
        let at = residuals[(quantile * (residuals.len() - 1) as f64).round() as usize];
        self.most = Some(self.most.map_or(at, |most| DECAY * most + (1.0 - DECAY) * at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_is_an_average_of_quantiles_and_says_what_it_leaves_out() {
        let mut cut = Cut::new(Some(0.9));
        assert!(cut.most().is_none() && cut.share(&[9.0]) == 0.0);
        cut.see((0..=10).map(f64::from).rev().collect());
        assert_eq!(cut.most(), Some(9.0));
        assert_eq!(cut.share(&[8.0, 9.0, 10.0, 1.0]), 0.5);
        cut.see(vec![1.0; 5]);
        assert!((cut.most().unwrap() - 8.2).abs() < 1e-12);
        let mut none = Cut::new(None);
        none.see(vec![1.0]);
        assert!(none.most().is_none());
    }
}
