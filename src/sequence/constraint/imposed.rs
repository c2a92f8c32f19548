//! Sequences that keep all rules, found among letter scores.

use super::automaton::{Automaton, DEAD};
use super::blame;
use super::count::{Count, Counts, Ends, Run};
use super::window::{self, Window};
use super::{Compiled, Constraint};
use crate::error::{Error, Result};
use crate::random::Rng;
use crate::sequence::{Alphabet, Sequence};

/// States over all positions at most: half a gigabyte a thread.
const MOST: usize = 1 << 26;

/// Which of the sequences that keep the rules is taken.
#[derive(Debug)]
pub enum Pick<'a> {
    /// The one of greatest total score.
    Best,
    /// A draw from the law that is proportional to exp(total score).
    Draw(&'a mut Rng),
}

/// A [`Constraint`] for sequences of one length, as a sampler keeps it.
///
/// Letters that a position may not have are masked; motifs, runs, substitutions and the share of G and C are a deterministic
/// automaton, over which letters are chosen together, exactly (Viterbi; forward filtering and backward sampling for draws). Shares in
/// windows would need a state for every way to fill one: there the best is looked for along the 256 best beginnings, and may be missed,
/// while every sequence keeps the rule; draws are thrown away until one does, which leaves their law exact. A decode is one map of
/// states whatever it maps to, so that certificates of chains that share it hold:
///
/// ```text
/// x = argmax_{x keeps the rules} Σ_i s_i(x_i)      or      p(x) ∝ exp Σ_i s_i(x_i) · [x keeps the rules]
/// ```
///
/// ```
/// use seqtilt::sequence::{Alphabet, Constraint, Imposed, Pick};
/// let dna = Alphabet::dna();
/// let imposed = Imposed::new(&Constraint::from_toml("max-homopolymer = 1")?, &dna, 3)?;
/// // A is wanted most everywhere, then T in the middle
/// let scores = [9.0, 0.0, 0.0, 0.0, 9.0, 0.0, 0.0, 8.0, 9.0, 0.0, 0.0, 0.0];
/// assert_eq!(imposed.choose(&scores, &mut Pick::Best)?.text(&dna), "ATA");
/// assert!((imposed.log_count() - 36_f64.ln()).abs() < 1e-12);
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Cost
/// One pass over `L · V · states` where the letter-wise choice breaks a rule, and over L where it does not. States are those of the
/// motifs times one more than each bounded count.
pub struct Imposed {
    alphabet: Alphabet,
    allowed: Vec<u64>,
    motifs: Automaton,
    counts: Counts,
    padding: Option<Padding>,
    window: Option<Window>,
    log_count: f64,
}

/// The letter that stands for none, and the state of motifs after it.
#[derive(Clone, Copy)]
struct Padding {
    id: usize,
    ended: usize,
}

impl std::fmt::Debug for Imposed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Imposed").field("states", &self.states()).finish_non_exhaustive()
    }
}

impl Imposed {
    /// The rules for sequences of `length` letters.
    ///
    /// # Errors
    /// A usage error when a rule does not fit; an error with exit code 4 when no sequence keeps them all: it names the rules to blame
    /// and what is left without each.
    pub fn new(constraint: &Constraint, alphabet: &Alphabet, length: usize) -> Result<Self> {
        let imposed = Self::compiled(&constraint.compile(alphabet, length)?, alphabet)?;
        if imposed.log_count.is_finite() { Ok(imposed) } else { Err(blame::infeasible(constraint, alphabet, length)) }
    }

