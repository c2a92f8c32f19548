//! What `bench divergences` prints.

use super::cell::Study;
use crate::cli::bench::results::{Group, Results};
use crate::cli::printer::columns;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// The results, and how long each cell took, which is not in `results.json`.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    pub(super) results: Results,
    pub(super) seconds: BTreeMap<String, Option<f64>>,
    #[serde(skip)]
    pub(super) study: Study,
}

/// A column: heading, parameters, metric, decimals.
type Wanted = (String, Vec<(&'static str, Value)>, &'static str, usize);

/// The groups of a part in a case, by their parameters.
pub(super) struct Part<'a> {
    groups: Vec<&'a Group>,
}

impl<'a> Part<'a> {
    pub(super) fn of(results: &'a Results, case: &str, part: &str) -> Self {
        let is = |group: &&Group| group.parameters["case"] == case && group.parameters["part"] == part;
        Self { groups: results.summary.iter().filter(is).collect() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The methods, in order.
    pub(super) fn methods(&self) -> Vec<&'a str> {
        let mut methods: Vec<&str> = Vec::new();
        for group in &self.groups {
            if !methods.contains(&group.method.as_str()) {
                methods.push(&group.method);
            }
        }
        methods
    }

    /// The groups of a method.
    pub(super) fn method(&self, method: &'a str) -> impl Iterator<Item = &'a Group> {
        self.groups.iter().copied().filter(move |group| group.method == method)
    }

    /// The group of a method with these parameters.
    pub(super) fn find(&self, method: &'a str, with: &[(&str, Value)]) -> Option<&'a Group> {
        self.method(method).find(|group| with.iter().all(|(name, value)| group.parameters[*name] == *value))
    }

    /// A table: a row per method, a column per wanted one.
    fn table(&self, wanted: &[Wanted]) -> String {
        let mut lines: Vec<Vec<String>> =
            vec![std::iter::once(String::new()).chain(wanted.iter().map(|w| w.0.clone())).collect()];
        for method in self.methods() {
            let mut line = vec![method.to_owned()];
            for (_, with, metric, decimals) in wanted {
                let number = self.find(method, with).and_then(|group| match group.metrics.get(*metric) {
                    Some(spread) => Some(spread.mean),
                    None => group.parameters[*metric].as_f64(),
                });
                line.push(number.map_or_else(|| "-".to_owned(), |number| format!("{number:.decimals$}")));
            }
            lines.push(line);
        }
        columns(&lines, "")
    }
}

impl Report {
    /// The true mean at every level of a quantity, then what more is known at the middle level.
    fn matched(&self, f: &mut fmt::Formatter<'_>, case: &str, quantity: &str, levels: &[f64]) -> fmt::Result {
        let part = Part::of(&self.results, case, &format!("at-{quantity}"));
        if part.is_empty() {
            return Ok(());
        }
        let unit = match quantity {
            "kl" => "KL",
            "effective" => "effective number of sequences",
            _ => "mean distance of two draws",
        };
        let middle = levels[levels.len() / 2];
        let at = |level: f64| vec![("level", Value::from(level))];
        let mut wanted: Vec<Wanted> =
            levels.iter().map(|level| (format!("at {level}"), at(*level), "truth", 4)).collect();
        for (heading, metric, decimals) in
            [("KL", "kl", 2), ("number", "effective", 0), ("distance", "distance", 2), ("heaviest", "max_weight", 4)]
        {
            if metric != quantity {
                wanted.push((heading.to_owned(), at(middle), metric, decimals));
            }
        }
        writeln!(f, "True mean at the same {unit}; on the right, more of it at {middle}\n{}", part.table(&wanted))
    }

    /// What becomes of the good sequences.
    fn coverage(&self, f: &mut fmt::Formatter<'_>, case: &str) -> fmt::Result {
        let level = self.study.kl[self.study.kl.len() / 2];
        let wanted = [
            ("alpha", "alpha", 4),
            ("predicted - true", "optimism", 3),
            ("median", "truth_median", 3),
            ("good", "good_mass", 3),
            ("raised", "good_raised", 0),
            ("on plate", "plate_good", 1),
            ("dropped", "dropped", 3),
            ("floor", "floor", 4),
            ("atom", "atom", 3),
        ];
        let with = vec![("level", Value::from(level))];
        let wanted = wanted.map(|(heading, metric, decimals)| (heading.to_owned(), with.clone(), metric, decimals));
        let part = Part::of(&self.results, case, "at-kl");
        if part.is_empty() { Ok(()) } else { writeln!(f, "Coverage at {level} nats\n{}", part.table(&wanted)) }
    }

    fn robust(&self, f: &mut fmt::Formatter<'_>, case: &str, objective: &str, what: &str) -> fmt::Result {
        let part = Part::of(&self.results, case, "robust");
        let with = vec![("objective", Value::from(objective))];
        let mut lines = vec![["", "best", "price", "price/3", "price x3", "window"].map(str::to_owned)];
        for method in part.methods() {
            let Some(group) = part.find(method, &with) else { continue };
            let at = |metric: &str, decimals| group.text(metric, decimals);
            lines.push([
                method.to_owned(),
                at("best", 3),
                group.parameters["price"].as_f64().map_or_else(String::new, |price| format!("{price:.5}")),
                at("too_low", 3),
                at("too_high", 3),
                at("window", 1),
            ]);
        }
        writeln!(f, "{what}\n{}", columns(&lines, ""))
    }

    fn sampled(&self, f: &mut fmt::Formatter<'_>, case: &str) -> fmt::Result {
        let (part, study) = (Part::of(&self.results, case, "sampled"), &self.study);
        if part.is_empty() {
            return Ok(());
        }
        let level = study.kl[study.kl.len() / 2];
        let at = |samples: usize| vec![("level", Value::from(level)), ("samples", Value::from(samples as f64))];
        let middle = study.samples[study.samples.len() / 2];
        let mut lines: Vec<Vec<String>> = vec![std::iter::once(String::new()).collect()];
        lines[0].extend(study.samples.iter().map(|samples| format!("TV, {samples}")));
        lines[0].extend(["E[r]", "number", "heaviest"].map(|name| format!("{name}, {middle}")));
        for method in part.methods() {
            let text = |samples, metric: &str, decimals| {
                part.find(method, &at(samples)).map_or_else(|| "-".to_owned(), |group| group.text(metric, decimals))
            };
            let mut line = vec![method.to_owned()];
            line.extend(study.samples.iter().map(|samples| text(*samples, "total_variation", 3)));
            line.push(text(middle, "reward_error", 3));
            line.push(text(middle, "sample_ess", 0));
            line.push(text(middle, "sample_max_weight", 3));
            lines.push(line);
        }
        writeln!(
            f,
            "What is lost at {level} nats where the constant is found on so many draws of the prior\n{}",
            columns(&lines, "")
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let study = &self.study;
        for (case, title) in
            [("truth", "The truth is the reward"), ("model", "A model is the reward, the truth judges")]
        {
            if Part::of(&self.results, case, "front").is_empty() {
                continue;
            }
            writeln!(f, "{title}\n{}\n", "=".repeat(title.len()))?;
            self.matched(f, case, "kl", &study.kl)?;
            self.coverage(f, case)?;
            self.matched(f, case, "effective", &study.effective)?;
            self.matched(f, case, "distance", &study.distance)?;
            let plate = study.plate;
            self.robust(
                f,
                case,
                "plate_good",
                &format!("Good sequences expected on a plate of {plate} draws as they come"),
            )?;
            self.robust(
                f,
                case,
                "picked_filled",
                &format!("True mean of the best {plate} by the reward, of {} draws", study.draws),
            )?;
            self.sampled(f, case)?;
        }
        let seconds: f64 = self.seconds.values().flatten().sum();
        write!(
            f,
            "All exact but for what says draws. number: effective number of sequences, 1/Σq²; distance: letters in which two draws\n\
             differ; heaviest: the largest probability of a sequence. good: share of the law with a true value of {} or more;\n\
             raised: how many such have more than the prior gives them; on plate: how many different ones are expected of {}\n\
             draws; dropped: share of the prior left out; floor: least q/p; atom: mass that stays on the best reward. price: of a\n\
             nat of KL, every divergence at the price that costs the same for small departures; window: factor by which prices\n\
             may differ and give 90 % of the best. TV: total variation to the exact optimum; E[r]: error of its mean reward.\n\
             ± is the standard deviation over seeds. {seconds:.0} s in all.\n",
            study.good, study.plate
        )
    }
}
