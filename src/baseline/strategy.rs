//! CMA-ES: an evolution strategy that learns the shape of its landscape.

mod eigen;

use crate::error::{Error, Result};
use crate::random::Rng;
use eigen::eigen;
use ndarray::{Array1, Array2};
use std::cmp::Ordering;

/// What a strategy learns of the covariance of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// All of it: n² numbers, n³ work now and then.
    Full,
    /// The variances only (Ros and Hansen 2008): n numbers, for large n.
    Separable,
}

/// The covariance matrix adaptation evolution strategy, a climber of any function from numbers to a number.
///
/// ```text
/// xᵢ = m + σ yᵢ,  yᵢ ~ N(0, C)                                     λ points, the best first after ranking
/// ⟨y⟩ = Σ_{i≤μ} wᵢ yᵢ,  m ← m + σ ⟨y⟩
/// p_σ ← (1 − c_σ) p_σ + √(c_σ (2 − c_σ) μ_eff) C^{−½} ⟨y⟩,  σ ← σ exp( (c_σ/d_σ)(‖p_σ‖/E‖N(0, I)‖ − 1) )
/// p_c ← (1 − c_c) p_c + h √(c_c (2 − c_c) μ_eff) ⟨y⟩
/// C ← (1 + c_1 δ(h) − c_1 − c_μ Σ wᵢ) C + c_1 p_c p_cᵀ + c_μ Σ_{i≤λ} wᵢ° yᵢ yᵢᵀ
/// ```
/// Hansen, arXiv 1604.00772, with its default parameters, negative weights included; [`Shape::Separable`] keeps the diagonal of
/// C, with positive weights only and c_1, c_μ raised (n + 2)/3 times (Ros and Hansen 2008). Higher is better here: points are
/// ranked by falling fitness, ties by their order.
///
/// ```
/// use seqtilt::{Seed, baseline::{EvolutionStrategy, Shape}};
/// let mut search = EvolutionStrategy::new(&[2.0, -1.0, 3.0], 1.0, None, Shape::Full)?;
/// let mut rng = Seed::root(1).rng();
/// for _ in 0..100 {
///     let points = search.ask(&mut rng);
///     let fitness: Vec<f64> = points.iter().map(|x| -x.iter().map(|x| x * x).sum::<f64>()).collect();
///     search.tell(&points, &fitness)?;
/// }
/// assert!(search.mean().iter().all(|x| x.abs() < 1e-4));
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct EvolutionStrategy {
    rates: Rates,
    mean: Array1<f64>,
    sigma: f64,
    covariance: Covariance,
    sigma_path: Array1<f64>,
    shape_path: Array1<f64>,
    generation: i32,
}

/// What does not change.
#[derive(Clone, Debug)]
struct Rates {
    weights: Vec<f64>,
    mu_eff: f64,
    c_sigma: f64,
    d_sigma: f64,
    c_c: f64,
    c_1: f64,
    c_mu: f64,
    /// E‖N(0, I)‖.
    chi: f64,
}

impl Rates {
    fn new(n: f64, lambda: usize, shape: Shape) -> Self {
        let raw: Vec<f64> = (1..=lambda).map(|i| f64::midpoint(lambda as f64, 1.0).ln() - (i as f64).ln()).collect();
        let mu = lambda / 2;
        let effective = |part: &[f64]| part.iter().sum::<f64>().powi(2) / part.iter().map(|w| w * w).sum::<f64>();
        let (mu_eff, mu_eff_minus) = (effective(&raw[..mu]), effective(&raw[mu..]));
        let boost = if shape == Shape::Full { 1.0 } else { (n + 2.0) / 3.0 };
        let c_1 = (boost * 2.0 / ((n + 1.3).powi(2) + mu_eff)).min(0.5);
        let c_mu = (boost * 2.0 * (0.25 + mu_eff + 1.0 / mu_eff - 2.0) / ((n + 2.0).powi(2) + mu_eff)).min(1.0 - c_1);
        let least =
            (1.0 + c_1 / c_mu).min(1.0 + 2.0 * mu_eff_minus / (mu_eff + 2.0)).min((1.0 - c_1 - c_mu) / (n * c_mu));
        let positive: f64 = raw.iter().filter(|w| **w > 0.0).sum();
        let negative: f64 = raw.iter().filter(|w| **w < 0.0).map(|w| -w).sum();
        let weigh = |w: f64| match (w > 0.0, shape) {
            (true, _) => w / positive,
            (false, Shape::Full) => w * least / negative,
            (false, Shape::Separable) => 0.0,
        };
        let c_sigma = (mu_eff + 2.0) / (n + mu_eff + 5.0);
        Self {
            weights: raw.into_iter().map(weigh).collect(),
            mu_eff,
            c_sigma,
            d_sigma: 1.0 + 2.0 * (((mu_eff - 1.0) / (n + 1.0)).sqrt() - 1.0).max(0.0) + c_sigma,
            c_c: (4.0 + mu_eff / n) / (n + 4.0 + 2.0 * mu_eff / n),
            c_1,
            c_mu,
            chi: n.sqrt() * (1.0 - 1.0 / (4.0 * n) + 1.0 / (21.0 * n * n)),
        }
    }
}

