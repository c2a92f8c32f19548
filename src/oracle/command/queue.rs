//! Batches that wait, come back and are halved.

use crate::oracle::Outcome;
use std::collections::VecDeque;

/// Times that a batch may take its worker down before it is halved, or given up when it is one sequence.
const DEATHS: u32 = 2;

/// Further attempts at a sequence that failed and may be tried again.
const RETRIES: u8 = 2;

/// Sequences that are sent together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Batch {
    /// Places in the list of what is asked.
    pub(super) items: Vec<usize>,
    deaths: u32,
}

impl Batch {
    /// Whether a worker ended while it had this batch: from then on the batch travels alone, so that guilt is certain.
    pub(super) fn is_suspect(&self) -> bool {
        self.deaths > 0
    }
}

/// What is asked, what waits and what was answered.
#[derive(Debug)]
pub(super) struct Queue {
    texts: Vec<String>,
    outcomes: Vec<Option<Outcome>>,
    tries: Vec<u8>,
    waiting: VecDeque<Batch>,
    /// Batches that wait or are under way.
    open: usize,
}

impl Queue {
    /// Everything waits, in batches of `size`.
    pub(super) fn new(texts: Vec<String>, size: usize) -> Self {
        let places: Vec<usize> = (0..texts.len()).collect();
        let waiting: VecDeque<_> =
            places.chunks(size.max(1)).map(|items| Batch { items: items.to_vec(), deaths: 0 }).collect();
        let outcomes = vec![None; texts.len()];
        Self { tries: vec![0; texts.len()], outcomes, open: waiting.len(), waiting, texts }
    }

    /// One batch of nothing, for those who want to see the answer.
    pub(super) fn empty() -> Self {
        let mut queue = Self::new(Vec::new(), 1);
        queue.waiting.push_back(Batch { items: Vec::new(), deaths: 0 });
        queue.open = 1;
        queue
    }

    pub(super) fn text(&self, item: usize) -> &str {
        &self.texts[item]
    }

    pub(super) fn is_done(&self) -> bool {
        self.open == 0
    }

    /// The next batch for a worker that has others under way, or none.
    pub(super) fn next(&mut self, alone: bool) -> Option<Batch> {
        if alone {
            return self.waiting.pop_front();
        }
        let place = self.waiting.iter().position(|batch| !batch.is_suspect())?;
        self.waiting.remove(place)
    }

    /// Keeps the outcomes of a batch; what failed and may be tried again waits once more.
    pub(super) fn answered(&mut self, batch: &Batch, outcomes: Vec<(Outcome, bool)>) {
        self.open -= 1;
        let mut again = Vec::new();
        for (item, (outcome, retry)) in batch.items.iter().zip(outcomes) {
            if retry && self.tries[*item] < RETRIES {
                self.tries[*item] += 1;
                again.push(*item);
            } else {
                self.outcomes[*item] = Some(outcome);
            }
        }
        if !again.is_empty() {
            self.push(Batch { items: again, deaths: 0 });
        }
    }

    /// Takes a batch back whose worker ended: it is sent again, then halved, and at last, as one sequence, it has failed.
    pub(super) fn returned(&mut self, mut batch: Batch, why: &str) {
        self.open -= 1;
        batch.deaths += 1;
        if batch.deaths < DEATHS || batch.items.is_empty() {
            self.push(batch);
        } else if let [item] = batch.items[..] {
            self.outcomes[item] =
                Some(Outcome::Failed { reason: format!("its worker ended {DEATHS} times on it: {why}") });
        } else {
            let deaths = batch.deaths - 1;
            let right = batch.items.split_off(batch.items.len() / 2);
            self.push(Batch { items: right, deaths });
            self.push(Batch { items: batch.items, deaths });
        }
    }

    fn push(&mut self, batch: Batch) {
        self.open += 1;
        self.waiting.push_front(batch);
    }

    /// The outcomes in the order in which was asked; what has none was not evaluated.
    pub(super) fn finish(self) -> Vec<Outcome> {
        self.outcomes.into_iter().map(|outcome| outcome.unwrap_or(Outcome::Skipped)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(n: usize) -> Vec<String> {
        (0..n).map(|item| format!("word {item}")).collect()
    }

    /// Runs a queue against a worker that one sequence kills; how often it died.
    fn run(queue: &mut Queue, poison: usize) -> usize {
        let mut deaths = 0;
        while let Some(batch) = queue.next(true) {
            if batch.items.contains(&poison) {
                deaths += 1;
                queue.returned(batch, "exit status: 3");
            } else {
                let outcomes = batch.items.iter().map(|item| (Outcome::exact(*item as f64), false)).collect();
                queue.answered(&batch, outcomes);
            }
        }
        deaths
    }

    #[test]
    fn a_poison_is_found_by_halving_and_nothing_else_is_lost() {
        for poison in [0, 77, 255] {
            let mut queue = Queue::new(texts(600), 256);
            // twice in the batch, then once in each of the 8 halves around it, the last of them itself
            assert_eq!(run(&mut queue, poison), 2 + 8);
            assert!(queue.is_done());
            let outcomes = queue.finish();
            assert_eq!(outcomes[poison].reason(), Some("its worker ended 2 times on it: exit status: 3"));
            let right = |(item, outcome): (usize, &Outcome)| item == poison || outcome.value() == Some(item as f64);
            assert!(outcomes.iter().enumerate().all(right));
        }
    }

    #[test]
    fn a_suspect_travels_alone() {
        let mut queue = Queue::new(texts(4), 2);
        let (first, second) = (queue.next(true).unwrap(), queue.next(false).unwrap());
        queue.returned(second, "");
        queue.returned(first, "");
        assert!(queue.next(false).is_none(), "both are suspects");
        let first = queue.next(true).unwrap();
        assert!(first.is_suspect() && first.items == [0, 1]);
    }

    #[test]
    fn what_may_be_tried_again_is_tried_twice_more() {
        let mut queue = Queue::new(texts(2), 2);
        let failed = || Outcome::Failed { reason: "busy".into() };
        let batch = queue.next(true).unwrap();
        queue.answered(&batch, vec![(failed(), true), (failed(), false)]);
        for _ in 0..2 {
            assert!(!queue.is_done());
            let batch = queue.next(true).unwrap();
            assert_eq!(batch.items, [0]);
            queue.answered(&batch, vec![(failed(), true)]);
        }
        assert!(queue.is_done() && queue.next(true).is_none());
        assert_eq!(queue.finish(), [failed(), failed()]);
    }
}
