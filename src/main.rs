//! The `seqtilt` command.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Candle's backward pass recurses over the graph: the threads that run it need more than the usual 2 MB.
const STACK: usize = 64 << 20;

fn main() -> ExitCode {
    one_thread_per_shard();
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
