//! What every command must do, tried on the wire.

use super::crew::Crew;
use super::group::Signal;
use super::queue::Queue;
use super::settings::CommandConfig;
use crate::error::Result;
use crate::oracle::{Check, OracleInfo, Outcome};
use crate::random::Seed;
use crate::sequence::{Alphabet, Sequence};
use std::time::Instant;

/// Sequences of the probes that are not a full batch.
const PROBES: usize = 16;

/// The list of [`command_conformance`], in progress.
struct List {
    checks: Vec<Check>,
    alphabet: Alphabet,
}

impl List {
    fn add(&mut self, name: &'static str, passed: bool, detail: impl Into<String>) {
        self.checks.push(Check { name, passed, detail: detail.into() });
    }

    /// Adds the judgement of an answer; an error is a failed check with its whole text.
    fn judge(
        &mut self,
        name: &'static str,
        answer: Result<Vec<Outcome>>,
        judge: impl Fn(&[Outcome]) -> (bool, String),
    ) {
        match answer {
            Ok(outcomes) => {
                let (passed, detail) = judge(&outcomes);
                self.add(name, passed, detail);
            }
            Err(error) => self.add(name, false, error.to_string()),
        }
    }

    fn texts(&self, sequences: &[Sequence]) -> Vec<String> {
        sequences.iter().map(|sequence| sequence.text(&self.alphabet)).collect()
    }
}

/// Puts a command through the list of the protocol: handshake, alphabet, an empty batch, one sequence, a full batch, a
/// repeat, another order, a wrong letter, SIGTERM. Random probes of the accepted lengths are used where none are given.
///
/// # Errors
/// When the command cannot be started or breaks off its handshake; everything after that is a failed [`Check`].
pub fn command_conformance(
    config: &CommandConfig,
    probes: Option<&[Sequence]>,
    seed: Seed,
) -> Result<(OracleInfo, Vec<Check>)> {
    let config = CommandConfig { workers: 1, ..config.clone() };
    let started = Instant::now();
    let mut crew = Crew::start(config.clone())?;
    let contract = crew.contract()?.clone();
    let info = contract.info.clone();
    let mut list = List { checks: Vec::new(), alphabet: info.alphabet.clone() };
    let letters = String::from_utf8_lossy(info.alphabet.letters()).into_owned();
    let ready = format!("`{}` in {:.3} s", info.name, started.elapsed().as_secs_f64());
    list.add("it becomes ready in protocol 1", true, ready);
    let mut ask = |queue: Queue| {
        let answer = crew.run(queue);
        if answer.is_err() {
            crew = Crew::start(config.clone())?;
        }
        answer
    };
    let size = contract.max_batch;
    let drawn = random(&info, size.max(PROBES), seed)?;
    let given = probes.filter(|probes| !probes.is_empty()).unwrap_or(&drawn);
    let all: Vec<Sequence> = given.iter().cycle().take(size).cloned().collect();
    let few: Vec<Sequence> = given.iter().take(PROBES).cloned().collect();
    list.judge("an empty batch has no outcomes", ask(Queue::empty()), |outcomes| {
        (outcomes.is_empty(), format!("{} outcomes", outcomes.len()))
    });
    let one = list.texts(&few[..1]);
    list.judge("one sequence has one outcome", ask(Queue::new(one, 1)), |outcomes| {
        (outcomes.len() == 1, said(outcomes))
    });
    let every = list.texts(&alphabet_probes(&info)?);
    list.judge("every letter of its alphabet is read", ask(Queue::new(every, size)), |outcomes| {
        let failed = outcomes.iter().find(|outcome| outcome.status() == "failed");
        (failed.is_none(), failed.map_or_else(|| letters.clone(), |outcome| format!("{outcome:?}")))
    });
    let texts = list.texts(&all);
    list.judge("a full batch has an outcome for each sequence", ask(Queue::new(texts, size)), |outcomes| {
        (outcomes.len() == size, said(outcomes))
    });
    let texts = list.texts(&few);
    let before = ask(Queue::new(texts.clone(), size)).unwrap_or_default();
    let same = |seen: &[Outcome]| (seen == before, format!("{} compared", seen.len()));
    if info.deterministic {
        let backwards: Vec<String> = texts.iter().rev().cloned().collect();
        let answer = ask(Queue::new(backwards, size)).map(|outcomes| outcomes.into_iter().rev().collect());
        list.judge("outcomes follow the order of the batch", answer, same);
        list.judge("alone or in a batch, the same outcome", ask(Queue::new(texts.clone(), 1)), same);
    }
    let twice = vec![texts[0].clone(); 2];
    list.judge("a repeated sequence has an outcome each time", ask(Queue::new(twice, 2)), |outcomes| {
        let agree = !info.deterministic || outcomes[0] == outcomes[1];
        (outcomes.len() == 2 && agree, format!("{outcomes:?}"))
    });
    if let Some(wrong) = ('A'..='Z').find(|letter| info.alphabet.id(*letter as u8).is_none()) {
        let strange = vec![wrong.to_string().repeat(texts[0].len())];
        list.judge("a letter outside the alphabet has no value", ask(Queue::new(strange, 1)), |outcomes| {
            (outcomes.iter().all(|outcome| outcome.value().is_none()), format!("`{wrong}`: {outcomes:?}"))
        });
        list.judge("it goes on after that", ask(Queue::new(texts.clone(), size)), |seen| {
            if info.deterministic { same(seen) } else { (seen.len() == texts.len(), said(seen)) }
        });
    }
    if let Some(process) = crew.first() {
        let asked = Instant::now();
        process.signal(Signal::Terminate);
        let ended = process.ends_within(config.grace);
        list.add("SIGTERM ends it", ended, format!("{:.3} s", asked.elapsed().as_secs_f64()));
    }
    Ok((info, list.checks))
}

fn said(outcomes: &[Outcome]) -> String {
    let valued = outcomes.iter().filter(|outcome| outcome.value().is_some()).count();
    format!("{} outcomes, {valued} with a value", outcomes.len())
}

/// Uniform sequences of the accepted lengths, the long ones of a wide range left out.
fn random(info: &OracleInfo, count: usize, seed: Seed) -> Result<Vec<Sequence>> {
    let mut rng = seed.rng();
    let (least, most) = info.length;
    let probe = |_| {
        let length = least + rng.below((most - least).min(64) + 1);
        let ids: Vec<u8> = (0..length).map(|_| rng.below(info.alphabet.len()) as u8).collect();
        Sequence::from_ids(ids, &info.alphabet)
    };
    (0..count).map(probe).collect()
}

/// Sequences of one accepted length in which every letter stands at some place.
fn alphabet_probes(info: &OracleInfo) -> Result<Vec<Sequence>> {
    let letters = info.alphabet.len();
    let length = info.length.0.max(letters.min(info.length.1));
    let word = |start: usize| {
        let ids: Vec<u8> = (0..length).map(|place| ((start + place) % letters) as u8).collect();
        Sequence::from_ids(ids, &info.alphabet)
    };
    (0..letters).step_by(length.min(letters)).map(word).collect()
}
