//! Children side by side, and what happens to them.

use super::contract::Contract;
use super::message::{Answer, Message, evaluate, hello};
use super::process::{Event, Process};
use super::queue::{Batch, Queue};
use super::settings::CommandConfig;
use crate::error::{Error, Result};
use crate::oracle::Outcome;
use std::collections::{HashMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How often children that say nothing are looked after.
const LOOK: Duration = Duration::from_millis(100);

/// How long a child whose output has ended may take to end itself, so that its own exit status is seen.
const LEAVING: Duration = Duration::from_millis(200);

/// Children in a row that may end before they are ready, once one of them was.
const STILLBORN: u32 = 3;

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Debug)]
struct Worker {
    process: Process,
    ready: bool,
    /// Since when it owes a word.
    heard: Instant,
    flying: Vec<(u64, Batch)>,
}

impl Worker {
    /// Whether it owes a word, and for how long it may.
    fn owes(&self, config: &CommandConfig) -> Option<Duration> {
        if self.ready { (!self.flying.is_empty()).then_some(config.timeout) } else { Some(config.handshake) }
    }
}

/// All children of a command; the caller's thread drives them.
#[derive(Debug)]
pub(super) struct Crew {
    config: CommandConfig,
    contract: Option<Contract>,
    workers: Vec<Worker>,
    events: Receiver<Event>,
    sender: Sender<Event>,
    restarts: VecDeque<Instant>,
    stillborn: u32,
    generations: u64,
    batches: u64,
}

impl Crew {
    /// Starts the children and waits until all of them are ready.
    ///
    /// # Errors
    /// When one cannot be started, ends, says nothing in time, or promises something else than another.
    pub(super) fn start(config: CommandConfig) -> Result<Self> {
        let (sender, events) = channel();
        let mut crew = Self {
            config,
            contract: None,
            workers: Vec::new(),
            events,
            sender,
            restarts: VecDeque::new(),
            stillborn: 0,
            generations: 0,
            batches: 0,
        };
        for worker in 0..crew.config.workers {
            let started = crew.child(worker)?;
            crew.workers.push(started);
        }
        let mut nothing = Queue::new(Vec::new(), 1);
        while crew.workers.iter().any(|worker| !worker.ready) {
            crew.step(&mut nothing)?;
        }
        Ok(crew)
    }

    /// What the children promised.
    pub(super) fn contract(&self) -> Result<&Contract> {
        self.contract.as_ref().ok_or_else(|| Error::oracle("no worker is ready"))
    }

    /// Sends all that waits and takes what comes, until everything has an outcome.
    ///
    /// # Errors
    /// When what comes is not protocol, or children end more often than is accepted.
    pub(super) fn run(&mut self, mut queue: Queue) -> Result<Vec<Outcome>> {
        while !queue.is_done() {
            self.send(&mut queue)?;
            self.step(&mut queue)?;
        }
        Ok(queue.finish())
    }

    /// The process of the first child.
    pub(super) fn first(&mut self) -> Option<&mut Process> {
        self.workers.first_mut().map(|worker| &mut worker.process)
    }

    fn child(&mut self, worker: usize) -> Result<Worker> {
        self.generations += 1;
        let place = (worker, self.generations);
        let process = Process::start(&self.config.command, self.config.grace, place, self.sender.clone())?;
        process.send(hello(&self.config, worker));
        Ok(Worker { process, ready: false, heard: Instant::now(), flying: Vec::new() })
    }

    /// Gives every child what it can take.
    fn send(&mut self, queue: &mut Queue) -> Result<()> {
        let most = self.contract()?.max_in_flight;
        for worker in self.workers.iter_mut().filter(|worker| worker.ready) {
            while worker.flying.len() < most && !worker.flying.iter().any(|(_, batch)| batch.is_suspect()) {
                let Some(batch) = queue.next(worker.flying.is_empty()) else { break };
                self.batches += 1;
                if worker.flying.is_empty() {
                    worker.heard = Instant::now();
                }
                let items = batch.items.iter().map(|item| (*item, queue.text(*item)));
                worker.process.send(evaluate(self.batches, items));
                worker.flying.push((self.batches, batch));
            }
        }
        Ok(())
    }

    /// Waits for the next word, or for the moment at which one was due.
    fn step(&mut self, queue: &mut Queue) -> Result<()> {
        let now = Instant::now();
        let left = |worker: &Worker| Some((worker.heard + worker.owes(&self.config)?).saturating_duration_since(now));
        let wait = self.workers.iter().filter_map(left).min().unwrap_or(LOOK).min(LOOK);
        match self.events.recv_timeout(wait) {
            Ok(event) => {
                self.hear(event, queue)?;
                while let Ok(event) = self.events.try_recv() {
                    self.hear(event, queue)?;
                }
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                for index in 0..self.workers.len() {
                    if !self.workers[index].process.has_ended() {
                        continue;
                    }
                    // its last words may still be on their way; a grandchild that holds the pipes keeps them from ending
                    match self.events.recv_timeout(LEAVING) {
                        Ok(event) => self.hear(event, queue)?,
                        Err(_) => self.lose(index, None, queue)?,
                    }
                }
            }
        }
        let now = Instant::now();
        for index in 0..self.workers.len() {
            let worker = &self.workers[index];
            if let Some(most) = worker.owes(&self.config).filter(|most| now >= worker.heard + *most) {
                let what = if worker.ready { "no answer" } else { "no `ready`" };
                self.lose(index, Some(format!("{what} within {} s", most.as_secs_f64())), queue)?;
            }
        }
        Ok(())
    }

