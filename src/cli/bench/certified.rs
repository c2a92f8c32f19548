//! The numbers of a certified fine-tune, by their full names.

use super::results::finite;
use crate::cli::certify::{Certified, Exact};
use std::collections::BTreeMap;

/// Every number that is certified: the certificate's, the divergence's that is paid for where that is not KL, and those against the
/// exact tilt where sequences can be enumerated.
pub(super) fn metrics(certified: &Certified) -> BTreeMap<String, f64> {
    let c = &certified.certificate;
    let mut metrics = finite([
        ("gap_nats", c.gap.value),
        ("gap_se", c.gap.se),
        ("log_z_base", c.log_z.value),
        ("log_z_base_se", c.log_z.se),
        ("log_z_tuned", c.log_z_tuned.value),
        ("log_z_tuned_se", c.log_z_tuned.se),
        ("mean_reward", certified.mean_reward().value),
        ("mean_reward_se", certified.mean_reward().se),
        ("path_kl", c.path_kl.value),
        ("path_kl_se", c.path_kl.se),
        ("path_cost", c.path_cost.value),
        ("path_cost_se", c.path_cost.se),
        ("ess_tuned_share", c.ess_tuned_share()),
        ("ess_base", c.ess_base),
    ]);
    if let Some(w) = &certified.weights {
        metrics.extend(finite([("work_variance", w.forward.variance), ("log_z_lower", w.forward.lower.value)]));
        if let Some(base) = &w.base {
            metrics.extend(finite([
                ("log_z_upper", base.upper.value),
                ("log_z_bennett", base.bennett.value),
                ("log_z_bennett_se", base.bennett.se),
                ("missed_share", base.missed.value),
            ]));
        }
    }
    if let Some(p) = &certified.priced {
        metrics.extend(finite([
            ("path_divergence", p.path.value),
            ("path_divergence_se", p.path.se),
            ("optimum_divergence", p.optimum),
            ("optimum_reward", p.optimum_reward),
            ("lambda", p.lambda),
            ("max_weight", p.max_weight),
            ("ess_optimum", p.ess),
            ("dropped_share", p.dropped),
            ("outside_share", p.outside),
        ]));
    }
    if let Some(e) = &certified.exact {
        metrics.extend(exact(e));
        metrics.extend(finite([("path_kl_above_sequence_kl", c.path_kl.value - e.sequence_kl.kl.value)]));
    }
    metrics
}

/// The numbers of samples against the exact tilt.
pub(super) fn exact(e: &Exact) -> BTreeMap<String, f64> {
    finite([
        ("log_z_exact_law", e.log_z),
        ("optimum_reward", e.mean_reward),
        ("optimum_kl", e.kl),
        ("sequence_kl", e.sequence_kl.kl.value),
        ("sequence_kl_se", e.sequence_kl.kl.se),
        ("frontier_reward", e.frontier_reward),
        ("frontier_distance", e.frontier_distance),
        ("total_variation", e.total_variation.plain),
        ("total_variation_floor", e.total_variation.floor),
        ("total_variation_corrected", e.total_variation.corrected),
        ("total_variation_se", e.total_variation.se),
        ("diversity", e.diversity),
    ])
}
