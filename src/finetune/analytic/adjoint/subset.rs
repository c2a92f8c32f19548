//! Which steps of a path are learned from.

use crate::error::{Error, Result};
use crate::random::Rng;
use serde::{Deserialize, Serialize};

/// Steps that a loss is taken at: the last ones always, and as many others drawn without replacement.
///
/// The choice of Adjoint Matching (Domingo-Enrich et al. 2024, arXiv 2409.08861): of 40 steps the last quarter, where controls are
/// largest, and a random subset of the others. The optimum does not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Subset {
    /// Share of the steps, counted from the end, that is always kept, rounded up.
    pub last: f64,
    /// How many of the others are drawn; all of them where there are fewer.
    pub others: usize,
}

impl Default for Subset {
    fn default() -> Self {
        Self { last: 0.25, others: 10 }
    }
}

impl Subset {
    /// Every step.
    pub const ALL: Self = Self { last: 1.0, others: 0 };

    /// Checks the share.
    ///
    /// # Errors
    /// When it is not within 0 and 1, or no step is ever chosen.
    pub fn check(&self) -> Result<()> {
        if (0.0..=1.0).contains(&self.last) && (self.last > 0.0 || self.others > 0) {
            return Ok(());
        }
        let Self { last, others } = self;
        Err(Error::usage(format!(
            "`last` is {last} and `others` {others}; a share from 0 to 1 is accepted, and one step at least"
        )))
    }

    /// The chosen of `steps` steps, in order.
    #[must_use]
    pub fn choose(&self, steps: usize, rng: &mut Rng) -> Vec<usize> {
        let kept = ((self.last * steps as f64).ceil() as usize).min(steps);
        let mut chosen: Vec<usize> = (0..steps - kept).collect();
        rng.shuffle(&mut chosen);
        chosen.truncate(self.others);
        chosen.sort_unstable();
        chosen.extend(steps - kept..steps);
        chosen
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    #[test]
    fn the_last_quarter_is_kept_and_the_others_come_equally_often() {
        let mut counts = [0_u32; 40];
        for i in 0..4000 {
            let chosen = Subset::default().choose(40, &mut Seed::root(3).index(i).rng());
            assert!(chosen.len() == 20 && chosen.windows(2).all(|pair| pair[0] < pair[1]));
            for k in chosen {
                counts[k] += 1;
            }
        }
        assert!(counts[30..].iter().all(|count| *count == 4000));
        // 4000 draws of probability ⅓: standard error 30; four of them and a margin for 30 tests
        assert!(counts[..30].iter().all(|count| count.abs_diff(1333) < 130), "{counts:?}");
    }

    #[test]
    fn short_chains_and_shares_out_of_range() {
        let mut rng = Seed::root(1).rng();
        assert_eq!(Subset::default().choose(3, &mut rng), [0, 1, 2]);
        assert_eq!(Subset::ALL.choose(4, &mut rng), [0, 1, 2, 3]);
        assert_eq!(Subset { last: 0.0, others: 2 }.choose(9, &mut rng).len(), 2);
        for wrong in [Subset { last: 1.5, others: 1 }, Subset { last: 0.0, others: 0 }] {
            assert!(wrong.check().is_err());
        }
    }
}
