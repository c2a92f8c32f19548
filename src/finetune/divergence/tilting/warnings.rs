//! What a tilt should be read with.

use super::super::Divergence;
use super::{Entry, Tilting};

/// The warnings of a solved tilt.
pub(super) fn of(tilt: &Tilting, entries: &[Entry], worst: f64, divergence: &dyn Divergence) -> Vec<String> {
    let (mut prior_best, mut best, mut squares) = (0.0, 0.0, 0.0);
    let top = tilt.level.log_density(0.0, divergence).exp();
    for entry in entries {
        let q = entry.share * tilt.level.log_density(entry.depth, divergence).exp();
        squares += q * q;
        if entry.depth == 0.0 {
            prior_best += entry.share;
            best += q;
        }
    }
    let (name, alpha, range, pole) = (divergence.name(), tilt.alpha, tilt.best - worst, divergence.slope_at_infinity());
    let mut said = Vec::new();
    if pole.is_finite() && best > 0.1 && top > 5.0 {
        said.push(format!(
            "condensation: the best reward has {:.1} % of the optimum and {:.2} % of the prior; `{name}` charges at most \
             {pole:.3} per unit of mass moved there, so alpha should be of the order of {:.3} (the rewards' range over that) \
             and not {alpha}",
            100.0 * best,
            100.0 * prior_best,
            range / pole
        ));
    }
    if entries.len() >= 100 && 1.0 / squares < 10.0 {
        said.push(format!(
            "few entries carry the optimum: effectively {:.1} of {}; alpha {alpha} is small for rewards that range over {range:.3}",
            1.0 / squares,
            entries.len()
        ));
    }
    if tilt.dropped > 0.0 {
        said.push(format!("truncation: {:.2} % of the prior's mass is dropped", 100.0 * tilt.dropped));
    }
    if tilt.clamped > 0 {
        said.push(format!("{} values were held below the pole of `{name}`", tilt.clamped));
    }
    let scale = range.max(tilt.value.abs()).max(1.0);
    if tilt.gap.abs() > 1e-6 * scale {
        said.push(format!("the duality gap is {:e}: alpha {alpha} is out of the reach of rounding", tilt.gap));
    }
    said
}
