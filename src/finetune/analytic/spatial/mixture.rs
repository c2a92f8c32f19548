//! Mixtures of Gaussians with full covariances, and their exact tilts.

use super::SpatialQuadratic;
use crate::error::{Error, Result};
use crate::finetune::analytic::Mixing;
use crate::reward::{cholesky, invert_lower};
use ndarray::{Array1, Array2};

/// A law N(mean, covariance) in d dimensions.
#[derive(Clone, Debug, PartialEq)]
pub struct SpatialNormal {
    mean: Array1<f64>,
    covariance: Array2<f64>,
    precision: Array2<f64>,
    /// log |S|.
    log_determinant: f64,
}

/// The inverse of a positive definite matrix and the logarithm of its determinant.
fn inverse(matrix: &Array2<f64>) -> Result<(Array2<f64>, f64)> {
    let factor = cholesky(matrix.clone()).ok_or_else(|| {
        Error::usage(format!("{matrix} has no Cholesky factor; a positive definite matrix is accepted"))
    })?;
    let root = invert_lower(&factor);
    Ok((root.t().dot(&root), 2.0 * factor.diag().mapv(f64::ln).sum()))
}

impl SpatialNormal {
    /// The law of this mean and covariance.
    ///
    /// # Errors
    /// When the covariance has another size than the mean, is not symmetric, or not positive definite.
    pub fn new(mean: Array1<f64>, covariance: Array2<f64>) -> Result<Self> {
        let d = mean.len();
        if covariance.dim() != (d, d) || covariance != covariance.t() {
            let shape = covariance.dim();
            return Err(Error::usage(format!(
                "a covariance of shape {shape:?} for a mean of {d}; a symmetric one of {d} by {d} is accepted"
            )));
        }
        let (precision, log_determinant) = inverse(&covariance)?;
        Ok(Self { mean, covariance, precision, log_determinant })
    }

    /// The mean.
    #[must_use]
    pub fn mean(&self) -> &Array1<f64> {
        &self.mean
    }

    /// The covariance.
    #[must_use]
    pub fn covariance(&self) -> &Array2<f64> {
        &self.covariance
    }

    /// `S⁻¹ (m − x)`, the score, and the log density.
    fn at(&self, x: &Array1<f64>) -> (Array1<f64>, f64) {
        let distance = &self.mean - x;
        let score = self.precision.dot(&distance);
        let volume = self.mean.len() as f64 * std::f64::consts::TAU.ln() + self.log_determinant;
        (score.clone(), -0.5 * (distance.dot(&score) + volume))
    }
}

/// A mixture of Gaussians in d dimensions: weights that add up to 1, and laws.
#[derive(Clone, Debug, PartialEq)]
pub struct SpatialMixture(Vec<(f64, SpatialNormal)>);

impl SpatialMixture {
    /// The mixture of these parts, whose weights are brought to sum 1.
    ///
    /// # Errors
    /// When there is no part, a weight is not above 0, or the parts have different dimensions.
    pub fn new(parts: Vec<(f64, SpatialNormal)>) -> Result<Self> {
        let total: f64 = parts.iter().map(|(weight, _)| weight).sum();
        let d = parts.first().map_or(0, |(_, law)| law.mean.len());
        let fits = |(weight, law): &(f64, SpatialNormal)| *weight > 0.0 && law.mean.len() == d;
        if d == 0 || !total.is_finite() || !parts.iter().all(fits) {
            return Err(Error::usage(
                "a mixture of laws of different dimensions, or without weight; weights above 0 and laws of one dimension are accepted",
            ));
        }
        Ok(Self(parts.into_iter().map(|(weight, law)| (weight / total, law)).collect()))
    }

    /// Weights and laws.
    #[must_use]
    pub fn parts(&self) -> &[(f64, SpatialNormal)] {
        &self.0
    }

