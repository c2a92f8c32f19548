//! The loop on a space of 64 words.

use super::*;
use crate::baseline::{Proposal, Proposer, Request};
use crate::error::{Error, Kind, Result};
use crate::nn::Pool;
use crate::observe::{Event, Observer, Silent};
use crate::oracle::{Bound, Oracle, OracleInfo, Outcome};
use crate::random::Seed;
use crate::reward::{Domain, Prediction};
use crate::sequence::{Alphabet, Sequence};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// The number of Gs among three letters; words that begin with T fail, words that begin with `CT` can never work, `CCC` is censored.
struct Toy {
    info: OracleInfo,
    asked: BTreeMap<Sequence, usize>,
    calls: Vec<usize>,
    /// Stops as a whole once so many were asked for.
    stops_after: Option<usize>,
    heals: bool,
}

impl Toy {
    fn new() -> Self {
        let info = OracleInfo {
            name: "toy".to_owned(),
            fingerprint: "toy:1".to_owned(),
            alphabet: Alphabet::dna(),
            length: (3, 3),
            deterministic: true,
            has_gradient: false,
        };
        Self { info, asked: BTreeMap::new(), calls: Vec::new(), stops_after: None, heals: false }
    }
}

impl Oracle for Toy {
    fn info(&self) -> &OracleInfo {
        &self.info
    }

    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
        if self.stops_after.is_some_and(|limit| self.calls.iter().sum::<usize>() >= limit) {
            return Err(Error::device("the instrument is off"));
        }
        self.calls.push(batch.len());
        let outcome = |x: &Sequence| {
            let times = self.asked.entry(x.clone()).or_default();
            *times += 1;
            let gs = x.text(&Alphabet::dna()).matches('G').count() as f64;
            match x.text(&Alphabet::dna()).as_str() {
                "CCC" => Outcome::Censored { bound: Bound::Above(2.0) },
                text if text.starts_with("CT") => Outcome::Infeasible { reason: "stop".to_owned() },
                text if text.starts_with('T') && !(self.heals && *times > 1) => Outcome::exact(f64::NAN),
                _ => Outcome::exact(gs),
            }
        };
        Ok(batch.iter().map(outcome).collect())
    }
}

/// Draws words that are new, and expects as many Gs as there are Cs.
struct Draws {
    calls: usize,
}

impl Proposer for Draws {
    fn propose(&mut self, request: &Request<'_>) -> Result<Vec<Proposal>> {
        self.calls += 1;
        let alphabet = &request.measured.domain().alphabet;
        let mut words: Vec<Sequence> =
            (0..64_u8).map(|n| Sequence::from_ids([n / 16, n / 4 % 4, n % 4], alphabet)).collect::<Result<_>>()?;
        request.seed.rng().shuffle(&mut words);
        words.retain(|x| !request.measured.contains(x));
        let proposal = |sequence: Sequence| {
            let mean = sequence.text(&Alphabet::dna()).matches('C').count() as f64;
            Proposal { sequence, expected: Some(Prediction { mean, sd: Some(0.5) }), reason: "drawn" }
        };
        Ok(words.into_iter().take(request.count).map(proposal).collect())
    }
}

fn domain() -> Domain {
    Domain { alphabet: Alphabet::dna(), length: 3 }
}

fn word(text: &str) -> Sequence {
    Sequence::parse(text, &Alphabet::dna()).unwrap()
}

fn run(campaign: &mut Campaign, oracle: &mut Toy, observer: &mut dyn Observer) -> Result<()> {
    let (pool, mut proposer) = (Pool::new(1)?, Draws { calls: 0 });
    campaign.run(&mut Means { proposer: &mut proposer, oracle, seed: Seed::root(5), pool: &pool, observer })
}

fn campaign(plan: Plan, journal: Journal) -> Campaign {
    Campaign::new(plan, domain(), [(word("AAA"), 0.0), (word("AAG"), 1.0)], journal).unwrap()
}

