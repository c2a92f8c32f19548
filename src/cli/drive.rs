//! The loop around a training run: checkpoints, metrics, progress, interruption.

use super::context::Context;
use crate::error::{Error, Result};
use crate::nn::{Figures, Training};
use crate::observe::{Event, Observer};
use crate::store::RunFolder;
use serde_json::{Map, Value, json};

/// Steps between two checkpoints unless told otherwise.
pub(super) const CHECKPOINT_EVERY: u64 = 100;

/// Takes `training` from where `run` stood to its end, with a checkpoint every so many steps.
///
/// # Errors
/// When a step fails, a file cannot be written, or Ctrl-C was pressed (then a checkpoint has been written).
pub(super) fn drive(
    stage: &str,
    training: &mut dyn Training,
    run: &mut RunFolder,
    every: u64,
    context: &Context,
) -> Result<()> {
    if let Some(point) = run.checkpoint() {
        training.restore(point.step, &point.tensors)?;
        context.note(format!("resumed `{}` after step {}", run.path().display(), point.step));
    }
    let mut observer = context.observer();
    let mut flow = observer.on_event(&Event::Start { stage, total: training.total(), done: training.done() });
    let mut said = None;
    loop {
        if flow.is_break() {
            run.save_checkpoint(training.done(), &Value::Null, training.state()?)?;
            return Err(Error::interrupted(format!(
                "stopped after step {}; a checkpoint was written",
                training.done()
            ))
            .hint("the same command goes on from there"));
        }
        if training.done() >= training.total() {
            break;
        }
        let part = training.stage();
        if let Some(part) = part.filter(|part| said != Some(*part)) {
            let _ = observer.on_event(&Event::Note(&format!("{stage}: {part}, from step {} on", training.done() + 1)));
            said = Some(part);
        }
        let figures = training.step()?;
        run.metric(&line(training.done(), part, &figures))?;
        let done = training.done();
        if done.is_multiple_of(every) && done < training.total() {
            run.save_checkpoint(done, &Value::Null, training.state()?)?;
            let _ = observer.on_event(&Event::Checkpoint { done });
        }
        let name = part.map_or_else(|| stage.to_owned(), |part| format!("{stage}, {part}"));
        flow = observer.on_event(&Event::Step { stage: &name, done, figures: &figures });
    }
    let _ = observer.on_event(&Event::Finish { stage });
    run.save_checkpoint(training.done(), &Value::Null, training.state()?)
}

fn line(step: u64, stage: Option<&str>, figures: &Figures) -> Value {
    let mut line = Map::new();
    line.insert("step".to_owned(), json!(step));
    line.extend(figures.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    line.extend(stage.map(|stage| ("stage".to_owned(), json!(stage))));
    Value::Object(line)
}