    /// Number of dimensions.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.0[0].1.mean.len()
    }

    /// Mean and covariance of the whole.
    #[must_use]
    pub fn moments(&self) -> (Array1<f64>, Array2<f64>) {
        let d = self.dimensions();
        let mean = self.0.iter().fold(Array1::zeros(d), |sum: Array1<f64>, (weight, law)| sum + &law.mean * *weight);
        let covariance = self.0.iter().fold(Array2::zeros((d, d)), |sum: Array2<f64>, (weight, law)| {
            let off = &law.mean - &mean;
            let outer = Array2::from_shape_fn((d, d), |(i, j)| off[i] * off[j]);
            sum + (&law.covariance + &outer) * *weight
        });
        (mean, covariance)
    }

    /// The law of `a X + b ε`: every part's mean times a, its covariance `a² S + b² I`.
    ///
    /// # Errors
    /// When a covariance is no longer positive definite to rounding.
    pub fn mixed(&self, at: Mixing) -> Result<Self> {
        let part = |(weight, law): &(f64, SpatialNormal)| {
            let widened = &law.covariance * at.signal.powi(2) + Array2::<f64>::eye(law.mean.len()) * at.noise.powi(2);
            Ok((*weight, SpatialNormal::new(&law.mean * at.signal, widened)?))
        };
        Ok(Self(self.0.iter().map(part).collect::<Result<_>>()?))
    }

    /// log p(x) and its gradient, the score.
    #[must_use]
    pub fn log_density(&self, x: &Array1<f64>) -> (f64, Array1<f64>) {
        let each: Vec<(f64, Array1<f64>)> = self
            .0
            .iter()
            .map(|(weight, law)| {
                let (score, log) = law.at(x);
                (weight.ln() + log, score)
            })
            .collect();
        let top = each.iter().map(|(log, _)| *log).fold(f64::NEG_INFINITY, f64::max);
        let whole = top + each.iter().map(|(log, _)| (log - top).exp()).sum::<f64>().ln();
        let score = each
            .iter()
            .fold(Array1::zeros(x.len()), |sum: Array1<f64>, (log, score)| sum + score * (log - whole).exp());
        (whole, score)
    }

    /// The tilt `p e^{r/α}/Z` and log Z.
    ///
    /// With k, Q the reward's slope and curvature over α and c its centre, part by part:
    ///
    /// ```text
    /// S' = (S⁻¹ + Q)⁻¹    m' = S' (S⁻¹ m + k + Q c)
    /// log z = ½ log |S'|/|S| + ½ m'ᵀ S'⁻¹ m' − ½ mᵀ S⁻¹ m − ½ cᵀ Q c        Z = Σ w z,  w' = w z/Z
    /// ```
    ///
    /// # Errors
    /// When the reward has other dimensions, or the tilt has no finite Z.
    pub fn tilted(&self, reward: &SpatialQuadratic, alpha: f64) -> Result<(Self, f64)> {
        let d = self.dimensions();
        if reward.slope.len() != d || reward.centre.len() != d || reward.curvature.dim() != (d, d) {
            let got = reward.slope.len();
            return Err(Error::usage(format!("a reward of {got} dimensions for states of {d}; {d} are accepted")));
        }
        let (k, q, c) = (&reward.slope / alpha, &reward.curvature / alpha, &reward.centre);
        let bent = q.dot(c);
        let tilted = self.0.iter().map(|(weight, law)| {
            let (covariance, log_precision) = inverse(&(&law.precision + &q))?;
            let pull = law.precision.dot(&law.mean) + &k + &bent;
            let mean = covariance.dot(&pull);
            let squares = mean.dot(&pull) - law.mean.dot(&law.precision.dot(&law.mean)) - c.dot(&bent);
            let log = weight.ln() + 0.5 * (squares - log_precision - law.log_determinant);
            // symmetric to the last bit again
            let covariance = (&covariance + &covariance.t()) * 0.5;
            Ok((log, SpatialNormal::new(mean, covariance)?))
        });
        let tilted: Vec<(f64, SpatialNormal)> = tilted.collect::<Result<_>>()?;
        let top = tilted.iter().map(|(log, _)| *log).fold(f64::NEG_INFINITY, f64::max);
        let log_z = top + tilted.iter().map(|(log, _)| (log - top).exp()).sum::<f64>().ln();
        Ok((Self(tilted.into_iter().map(|(log, law)| ((log - log_z).exp(), law)).collect()), log_z))
    }
}
