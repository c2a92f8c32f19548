//! Any program as an oracle.

mod contract;
mod crew;
mod group;
mod message;
mod probing;
mod process;
mod queue;
mod settings;
mod split;

pub use probing::command_conformance;
pub use settings::CommandConfig;

use super::{Oracle, OracleInfo, OracleOptions, Outcome};
use crate::error::{Error, Result};
use crate::reward::Reward;
use crate::sequence::Sequence;
use contract::Contract;
use crew::Crew;
use queue::Queue;

/// The fewest sequences in a batch where there are enough for all children.
const LEAST: usize = 32;

/// A program, in any language, that stays alive and answers batches in lines of JSON: see
/// [the protocol](crate::doc::oracle_protocol).
///
/// Written `cmd:COMMAND`, with settings as in [`CommandConfig::parse`]. It has values and no gradient. A sequence of a length
/// that it does not take is [`Outcome::Infeasible`] without being sent. Of its outputs the first with a direction is the
/// value; where less is better the sign is turned, and with it the side of a censored bound, so that higher is better here as
/// everywhere.
///
/// ```no_run
/// use seqtilt::oracle::{Command, CommandConfig, Oracle};
/// use seqtilt::sequence::Sequence;
/// let mut oracle = Command::open(CommandConfig::parse("workers=4:python3 score.py")?)?;
/// let word = Sequence::parse("ACGT", &oracle.info().alphabet.clone())?;
/// assert_eq!(oracle.evaluate(&[word])?.len(), 1);
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Cost
/// One line of text each way for a batch; a batch holds what is asked for, shared among the children, at least 32 and at most
/// what the child accepts.
#[derive(Debug)]
pub struct Command {
    config: CommandConfig,
    contract: Contract,
    /// None after an error, until the next question.
    crew: Option<Crew>,
}

impl Command {
    /// Starts the children and waits until they are ready.
    ///
    /// # Errors
    /// When one cannot be started, ends before it is ready, or promises what cannot be used.
    pub fn open(config: CommandConfig) -> Result<Self> {
        let crew = Crew::start(config.clone())?;
        Ok(Self { config, contract: crew.contract()?.clone(), crew: Some(crew) })
    }

    fn crew(&mut self) -> Result<Crew> {
        if let Some(crew) = self.crew.take() {
            return Ok(crew);
        }
        let crew = Crew::start(self.config.clone())?;
        if *crew.contract()? != self.contract {
            let name = &self.contract.info.name;
            return Err(Error::oracle(format!("oracle `{name}` promises something else after a new start")));
        }
        Ok(crew)
    }

    fn batch_size(&self, asked: usize) -> usize {
        let (most, places) = (self.contract.max_batch, self.config.workers * self.contract.max_in_flight);
        asked.div_ceil(places).max(LEAST).min(most)
    }
}

impl Oracle for Command {
    fn info(&self) -> &OracleInfo {
        &self.contract.info
    }

    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
        let info = &self.contract.info;
        for sequence in batch {
            info.check_letters(sequence)?;
        }
        let (least, most) = info.length;
        let fits = |sequence: &Sequence| (least..=most).contains(&sequence.len());
        let texts: Vec<String> =
            batch.iter().filter(|sequence| fits(sequence)).map(|sequence| sequence.text(&info.alphabet)).collect();
        let size = self.batch_size(texts.len());
        let mut answers = Vec::new();
        if !texts.is_empty() {
            let mut crew = self.crew()?;
            // after an error the children are ended here, and others start with the next question
            answers = crew.run(Queue::new(texts, size))?;
            self.crew = Some(crew);
        }
        let mut answers = answers.into_iter();
        let outcome = |sequence: &Sequence| match fits(sequence).then(|| answers.next()).flatten() {
            Some(outcome) => outcome,
            None => Outcome::Infeasible {
                reason: format!("{} letters; the command reads {}", sequence.len(), self.contract.info.lengths()),
            },
        };
        Ok(batch.iter().map(outcome).collect())
    }
}

/// Opens `COMMAND`, or settings, a colon and the command.
pub(super) fn open(argument: &str, options: &OracleOptions) -> Result<Box<dyn Oracle>> {
    Ok(Box::new(Command::open(CommandConfig::read(argument, options)?)?))
}

/// A program has values alone.
pub(super) fn reward(_: &str, _: &OracleOptions) -> Result<Box<dyn Reward>> {
    Err(Error::usage("a command has values and no gradient").hint(
        "name a method that asks for values alone, such as --objective log-variance, or train a reward on its scores: \
         seqtilt score library.csv --oracle cmd:COMMAND --out scores.csv, then seqtilt oracle train scores.csv --out reward",
    ))
}