    fn hear(&mut self, event: Event, queue: &mut Queue) -> Result<()> {
        let index = event.worker;
        if self.workers[index].process.generation != event.generation {
            return Ok(());
        }
        let Some(line) = event.line else { return self.lose(index, None, queue) };
        let line = String::from_utf8_lossy(&line);
        self.understand(index, &line, queue).map_err(|error| {
            let process = &mut self.workers[index].process;
            process.end(Duration::ZERO);
            process.explain(error)
        })
    }

    fn understand(&mut self, index: usize, line: &str, queue: &mut Queue) -> Result<()> {
        let worker = &mut self.workers[index];
        match Message::read(line)? {
            Message::Ready => {
                let contract = Contract::read(line, &self.config)?;
                match &self.contract {
                    Some(known) if *known != contract => {
                        return Err(Error::oracle("two children of one command promise different things")
                            .hint("all must answer `hello` with the same alphabet, lengths, outputs and fingerprint"));
                    }
                    _ => self.contract = Some(contract),
                }
                worker.ready = true;
                worker.heard = Instant::now();
                self.stillborn = 0;
            }
            Message::Result(answer) => {
                let place = worker.flying.iter().position(|(id, _)| *id == answer.id);
                let Some(place) = place else {
                    let id = answer.id;
                    return Err(Error::oracle(format!("the worker answered batch {id}, which it does not have")));
                };
                let contract = self.contract.as_ref().ok_or_else(|| Error::oracle("no worker is ready"))?;
                let outcomes = outcomes(&answer, &worker.flying[place].1, contract)?;
                let (_, batch) = worker.flying.remove(place);
                queue.answered(&batch, outcomes);
                worker.heard = Instant::now();
            }
            Message::Progress(id) => {
                if worker.flying.iter().any(|(flying, _)| id.is_none_or(|id| id == *flying)) {
                    worker.heard = Instant::now();
                }
            }
            Message::Log(text) => worker.process.note(&text),
            Message::Error(text) => return Err(Error::oracle(format!("the worker cannot go on: {text}"))),
            Message::Other => {}
        }
        Ok(())
    }

    /// Ends a child, takes its batches back and starts another.
    fn lose(&mut self, index: usize, late: Option<String>, queue: &mut Queue) -> Result<()> {
        let worker = &mut self.workers[index];
        let status = worker.process.end(if late.is_some() { Duration::ZERO } else { LEAVING });
        let why = late.unwrap_or_else(|| status.map_or_else(|| "it ended".to_owned(), |status| status.to_string()));
        if !worker.ready {
            self.stillborn += 1;
            if self.contract.is_none() || self.stillborn >= STILLBORN {
                let message = format!("the worker `{}` did not become ready: {why}", self.config.command[0]);
                return Err(worker.process.explain(Error::oracle(message).hint(
                    "`seqtilt oracle check` shows how far it comes; `seqtilt oracle template` writes one that works",
                )));
            }
        }
        let now = Instant::now();
        self.restarts.retain(|at| now.duration_since(*at) < HOUR);
        if self.restarts.len() >= self.config.restarts {
            let most = self.config.restarts;
            let message = format!(
                "a worker ended ({why}) after {most} restarts within an hour, which is the most that are accepted"
            );
            return Err(worker.process.explain(Error::oracle(message).hint("cmd:restarts=N:COMMAND accepts more")));
        }
        self.restarts.push_back(now);
        for (_, batch) in std::mem::take(&mut worker.flying).into_iter().rev() {
            queue.returned(batch, &why);
        }
        self.workers[index] = self.child(index)?;
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        // all are asked before the first is waited for; one that owes an answer will not listen
        for worker in self.workers.iter_mut().filter(|worker| worker.ready && worker.flying.is_empty()) {
            worker.process.quit();
        }
        for worker in self.workers.iter_mut().filter(|worker| !worker.ready || !worker.flying.is_empty()) {
            worker.process.signal(super::group::Signal::Terminate);
        }
    }
}

/// The outcomes of a batch in its own order, whatever the order of the answer.
fn outcomes(answer: &Answer<'_>, batch: &Batch, contract: &Contract) -> Result<Vec<(Outcome, bool)>> {
    let id = answer.id;
    let places: HashMap<usize, usize> = batch.items.iter().enumerate().map(|(place, item)| (*item, place)).collect();
    let mut outcomes: Vec<Option<(Outcome, bool)>> = vec![None; batch.items.len()];
    for item in &answer.items {
        let place = item.id.parse().ok().and_then(|asked: usize| places.get(&asked));
        let Some(place) = place.filter(|place| outcomes[**place].is_none()) else {
            let message =
                format!("the worker's answer to batch {id} has item `{}`, asked for once or not at all", item.id);
            return Err(
                Error::oracle(message).hint("give every item of a batch back once, with the id that it came with")
            );
        };
        let outcome = item.outcome(&contract.output);
        let outcome = outcome.map_err(|what| Error::oracle(format!("item `{}` of batch {id} {what}", item.id)))?;
        outcomes[*place] = Some(outcome);
    }
    let (asked, answered) = (outcomes.len(), answer.items.len());
    outcomes.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| {
        Error::oracle(format!("the worker answered {answered} of the {asked} items of batch {id}"))
            .hint("an item without a value still has a status: infeasible, failed, censored or skipped")
    })
}
