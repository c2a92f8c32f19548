//! Formulas over other oracles.

mod syntax;
mod term;
#[cfg(test)]
mod tests;

use super::{Oracle, OracleInfo, OracleName, OracleOptions, Outcome};
use crate::error::{Error, Result};
use crate::reward::Reward;
use crate::sequence::{Sequence, read_text};
use crate::store::Sha256;
use candle_core::Tensor;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use term::Term;

/// A formula over named oracles, its parts.
///
/// ```text
/// value = f(a, b, …)        sd² = Σ_a (∂f/∂a)² sd_a²
/// ```
/// Numbers, names, `+ − * /`, brackets and `min`, `max`, `clip(x, low, high)`, `sigmoid`, `exp`, `log`, `sqrt`, `abs`,
/// `above(x, t)` and `below(x, t)`, which are 1 or 0. Standard deviations are taken as independent and small (first order); a part
/// without one is exact, and where no part has one the value has none. A sequence is infeasible where a part says so, else not
/// evaluated or failed where a part is, with the name of the part; a censored part is a failure, since a formula may turn its bound.
///
/// Written `expr:FORMULA; a=KIND:ARGUMENT; b=…`, or `expr:FILE` of TOML with a `formula` and a table of `parts`.
///
/// ```
/// use seqtilt::oracle::{Expression, Formula, Oracle, Outcome};
/// use seqtilt::reward::Potts;
/// use seqtilt::sequence::Sequence;
/// let part = |letter| Potts::parse("p", &format!("i,a,j,b,value\n1,{letter},,,2\n2,C,,,1\n")).map(Formula::potts);
/// let parts: Vec<(&str, Box<dyn Oracle>)> = vec![("a", Box::new(part("A")?)), ("b", Box::new(part("G")?))];
/// let mut both = Expression::new("a - 0.5*max(b, 1)", parts)?;
/// let word = Sequence::parse("AC", &both.info().alphabet.clone())?;
/// assert_eq!(both.evaluate(&[word])?, [Outcome::exact(2.5)]);
/// # Ok::<(), seqtilt::Error>(())
/// ```
pub struct Expression {
    info: OracleInfo,
    term: Term,
    parts: Vec<(String, Box<dyn Oracle>)>,
}

impl Expression {
    /// A formula over parts by name.
    ///
    /// # Errors
    /// When the formula is not one, does not use every part, or the parts read different letters or lengths.
    pub fn new(formula: &str, parts: Vec<(impl Into<String>, Box<dyn Oracle>)>) -> Result<Self> {
        let parts: Vec<(String, Box<dyn Oracle>)> = parts.into_iter().map(|(name, part)| (name.into(), part)).collect();
        let names: Vec<String> = parts.iter().map(|(name, _)| name.clone()).collect();
        let term = syntax::parse(formula, &names)?;
        let mut text = format!("expr {}", formula.split_whitespace().collect::<String>());
        let Some((first, part)) = parts.first() else {
            return Err(Error::usage(
                "a formula without a part has the same value everywhere; one part or more is accepted",
            ));
        };
        let mut info = OracleInfo { name: formula.trim().to_owned(), ..part.info().clone() };
        for (name, part) in &parts {
            let of = part.info();
            if of.alphabet.letters() != info.alphabet.letters() {
                let (a, b) = (info.alphabet.name(), of.alphabet.name());
                return Err(Error::usage(format!("part `{first}` reads {a}, part `{name}` {b}"))
                    .hint("the parts of a formula read the same letters"));
            }
            info.length = (info.length.0.max(of.length.0), info.length.1.min(of.length.1));
            info.deterministic &= of.deterministic;
            info.has_gradient &= of.has_gradient;
            text = format!("{text};{name}={}", of.fingerprint);
        }
        if info.length.0 > info.length.1 {
            let lengths = parts.iter().map(|(name, part)| format!("`{name}` {}", part.info().lengths()));
            let lengths = lengths.collect::<Vec<_>>().join(", ");
            return Err(Error::usage(format!("no length suits all parts; letters read: {lengths}")));
        }
        info.has_gradient &= term.threshold().is_none();
        let mut hash = Sha256::default();
        hash.update(text.as_bytes());
        info.fingerprint = format!("sha256:{}", hash.hex());
        Ok(Self { info, term, parts })
    }

    /// One outcome of the parts' outcomes.
    fn join(&self, outcomes: &[&Outcome]) -> Outcome {
        let named = |index: usize, reason: &str| format!("part `{}`: {reason}", self.parts[index].0);
        let found = |wanted: &str| outcomes.iter().position(|outcome| outcome.status() == wanted);
        if let Some(index) = found("infeasible") {
            return Outcome::Infeasible { reason: named(index, outcomes[index].reason().unwrap_or_default()) };
        }
        if found("skipped").is_some() {
            return Outcome::Skipped;
        }
        if let Some(index) = found("failed") {
            return Outcome::Failed { reason: named(index, outcomes[index].reason().unwrap_or_default()) };
        }
        if let Some((index, Outcome::Censored { bound })) =
            outcomes.iter().enumerate().find(|(_, outcome)| outcome.status() == "censored")
        {
            return Outcome::Failed { reason: named(index, &format!("censored, {bound}")) };
        }
        let values: Vec<f64> = outcomes.iter().filter_map(|outcome| outcome.value()).collect();
        let (mean, slopes) = self.term.at(&values);
        if !mean.is_finite() {
            let values = self.parts.iter().zip(&values).map(|((name, _), value)| format!("{name} = {value}"));
            let values = values.collect::<Vec<_>>().join(", ");
            return Outcome::Failed { reason: format!("the formula is {mean} at {values}") };
        }
        let square = |(slope, outcome): (&f64, &&Outcome)| outcome.sd().map(|sd| (slope * sd).powi(2));
        let squares: Vec<f64> = slopes.iter().zip(outcomes).filter_map(square).collect();
        Outcome::Value { mean, sd: (!squares.is_empty()).then(|| squares.iter().sum::<f64>().sqrt()) }
    }
}

