//! What `bench variance` says.

use super::cell::{Measured, NETWORK};
use super::claims::Claim;
use crate::cli::bench::results::Results;
use crate::cli::printer::columns;
use crate::finetune::word_score::{Growth, Sampled, Window, WordTarget};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// Results, verdicts and seconds.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    pub(super) results: Results,
    pub(super) claims: Vec<Claim>,
    pub(super) seconds: BTreeMap<String, Option<f64>>,
    #[serde(skip)]
    pub(super) measured: Vec<Measured>,
}

/// A number with its standard error, short.
pub(super) fn short(sampled: Sampled) -> String {
    let digits = |value: f64| match value.abs() {
        v if v >= 1e4 => format!("{value:.2e}"),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        v if v >= 0.01 || v == 0.0 => format!("{value:.3}"),
        _ => format!("{value:.1e}"),
    };
    format!("{} ± {}", digits(sampled.mean), digits(sampled.error))
}

/// The integrals of one cell as lines of a table: windows across, targets down.
pub(super) fn windows(cell: &Measured) -> Vec<Vec<String>> {
    let heads = cell.exact.windows.iter().map(|window| format!("{} to {}", window.from, window.to));
    let mut lines = vec![std::iter::once("target".to_owned()).chain(heads).chain(["limit".to_owned()]).collect()];
    for (which, target) in WordTarget::ALL.into_iter().enumerate() {
        let numbers = cell.exact.windows.iter().map(|window| short(window.totals[which]));
        let limit = match cell.exact.grows(target) {
            _ if target == WordTarget::Lean && !cell.lean_is_seen() => "unseen",
            Some((false, false)) => "finite",
            Some((true, false)) => "none towards noise",
            Some((false, true)) => "none towards the last state",
            Some((true, true)) => "none at either end",
            None => "-",
        };
        lines.push(std::iter::once(target.name().to_owned()).chain(numbers).chain([limit.to_owned()]).collect());
    }
    lines
}

/// The integrals over all levels as lines of a table: last states across, targets down.
pub(super) fn moved(cells: &[&Measured]) -> Vec<Vec<String>> {
    let heads = cells.iter().map(|cell| format!("log SNR {}", cell.exact.end));
    let mut lines = vec![std::iter::once("last state at".to_owned()).chain(heads).collect::<Vec<String>>()];
    for (which, target) in WordTarget::ALL.into_iter().enumerate() {
        let numbers = cells.iter().map(|cell| cell.exact.whole().map_or("-".into(), |w| short(w.totals[which])));
        lines.push(std::iter::once(target.name().to_owned()).chain(numbers).collect());
    }
    let whole = |of: fn(&Window) -> Sampled| {
        cells.iter().map(move |cell| cell.exact.whole().map_or("-".into(), |w| short(of(w)))).collect::<Vec<String>>()
    };
    let tail = [("KL of the states", whole(|w| w.control)), ("recovered by adjoints", whole(|w| w.recovered))];
    lines.extend(tail.into_iter().map(|(name, numbers)| std::iter::once(name.to_owned()).chain(numbers).collect()));
    lines
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut alphas: Vec<f64> = self.measured.iter().map(|cell| cell.alpha).collect();
        alphas.dedup();
        for alpha in alphas {
            let cells: Vec<&Measured> = self.measured.iter().filter(|cell| cell.alpha == alpha).collect();
            let Some(own) = cells.iter().find(|cell| cell.beyond == 0.0) else { continue };
            writeln!(
                f,
                "alpha {alpha}: {:.3} nats of KL, words of {:.3} nats of entropy. Nats that noise costs, ∫ η E Var dt, from and to log SNR\n\
                 relative to a last state at {}:\n",
                own.kl, own.entropy, own.exact.end
            )?;
            writeln!(f, "{}", columns(&windows(own), "  "))?;
            writeln!(f, "over all levels:\n\n{}", columns(&moved(&cells), "  "))?;
            if let Some(network) = &own.network {
                let largest =
                    |of: fn(&(f64, Growth)) -> Option<f64>| network.levels.iter().filter_map(of).fold(0.0, f64::max);
                writeln!(
                    f,
                    "{NETWORK}, on the chain's own steps: {} (exact: {}; its estimates alone are wrong by {});\n\
                     recovers {}; |ã|/|∇V| at the worst level: median {:.2}, 99.9 % {:.1}, largest {:.1}\n",
                    short(network.total),
                    short(network.exact),
                    short(network.wrong),
                    short(network.recovered),
                    largest(|(_, growth)| growth.median),
                    largest(|(_, growth)| growth.high),
                    largest(|(_, growth)| growth.max),
                )?;
            }
            for cell in cells.iter().filter(|cell| !cell.lean_is_seen()) {
                let recovered = cell.exact.whole().map_or(f64::NAN, |whole| whole.recovered.mean);
                writeln!(
                    f,
                    "  last state at {}: {} sampled adjoints recover {:.1} % of the mean that they must have. Paths too rare to be among them\n  \
                     carry the rest, and the lean numbers are no estimates",
                    cell.exact.end,
                    cell.exact.paths,
                    100.0 * recovered
                )?;
            }
            writeln!(f)?;
        }
        let lines: Vec<Vec<String>> = self
            .claims
            .iter()
            .map(|claim| {
                let kind = if claim.published { "published" } else { "discrete" };
                vec![claim.verdict().to_owned(), kind.to_owned(), claim.claim.to_owned()]
            })
            .collect();
        f.write_str(&columns(&lines, ""))?;
        let seconds: f64 = self.seconds.values().flatten().sum();
        writeln!(
            f,
            "\n± one standard error over paths. letters: denoising as far as the letters; end: as far as the last state; terminal: ∇log of\n\
             the last state's law; mixed: both in shares; lean: the base's score less the adjoint. \
             unseen: see the note.\n{seconds:.0} s in all."
        )
    }
}
