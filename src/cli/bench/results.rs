//! What a benchmark answers: its rows, their mean and spread over seeds, and what they were made from.

use super::folder::BenchFolder;
use super::rows::Row;
use crate::cli::printer::command_line;
use crate::error::{Error, Result};
use crate::eval::quantile::Summary;
use crate::eval::report::{Cell, Column, Table};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Mean and standard deviation over seeds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Spread {
    /// Seeds.
    pub(super) n: usize,
    /// Mean.
    pub(super) mean: f64,
    /// Standard deviation (divisor n − 1); none of one seed.
    pub(super) sd: Option<f64>,
}

impl Spread {
    /// Of a sample; `None` of an empty one.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let summary = Summary::of(values)?;
        Some(Self { n: summary.n, mean: summary.mean.value, sd: (summary.n > 1).then_some(summary.sd) })
    }

    /// `0.1234 ± 0.0012` with this many decimals.
    pub(super) fn text(&self, decimals: usize) -> String {
        let sd = self.sd.map_or_else(String::new, |sd| format!(" ± {sd:.decimals$}"));
        format!("{:.decimals$}{sd}", self.mean)
    }
}

/// The rows of one method with the same parameters, over seeds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Group {
    pub(super) method: String,
    pub(super) parameters: Value,
    pub(super) seeds: Vec<u64>,
    pub(super) metrics: BTreeMap<String, Spread>,
}

impl Group {
    /// A metric as text; a dash where there is none.
    pub(super) fn text(&self, metric: &str, decimals: usize) -> String {
        self.metrics.get(metric).map_or_else(|| "-".to_owned(), |spread| spread.text(decimals))
    }
}

/// A number that others published.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Published {
    pub(super) method: &'static str,
    pub(super) metric: &'static str,
    pub(super) mean: f64,
    pub(super) sd: Option<f64>,
}

/// Everything that `results.json` holds.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Results {
    pub(super) benchmark: String,
    /// The command as it was typed.
    pub(super) command: String,
    /// Versions of what computes, and hashes of models and data by name.
    pub(super) versions: BTreeMap<String, String>,
    /// Per method and parameters, over seeds.
    pub(super) summary: Vec<Group>,
    /// Published numbers to compare with; not measured here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) published: Vec<Published>,
    pub(super) rows: Vec<Row>,
}

