//! One child: its pipes, its threads and its end.

use super::group::{self, Signal};
use crate::error::{Error, Result};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Lines of standard error that are kept.
const LINES: usize = 50;

/// Bytes of a line that are read: of the protocol, beyond which the line is refused, and of standard error.
const LONGEST_LINE: u64 = 256 << 20;
const LONGEST_NOTE: u64 = 4096;

/// How often an end is looked for, and how long the last words are waited for.
const TICK: Duration = Duration::from_millis(2);
const LAST_WORDS: Duration = Duration::from_millis(200);

/// What a reader saw.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) worker: usize,
    /// Which of the worker's children it came from.
    pub(super) generation: u64,
    /// A line of standard output; none at its end.
    pub(super) line: Option<Vec<u8>>,
}

type Notes = Arc<Mutex<VecDeque<String>>>;

/// A running child with one thread on each pipe: neither side can block the other.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    pub(super) generation: u64,
    grace: Duration,
    input: Option<Sender<Vec<u8>>>,
    notes: Notes,
    quiet: Receiver<()>,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts `command`; its lines come as events of `worker`.
    ///
    /// # Errors
    /// When there is no such program, or no further process or thread can be started.
    pub(super) fn start(
        command: &[String],
        grace: Duration,
        (worker, generation): (usize, u64),
        events: Sender<Event>,
    ) -> Result<Self> {
        let mut prepared = Command::new(&command[0]);
        prepared.args(&command[1..]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        group::lead(&mut prepared);
        let mut child = prepared.spawn().map_err(|error| {
            Error::oracle(format!("cannot start `{}`", command[0]))
                .because(error)
                .hint("name a program on the search path, or its whole path; no shell is involved")
        })?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (input, lines) = channel();
        let (done, quiet) = channel();
        let notes = Notes::default();
        let kept = Arc::clone(&notes);
        let process = Self { child, generation, grace, input: Some(input), notes, quiet, status: None };
        if let (Some(stdin), Some(stdout), Some(stderr)) = pipes {
            spawn(move || feed(stdin, &lines))?;
            spawn(move || listen(stdout, worker, generation, &events))?;
            spawn(move || {
                overhear(stderr, &kept);
                let _ = done.send(());
            })?;
        }
        Ok(process)
    }

    /// Sends a line; to a child that is gone it is lost, and its end is heard of elsewhere.
    pub(super) fn send(&self, line: Vec<u8>) {
        if let Some(input) = &self.input {
            let _ = input.send(line);
        }
    }

    /// Whether it has ended by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        self.status.is_some() || group::has_ended(&mut self.child)
    }

    /// Keeps a line beside those of standard error.
    pub(super) fn note(&self, line: &str) {
        keep(&self.notes, line);
    }

    /// Asks for an end in the protocol's words and closes its input.
    pub(super) fn quit(&mut self) {
        self.send(b"{\"type\":\"quit\"}\n".to_vec());
        self.input = None;
    }

    /// Signals the whole group, while the child has not been waited for.
    pub(super) fn signal(&mut self, signal: Signal) {
        if self.status.is_none() {
            group::signal(&mut self.child, signal);
        }
    }

    /// Whether it ends by itself within a time.
    pub(super) fn ends_within(&mut self, time: Duration) -> bool {
        let start = Instant::now();
        while !self.has_ended() {
            if start.elapsed() > time {
                return false;
            }
            thread::sleep(TICK);
        }
        true
    }

    /// Ends it and whatever it has started: after `patience`, SIGTERM; after the grace, or once the child is gone, SIGKILL to
    /// all of the group; and waits for it, so that no zombie stays.
    pub(super) fn end(&mut self, patience: Duration) -> Option<ExitStatus> {
        self.input = None;
        if self.status.is_none() {
            if !self.ends_within(patience) {
                self.signal(Signal::Terminate);
                self.ends_within(self.grace);
            }
            self.signal(Signal::Kill);
            self.status = self.child.wait().ok();
        }
        self.status
    }

    /// An error with the last lines of standard error as its cause.
    pub(super) fn explain(&self, error: Error) -> Error {
        let _ = self.quiet.recv_timeout(LAST_WORDS);
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(last) = notes.back() else { return error };
        let lines: Vec<&str> = notes.iter().map(String::as_str).collect();
        error.because(format!("its standard error ends with: {last}\n{}", lines.join("\n")))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let patience = if self.input.is_some() { Duration::ZERO } else { self.grace };
        self.end(patience);
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> Result<()> {
    let started = thread::Builder::new().name("oracle".to_owned()).stack_size(256 << 10).spawn(run);
    started.map(drop).map_err(|error| Error::device("cannot start a thread for the oracle's pipes").because(error))
}

/// Writes lines until nobody sends or nobody reads.
fn feed(mut stdin: ChildStdin, lines: &Receiver<Vec<u8>>) {
    for line in lines {
        if stdin.write_all(&line).and_then(|()| stdin.flush()).is_err() {
            return;
        }
    }
}

fn listen(stdout: ChildStdout, worker: usize, generation: u64, events: &Sender<Event>) {
    let mut reader = BufReader::with_capacity(1 << 16, stdout);
    loop {
        let line = read_line(&mut reader, LONGEST_LINE);
        let ended = line.is_none();
        if events.send(Event { worker, generation, line }).is_err() || ended {
            return;
        }
    }
}

fn overhear(stderr: ChildStderr, notes: &Notes) {
    let mut reader = BufReader::new(stderr);
    while let Some(line) = read_line(&mut reader, LONGEST_NOTE) {
        keep(notes, String::from_utf8_lossy(&line).trim_end());
    }
}

/// A line without its end, or a piece of one that is too long.
fn read_line(reader: &mut impl BufRead, most: u64) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    match reader.by_ref().take(most).read_until(b'\n', &mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => {
            while line.last().is_some_and(|last| matches!(last, b'\n' | b'\r')) {
                line.pop();
            }
            Some(line)
        }
    }
}

fn keep(notes: &Notes, line: &str) {
    let mut notes = notes.lock().unwrap_or_else(PoisonError::into_inner);
    if notes.len() == LINES {
        notes.pop_front();
    }
    notes.push_back(line.to_owned());
}
