//! What long work tells its caller while it runs, and how the caller asks it to stop.

use std::ops::ControlFlow;

/// Something that happened during long work.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A stage starts, with the number of steps it will take.
    Start {
        /// Name of the stage, such as `pretrain`.
        stage: &'a str,
        /// Steps in total.
        total: u64,
        /// Steps already done (after a resume).
        done: u64,
    },
    /// Steps done so far, with the figures worth showing.
    Step {
        /// Name of the stage.
        stage: &'a str,
        /// Steps done.
        done: u64,
        /// Named figures, such as `("loss", 1.38)`.
        figures: &'a [(&'a str, f64)],
    },
    /// A stage ended.
    Finish {
        /// Name of the stage.
        stage: &'a str,
    },
    /// A line for people.
    Note(&'a str),
    /// A checkpoint was written.
    Checkpoint {
        /// Steps done.
        done: u64,
    },
}

/// Receives [`Event`]s; answers [`ControlFlow::Break`] to stop at the next safe point.
pub trait Observer {
    /// Called on every event.
    fn on_event(&mut self, event: &Event<'_>) -> ControlFlow<()>;
}

/// Ignores every event.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn on_event(&mut self, _: &Event<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
