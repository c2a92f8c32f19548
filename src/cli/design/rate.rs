//! From draws to candidates: unique, new, near, scored, good enough.

use super::goal::{Figure, Goal, Requirement, by_layers};
use super::prepare::Parts;
use super::settings::Plan;
use crate::error::Result;
use crate::eval::Metric;
use crate::nn::Pool;
use crate::oracle::{Oracle, Outcome};
use crate::sequence::{Alphabet, Sequence};
use std::collections::BTreeSet;

/// Sequences whose other strand is looked at.
const STRANDS: usize = 32;

/// A candidate.
pub(super) struct Rated {
    pub(super) sequence: Sequence,
    pub(super) mean: f64,
    pub(super) sd: Option<f64>,
    pub(super) judge: Option<f64>,
    /// The values of further goals.
    pub(super) goals: Vec<Figure>,
}

/// Candidates with what they are picked by.
pub(super) struct Candidates {
    pub(super) rated: Vec<Rated>,
    /// What is picked from the top.
    pub(super) score: Vec<f64>,
    /// Layers of trade-offs with further goals, 0 for the front; nothing without such goals.
    pub(super) layers: Option<Vec<usize>>,
    /// How many passed each rule, in order.
    pub(super) funnel: Vec<(String, usize)>,
}

impl Candidates {
    /// From distinct sequences that were drawn.
    ///
    /// # Errors
    /// When an oracle fails.
    pub(super) fn of(drawn: Vec<Sequence>, plan: &Plan, parts: &mut Parts, pool: &Pool) -> Result<Self> {
        let mut funnel = vec![("unique".to_owned(), drawn.len())];
        let mut left: Vec<Sequence> =
            drawn.into_iter().filter(|x| plan.allow_known || !parts.known.contains_key(x)).collect();
        let known = if plan.allow_known { "known ones allowed" } else { "not in the table" };
        funnel.push((known.to_owned(), left.len()));
        if let Some(limit) = plan.trust {
            let known: Vec<Sequence> = parts.known.keys().cloned().collect();
            left = near(left, &known, (limit, parts.metric()), pool)?;
            funnel.push((format!("{limit} letters or less from the table"), left.len()));
        }
        let mut rated = rate(&left, parts)?;
        funnel.push(("scored".to_owned(), rated.len()));
        if same_on_both_strands(&rated, parts)? {
            rated = one_strand(rated, parts.prior.alphabet());
            funnel.push(("one strand of each molecule".to_owned(), rated.len()));
        }
        for text in &plan.require {
            let requirement = Requirement::parse(text)?;
            let place = requirement.of(&parts.goals)?;
            rated.retain(|x| requirement.holds(place.map_or((Some(x.mean), x.sd), |place| x.goals[place])));
            funnel.push((requirement.text, rated.len()));
        }
        let score: Vec<f64> = rated.iter().map(|r| r.mean - plan.caution * r.sd.unwrap_or(0.0)).collect();
        let goals: Vec<Vec<Figure>> =
            (0..parts.goals.len()).map(|goal| rated.iter().map(|x| x.goals[goal]).collect()).collect();
        if goals.is_empty() {
            return Ok(Self { rated, score, layers: None, funnel });
        }
        let (layers, score) = by_layers(&score, &goals);
        Ok(Self { rated, score, layers: Some(layers), funnel })
    }
}

/// What reward, judge and goals say of sequences that have a value.
fn rate(sequences: &[Sequence], parts: &mut Parts) -> Result<Vec<Rated>> {
    let predicted = parts.scorer.evaluate(sequences)?;
    let judged = values(parts.judge.as_mut(), sequences)?;
    let goals = parts.goals.iter_mut().map(|goal: &mut Goal| goal.figures(sequences)).collect::<Result<Vec<_>>>()?;
    let rated = |(index, (sequence, outcome)): (usize, (&Sequence, &Outcome))| {
        Some(Rated {
            sequence: sequence.clone(),
            mean: outcome.value()?,
            sd: outcome.sd(),
            judge: judged[index],
            goals: goals.iter().map(|figures| figures[index]).collect(),
        })
    };
    Ok(sequences.iter().zip(&predicted).enumerate().filter_map(rated).collect())
}

/// Those that are at most `limit` letters from one of `known`.
fn near(
    sequences: Vec<Sequence>,
    known: &[Sequence],
    (limit, metric): (usize, Metric),
    pool: &Pool,
) -> Result<Vec<Sequence>> {
    let is_near = pool.map(sequences.len(), |index| {
        Ok(known.iter().any(|other| metric.within(&sequences[index], other, limit).is_some()))
    })?;
    Ok(sequences.into_iter().zip(is_near).filter(|(_, near)| *near).map(|(sequence, _)| sequence).collect())
}

/// Whether the reward gives both strands of sequences the same value, by some of them.
fn same_on_both_strands(rated: &[Rated], parts: &mut Parts) -> Result<bool> {
    let alphabet = parts.prior.alphabet().clone();
    let probed = &rated[..rated.len().min(STRANDS)];
    let others: Option<Vec<Sequence>> = probed.iter().map(|x| x.sequence.reverse_complement(&alphabet)).collect();
    let Some(others) = others.filter(|others| !others.is_empty()) else { return Ok(false) };
    let values = values(parts.scorer.as_mut(), &others)?;
    Ok(probed
        .iter()
        .zip(values)
        .all(|(x, other)| other.is_some_and(|other| (other - x.mean).abs() <= 1e-6 * x.mean.abs())))
}

/// Of two strands the first in the alphabet's order.
fn one_strand(rated: Vec<Rated>, alphabet: &Alphabet) -> Vec<Rated> {
    let here: BTreeSet<Sequence> = rated.iter().map(|x| x.sequence.clone()).collect();
    let is_second =
        |x: &Sequence| x.reverse_complement(alphabet).is_some_and(|other| other < *x && here.contains(&other));
    rated.into_iter().filter(|x| !is_second(&x.sequence)).collect()
}

/// An oracle's values, where it has one.
pub(super) fn values(oracle: &mut dyn Oracle, sequences: &[Sequence]) -> Result<Vec<Option<f64>>> {
    Ok(oracle.evaluate(sequences)?.iter().map(crate::oracle::Outcome::value).collect())
}