    /// As [`new`](Self::new), also where nothing keeps them.
    pub(super) fn compiled(rules: &Compiled, alphabet: &Alphabet) -> Result<Self> {
        let mut counts = Vec::new();
        if let Some(origin) = &rules.wild_type {
            let [least, most] = rules.mutations;
            if least > 0 || most < rules.length {
                let counted = origin.iter().map(|id| !(1 << id)).collect();
                counts.push(Count { counted, ends: Ends::Whole([least, most]) });
            }
        }
        if let Some((set, share)) = rules.gc {
            counts.push(Count { counted: vec![set; rules.length], ends: Ends::Share(share) });
        }
        let motifs = Automaton::new(&rules.patterns, rules.letters)?;
        let widths = counts.iter().map(|count| count.width(rules.length));
        let cells = widths.fold((rules.length + 1).saturating_mul(motifs.states()), usize::saturating_mul);
        if cells > MOST {
            return Err(Error::usage(format!(
                "the rules multiply to {cells} states of motifs and counts over all positions; {MOST} are accepted"
            ))
            .hint("leave out `gc`, bounds on mutations or some motifs, or give lower bounds on mutations"));
        }
        let padding = alphabet.padding().map(usize::from).and_then(|id| {
            let ended = motifs.after(0, id);
            (ended != DEAD).then_some(Padding { id, ended: ended as usize })
        });
        let mut imposed = Self {
            alphabet: alphabet.clone(),
            allowed: rules.allowed.clone(),
            motifs,
            counts: Counts::new(counts, rules.length),
            padding,
            window: rules.window.filter(|window| window.length <= rules.length),
            log_count: 0.0,
        };
        let flat = vec![0.0; rules.length * rules.letters];
        let ahead = imposed.futures(&flat, true);
        imposed.log_count = ahead[0];
        // windows are not counted, but nothing is nothing
        if imposed.window.is_some_and(|window| ahead[0].is_finite() && !window.any(&imposed, &flat, &ahead)) {
            imposed.log_count = f64::NEG_INFINITY;
        }
        Ok(imposed)
    }

    /// Log of the number of sequences that keep the rules, those of windows aside.
    #[must_use]
    pub fn log_count(&self) -> f64 {
        self.log_count
    }

    /// Whether a letter may stand at a position, whatever stands elsewhere.
    #[must_use]
    pub fn allows(&self, index: usize, id: u8) -> bool {
        self.allowed[index] >> id & 1 == 1
    }

    /// Whether letters are told apart by their positions at all.
    #[must_use]
    pub fn masks(&self) -> bool {
        let letters = self.alphabet.len() as u32;
        self.allowed.iter().any(|set| set.count_ones() < letters)
    }

    /// Whether a sequence, padded or not, keeps every rule.
    #[must_use]
    pub fn keeps(&self, ids: &[u8]) -> bool {
        let missing = self.allowed.len().checked_sub(ids.len());
        let end = match (missing, self.padding) {
            (Some(missing), Some(padding)) => std::iter::repeat_n(padding.id as u8, missing),
            (Some(0), None) => std::iter::repeat_n(0, 0),
            _ => return false,
        };
        let (mut motif, mut count) = (0, 0);
        for (index, id) in ids.iter().copied().chain(end).enumerate() {
            let Some(next) = self.after(index, motif, count, usize::from(id)) else { return false };
            (motif, count) = (next / self.counts.states(), next % self.counts.states());
        }
        self.counts.accepts(count, self.is_open(motif))
            && self.window.is_none_or(|window| window.keeps(ids, self.alphabet.padding()))
    }

    /// Whether there was no padding yet.
    fn is_open(&self, motif: usize) -> bool {
        self.padding.is_none_or(|padding| padding.ended != motif)
    }

    /// Whether a letter is where letters end: padding after a letter.
    fn ends(&self, motif: usize, id: usize) -> bool {
        self.padding.is_some_and(|padding| padding.id == id && padding.ended != motif)
    }

    /// The sequence of greatest score, or a draw, among those that keep the rules; `scores` are (L, V), row by row.
    ///
    /// # Errors
    /// When the number of scores is not L V, or one is not finite.
    pub fn choose(&self, scores: &[f64], pick: &mut Pick<'_>) -> Result<Sequence> {
        let (length, letters) = (self.allowed.len(), self.alphabet.len());
        if scores.len() != length * letters || !scores.iter().all(|score| score.is_finite()) {
            let got = scores.len();
            return Err(Error::data(format!("{got} scores; {length} times {letters} finite numbers are accepted")));
        }
        if let Pick::Best = pick {
            let free: Vec<u8> = (0..length).map(|i| self.most(&scores[i * letters..][..letters], i)).collect();
            if self.keeps(&free) {
                return Sequence::unpadded(&free, &self.alphabet);
            }
        }
        if let Some(window) = &self.window {
            return window::choose(window, self, scores, pick);
        }
        let futures = self.futures(scores, matches!(pick, Pick::Draw(_)));
        self.read(scores, &futures, pick)
    }

