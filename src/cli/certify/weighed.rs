//! Path weights of a tuned sequence chain.

use super::{Scored, StandIn, Walkable, rewards};
use crate::cli::certify::Certified;
use crate::diffusion::{Chain as _, Decode, DiffusionChain};
use crate::error::Result;
use crate::eval::weights::{BasePath, Weighed};
use crate::finetune::{Paths, base_paths};
use crate::nn::Pool;
use crate::random::Seed;
use crate::reward::Reward;

/// Rows of the table of figures.
pub(super) fn rows(weighed: &Weighed) -> Vec<[String; 2]> {
    let forward = &weighed.forward;
    let mut rows = vec![["Var W".to_owned(), format!("{:.4} nats² over the tuned paths", forward.variance)]];
    let Some(base) = &weighed.base else {
        rows.push([
            "bounds on log Z".to_owned(),
            format!("{} from below; {} from above as far as tuned paths reach", forward.lower, forward.upper),
        ]);
        return rows;
    };
    rows.extend([
        [
            "bounds on log Z".to_owned(),
            format!(
                "{} from below; from above {} by {} base paths (effective {:.0}), {} by tuned ones",
                forward.lower, base.upper, base.n, base.ess, forward.upper
            ),
        ],
        [
            "log Z, both ways".to_owned(),
            format!(
                "{} by Bennett's ratio, {} of the pool (effective {:.0})",
                base.bennett, base.mixture.log_z, base.mixture.ess
            ),
        ],
    ]);
    rows
}

/// Tuned or base paths as weights want them: rewards over alpha, of another divergence than KL those that stand in for them.
fn of(paths: &Paths<Scored>, alpha: f64, stand_in: Option<&StandIn<'_>>) -> Result<Vec<BasePath>> {
    let turned = |reward: f64| stand_in.map_or(Ok(reward), |stand_in| stand_in.surrogate.value(reward));
    let pairs = paths.ends.iter().zip(&paths.log_ratio);
    pairs
        .map(|((_, reward), log_ratio)| Ok(BasePath { gain: turned(*reward)? / alpha, log_ratio: *log_ratio }))
        .collect()
}

/// Tuned paths by themselves.
pub(super) fn forward(alpha: f64, tuned: &Paths<Scored>, stand_in: Option<&StandIn<'_>>) -> Result<Weighed> {
    Weighed::new(&of(tuned, alpha, stand_in)?, &[])
}

/// Base paths on which the tuned control is evaluated.
pub(in crate::cli) struct Weighing<'a> {
    pub(in crate::cli) chain: &'a DiffusionChain,
    pub(in crate::cli) reward: &'a dyn Reward,
    pub(in crate::cli) alpha: f64,
    pub(in crate::cli) stand_in: Option<&'a StandIn<'a>>,
    pub(in crate::cli) pool: &'a Pool,
}

impl Weighing<'_> {
    /// Puts the tuned paths and `count` base paths into the weights of what is certified. A chain without control has nothing to weigh.
    ///
    /// # Errors
    /// When a tensor operation fails or a number is not finite.
    pub(in crate::cli) fn weigh(
        &self,
        certified: &mut Certified,
        walked: Walkable<'_>,
        tuned: &Paths<Scored>,
        count: usize,
        seed: Seed,
    ) -> Result<()> {
        let (chain, (walk, Some(control))) = (self.chain, walked) else { return Ok(()) };
        let base = base_paths(walk, control, count, seed, self.pool, |x| {
            let sequences = Decode::Hard.read(&chain.read(chain.steps(), x)?, chain.prior(), &mut seed.rng())?;
            let values = rewards(self.reward, &sequences, chain)?;
            Ok(sequences.into_iter().zip(values).collect())
        })?;
        let of = |paths| of(paths, self.alpha, self.stand_in);
        certified.weights = Some(Weighed::new(&of(tuned)?, &of(&base)?)?);
        Ok(())
    }
}
