//! Levels between pure noise and the state at which letters are read.

use crate::diffusion::Scales;

/// Log signal-to-noise ratios relative to the last state at which the grid begins and ends.
const REACH: f64 = 12.0;

/// From where to where steps are short, relative to the last state, and how short; elsewhere they are long. That is where letters are decided.
const DECIDED: (f64, f64) = (-3.0, 4.0);
const SHORT: f64 = 0.05;
const LONG: f64 = 0.25;

/// The middle of one piece of the grid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// The log signal-to-noise ratio relative to the last state.
    pub(super) relative: f64,
    /// Signal and noise relative to the last state.
    pub(super) from_end: Scales,
    /// Signal and noise relative to the letters.
    pub(super) scales: Scales,
    /// `η dt = ½ b² dλ`, relative to the last state: what a unit of error costs in path KL.
    pub(super) weight: f64,
    /// The piece in signal-to-noise ratios, `dτ`.
    pub(super) piece: f64,
}

/// The signal-to-noise ratio relative to the letters, of one relative to the last state (which has `end`).
fn snr(relative: f64, end: Scales) -> f64 {
    1.0 / ((-relative).exp() / end.signal.powi(2) + 1.0 / end.snr())
}

/// The pieces, from noise to the last state; and the length of the rest, beyond the last piece, in signal-to-noise ratios.
///
/// ```text
/// a = ã a_1,   b² = b̃² + ã² b_1²,   1/snr = e^{−λ̃}/a_1² + 1/snr_1
/// ```
pub(super) fn nodes(end: Scales) -> (Vec<Node>, f64) {
    let pieces = |from: f64, to: f64, length: f64| {
        let count = ((to - from) / length).round() as usize;
        (0..count).map(move |i| (from + length * i as f64, length))
    };
    let all = pieces(-REACH, DECIDED.0, LONG)
        .chain(pieces(DECIDED.0, DECIDED.1, SHORT))
        .chain(pieces(DECIDED.1, REACH, LONG));
    let nodes = all.map(|(from, length)| {
        let relative = from + 0.5 * length;
        let from_end = Scales::at_log_snr(relative);
        let noise = from_end.noise.powi(2) + (from_end.signal * end.noise).powi(2);
        Node {
            relative,
            from_end,
            scales: Scales { signal: from_end.signal * end.signal, noise: noise.sqrt() },
            weight: 0.5 * from_end.noise.powi(2) * length,
            piece: snr(from + length, end) - snr(from, end),
        }
    });
    (nodes.collect(), end.snr() - snr(REACH, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_add_up_and_both_clocks_weigh_alike() {
        let end = Scales::at_log_snr(2.0);
        let (nodes, rest) = nodes(end);
        let total: f64 = nodes.iter().map(|node| node.piece).sum::<f64>() + rest;
        // what is left out below −12 is e⁻¹² a_1²
        assert!((total - end.snr()).abs() < 1e-5, "{total}");
        for node in &nodes {
            let (a, b) = (node.scales.signal, node.scales.noise);
            assert!((a * a + b * b - 1.0).abs() < 1e-14);
            // ½ b̃² dλ̃ = ½ (b⁴/a²) dτ, by the midpoint rule of pieces of 0.25: (0.25)²/24
            let other = 0.5 * b.powi(4) / (a * a) * node.piece;
            assert!((other / node.weight - 1.0).abs() < 6e-3, "{} {}", node.relative, other / node.weight);
        }
    }
}
