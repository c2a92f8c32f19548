//! The `seqtilt` command.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Candle's backward pass recurses over the graph: the threads that run it need more than the usual 2 MB.
const STACK: usize = 64 << 20;

fn main() -> ExitCode {
    one_thread_per_shard();
    keep_freed_memory();
    // the main thread's stack is set by the system, so the work runs on one of our own
    match std::thread::Builder::new().name("seqtilt".into()).stack_size(STACK).spawn(seqtilt::cli::main) {
        Ok(work) => work.join().unwrap_or(ExitCode::from(101)),
        Err(_) => seqtilt::cli::main(),
    }
}

/// Turns off the thread pools of candle, gemm and rayon: seqtilt cuts its work into shards itself, and a pool inside a
/// shard only costs time and the order of sums.
#[allow(unsafe_code, reason = "set_var is unsound beside other threads; this is the first statement of main")]
fn one_thread_per_shard() {
    for pool in ["CANDLE_NUM_THREADS", "RAYON_NUM_THREADS"] {
        // SAFETY: no other thread was started yet
        unsafe { std::env::set_var(pool, "1") };
    }
}

/// Keeps what was freed for the next step: a training step frees and allocates the same memory again, and the system clears
/// every page that it hands out (`src/doc/engine-log.md`). The most that is ever in use stays the same.
#[allow(unsafe_code, reason = "the allocator's options are set through its C interface")]
fn keep_freed_memory() {
    /// `mi_option_purge_delay` of mimalloc 3; −1 is never.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    // SAFETY: sets one number, before the first other thread was started
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, -1) }
}