#[test]
fn every_label_is_spent_once_and_no_failure_is_a_low_value() {
    let (mut search, mut oracle) = (campaign(Plan::even(4, 10), Journal::in_memory()), Toy::new());
    run(&mut search, &mut oracle, &mut Silent).unwrap();
    assert_eq!((search.spent(), search.rounds().len(), search.evaluations().len()), (40, 4, 42));
    assert!(oracle.asked.values().all(|times| *times == 1) && oracle.asked.len() == 40);
    assert!(!oracle.asked.contains_key(&word("AAA")), "what is known is not paid for");
    for evaluation in &search.evaluations()[2..] {
        let text = evaluation.pick.sequence.text(&Alphabet::dna());
        let status = evaluation.outcome.status();
        let expected = match text.as_str() {
            "CCC" => "censored",
            t if t.starts_with("CT") => "infeasible",
            t if t.starts_with('T') => "failed",
            _ => "ok",
        };
        assert_eq!((status, evaluation.label().value.is_some()), (expected, expected == "ok"), "{text}");
    }
    let valued: usize = search.rounds().iter().map(|round| round.valued).sum();
    assert_eq!(search.measured().ranked_since(1).len(), valued);
    let (last, first) = (&search.rounds()[3], &search.rounds()[0]);
    assert_eq!((last.asked, last.standing.spent), (10, 40));
    assert_eq!(last.valued + last.failed + last.infeasible + last.censored, 10);
    assert!(last.standing.best >= first.standing.best && search.start().best == Some(1.0));
    assert_eq!(first.foresight.as_ref().unwrap().n, first.valued);
}

#[test]
fn budgets_targets_and_spaces_come_to_an_end() {
    let plan = Plan { budget: Some(17), ..Plan::even(4, 10) };
    let mut search = campaign(plan, Journal::in_memory());
    run(&mut search, &mut Toy::new(), &mut Silent).unwrap();
    assert_eq!((search.spent(), search.rounds().len(), search.rounds()[1].asked), (17, 2, 7));
    let plan = Plan { target: Some(2.0), ..Plan::even(60, 1) };
    let mut search = campaign(plan, Journal::in_memory());
    run(&mut search, &mut Toy::new(), &mut Silent).unwrap();
    assert!(search.has_reached_target() && search.spent() < 60);
    assert!(search.rounds().iter().rev().skip(1).all(|round| round.standing.best < Some(2.0)));
    let mut search = campaign(Plan::even(9, 30), Journal::in_memory());
    run(&mut search, &mut Toy::new(), &mut Silent).unwrap();
    assert_eq!((search.spent(), search.is_exhausted(), search.rounds()[2].asked), (62, true, 2));
}

#[test]
fn what_failed_is_asked_for_once_more_and_what_is_infeasible_never() {
    for heals in [false, true] {
        let plan = Plan { retry: true, ..Plan::even(30, 10) };
        let (mut search, mut oracle) = (campaign(plan, Journal::in_memory()), Toy::new());
        oracle.heals = heals;
        run(&mut search, &mut oracle, &mut Silent).unwrap();
        for (x, times) in &oracle.asked {
            let text = x.text(&Alphabet::dna());
            assert_eq!(*times, if text.starts_with('T') { 2 } else { 1 }, "{text}");
        }
        // 62 new words, 16 of which were asked for twice
        assert_eq!(search.spent(), 78);
        assert_eq!(search.rounds().iter().map(|round| round.retried).sum::<usize>(), 16);
        let found = search.measured().ranked().iter().filter(|(x, _)| x.ids()[0] == 3).count();
        assert_eq!(found, if heals { 16 } else { 0 });
    }
}

/// Everything that a campaign says, as text.
fn told(search: &Campaign) -> String {
    format!("{:?}\n{:?}", search.evaluations(), search.rounds())
}

fn bytes(folder: &std::path::Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for round in 1..=3 {
        for name in ["batch.csv", "labels.jsonl"] {
            let name = format!("rounds/{round:03}/{name}");
            if let Ok(bytes) = std::fs::read(folder.join(&name)) {
                found.insert(name, bytes);
            }
        }
    }
    found
}

#[test]
fn a_campaign_cut_at_any_byte_ends_as_if_it_had_not_been() {
    let plan = || Plan { retry: true, chunk: 4, ..Plan::even(3, 6) };
    let whole = tempfile::tempdir().unwrap();
    let mut search = campaign(plan(), Journal::in_folder(whole.path()));
    run(&mut search, &mut Toy::new(), &mut Silent).unwrap();
    let (story, files) = (told(&search), bytes(whole.path()));
    assert_eq!(files.len(), 6);
    let order: Vec<(&String, &Vec<u8>)> = files.iter().collect();
    let mut cuts = 0;
    for (index, (name, content)) in order.iter().enumerate() {
        // a batch is written as a whole or not at all; labels may be torn anywhere
        let lengths: Vec<usize> =
            if name.ends_with("csv") { vec![content.len()] } else { (0..=content.len()).step_by(41).collect() };
        for length in lengths {
            let folder = tempfile::tempdir().unwrap();
            for (before, all) in &order[..index] {
                std::fs::create_dir_all(folder.path().join(before).parent().unwrap()).unwrap();
                std::fs::write(folder.path().join(before), all).unwrap();
            }
            std::fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            std::fs::write(folder.path().join(name), &content[..length]).unwrap();
            std::fs::write(folder.path().join(name).with_file_name(".partial-x"), b"torn").unwrap();
            let (mut again, mut oracle) = (campaign(plan(), Journal::in_folder(folder.path())), Toy::new());
            run(&mut again, &mut oracle, &mut Silent).unwrap();
            assert_eq!(told(&again), story, "{name} cut at {length}");
            assert!(bytes(folder.path()) == files, "{name} cut at {length}");
            assert!(!folder.path().join(name).with_file_name(".partial-x").exists());
            let paid = order[..index].iter().filter(|(name, _)| name.ends_with("jsonl")).count() * 6;
            assert!(oracle.calls.iter().sum::<usize>() <= 18 - paid, "a label was paid for twice");
            cuts += 1;
        }
    }
    assert!(cuts > 20, "{cuts}");
}

