//! What a score can be regressed on.

use crate::diffusion::Scales;
use ndarray::{Array2, Zip};
use serde::{Deserialize, Serialize};

/// Targets whose mean given `x_t` is the score `s*(x_t)` of the noised tilt, over words w of the tilt, `X_1 = a_1 e(w) + b_1 ε` at the level
/// where letters are read, and `x_t = a X_1 + b ε'` noised further (a, b relative to X_1):
///
/// ```text
/// letters   (a_t e(w) − x_t)/b_t²                       denoising, as far as the letters: the token cross-entropy
/// end       (a X_1 − x_t)/b²                            denoising, as far as the last state
/// terminal  s*(X_1)/a                                   target score matching
/// mixed     c · terminal + (1 − c) · end,  c = a²       the shares of a standard Gaussian
/// lean      s(x_t) − ã_t,  ã_1 = −∇V(X_1)               adjoint matching; V the soft value of X_1
/// ```
/// The sources are those of [`ScoreTarget`](crate::finetune::analytic::ScoreTarget).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WordTarget {
    /// Of the noising kernel from the letters.
    Letters,
    /// Of the noising kernel from the last state.
    End,
    /// Of the tilted law of the last state.
    Terminal,
    /// Of both, in shares.
    Mixed,
    /// By the lean adjoint.
    Lean,
}

/// What is known of a batch of paths at one level, (B, L D) each.
#[derive(Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) x: &'a Array2<f64>,
    pub(super) letters: &'a Array2<f64>,
    pub(super) end: &'a Array2<f64>,
    pub(super) end_score: &'a Array2<f64>,
    pub(super) base_score: &'a Array2<f64>,
    pub(super) adjoint: &'a Array2<f64>,
}

impl WordTarget {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Letters, Self::End, Self::Terminal, Self::Mixed, Self::Lean];

    /// Its name, as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Letters => "letters",
            Self::End => "end",
            Self::Terminal => "terminal",
            Self::Mixed => "mixed",
            Self::Lean => "lean",
        }
    }

    /// The target at a level of absolute and relative scales.
    pub(super) fn value(self, absolute: Scales, relative: Scales, seen: &Seen<'_>) -> Array2<f64> {
        let (a, b) = (relative.signal, relative.noise);
        let mut out = seen.x.clone();
        match self {
            Self::Letters => {
                let (a, noise) = (absolute.signal, absolute.noise * absolute.noise);
                out.zip_mut_with(seen.letters, |x, e| *x = (a * e - *x) / noise);
            }
            Self::End => out.zip_mut_with(seen.end, |x, end| *x = (a * end - *x) / (b * b)),
            Self::Terminal => out.zip_mut_with(seen.end_score, |x, score| *x = score / a),
            // a² + b² = 1: c s*/a + (1 − c)(a X_1 − x)/b² = a (s* + X_1) − x
            Self::Mixed => Zip::from(&mut out)
                .and(seen.end)
                .and(seen.end_score)
                .for_each(|x, end, score| *x = a * (score + end) - *x),
            Self::Lean => Zip::from(&mut out)
                .and(seen.base_score)
                .and(seen.adjoint)
                .for_each(|x, score, adjoint| *x = score - adjoint),
        }
        out
    }
}