/// C, with what draws from N(0, C).
#[derive(Clone, Debug)]
enum Covariance {
    /// C = Bᵀ diag(d²) B; B and d are renewed when `stale` generations have passed.
    Full {
        matrix: Array2<f64>,
        basis: Array2<f64>,
        scales: Array1<f64>,
        stale: u32,
        keep: u32,
    },
    Separable(Array1<f64>),
}

impl Covariance {
    fn identity(n: usize, shape: Shape, rates: &Rates) -> Self {
        match shape {
            Shape::Separable => Self::Separable(Array1::ones(n)),
            Shape::Full => Self::Full {
                matrix: Array2::eye(n),
                basis: Array2::eye(n),
                scales: Array1::ones(n),
                stale: 0,
                keep: (1.0 / (10.0 * n as f64 * (rates.c_1 + rates.c_mu))).max(1.0) as u32,
            },
        }
    }

    /// C^{½} z.
    fn colour(&self, z: &Array1<f64>) -> Array1<f64> {
        match self {
            Self::Full { basis, scales, .. } => basis.t().dot(&(z * scales)),
            Self::Separable(variances) => z * &variances.mapv(f64::sqrt),
        }
    }

    /// C^{−½} y.
    fn whiten(&self, y: &Array1<f64>) -> Array1<f64> {
        match self {
            Self::Full { basis, scales, .. } => basis.t().dot(&(basis.dot(y) / scales)),
            Self::Separable(variances) => y / &variances.mapv(f64::sqrt),
        }
    }

    /// C ← decay · C + Σ wᵢ yᵢ yᵢᵀ.
    fn adapt(&mut self, decay: f64, terms: &[(f64, &Array1<f64>)]) -> Result<()> {
        let terms = terms.iter().filter(|(weight, _)| *weight != 0.0);
        match self {
            Self::Separable(variances) => {
                *variances *= decay;
                for (weight, y) in terms {
                    variances.zip_mut_with(y, |v, y| *v += weight * y * y);
                }
            }
            Self::Full { matrix, basis, scales, stale, keep } => {
                *matrix *= decay;
                for (weight, y) in terms {
                    for (mut row, x) in matrix.rows_mut().into_iter().zip(*y) {
                        row.scaled_add(weight * x, y);
                    }
                }
                *stale += 1;
                if *stale >= *keep {
                    *stale = 0;
                    let values = eigen(matrix, basis)?;
                    // rounding must not leave a direction without any width
                    let floor = 1e-14 * values.iter().fold(f64::MIN_POSITIVE, |most, value| most.max(*value));
                    *scales = values.mapv(|value| value.max(floor).sqrt());
                }
            }
        }
        Ok(())
    }
}

impl EvolutionStrategy {
    /// A search that starts around `mean` with steps of `sigma`; `population` points a generation, 4 + ⌊3 ln n⌋ unless given.
    ///
    /// # Errors
    /// When there is no dimension, the step is not a finite number above 0, or there are fewer than 4 points a generation.
    pub fn new(mean: &[f64], sigma: f64, population: Option<usize>, shape: Shape) -> Result<Self> {
        let n = mean.len();
        let lambda = population.unwrap_or(4 + (3.0 * (n as f64).ln()) as usize);
        if n == 0 || lambda < 4 {
            return Err(Error::usage(format!(
                "CMA-ES of {n} dimensions with a population of {lambda}; at least 1 and 4 are accepted"
            )));
        }
        if !(sigma > 0.0 && sigma.is_finite()) {
            return Err(Error::usage(format!("`sigma` is {sigma}; a finite number above 0 is accepted")));
        }
        let rates = Rates::new(n as f64, lambda, shape);
        Ok(Self {
            covariance: Covariance::identity(n, shape, &rates),
            rates,
            mean: Array1::from(mean.to_vec()),
            sigma,
            sigma_path: Array1::zeros(n),
            shape_path: Array1::zeros(n),
            generation: 0,
        })
    }