impl Oracle for Expression {
    fn info(&self) -> &OracleInfo {
        &self.info
    }

    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
        let mut columns = Vec::with_capacity(self.parts.len());
        for (name, part) in &mut self.parts {
            let outcomes = part.evaluate(batch).map_err(|error| in_part(name, error))?;
            if outcomes.len() != batch.len() {
                let (got, asked) = (outcomes.len(), batch.len());
                return Err(Error::oracle(format!("part `{name}` gave {got} outcomes for {asked} sequences")));
            }
            columns.push(outcomes);
        }
        let row = |index: usize| self.join(&columns.iter().map(|column| &column[index]).collect::<Vec<_>>());
        Ok((0..batch.len()).map(row).collect())
    }

    fn recall(&mut self, evaluated: &[Sequence]) {
        for (_, part) in &mut self.parts {
            part.recall(evaluated);
        }
    }
}

/// A formula over differentiable rewards.
struct Composed {
    name: String,
    term: Term,
    parts: Vec<Box<dyn Reward>>,
}

impl Reward for Composed {
    fn name(&self) -> &str {
        &self.name
    }

    fn reward(&self, probs: &Tensor) -> Result<Tensor> {
        let parts = self.parts.iter().map(|part| part.reward(probs)).collect::<Result<Vec<_>>>()?;
        self.term.tensor(&parts)
    }

    fn is_differentiable(&self) -> bool {
        self.parts.iter().all(|part| part.is_differentiable())
    }
}

/// An error with the name of the part that it comes from.
fn in_part(name: &str, error: Error) -> Error {
    let named = Error::new(error.kind(), format!("part `{name}`: {error}"));
    let hint = error.hint_text().map(str::to_owned);
    let named = named.because(error);
    match hint {
        Some(hint) => named.hint(hint),
        None => named,
    }
}

/// A formula and the names of its parts, as a file has them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    formula: String,
    parts: BTreeMap<String, String>,
}

/// Formula and parts of `FORMULA; a=KIND:ARGUMENT; …`, or of a file.
fn read(argument: &str) -> Result<(String, Vec<(String, OracleName)>)> {
    let file = Path::new(argument);
    let (formula, parts) = if !argument.contains(';') && file.is_file() {
        let written: Written = toml::from_str(&read_text(file)?).map_err(|error| {
            Error::data(format!("not a formula with parts: {}", error.message()))
                .at(file)
                .hint("`formula = \"a + b\"` and a table `[parts]` with `a = \"KIND:ARGUMENT\"` are accepted")
        })?;
        (written.formula, written.parts.into_iter().collect::<Vec<_>>())
    } else {
        let mut pieces = argument.split(';');
        let formula = pieces.next().unwrap_or_default().to_owned();
        let part = |piece: &str| match piece.split_once('=') {
            Some((name, oracle)) => Ok((name.trim().to_owned(), oracle.trim().to_owned())),
            None => Err(Error::usage(format!("`{}` is not a part; NAME=KIND:ARGUMENT is accepted", piece.trim()))),
        };
        (formula, pieces.filter(|piece| !piece.trim().is_empty()).map(part).collect::<Result<Vec<_>>>()?)
    };
    let named = |(name, oracle): (String, String)| {
        // a file could name itself
        if oracle.starts_with("expr:") || oracle.contains(":expr:") {
            return Err(Error::usage(format!("part `{name}` is a formula itself")).hint("write it into the formula"));
        }
        let oracle = oracle.parse().map_err(|error| in_part(&name, error))?;
        Ok((name, oracle))
    };
    Ok((formula, parts.into_iter().map(named).collect::<Result<_>>()?))
}

pub(super) fn open(argument: &str, options: &OracleOptions) -> Result<Box<dyn Oracle>> {
    let (formula, parts) = read(argument)?;
    let names: Vec<String> = parts.iter().map(|(name, _)| name.clone()).collect();
    // what is wrong with the formula is said before a part is opened
    syntax::parse(&formula, &names)?;
    let open = |(name, oracle): (String, OracleName)| {
        let part = oracle.open(options).map_err(|error| in_part(&name, error))?;
        Ok((name, part))
    };
    Ok(Box::new(Expression::new(&formula, parts.into_iter().map(open).collect::<Result<Vec<_>>>()?)?))
}

pub(super) fn reward(argument: &str, options: &OracleOptions) -> Result<Box<dyn Reward>> {
    let (formula, parts) = read(argument)?;
    let names: Vec<String> = parts.iter().map(|(name, _)| name.clone()).collect();
    let term = syntax::parse(&formula, &names)?;
    if let Some((name, column)) = term.threshold() {
        return Err(Error::usage(format!("`{name}` at column {column} of the formula has no slope"))
            .hint("`sigmoid((x - t)/width)` has one"));
    }
    let open = |(name, oracle): (String, OracleName)| oracle.reward(options).map_err(|error| in_part(&name, error));
    let parts = parts.into_iter().map(open).collect::<Result<Vec<_>>>()?;
    if parts.is_empty() {
        return Err(Error::usage(
            "a formula without a part has the same value everywhere; one part or more is accepted",
        ));
    }
    Ok(Box::new(Composed { name: formula.trim().to_owned(), term, parts }))
}
