//! The figures of a card, computed again by its own command's settings.

use crate::cli::card::{Card, Figure};
use crate::cli::context::Context;
use crate::cli::{Cli, Verb, distil, oracle, pretrain};
use crate::data;
use crate::error::{Error, Result};
use crate::random::Seed;
use crate::store::embedded;
use clap::Parser;
use std::path::Path;

/// What came of it.
pub(super) enum Recomputed {
    Figures(Vec<Figure>),
    /// They could not be computed, for this reason.
    Not(String),
}

/// The settings of a command that makes models with figures.
enum Recipe {
    Prior(pretrain::Args),
    Reward(oracle::TrainArgs),
    Consistency(distil::Args),
}

/// Computes the figures of a model on the data, split and draws that its card's command names.
///
/// # Errors
/// When the data are there but damaged, or not those of the card though a manifest pins them, or a computation fails.
pub(super) fn recompute(model: &str, card: Card<'_>, context: &Context) -> Result<Recomputed> {
    let Some(words) = card.command()? else {
        return Ok(Recomputed::Not("its card names no command that made it".to_owned()));
    };
    let (recipe, seed) = match recipe(&words) {
        Ok(found) => found,
        Err(reason) => return Ok(Recomputed::Not(reason)),
    };
    let input = match &recipe {
        Recipe::Prior(args) => args.input(),
        Recipe::Reward(args) => args.input(),
        Recipe::Consistency(args) => return of_prior(args, model, card, seed, context),
    };
    let pinned = match presence(input, context)? {
        Presence::Absent(reason) => return Ok(Recomputed::Not(reason)),
        Presence::File => false,
        Presence::DataSet => true,
    };
    context.note(format!("recomputing the figures of `{model}`"));
    let figures = match &recipe {
        Recipe::Prior(args) => pretrain::recompute(args, card, seed, model, context)?,
        Recipe::Reward(args) => oracle::recompute(args, card, seed, model, context)?,
        Recipe::Consistency(_) => None,
    };
    match figures {
        Some(figures) => Ok(Recomputed::Figures(figures)),
        None if pinned => Err(Error::integrity(format!(
            "the card of `{model}` was written for other data than its command takes from `{input}`"
        ))
        .hint("train it again with the command on its card")),
        None => Ok(Recomputed::Not(format!("`{input}` is not what it was trained on"))),
    }
}

/// The figures of a model that was made of a prior alone.
fn of_prior(args: &distil::Args, model: &str, card: Card<'_>, seed: Seed, context: &Context) -> Result<Recomputed> {
    let prior = args.prior();
    if !Path::new(prior).exists() && embedded::find(prior).is_err() {
        return Ok(Recomputed::Not(format!("no prior `{prior}` found")));
    }
    context.note(format!("recomputing the figures of `{model}`"));
    Ok(match distil::recompute(args, card, seed, model, context)? {
        Some(figures) => Recomputed::Figures(figures),
        None => Recomputed::Not(format!("`{prior}` is not what it was distilled from")),
    })
}

/// The settings and the seed in a command; else why they cannot be used.
fn recipe(words: &[String]) -> Result<(Recipe, Seed), String> {
    let command = || words.iter().take(3).map(String::as_str).collect::<Vec<_>>().join(" ");
    let Ok(cli) = Cli::try_parse_from(words) else {
        return Err(format!("this seqtilt does not know the command `{} …` of its card", command()));
    };
    if let Some(file) = cli.global.config {
        return Err(format!("the command of its card took settings from `{}`", file.display()));
    }
    let recipe = match cli.verb {
        Verb::Pretrain(args) => Some(Recipe::Prior(*args)),
        Verb::Distil(args) => Some(Recipe::Consistency(args)),
        Verb::Oracle(args) => args.training().map(Recipe::Reward),
        _ => None,
    };
    let recipe = recipe.ok_or_else(|| format!("`{} …` on its card writes no figures", command()))?;
    Ok((recipe, Seed::root(cli.global.seed.unwrap_or(0))))
}

/// Whether the input of a command is there.
enum Presence {
    Absent(String),
    File,
    DataSet,
}

fn presence(input: &str, context: &Context) -> Result<Presence> {
    if let Ok(dir) = context.data_dir()
        && let Some(set) = data::datasets(dir)?.into_iter().find(|set| set.name == input)
    {
        let there = dir.join(&set.file).exists();
        let absent = || Presence::Absent(format!("data set `{input}` not found in `{}`", dir.display()));
        return Ok(if there { Presence::DataSet } else { absent() });
    }
    let there = Path::new(input).exists();
    Ok(if there { Presence::File } else { Presence::Absent(format!("no data set or file `{input}` found")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_card_that_ships_has_a_command_that_can_be_followed_and_figures() {
        for model in embedded::MODELS {
            let text = model.card();
            let card = Card::new(&text);
            let words = card.command().unwrap().unwrap();
            let labels = match recipe(&words) {
                Ok((Recipe::Prior(args), _)) if ["tfbind8", "tfbind8-hard-start", "gfp"].contains(&args.input()) => {
                    ["held-out bound"].as_slice()
                }
                Ok((Recipe::Consistency(args), _)) if embedded::find(args.prior()).is_ok() => {
                    ["letters that agree", "total variation"].as_slice()
                }
                Ok((Recipe::Reward(args), _)) if ["tfbind8", "gfp"].contains(&args.input()) => {
                    ["rank correlation", "root mean squared error"].as_slice()
                }
                _ => panic!("{words:?}"),
            };
            assert!(labels.iter().all(|label| card.figure(label).is_some()), "{text}");
        }
    }

    #[test]
    fn commands_that_cannot_be_followed_say_why() {
        let refused = |line: &str| recipe(&line.split(' ').map(str::to_owned).collect::<Vec<_>>()).err().unwrap();
        assert!(refused("seqtilt prtrain x").contains("does not know the command `seqtilt prtrain x …`"));
        assert!(refused("seqtilt design t.csv --out d").contains("writes no figures"));
        assert!(refused("seqtilt oracle list").contains("writes no figures"));
        assert!(refused("seqtilt pretrain x --config a.toml").contains("settings from `a.toml`"));
    }
}
