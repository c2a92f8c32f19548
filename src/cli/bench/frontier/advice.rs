//! What to do with a budget, in words and as a command.

use super::cell::Cell;
use super::fronts::Enumerated;
use super::pick::{Pick, Setting, pick};
use crate::cli::bench::results::Group;
use crate::error::Result;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Budget {
    /// At most so many nats of path KL.
    Kl(f64),
    /// At least so many letters between two samples, on average.
    Diversity(f64),
}

/// A setting of the grid by its means.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Picked {
    pub(super) method: String,
    pub(super) divergence: String,
    pub(super) alpha: f64,
    pub(super) mean_reward: f64,
    pub(super) path_kl: f64,
    pub(super) diversity: f64,
    /// The folder of its first seed.
    pub(super) folder: String,
}

/// The exact optimum of KL control that uses the budget up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Exact {
    pub(super) alpha: f64,
    pub(super) mean_reward: f64,
    pub(super) kl: f64,
}

/// What a budget leads to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Advice {
    pub(super) budget: Budget,
    /// The best setting within it.
    pub(super) picked: Option<Picked>,
    /// Where none is within it: the setting that comes nearest.
    pub(super) nearest: Option<Picked>,
    /// A price to try.
    pub(super) try_alpha: Option<f64>,
    /// What mean reward it promises.
    pub(super) expected_reward: Option<f64>,
    /// The command that tries it.
    pub(super) command: Option<String>,
    pub(super) exact: Option<Exact>,
}

/// A cell of each group, in their order, with the group's means.
pub(super) struct Grouped<'a> {
    pub(super) cells: Vec<&'a Cell>,
    pub(super) groups: &'a [Group],
}

impl Grouped<'_> {
    fn mean(&self, index: usize, metric: &str) -> f64 {
        self.groups[index].metrics.get(metric).map_or(f64::NAN, |spread| spread.mean)
    }

    fn picked(&self, index: usize) -> Picked {
        let cell = self.cells[index];
        Picked {
            method: cell.method.clone(),
            divergence: cell.divergence.to_string(),
            alpha: cell.alpha,
            mean_reward: self.mean(index, "mean_reward"),
            path_kl: self.mean(index, "path_kl"),
            diversity: self.mean(index, "diversity"),
            folder: cell.name(),
        }
    }
}

impl Budget {
    /// What the settings cost under it, with its limit: nats, or letters of diversity lost to the prior.
    fn costs(self, grouped: &Grouped<'_>, prior_diversity: f64) -> (Vec<Setting>, f64) {
        let setting = |index: usize| {
            let cell = grouped.cells[index];
            let cost = match self {
                Self::Kl(_) => grouped.mean(index, "path_kl"),
                Self::Diversity(_) => prior_diversity - grouped.mean(index, "diversity"),
            };
            let reward = grouped.mean(index, "mean_reward");
            Setting { series: cell.series(), alpha: cell.alpha, priced: cell.priced(), reward, cost }
        };
        let limit = match self {
            Self::Kl(nats) => nats,
            Self::Diversity(letters) => prior_diversity - letters,
        };
        ((0..grouped.cells.len()).map(setting).collect(), limit)
    }

    fn exact(self, enumerated: &Enumerated, alphas: &[f64]) -> Result<Option<Exact>> {
        Ok(match self {
            Self::Kl(nats) => {
                let at = enumerated.at_kl(nats);
                Some(Exact { alpha: at.alpha, mean_reward: at.reward, kl: at.kl })
            }
            Self::Diversity(letters) => {
                let (low, high) = alphas.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), a| (l.min(*a), h.max(*a)));
                let at = enumerated.at_diversity(letters, 0.01 * low, 100.0 * high)?;
                at.map(|at| Exact { alpha: at.alpha, mean_reward: at.reward, kl: at.kl })
            }
        })
    }
}

impl Advice {
    /// What `budget` leads to; `None` where no setting has finite numbers.
    ///
    /// # Errors
    /// When a command cannot be written, or an exact tilt cannot be made.
    pub(super) fn new(
        budget: Budget,
        grouped: &Grouped<'_>,
        prior: &BTreeMap<String, f64>,
        (prior_name, reward_name): (&str, &str),
        exact: Option<(&Enumerated, &[f64])>,
    ) -> Result<Option<Self>> {
        let prior_diversity = prior.get("diversity").copied().unwrap_or(f64::NAN);
        let (settings, limit) = budget.costs(grouped, prior_diversity);
        let Some(found) = pick(&settings, limit) else { return Ok(None) };
        let exact = exact.map(|(enumerated, alphas)| budget.exact(enumerated, alphas)).transpose()?.flatten();
        let command =
            |index: usize, alpha: f64| grouped.cells[index].command(prior_name, reward_name, four_digits(alpha));
        Ok(Some(match found {
            Pick::Fits { chosen, between } => Self {
                budget,
                picked: Some(grouped.picked(chosen)),
                nearest: None,
                try_alpha: between.map(|b| four_digits(b.alpha)),
                expected_reward: between.map(|b| b.reward),
                command: between.map(|b| command(b.within, b.alpha)).transpose()?,
                exact,
            },
            Pick::None { nearest, alpha } => Self {
                budget,
                picked: None,
                nearest: Some(grouped.picked(nearest)),
                try_alpha: alpha.map(four_digits),
                expected_reward: None,
                command: alpha.map(|alpha| command(nearest, alpha)).transpose()?,
                exact,
            },
        }))
    }

    /// The budget in words.
    pub(super) fn budget_text(&self) -> String {
        match self.budget {
            Budget::Kl(nats) => format!("within {nats} nats of path KL"),
            Budget::Diversity(letters) => format!("with at least {letters} letters between samples"),
        }
    }
}

impl Picked {
    /// Which setting it is.
    pub(super) fn name(&self) -> String {
        format!("{} {} at alpha {}", self.method, self.divergence, self.alpha)
    }
}

impl fmt::Display for Picked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: E[r] {:.4}, path KL {:.3}, diversity {:.3}",
            self.name(),
            self.mean_reward,
            self.path_kl,
            self.diversity
        )
    }
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let budget = self.budget_text();
        if let Some(picked) = &self.picked {
            writeln!(f, "picked {budget}: {picked} (in {})", picked.folder)?;
        }
        if let Some(nearest) = &self.nearest {
            writeln!(f, "no cell is {budget}; the nearest is {nearest}")?;
        }
        match (&self.command, self.try_alpha, self.expected_reward) {
            (Some(command), Some(alpha), Some(reward)) => {
                writeln!(f, "the budget is used up at about alpha {alpha}, with E[r] about {reward:.4}:\n  {command}")?;
            }
            (Some(command), Some(alpha), None) => {
                writeln!(f, "a larger alpha costs less, about {alpha} may fit:\n  {command}")?;
            }
            _ if self.nearest.is_some() => match self.budget {
                Budget::Kl(_) => writeln!(f, "no price bounds that method: name one with a divergence in --methods")?,
                Budget::Diversity(_) => writeln!(f, "the prior's own samples are no more diverse than that")?,
            },
            _ => {}
        }
        if let Some(exact) = &self.exact {
            writeln!(
                f,
                "the exact optimum of KL {budget}: alpha {:.4}, E[r] {:.4}, KL {:.3}",
                exact.alpha, exact.mean_reward, exact.kl
            )?;
        }
        Ok(())
    }
}

/// A price as a person would type it.
fn four_digits(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}
