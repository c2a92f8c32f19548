//! Reading `metrics.jsonl` into plot series.

use crate::error::{Error, Result};
use serde_json::{Map, Value};

/// The lines of a `metrics.jsonl`: one JSON object a line.
///
/// ```
/// use seqtilt::eval::series::Metrics;
/// let metrics = Metrics::parse("{\"step\":1,\"loss\":0.5}\n{\"step\":2,\"kl\":0.1}\n{\"step\":3,\"loss\":0.25}\n")?;
/// assert_eq!(metrics.series("step", "loss"), [(1.0, 0.5), (3.0, 0.25)]);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    lines: Vec<Map<String, Value>>,
}

impl Metrics {
    /// Reads the text of the file. A last line without its newline was cut off by a kill and is left out.
    ///
    /// # Errors
    /// When another line is not a JSON object; the error carries the line and column.
    pub fn parse(text: &str) -> Result<Self> {
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut lines = Vec::new();
        for (number, line) in (1_u64..).zip(whole.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            lines.push(serde_json::from_str(line).map_err(|source| {
                Error::data(format!("not a JSON object: {source}")).line(number).column(source.column() as u64)
            })?);
        }
        Ok(Self { lines })
    }

    /// Pairs of two numbers, from the lines that hold both.
    #[must_use]
    pub fn series(&self, x: &str, y: &str) -> Vec<(f64, f64)> {
        let number = |line: &Map<String, Value>, key: &str| line.get(key).and_then(Value::as_f64);
        self.lines.iter().filter_map(|line| Some((number(line, x)?, number(line, y)?))).collect()
    }

    /// The names of all numbers, in order of first appearance.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in self.lines.iter().flatten().filter(|(_, value)| value.is_number()) {
            if !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }

    /// The last value of a number.
    #[must_use]
    pub fn last(&self, name: &str) -> Option<f64> {
        self.lines.iter().rev().find_map(|line| line.get(name).and_then(Value::as_f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_off_last_line_is_left_out_and_a_broken_one_is_refused() {
        let metrics =
            Metrics::parse("{\"step\":1,\"note\":\"x\",\"r\":2}\n\n{\"step\":2,\"r\":null}\n{\"step\":3,\"r\"")
                .unwrap();
        assert_eq!(metrics.names(), ["step", "r"]);
        assert_eq!(metrics.series("step", "r"), [(1.0, 2.0)]);
        assert_eq!((metrics.last("step"), metrics.last("r"), metrics.last("q")), (Some(2.0), Some(2.0), None));
        let error = Metrics::parse("{\"step\":1}\n{\"step\" 2}\n").unwrap_err();
        assert!(error.to_string().starts_with("2:9: not a JSON object"), "{error}");
        assert_eq!(Metrics::parse("{\"step\":1").unwrap(), Metrics::default());
    }
}