    /// The points of a generation.
    pub fn ask(&self, rng: &mut Rng) -> Vec<Vec<f64>> {
        let n = self.mean.len();
        let mut draw = |_| {
            let z = Array1::from_shape_simple_fn(n, || rng.normal());
            (&self.mean + &(self.covariance.colour(&z) * self.sigma)).to_vec()
        };
        (0..self.rates.weights.len()).map(&mut draw).collect()
    }

    /// Learns from the fitness of the points that were asked for; higher is better.
    ///
    /// # Errors
    /// When the numbers of points and fitnesses differ from the population, a fitness is NaN, or the covariance degenerates.
    pub fn tell(&mut self, points: &[Vec<f64>], fitness: &[f64]) -> Result<()> {
        let lambda = self.rates.weights.len();
        if points.len() != lambda || fitness.len() != lambda || fitness.iter().any(|f| f.is_nan()) {
            let (p, f) = (points.len(), fitness.len());
            return Err(Error::usage(format!(
                "{p} points with {f} fitnesses; {lambda} of each, none NaN, are accepted"
            )));
        }
        let r = &self.rates;
        let mut order: Vec<usize> = (0..lambda).collect();
        order.sort_by(|i, j| fitness[*j].partial_cmp(&fitness[*i]).unwrap_or(Ordering::Equal));
        let steps: Vec<Array1<f64>> =
            order.iter().map(|i| (Array1::from(points[*i].clone()) - &self.mean) / self.sigma).collect();
        let n = self.mean.len() as f64;
        let mut step = Array1::zeros(self.mean.len());
        for (weight, y) in r.weights.iter().zip(&steps).filter(|(weight, _)| **weight > 0.0) {
            step.scaled_add(*weight, y);
        }
        self.mean.scaled_add(self.sigma, &step);
        self.generation += 1;
        self.sigma_path *= 1.0 - r.c_sigma;
        let white = self.covariance.whiten(&step);
        self.sigma_path.scaled_add((r.c_sigma * (2.0 - r.c_sigma) * r.mu_eff).sqrt(), &white);
        let length = squared(&self.sigma_path).sqrt();
        // of a path that starts at 0
        let settled = (1.0 - (1.0 - r.c_sigma).powi(2 * self.generation)).sqrt();
        let h = if length / settled < (1.4 + 2.0 / (n + 1.0)) * r.chi { 1.0 } else { 0.0 };
        self.shape_path *= 1.0 - r.c_c;
        self.shape_path.scaled_add(h * (r.c_c * (2.0 - r.c_c) * r.mu_eff).sqrt(), &step);
        let weighed = r.weights.iter().zip(&steps).map(|(weight, y)| {
            let shrink = if *weight < 0.0 { n / squared(&self.covariance.whiten(y)).max(1e-300) } else { 1.0 };
            (r.c_mu * weight * shrink, y)
        });
        let terms: Vec<(f64, &Array1<f64>)> = std::iter::once((r.c_1, &self.shape_path)).chain(weighed).collect();
        let delta = (1.0 - h) * r.c_c * (2.0 - r.c_c);
        let decay = 1.0 + r.c_1 * delta - r.c_1 - r.c_mu * r.weights.iter().sum::<f64>();
        self.covariance.adapt(decay, &terms)?;
        self.sigma *= ((r.c_sigma / r.d_sigma) * (length / r.chi - 1.0)).min(1.0).exp();
        Ok(())
    }

    /// m, the centre of the search.
    #[must_use]
    pub fn mean(&self) -> &[f64] {
        self.mean.as_slice().unwrap_or_default()
    }

    /// σ, the scale of a step.
    #[must_use]
    pub fn sigma(&self) -> f64 {
        self.sigma
    }
}

/// |x|².
fn squared(x: &Array1<f64>) -> f64 {
    x.dot(x)
}

#[cfg(test)]
mod tests;
