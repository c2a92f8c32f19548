//! Scores in closed form as oracles: Potts models and motifs.

use super::{Oracle, OracleInfo, OracleOptions, Outcome};
use crate::error::{Error, Result};
use crate::registry::unknown;
use crate::reward::{LONGEST, Motif, Potts, Pwm, Reward, SITES, Sites};
use crate::sequence::Sequence;
use std::path::Path;

/// A score that is computed from the letters, in f64.
///
/// A sequence of a length that it is not defined for is [`Outcome::Infeasible`].
///
/// ```
/// use seqtilt::oracle::{Formula, Oracle, Outcome};
/// use seqtilt::reward::Potts;
/// use seqtilt::sequence::Sequence;
/// let mut oracle = Formula::potts(Potts::parse("pair", "i,a,j,b,value\n1,A,2,C,0.5\n")?);
/// let words = ["AC", "CA"].map(|text| Sequence::parse(text, &oracle.info().alphabet.clone()));
/// let words = words.into_iter().collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(oracle.evaluate(&words)?, [Outcome::exact(0.5), Outcome::exact(0.0)]);
/// # Ok::<(), seqtilt::Error>(())
/// ```
pub struct Formula {
    info: OracleInfo,
    score: Box<dyn Fn(&Sequence) -> f64 + Send>,
}

impl Formula {
    /// A Potts model.
    #[must_use]
    pub fn potts(potts: Potts) -> Self {
        let info = OracleInfo {
            name: Reward::name(&potts).to_owned(),
            fingerprint: potts.fingerprint(),
            alphabet: potts.alphabet().clone(),
            length: (potts.length(), potts.length()),
            deterministic: true,
            has_gradient: true,
        };
        Self { info, score: Box::new(move |sequence| potts.score(sequence)) }
    }

    /// A motif.
    #[must_use]
    pub fn pwm(pwm: Pwm) -> Self {
        let info = OracleInfo {
            name: Reward::name(&pwm).to_owned(),
            fingerprint: pwm.fingerprint(),
            alphabet: pwm.alphabet().clone(),
            length: (pwm.width(), LONGEST),
            deterministic: true,
            has_gradient: true,
        };
        Self { info, score: Box::new(move |sequence| pwm.score(sequence)) }
    }
}

impl Oracle for Formula {
    fn info(&self) -> &OracleInfo {
        &self.info
    }

    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
        let (least, most) = self.info.length;
        let outcome = |sequence: &Sequence| {
            self.info.check_letters(sequence)?;
            if (least..=most).contains(&sequence.len()) {
                return Ok(Outcome::exact((self.score)(sequence)));
            }
            let (got, lengths) = (sequence.len(), self.info.lengths());
            Ok(Outcome::Infeasible { reason: format!("{got} letters; `{}` reads {lengths}", self.info.name) })
        };
        batch.iter().map(outcome).collect()
    }
}

pub(super) fn potts(file: &str, _: &OracleOptions) -> Result<Box<dyn Oracle>> {
    Ok(Box::new(Formula::potts(Potts::read(Path::new(file))?)))
}

pub(super) fn potts_reward(file: &str, _: &OracleOptions) -> Result<Box<dyn Reward>> {
    Ok(Box::new(Potts::read(Path::new(file))?))
}

pub(super) fn pwm(argument: &str, _: &OracleOptions) -> Result<Box<dyn Oracle>> {
    Ok(Box::new(Formula::pwm(motif(argument)?)))
}

pub(super) fn pwm_reward(argument: &str, _: &OracleOptions) -> Result<Box<dyn Reward>> {
    Ok(Box::new(motif(argument)?))
}

/// `FILE`, or `sites=best,strands=both,motif=NAME:FILE`.
fn motif(argument: &str) -> Result<Pwm> {
    let options = argument.split_once(':').filter(|(front, _)| front.contains('='));
    let (settings, file) = options.unwrap_or(("", argument));
    let (mut sites, mut both, mut name) = (Sites::default(), false, None);
    for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        match (key, value) {
            ("sites", _) => sites = SITES.get(value)?.make,
            ("strands", "one") => both = false,
            ("strands", "both") => both = true,
            ("strands", _) => {
                return Err(Error::usage(format!("`strands` of `pwm` is `{value}`; `one` or `both` is accepted")));
            }
            ("motif", _) => name = Some(value),
            _ => return Err(unknown("option of `pwm`", key, ["sites", "strands", "motif"])),
        }
    }
    Pwm::new(&Motif::read(Path::new(file), name)?, sites, both)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{OracleName, conformance};
    use crate::random::Seed;

    fn probes(info: &OracleInfo, lengths: &[usize]) -> Vec<Sequence> {
        let mut rng = Seed::root(1).rng();
        let word = |length: &usize| {
            let ids: Vec<u8> = (0..*length).map(|_| rng.below(info.alphabet.len()) as u8).collect();
            Sequence::from_ids(ids, &info.alphabet).unwrap()
        };
        lengths.iter().map(word).collect()
    }

    #[test]
    fn both_kinds_conform() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let potts = write("p.csv", "i,a,j,b,value\n1,A,,,0.5\n1,A,3,C,-2\n2,T,3,T,1.5\n");
        let motifs = write("m.txt", ">m x\nA 3 0\nC 0 1\nG 0 1\nT 0 1\n>n y\nA 3\nC 0\nG 0\nT 0\n");
        for (name, lengths) in [
            (format!("potts:{potts}"), &[3, 3, 3, 2, 3][..]),
            (format!("pwm:motif=m:{motifs}"), &[2, 5, 9, 5]),
            (format!("pwm:sites=best,strands=both,motif=n:{motifs}"), &[4, 4, 1]),
        ] {
            let name: OracleName = name.parse().unwrap();
            let options = OracleOptions::default();
            let mut oracle = name.open(&options).unwrap();
            let probes = probes(&oracle.info().clone(), lengths);
            let reward = name.reward(&options).unwrap();
            let checks = conformance(oracle.as_mut(), Some(reward.as_ref()), &probes).unwrap();
            assert!(checks.len() == 7 && checks.iter().all(|check| check.passed), "{name}: {checks:?}");
        }
    }

    #[test]
    fn options_that_are_not_known_say_what_is_accepted() {
        for (argument, wrong) in [
            ("sites=most:m.txt", "unknown rule of sites `most`; accepted: `sum`, `best`"),
            ("strands=two:m.txt", "`strands` of `pwm` is `two`"),
            ("strand=both:m.txt", "unknown option of `pwm` `strand`"),
        ] {
            assert!(motif(argument).unwrap_err().message().contains(wrong), "{argument}");
        }
        assert_eq!(motif("no-such.txt").unwrap_err().kind(), crate::Kind::Data);
    }
}