    /// Reads letters off forward, given what continuations are worth.
    pub(super) fn read(&self, scores: &[f64], futures: &[f64], pick: &mut Pick<'_>) -> Result<Sequence> {
        let letters = self.alphabet.len();
        let (mut motif, mut count) = (0, 0);
        let mut ids = Vec::with_capacity(self.length());
        for (index, scores) in scores.chunks(letters).enumerate() {
            let ahead = &futures[(index + 1) * self.states()..];
            let values: Vec<f64> = (0..letters)
                .map(|id| {
                    self.after(index, motif, count, id).map_or(f64::NEG_INFINITY, |next| scores[id] + ahead[next])
                })
                .collect();
            let id = match pick {
                Pick::Best => greatest(&values),
                Pick::Draw(rng) => {
                    let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    rng.weighted(&values.iter().map(|value| (value - top).exp()).collect::<Vec<f64>>())
                }
            };
            let next = self
                .after(index, motif, count, id)
                .ok_or_else(|| Error::device("scores too large to be added up".to_owned()))?;
            (motif, count) = (next / self.counts.states(), next % self.counts.states());
            ids.push(id as u8);
        }
        Sequence::unpadded(&ids, &self.alphabet)
    }

    /// The number of positions.
    pub(super) fn length(&self) -> usize {
        self.allowed.len()
    }

    pub(super) fn alphabet(&self) -> &Alphabet {
        &self.alphabet
    }

    /// The state of motifs and that of counts.
    pub(super) fn split(&self, state: usize) -> (usize, usize) {
        (state / self.counts.states(), state % self.counts.states())
    }

    pub(super) fn states(&self) -> usize {
        self.motifs.states() * self.counts.states()
    }

    /// The letter of greatest score that a position may have.
    fn most(&self, scores: &[f64], index: usize) -> u8 {
        let masked: Vec<f64> = (0_u8..)
            .zip(scores)
            .map(|(id, score)| if self.allows(index, id) { *score } else { f64::NEG_INFINITY })
            .collect();
        greatest(&masked) as u8
    }

    /// The state after a letter; nothing where a rule is broken.
    pub(super) fn after(&self, index: usize, motif: usize, count: usize, id: usize) -> Option<usize> {
        if !self.allows(index, id as u8) || self.ends(motif, id) && !self.counts.closes(count, index) {
            return None;
        }
        let next = self.motifs.after(motif, id);
        let risen = self.counts.after(self.counts.rises(index, id))[count];
        (next != DEAD && risen != DEAD).then(|| next as usize * self.counts.states() + risen as usize)
    }

    /// What the best continuation is worth before each position in each state, or the log of the sum over all: (L + 1, states).
    pub(super) fn futures(&self, scores: &[f64], summed: bool) -> Vec<f64> {
        let (length, letters, states) = (self.allowed.len(), self.alphabet.len(), self.states());
        let counts = self.counts.states();
        let mut futures = vec![f64::NEG_INFINITY; (length + 1) * states];
        for state in 0..states {
            if self.counts.accepts(state % counts, self.is_open(state / counts)) {
                futures[length * states + state] = 0.0;
            }
        }
        let mut sums = vec![0.0; if summed { counts } else { 0 }];
        for index in (0..length).rev() {
            let (now, ahead) = futures[index * states..(index + 2) * states].split_at_mut(states);
            let choices: Vec<(usize, f64, &[Run])> = (0..letters)
                .filter(|id| self.allows(index, *id as u8))
                .map(|id| (id, scores[index * letters + id], self.counts.runs(self.counts.rises(index, id))))
                .collect();
            let closing = self.padding.map(|padding| self.counts.closing(self.counts.rises(index, padding.id), index));
            for (motif, now) in now.chunks_mut(counts).enumerate() {
                let each = |visit: &mut dyn FnMut(Run, f64, &[f64])| {
                    for (id, score, runs) in &choices {
                        let ending = closing.as_deref().filter(|_| self.ends(motif, *id));
                        let runs = ending.unwrap_or(runs);
                        let next = self.motifs.after(motif, *id);
                        if next != DEAD {
                            let ahead = &ahead[next as usize * counts..][..counts];
                            for run in runs {
                                visit(*run, *score, &ahead[run.to..][..run.length]);
                            }
                        }
                    }
                };
                each(&mut |run, score, ahead| {
                    for (now, ahead) in now[run.from..].iter_mut().zip(ahead) {
                        *now = now.max(score + ahead);
                    }
                });
                if summed {
                    sums.fill(0.0);
                    each(&mut |run, score, ahead| {
                        for ((sum, now), ahead) in sums[run.from..].iter_mut().zip(&now[run.from..]).zip(ahead) {
                            if *ahead > f64::NEG_INFINITY {
                                *sum += (score + ahead - now).exp();
                            }
                        }
                    });
                    for (now, sum) in now.iter_mut().zip(&sums) {
                        *now += if *sum > 0.0 { sum.ln() } else { 0.0 };
                    }
                }
            }
        }
        futures
    }
}

pub(super) fn greatest(values: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}