impl Results {
    /// From rows, grouped by method and parameters in order of appearance.
    pub(super) fn new(benchmark: &str, rows: Vec<Row>) -> Self {
        let versions = BTreeMap::from([("seqtilt".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
        let mut groups: Vec<(&Row, Vec<&Row>)> = Vec::new();
        for row in &rows {
            match groups.iter_mut().find(|(g, _)| g.method == row.method && g.parameters == row.parameters) {
                Some((_, members)) => members.push(row),
                None => groups.push((row, vec![row])),
            }
        }
        let summary = groups.into_iter().map(|(first, members)| Group {
            method: first.method.clone(),
            parameters: first.parameters.clone(),
            seeds: members.iter().map(|row| row.seed).collect(),
            metrics: first
                .metrics
                .keys()
                .filter_map(|name| {
                    let values: Vec<f64> = members.iter().filter_map(|row| row.metrics.get(name).copied()).collect();
                    Some((name.clone(), Spread::of(&values)?))
                })
                .collect(),
        });
        Self {
            benchmark: benchmark.to_owned(),
            command: command_line(),
            versions,
            summary: summary.collect(),
            published: Vec::new(),
            rows,
        }
    }

    /// With the version or hash of something that the rows depend on.
    pub(super) fn with_version(mut self, what: &str, version: impl Into<String>) -> Self {
        self.versions.insert(what.to_owned(), version.into());
        self
    }

    /// Writes `results.json` and `results.csv`.
    ///
    /// # Errors
    /// When they cannot be written.
    pub(super) fn write(&self, folder: &BenchFolder) -> Result<()> {
        let json = serde_json::to_vec_pretty(self)
            .map_err(|error| Error::data("the results cannot be written as JSON").because(error))?;
        folder.write("results.json", &json)?;
        folder.write("results.csv", self.csv()?.as_bytes())
    }

    /// One line per row: benchmark, method, seed, plain parameters, every metric; missing is empty.
    fn csv(&self) -> Result<String> {
        let failed = |error: csv::Error| Error::device("cannot write the table of results").because(error);
        let plain = |row: &Row| -> BTreeMap<String, String> {
            let fields = row.parameters.as_object().into_iter().flatten();
            let text = |value: &Value| match value {
                Value::String(text) => Some(text.clone()),
                Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
                _ => None,
            };
            fields.filter_map(|(name, value)| Some((name.clone(), text(value)?))).collect()
        };
        let parameters: BTreeSet<String> = self.rows.iter().flat_map(|row| plain(row).into_keys()).collect();
        let metrics: BTreeSet<&String> = self.rows.iter().flat_map(|row| row.metrics.keys()).collect();
        let mut writer = csv::Writer::from_writer(Vec::new());
        let fixed = ["benchmark", "method", "seed"].map(str::to_owned).into_iter();
        writer
            .write_record(fixed.chain(parameters.iter().cloned()).chain(metrics.iter().map(|m| (*m).clone())))
            .map_err(failed)?;
        for row in &self.rows {
            let known = plain(row);
            let fixed = [row.benchmark.clone(), row.method.clone(), row.seed.to_string()].into_iter();
            let parameters = parameters.iter().map(|name| known.get(name).cloned().unwrap_or_default());
            let metrics = metrics.iter().map(|name| row.metrics.get(*name).map_or_else(String::new, f64::to_string));
            writer.write_record(fixed.chain(parameters).chain(metrics)).map_err(failed)?;
        }
        let bytes =
            writer.into_inner().map_err(|error| Error::device("cannot write the table").because(error.to_string()))?;
        String::from_utf8(bytes).map_err(|error| Error::device("cannot write the table of results").because(error))
    }

    /// The rows as a table of a report: method, the named parameters, seed, then metrics with their decimals.
    pub(super) fn table<'a>(&self, parameters: impl IntoIterator<Item = &'a str>, metrics: &[(&str, u8)]) -> Table {
        let parameters: Vec<&str> = parameters.into_iter().collect();
        let mut columns = vec![Column::text("method")];
        columns.extend(parameters.iter().map(|name| {
            let text = self.rows.iter().any(|row| row.parameters.get(name).is_some_and(Value::is_string));
            if text { Column::text(name) } else { Column::number(name, 3) }
        }));
        columns.push(Column::number("seed", 0));
        columns.extend(metrics.iter().map(|(name, decimals)| Column::number(name, *decimals)));
        let rows = self.rows.iter().map(|row| {
            let mut cells = vec![Cell::from(row.method.clone())];
            cells.extend(parameters.iter().map(|name| match row.parameters.get(name) {
                Some(Value::String(text)) => Cell::from(text.clone()),
                other => Cell::from(other.and_then(Value::as_f64)),
            }));
            cells.push(Cell::from(row.seed as f64));
            cells.extend(metrics.iter().map(|(name, _)| Cell::from(row.metrics.get(*name).copied())));
            cells
        });
        Table {
            title: "Rows".to_owned(),
            caption: "Click a heading to sort. All metrics are in results.csv.".to_owned(),
            columns,
            rows: rows.collect(),
            reference: None,
        }
    }
}

/// The numbers that are finite, by name.
pub(super) fn finite<const N: usize>(metrics: [(&str, f64); N]) -> BTreeMap<String, f64> {
    metrics.into_iter().filter(|(_, value)| value.is_finite()).map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(method: &str, seed: u64, reward: f64) -> Row {
        let metrics = finite([("reward", reward), ("odd", f64::NAN)]);
        Row { benchmark: "a".into(), method: method.into(), seed, parameters: json!({"alpha": 0.5, "x": [1]}), metrics }
    }

    #[test]
    fn seeds_are_summed_up_by_method_and_every_row_is_kept() {
        let results = Results::new("a", vec![row("b", 0, 1.0), row("c", 0, 5.0), row("b", 1, 2.0)]);
        assert_eq!(results.summary.len(), 2);
        let b = &results.summary[0];
        assert_eq!((b.method.as_str(), b.seeds.as_slice()), ("b", &[0, 1][..]));
        assert_eq!(b.metrics["reward"], Spread { n: 2, mean: 1.5, sd: Some(0.5_f64.sqrt()) });
        assert_eq!((b.text("reward", 2), b.text("odd", 2)), ("1.50 ± 0.71".to_owned(), "-".to_owned()));
        assert_eq!(results.summary[1].text("reward", 1), "5.0");
        let csv = results.csv().unwrap();
        assert_eq!(csv, "benchmark,method,seed,alpha,reward\na,b,0,0.5,1\na,c,0,0.5,5\na,b,1,0.5,2\n");
        assert_eq!(results.table(Some("alpha"), &[("reward", 2)]).rows[1].len(), 4);
    }
}
