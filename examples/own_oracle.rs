//! An oracle and a proposer of one's own: a campaign of ten rounds that climbs to a hidden word.
#![allow(clippy::print_stdout, reason = "an example shows its result")]
use seqtilt::baseline::{Proposal, Proposer, Request};
use seqtilt::campaign::{Campaign, Journal, Means, Plan};
use seqtilt::nn::Pool;
use seqtilt::observe::Silent;
use seqtilt::oracle::{Oracle, OracleInfo, Outcome};
use seqtilt::reward::Domain;
use seqtilt::sequence::{Alphabet, Sequence, hamming};
use seqtilt::{Result, Seed};

/// Share of letters that agree with a hidden word; a run of four equal letters cannot be made.
struct Hidden {
    info: OracleInfo,
    word: Sequence,
}

impl Oracle for Hidden {
    fn info(&self) -> &OracleInfo {
        &self.info
    }

    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
        let outcome = |x: &Sequence| {
            if x.ids().windows(4).any(|run| run.iter().all(|id| *id == run[0])) {
                return Outcome::Infeasible { reason: "four equal letters in a row".to_owned() };
            }
            Outcome::exact(1.0 - hamming(x, &self.word).unwrap_or(x.len()) as f64 / x.len() as f64)
        };
        Ok(batch.iter().map(outcome).collect())
    }
}

/// Changes one letter of one of the best four.
struct OneLetter;

impl Proposer for OneLetter {
    fn propose(&mut self, request: &Request<'_>) -> Result<Vec<Proposal>> {
        let (mut rng, mut found) = (request.seed.rng(), Vec::<Sequence>::new());
        let (ranked, alphabet) = (request.measured.ranked(), &request.measured.domain().alphabet);
        for _ in 0..100 * request.count {
            let mut ids = ranked[rng.below(ranked.len().min(4))].0.ids().to_vec();
            let place = rng.below(ids.len());
            ids[place] = rng.below(alphabet.len()) as u8;
            let sequence = Sequence::from_ids(ids, alphabet)?;
            if found.len() < request.count && !request.measured.contains(&sequence) && !found.contains(&sequence) {
                found.push(sequence);
            }
        }
        let proposal = |sequence| Proposal { sequence, expected: None, reason: "one letter from one of the best" };
        Ok(found.into_iter().map(proposal).collect())
    }
}

fn main() -> Result<()> {
    let dna = Alphabet::dna();
    let word = |text| Sequence::parse(text, &dna);
    let info = OracleInfo {
        name: "hidden word".to_owned(),
        fingerprint: "hidden:ACGTTGCA".to_owned(),
        alphabet: dna.clone(),
        length: (8, 8),
        deterministic: true,
        has_gradient: false,
    };
    let (mut oracle, domain) = (Hidden { info, word: word("ACGTTGCA")? }, Domain { alphabet: dna.clone(), length: 8 });
    let mut campaign = Campaign::new(Plan::even(10, 32), domain, [(word("AAACCCGG")?, 0.25)], Journal::in_memory())?;
    let (pool, seed) = (Pool::new(1)?, Seed::root(7));
    let (proposer, observer) = (&mut OneLetter, &mut Silent);
    campaign.run(&mut Means { proposer, oracle: &mut oracle, seed, pool: &pool, observer })?;
    for round in campaign.rounds() {
        println!("{round}");
    }
    assert_eq!(campaign.standing().best, Some(1.0));
    Ok(())
}
