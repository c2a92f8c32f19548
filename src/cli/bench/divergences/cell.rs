//! Everything about one divergence in one case.

use super::NAME;
use super::case::{Case, seed};
use super::draws::{Sampler, picked};
use super::law::Law;
use super::level::sampled;
use super::matched::{Quantity, crossing};
use crate::cli::bench::results::finite;
use crate::cli::bench::rows::Row;
use crate::error::{Error, Result};
use crate::finetune::divergence::{DivergenceKind, curvature_matched};
use crate::nn::Pool;
use crate::reward::Multilinear;
use crate::store::{RunFolder, RunInfo};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const ROWS: &str = "rows.json";

/// How wrong a price is taken to be.
const WRONG: f64 = 3.0;

/// Halvings of the step, in the logarithm of the price, around the best of the grid.
const HALVINGS: usize = 3;

/// The share of the best that is good enough.
const ENOUGH: f64 = 0.9;

/// Everything but the case and the divergence that decides a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Study {
    pub(super) truth: String,
    pub(super) reward: String,
    pub(super) prior: String,
    pub(super) good: f64,
    pub(super) prices: Vec<f64>,
    pub(super) kl: Vec<f64>,
    pub(super) effective: Vec<f64>,
    pub(super) distance: Vec<f64>,
    pub(super) seeds: Vec<u64>,
    pub(super) plate: usize,
    pub(super) draws: usize,
    pub(super) samples: Vec<usize>,
}

/// One divergence in one case.
pub(super) struct Cell<'a> {
    pub(super) study: &'a Study,
    pub(super) case: &'a Case,
    pub(super) kind: DivergenceKind,
    pub(super) pool: &'a Pool,
}

/// The figures of a law, and of draws from it by seed.
struct Point {
    price: f64,
    law: BTreeMap<String, f64>,
    draws: Vec<BTreeMap<String, f64>>,
}

impl Point {
    /// What a designer wants more of: of the law, or of its draws as a mean over seeds.
    fn worth(&self, objective: &str) -> f64 {
        match self.law.get(objective) {
            Some(value) => *value,
            None => {
                self.draws.iter().filter_map(|figures| figures.get(objective)).sum::<f64>() / self.draws.len() as f64
            }
        }
    }
}