#[test]
fn an_oracle_that_stops_keeps_what_it_said_and_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let plan = || Plan { chunk: 4, ..Plan::even(2, 10) };
    let mut whole = campaign(plan(), Journal::in_memory());
    run(&mut whole, &mut Toy::new(), &mut Silent).unwrap();
    let mut oracle = Toy { stops_after: Some(14), ..Toy::new() };
    let error = run(&mut campaign(plan(), Journal::in_folder(folder.path())), &mut oracle, &mut Silent).unwrap_err();
    assert_eq!((error.kind(), error.kind().exit_code()), (Kind::Oracle, 5));
    assert_eq!(error.message(), "oracle `toy` stopped in round 2 after 4 labels: the instrument is off");
    oracle.stops_after = None;
    let mut search = campaign(plan(), Journal::in_folder(folder.path()));
    run(&mut search, &mut oracle, &mut Silent).unwrap();
    assert_eq!(told(&search), told(&whole));
    assert!(oracle.asked.values().all(|times| *times == 1), "a label was paid for twice");
}

/// Asks to stop at the nth event.
struct Stops(usize);

impl Observer for Stops {
    fn on_event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
        self.0 = self.0.saturating_sub(1);
        if self.0 == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

#[test]
fn an_interruption_is_met_between_chunks() {
    let folder = tempfile::tempdir().unwrap();
    let plan = || Plan { chunk: 2, ..Plan::even(2, 6) };
    let mut oracle = Toy::new();
    let mut search = campaign(plan(), Journal::in_folder(folder.path()));
    let error = run(&mut search, &mut oracle, &mut Stops(3)).unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Interrupted, "stopped after 4 of 6 labels of round 1"));
    let mut search = campaign(plan(), Journal::in_folder(folder.path()));
    run(&mut search, &mut oracle, &mut Silent).unwrap();
    assert_eq!((search.spent(), oracle.calls), (12, vec![2; 6]));
}

/// Proposes the same word of another length, or one that is known.
struct Wrong(&'static str);

impl Proposer for Wrong {
    fn propose(&mut self, _: &Request<'_>) -> Result<Vec<Proposal>> {
        let proposal = || Proposal { sequence: word(self.0), expected: None, reason: "wrong" };
        Ok(vec![proposal(), proposal()])
    }
}

#[test]
fn a_proposer_cannot_spend_on_what_is_known_or_does_not_fit() {
    let pool = Pool::new(1).unwrap();
    let with = |text| {
        let (mut search, mut oracle) = (campaign(Plan::even(2, 3), Journal::in_memory()), Toy::new());
        let (seed, mut observer) = (Seed::root(0), Silent);
        let proposer = &mut Wrong(text);
        let run = search.run(&mut Means { proposer, oracle: &mut oracle, seed, pool: &pool, observer: &mut observer });
        run.map(|()| (search.spent(), search.is_exhausted()))
    };
    assert_eq!(with("AAG").unwrap(), (0, true));
    assert_eq!(with("AGG").unwrap(), (1, true));
    assert_eq!(with("AG").unwrap_err().message(), "`AG` was proposed with 2 letters; 3 are accepted");
}

#[test]
fn a_start_that_does_not_fit_is_refused() {
    let start =
        |text: &str, value| Campaign::new(Plan::even(1, 1), domain(), [(word(text), value)], Journal::in_memory());
    assert_eq!(start("AAA", f64::NAN).err().unwrap().kind(), Kind::Data);
    assert_eq!(start("AAAA", 1.0).err().unwrap().kind(), Kind::Data);
    assert!(Campaign::new(Plan::even(0, 1), domain(), [], Journal::in_memory()).is_err());
}
