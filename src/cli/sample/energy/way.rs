//! How an energy is sampled.

use super::EnergyArgs;
use crate::error::{Error, Result};
use crate::reward::{Reward, enumerable};

/// How sequences of an energy are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By a control that is trained in the folder.
    Trained,
    /// By guidance: the slope of soft values in closed form, nothing trained.
    Guidance,
}

impl Way {
    /// The way that was asked for; where it was left open, guidance for scores with soft values in closed form of more words than can be
    /// enumerated, unless the training was given settings.
    ///
    /// # Errors
    /// When there is no such way, or guidance is asked for and cannot be followed or would not read a setting.
    pub(super) fn of(args: &EnergyArgs, reward: Option<&dyn Reward>, letters: usize, length: usize) -> Result<Self> {
        let (known, few) = (reward.is_some_and(Reward::has_soft_value), enumerable(letters, length));
        let trains = args.training();
        match args.method.as_deref() {
            None | Some("auto") if known && !few && trains.is_none() => Ok(Self::Guidance),
            None | Some("auto" | "trained") => Ok(Self::Trained),
            Some("guidance") => match trains {
                Some(key) => Err(Error::usage(format!("`{key}` is not read with `--method guidance`, which trains nothing"))
                    .hint("leave one of them out")),
                None if known || (reward.is_some() && few) => Ok(Self::Guidance),
                None => Err(Error::usage(
                    "`--method guidance` needs soft values in closed form, and the score has none",
                )
                .hint("`potts:` with couplings between neighbours has them, and every score with a gradient of few words; else leave it out")),
            },
            Some(name) => {
                Err(Error::usage(format!("unknown method `{name}`; accepted: `auto`, `trained`, `guidance`")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{OracleName, OracleOptions};

    #[test]
    fn long_chains_are_guided_unless_training_is_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let potts = |name: &str, length: usize, couple: usize| {
            let path = folder.path().join(name);
            let text = format!("# length: {length}\ni,a,j,b,value\n1,A,{couple},C,1.5\n");
            std::fs::write(&path, text).unwrap();
            let name: OracleName = format!("potts:{}", path.display()).parse().unwrap();
            name.reward(&OracleOptions::default()).unwrap()
        };
        let (short, long, far) = (potts("short.csv", 4, 2), potts("long.csv", 30, 2), potts("far.csv", 30, 9));
        let of = |args: &EnergyArgs, reward: &dyn Reward, length| Way::of(args, Some(reward), 4, length);
        let method = |name: &str| EnergyArgs { method: Some(name.to_owned()), ..EnergyArgs::default() };
        let open = EnergyArgs::default();
        assert_eq!(of(&open, long.as_ref(), 30).unwrap(), Way::Guidance);
        assert_eq!(of(&open, short.as_ref(), 4).unwrap(), Way::Trained);
        assert_eq!(of(&open, far.as_ref(), 30).unwrap(), Way::Trained);
        let trains = EnergyArgs { tuning_steps: Some(4), ..EnergyArgs::default() };
        assert_eq!(of(&trains, long.as_ref(), 30).unwrap(), Way::Trained);
        assert_eq!(of(&method("trained"), long.as_ref(), 30).unwrap(), Way::Trained);
        assert_eq!(of(&method("guidance"), short.as_ref(), 4).unwrap(), Way::Guidance);
        let both = EnergyArgs { tuning_steps: Some(4), ..method("guidance") };
        assert!(of(&both, long.as_ref(), 30).unwrap_err().message().contains("`tuning-steps` is not read"));
        assert!(of(&method("guidance"), far.as_ref(), 30).unwrap_err().message().contains("soft values"));
        assert!(of(&method("mcmc"), long.as_ref(), 30).unwrap_err().message().contains("unknown method `mcmc`"));
    }
}
