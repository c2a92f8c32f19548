//! What samples of an energy say about it.

use crate::cli::printer::columns;
use crate::eval::{Estimate, log_mean_exp};
use crate::finetune::Paths;
use crate::sequence::{Alphabet, Sequence};
use serde::Serialize;
use std::fmt::{self, Write as _};

/// Effective share below which samples are not yet those of the energy.
const FEW: f64 = 0.1;

/// One drawn sequence.
#[derive(Serialize)]
struct Row {
    id: String,
    sequence: String,
    score: f64,
    weight: f64,
    log_ratio: f64,
}

/// Figures of the sequences that were drawn:
///
/// ```text
/// W = score/T − L      log Ẑ = N log V + log mean e^W      E[W] + N log V ≤ log Z      weight ∝ e^W
/// ```
/// for N letters of V kinds and the path log-ratios L to uniform letters (Jarzynski; arXiv 2605.00229).
#[derive(Serialize)]
pub(super) struct Outcome {
    energy: String,
    alphabet: String,
    length: usize,
    temperature: f64,
    count: usize,
    /// `log Σ_x exp(score(x)/T)` from the samples.
    log_z: Estimate,
    /// What it cannot be below.
    lower_bound: Estimate,
    /// What it is, where that is known.
    exact_log_z: Option<f64>,
    /// Effective number of samples.
    ess: f64,
    /// Mean score of the rows as they are.
    mean_score: Estimate,
    /// Mean score with the rows' weights: of the density itself.
    weighted_score: Estimate,
    /// `E[L]`, in nats.
    path_kl: Estimate,
    rows: Vec<Row>,
}

impl Outcome {
    pub(super) fn new(
        energy: &str,
        alphabet: &Alphabet,
        temperature: f64,
        drawn: &Paths<Sequence>,
        scores: &[f64],
        exact_log_z: Option<f64>,
    ) -> Self {
        let (count, length) = (scores.len(), drawn.ends.first().map_or(0, Sequence::len));
        let words = length as f64 * (alphabet.len() as f64).ln();
        let works: Vec<f64> = scores.iter().zip(&drawn.log_ratio).map(|(s, l)| s / temperature - l).collect();
        let log_mean = log_mean_exp(&works);
        let above = |estimate: Estimate| Estimate { value: estimate.value + words, ..estimate };
        let most = works.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = works.iter().map(|w| (w - most).exp()).sum();
        let weights: Vec<f64> = works.iter().map(|w| (w - most).exp() / total).collect();
        let weighted: f64 = weights.iter().zip(scores).map(|(w, s)| w * s).sum();
        let spread: f64 = weights.iter().zip(scores).map(|(w, s)| (w * (s - weighted)).powi(2)).sum();
        let row = |i: usize| Row {
            id: format!("s{}", i + 1),
            sequence: drawn.ends[i].text(alphabet),
            score: scores[i],
            weight: weights[i],
            log_ratio: drawn.log_ratio[i],
        };
        Self {
            energy: energy.to_owned(),
            alphabet: alphabet.name().to_owned(),
            length,
            temperature,
            count,
            log_z: above(log_mean.log),
            lower_bound: above(Estimate::mean(&works)),
            exact_log_z,
            ess: log_mean.ess,
            mean_score: Estimate::mean(scores),
            weighted_score: Estimate { value: weighted, se: spread.sqrt() },
            path_kl: Estimate::mean(&drawn.log_ratio),
            rows: (0..count).map(row).collect(),
        }
    }

    /// The rows as CSV.
    pub(super) fn table(&self) -> String {
        let mut text = "id,sequence,score,weight,log_ratio\n".to_owned();
        for Row { id, sequence, score, weight, log_ratio } in &self.rows {
            let _ = writeln!(text, "{id},{sequence},{score},{weight},{log_ratio}");
        }
        text
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.ess / self.count as f64;
        let mut rows = vec![
            ["log Z".to_owned(), format!("{} of Σ exp(score/T) over all sequences", self.log_z)],
            ["at least".to_owned(), self.lower_bound.to_string()],
        ];
        if let Some(exact) = self.exact_log_z {
            let off = self.log_z.value - exact;
            let gap = exact - self.lower_bound.value;
            rows.push([
                "exactly".to_owned(),
                format!("{exact:.4}: the estimate is off by {off:+.4}, the sampler by {gap:.4} nats"),
            ]);
        }
        rows.extend([
            ["effective".to_owned(), format!("{:.0} of {} samples ({:.1} %)", self.ess, self.count, 100.0 * share)],
            ["mean score".to_owned(), format!("{} weighted, {} as drawn", self.weighted_score, self.mean_score)],
            ["path KL".to_owned(), format!("{} nats from uniform letters", self.path_kl)],
        ]);
        let Self { energy, temperature, count, length, alphabet, .. } = self;
        writeln!(f, "{count} sequences of {length} letters ({alphabet}) from exp(score/{temperature}) of {energy}")?;
        f.write_str(columns(&rows, "").trim_end())?;
        if share < FEW {
            f.write_str(
                "\nwarning: few samples carry the weight, so that log Z may be too low; take more --steps or \
                 --tuning-steps, raise --temperature, or take --method guidance where the score has soft values",
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_the_weights() {
        let dna = Alphabet::dna();
        let ends = ["AC", "GT"].map(|text| Sequence::parse(text, &dna).unwrap()).to_vec();
        let drawn = Paths { ends, log_ratio: vec![0.5, 0.0], cost: vec![0.5, 0.0] };
        // T = 2: works 1 − 0.5 and 0 − 0
        let outcome = Outcome::new("x", &dna, 2.0, &drawn, &[2.0, 0.0], Some(3.0));
        let (a, words) = (0.5_f64.exp(), 2.0 * 4_f64.ln());
        let near = |got: f64, want: f64| assert!((got - want).abs() < 1e-12, "{got} {want}");
        near(outcome.log_z.value, words + f64::midpoint(a, 1.0).ln());
        near(outcome.lower_bound.value, words + 0.25);
        near(outcome.weighted_score.value, 2.0 * a / (a + 1.0));
        near(outcome.ess, (a + 1.0).powi(2) / (a * a + 1.0));
        near(outcome.rows[0].weight, a / (a + 1.0));
        assert!(outcome.table().starts_with("id,sequence,score,weight,log_ratio\ns1,AC,2,0."));
        assert!(outcome.to_string().contains("exactly"), "{outcome}");
    }
}
