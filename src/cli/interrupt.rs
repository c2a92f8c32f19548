//! Ctrl-C: the first asks for a stop at the next safe point, the second stops at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the user asked to stop; clones share the answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Starts to listen for Ctrl-C and SIGTERM. Before this, and where no handler can be set, they end the process as
    /// usual.
    pub(super) fn listen(&self) {
        let flag = Arc::clone(&self.0);
        let handler = move || {
            if flag.swap(true, Ordering::SeqCst) {
                stop_at_once();
            }
            super::printer::note("stopping at the next safe point; press Ctrl-C again to stop at once");
        };
        // a second observer finds the handler already set, which is as it should be; a job started in the background by a
        // script inherits an ignored SIGINT, and must still be stoppable with a checkpoint
        let _ = ctrlc::set_handler(handler);
    }

    /// Whether the user asked to stop.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    #[cfg(test)]
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[allow(clippy::exit, reason = "the user asked twice; run folders are written so that any moment is safe")]
fn stop_at_once() -> ! {
    std::process::exit(130)
}
