//! The processes of one child, grandchildren included.

use std::process::{Child, Command};

/// How strongly an end is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGTERM: it may tidy up.
    Terminate,
    /// SIGKILL: it is gone.
    Kill,
}

/// Makes the child the leader of a group of its own, so that a signal reaches whatever it starts.
#[cfg(unix)]
pub(super) fn lead(command: &mut Command) {
    use std::os::unix::process::CommandExt as _;
    command.process_group(0);
}

/// Signals everything in the group. The leader must not have been waited for: until then its number is not given away.
#[cfg(unix)]
pub(super) fn signal(child: &mut Child, signal: Signal) {
    let signal = match signal {
        Signal::Terminate => rustix::process::Signal::TERM,
        Signal::Kill => rustix::process::Signal::KILL,
    };
    // a group that is gone needs no signal
    let _ = rustix::process::kill_process_group(rustix::process::Pid::from_child(child), signal);
}

/// Whether the leader has ended; it stays to be waited for.
#[cfg(unix)]
pub(super) fn has_ended(child: &mut Child) -> bool {
    use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    !matches!(waitid(WaitId::Pid(Pid::from_child(child)), options), Ok(None))
}

#[cfg(not(unix))]
pub(super) fn lead(_: &mut Command) {}

#[cfg(not(unix))]
pub(super) fn signal(child: &mut Child, _: Signal) {
    let _ = child.kill();
}

#[cfg(not(unix))]
pub(super) fn has_ended(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}
