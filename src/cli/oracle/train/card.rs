//! The card of a trained reward.

use super::report::Report;
use super::settings::{Args, Plan};
use crate::reward::Ensemble;

/// What the card calls the fingerprint of its data.
pub(super) const DATA: &str = "training data after filtering";

/// `CARD.md`: what it is, how to make it again, how good it is, what it is not good for.
pub(super) fn text(input: &str, args: &Args, plan: &Plan, report: &Report, ensemble: &Ensemble) -> String {
    let domain = ensemble.domain();
    let config = ensemble.config();
    format!(
        "# {name}\n\n\
         An ensemble of {members} networks (`{architecture}`) that predicts the value of a sequence of {length} letters\n\
         over `{alphabet}`, and how far its members disagree.\n\n\
         ## Made by\n\n```sh\n{command}\n```\n\n\
         On the CPU the same command gives the same weights, whatever the number of threads.\n\n\
         - seqtilt {version}, seed {seed}\n\
         - {DATA}: `{data}`\n\
         - {sequences} sequences with values {least} to {greatest}; {left_out} of higher value were left out\n\n\
         ## How good\n\n```text\n{figures}```\n\n\
         ## Licence\n\n\
         The weights derive from the training data; its licence and citation apply (`seqtilt data list --json`).\n\n\
         ## Limits\n\n\
         Predictions beyond the training values and far from the training sequences are guesses; the members' spread\n\
         is about what the data leave open, not about noise in the measurements.\n{hold_out}\n",
        name = crate::reward::Reward::name(ensemble),
        members = config.members,
        architecture = config.architecture.name(),
        length = domain.length,
        alphabet = domain.alphabet.name(),
        command = command(input, args, report.seed),
        version = env!("CARGO_PKG_VERSION"),
        seed = report.seed,
        data = report.data,
        sequences = report.trained.sequences,
        least = report.trained.least,
        greatest = report.trained.greatest,
        left_out = report.left_out,
        figures = report.table(),
        hold_out = if plan.hold_out > 0.0 {
            "The held-out sequences were not trained on."
        } else {
            "The figures say how well it stands in for the values it was trained on, and nothing of other sequences."
        },
    )
}

/// The command with every setting that was given, but the folder.
fn command(input: &str, args: &Args, seed: u64) -> String {
    let mut words = vec!["seqtilt oracle train".to_owned(), quoted(input), format!("--seed {seed}")];
    if let Ok(serde_json::Value::Object(settings)) = serde_json::to_value(args) {
        flags(&settings, &mut words);
    }
    words.join(" ")
}

fn flags(settings: &serde_json::Map<String, serde_json::Value>, words: &mut Vec<String>) {
    use serde_json::Value;
    for (key, value) in settings {
        match value {
            _ if key == "out" || key == "checkpoint-every" => {}
            Value::Object(group) => flags(group, words),
            Value::Bool(true) => words.push(format!("--{key}")),
            Value::Number(number) => words.push(format!("--{key} {number}")),
            Value::String(text) => words.push(format!("--{key} {}", quoted(text))),
            Value::Null | Value::Bool(false) | Value::Array(_) => {}
        }
    }
}

/// Safe in a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./:=".contains(letter);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_repeats_what_was_given_and_nothing_else() {
        let settings = r#"{"out": "here", "lower-share": 0.5, "network": {"members": 2, "one-strand": true}}"#;
        let args: Args = serde_json::from_str(settings).unwrap();
        assert_eq!(
            command("my data.csv", &args, 7),
            "seqtilt oracle train 'my data.csv' --seed 7 --lower-share 0.5 --members 2 --one-strand"
        );
    }
}
