//! What is certified of a tuned chain.

use super::{Exact, Priced, weighed};
use crate::cli::printer::columns;
use crate::eval::Estimate;
use crate::eval::certificate::Certificate;
use crate::eval::weights::Weighed;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is certified of a tuned chain: the numbers of its paths, against base paths and, where it is known, the exact tilt.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Certified {
    /// From the run's own numbers.
    pub(in crate::cli) certificate: Certificate,
    /// Against the exact tilt, where sequences can be enumerated.
    pub(in crate::cli) exact: Option<Exact>,
    /// What is known of the divergence that is paid for, where that is not KL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) priced: Option<Priced>,
    /// What path weights say: bounds of log Z, and from base paths whether modes are missed. Certificates of before have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) weights: Option<Weighed>,
}

impl Certified {
    /// `E[r]` on the hard decode.
    pub(in crate::cli) fn mean_reward(&self) -> Estimate {
        self.priced.as_ref().map_or(self.certificate.mean_reward, |priced| priced.mean_reward)
    }
}

impl fmt::Display for Certified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let c = &self.certificate;
        let unit =
            self.priced.as_ref().map_or_else(|| "nat".to_owned(), |priced| format!("unit of {}", priced.divergence));
        let mut rows = vec![
            ["alpha".to_owned(), format!("{} reward units per {unit}", c.alpha)],
            ["E[r], hard decode".to_owned(), self.mean_reward().to_string()],
            [
                "path KL".to_owned(),
                format!(
                    "{:.4} ± {:.4} nats as E[L], {:.4} ± {:.4} as quadratic cost",
                    c.path_kl.value, c.path_kl.se, c.path_cost.value, c.path_cost.se
                ),
            ],
            [
                "log Z".to_owned(),
                format!(
                    "{:.4} ± {:.4} from {} base samples (effective {:.0}), {:.4} ± {:.4} from the tuned chain",
                    c.log_z.value, c.log_z.se, c.n_base, c.ess_base, c.log_z_tuned.value, c.log_z_tuned.se
                ),
            ],
            ["ESS, tuned".to_owned(), format!("{:.0} of {} ({:.1} %)", c.ess_tuned, c.n, 100.0 * c.ess_tuned_share())],
            ["KL(Pᵘ‖P*)".to_owned(), format!("{:.4} ± {:.4} nats (0 is the exact optimum)", c.gap.value, c.gap.se)],
        ];
        rows.extend(self.weights.iter().flat_map(weighed::rows));
        if let Some(priced) = &self.priced {
            rows.extend(priced.rows());
        }
        if let Some(e) = &self.exact {
            rows.extend([
                [
                    "exact tilt".to_owned(),
                    match (&self.priced, e.divergence) {
                        (Some(priced), Some(paid)) => format!(
                            "E[r] {:.4}, {} {paid:.4}, KL {:.4} over {} sequences",
                            e.mean_reward, priced.divergence, e.kl, e.sequences
                        ),
                        _ => format!(
                            "E[r] {:.4}, KL {:.4}, log Z {:.4} over {} sequences",
                            e.mean_reward, e.kl, e.log_z, e.sequences
                        ),
                    },
                ],
                ["sequence KL".to_owned(), e.sequence_line(c)],
                [
                    "frontier".to_owned(),
                    format!("best E[r] at that KL {:.4}, distance {:.4}", e.frontier_reward, e.frontier_distance),
                ],
                [
                    "total variation".to_owned(),
                    format!(
                        "{:.4} ± {:.4} to the exact tilt (bias-corrected; raw {:.4}, sampling floor {:.4})",
                        e.total_variation.corrected,
                        e.total_variation.se,
                        e.total_variation.plain,
                        e.total_variation.floor
                    ),
                ],
            ]);
        }
        write!(f, "{}{}", columns(&rows, ""), c.verdict())?;
        self.weights.iter().try_for_each(|weights| write!(f, "\n{}", weights.verdict))?;
        self.priced.iter().flat_map(|priced| &priced.warnings).try_for_each(|warning| write!(f, "\nwarning: {warning}"))
    }
}
