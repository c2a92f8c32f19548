//! Where residuals are cut.

use crate::finetune::QuantileClip;

/// A running level of residuals ([`QuantileClip`]), from which on they are left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    clip: Option<QuantileClip>,
    most: Option<f64>,
}

impl Cut {
    /// A cut at a quantile, or none.
    pub(super) fn new(quantile: Option<f64>) -> Self {
        let clip = quantile.map(|quantile| QuantileClip { quantile, ..QuantileClip::default() });
        Self { clip, most: None }
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
    pub(super) fn see(&mut self, residuals: &[f64]) {
        if let Some(clip) = self.clip {
            self.most = clip.level(self.most, residuals).or(self.most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cut_is_an_average_of_quantiles_and_says_what_it_leaves_out() {
        let mut cut = Cut::new(Some(0.9));
        assert!(cut.most().is_none() && cut.share(&[9.0]) == 0.0);
        cut.see(&(0..=10).map(f64::from).rev().collect::<Vec<_>>());
        assert_eq!(cut.most(), Some(9.0));
        assert_eq!(cut.share(&[8.0, 9.0, 10.0, 1.0]), 0.5);
        cut.see(&[1.0; 5]);
        assert!((cut.most().unwrap() - 8.2).abs() < 1e-12);
        let mut none = Cut::new(None);
        none.see(&[1.0]);
        assert!(none.most().is_none());
    }
}