impl Cell<'_> {
    /// The name of its folder.
    pub(super) fn name(&self) -> String {
        format!("{}-{}", self.kind.to_string().replace(':', ""), self.case.name)
    }

    /// Computes its rows, or reads them where they are complete.
    ///
    /// # Errors
    /// When the folder is of another study, or a law cannot be solved.
    pub(super) fn run(&self, path: &Path) -> Result<Vec<Row>> {
        let info = RunInfo::new(&format!("bench {NAME}"), 0, self.study)?;
        let folder = RunFolder::open(path, &info)?;
        if folder.is_finished() {
            let file = path.join(ROWS);
            let bytes = std::fs::read(&file).map_err(|error| Error::io("read", &file, error))?;
            return serde_json::from_slice(&bytes)
                .map_err(|error| Error::integrity("not the rows of a benchmark").at(file).because(error));
        }
        let rows = self.rows()?;
        let json = serde_json::to_vec(&rows)
            .map_err(|error| Error::data("the rows cannot be written as JSON").because(error))?;
        folder.write(ROWS, &json)?;
        folder.finish(&[ROWS])?;
        Ok(rows)
    }

    fn rows(&self) -> Result<Vec<Row>> {
        let prices = &self.study.prices;
        let points = self.pool.map(prices.len(), |i| self.point(prices[i]))?;
        let mut rows = Vec::new();
        for point in &points {
            rows.push(self.row("front", 0, &[("price", point.price)], point.law.clone()));
            for (number, figures) in self.study.seeds.iter().zip(&point.draws) {
                rows.push(self.row("draws", *number, &[("price", point.price)], figures.clone()));
            }
        }
        rows.extend(self.matched(&points)?);
        rows.extend(self.sampled(&points)?);
        rows.extend(self.robust(&points)?);
        Ok(rows)
    }

    fn row(&self, part: &str, seed: u64, with: &[(&str, f64)], metrics: BTreeMap<String, f64>) -> Row {
        let mut parameters = json!({ "part": part, "case": self.case.name });
        for (name, value) in with {
            parameters[*name] = Value::from(*value);
            if *name == "price" {
                parameters["alpha"] = Value::from(curvature_matched(*value, self.kind.get()));
            }
        }
        Row { benchmark: NAME.to_owned(), method: self.kind.to_string(), seed, parameters, metrics }
    }

    fn law(&self, price: f64) -> Result<Law<'_>> {
        Law::of(self.case, self.kind, price)
    }

    fn point(&self, price: f64) -> Result<Point> {
        let law = self.law(price)?;
        let sampler = Sampler::new(&law.q);
        let draw = |number: &u64| {
            let drawn = sampler.draw(self.study.draws, seed(*number, "draws"));
            picked(self.case, &drawn, self.study.plate)
        };
        let draws = self.study.seeds.iter().map(draw).collect::<Result<_>>()?;
        Ok(Point { price, law: law.figures(self.study.plate)?, draws })
    }

    /// The price at which a quantity has a level, where the grid of prices encloses it.
    fn price_at(&self, points: &[Point], quantity: Quantity, level: f64) -> Result<Option<f64>> {
        let known: Vec<(f64, f64)> = points.iter().map(|p| (p.price.ln(), p.law[quantity.name()])).collect();
        let found = crossing(&known, level, |log| Ok(quantity.of(&self.law(log.exp())?)))?;
        Ok(found.map(f64::exp))
    }

    /// Laws that agree in one quantity.
    fn matched(&self, points: &[Point]) -> Result<Vec<Row>> {
        let study = self.study;
        let levels = |quantity| match quantity {
            Quantity::Kl => &study.kl,
            Quantity::Effective => &study.effective,
            Quantity::Distance => &study.distance,
        };
        let wanted: Vec<(Quantity, f64)> =
            Quantity::ALL.iter().flat_map(|q| levels(*q).iter().map(move |level| (*q, *level))).collect();
        let found = self.pool.map(wanted.len(), |i| {
            let (quantity, level) = wanted[i];
            let Some(price) = self.price_at(points, quantity, level)? else { return Ok(None) };
            let figures = self.law(price)?.figures(study.plate)?;
            Ok(Some(self.row(&format!("at-{}", quantity.name()), 0, &[("level", level), ("price", price)], figures)))
        })?;
        Ok(found.into_iter().flatten().collect())
    }

    /// λ from samples, at every level of KL.
    fn sampled(&self, points: &[Point]) -> Result<Vec<Row>> {
        let table = Multilinear::new("reward", &self.case.reward, self.case.letters, self.case.length)?;
        let study = self.study;
        let each = study.samples.len() * study.seeds.len();
        let found = self.pool.map(study.kl.len(), |i| {
            let price = self.price_at(points, Quantity::Kl, study.kl[i])?;
            price.map(|price| Ok((study.kl[i], price, self.law(price)?))).transpose()
        })?;
        let laws: Vec<(f64, f64, Law<'_>)> = found.into_iter().flatten().collect();
        self.pool.map(laws.len() * each, |i| {
            let ((level, price, law), rest) = (&laws[i / each], i % each);
            let (samples, number) = (study.samples[rest / study.seeds.len()], study.seeds[rest % study.seeds.len()]);
            let seed = seed(number, "samples").index(samples as u64);
            let figures = sampled(self.case, &table, self.kind, law, samples, seed)?;
            let with = [("level", *level), ("price", *price), ("samples", samples as f64)];
            Ok(self.row("sampled", number, &with, figures))
        })
    }

    /// The best price for what a designer wants, and what is lost where it is three times too low or too high. That of what is
    /// exact is refined from the grid; that of draws, whose noise would mislead, is of the grid.
    fn robust(&self, points: &[Point]) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        for objective in ["plate_good", "picked_filled", "picked_good"] {
            let mut worth: Vec<(f64, f64)> = points.iter().map(|p| (p.price, p.worth(objective))).collect();
            for _ in 0..if objective == "plate_good" { HALVINGS } else { 0 } {
                let between = beside_best(&mut worth);
                let found = self.pool.map(between.len(), |i| {
                    let law = self.law(between[i])?;
                    Ok((between[i], law.plate_good(self.study.plate)))
                })?;
                worth.extend(found);
            }
            let Some((price, best)) = worth.iter().copied().reduce(|a, b| if b.1 > a.1 { b } else { a }) else {
                continue;
            };
            let sides = self.pool.map(2, |i| self.point(price * if i == 0 { 1.0 / WRONG } else { WRONG }))?;
            let metrics = finite([
                ("best", best),
                ("too_low", sides[0].worth(objective)),
                ("too_high", sides[1].worth(objective)),
                ("window", window(&worth, ENOUGH * best)),
            ]);
            let mut row = self.row("robust", 0, &[("price", price)], metrics);
            row.parameters["objective"] = Value::from(objective);
            rows.push(row);
        }
        Ok(rows)
    }
}

/// Puts prices in order and names those half-way, in the logarithm, between the best and its neighbours.
pub(super) fn beside_best(worth: &mut [(f64, f64)]) -> Vec<f64> {
    worth.sort_by(|a, b| b.0.total_cmp(&a.0));
    let best = (0..worth.len()).fold(0, |best, i| if worth[i].1 > worth[best].1 { i } else { best });
    let neighbours = [best.checked_sub(1), Some(best + 1)].into_iter().flatten().filter_map(|i| worth.get(i));
    neighbours.map(|neighbour| (neighbour.0 * worth[best].0).sqrt()).collect()
}

/// By which factor prices may differ whose worth is at least `enough`, around the best, interpolated in the logarithm of the
/// price; at most the grid.
pub(super) fn window(worth: &[(f64, f64)], enough: f64) -> f64 {
    let mut sorted: Vec<(f64, f64)> = worth.iter().map(|(price, worth)| (price.ln(), *worth)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let best = (0..sorted.len()).fold(0, |best, i| if sorted[i].1 > sorted[best].1 { i } else { best });
    let edge = |steps: &mut dyn Iterator<Item = usize>| {
        let mut last = sorted[best];
        for i in steps {
            let next = sorted[i];
            if next.1 < enough {
                return last.0 + (next.0 - last.0) * (last.1 - enough) / (last.1 - next.1);
            }
            last = next;
        }
        last.0
    };
    if sorted.is_empty() {
        return f64::NAN;
    }
    (edge(&mut (best + 1..sorted.len())) - edge(&mut (0..best).rev())).exp()
}
