//! Data-parallel work: the only place with threads.

use crate::error::{Error, Result};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Stack of a worker: candle's backward pass recurses over the graph.
const STACK: usize = 64 << 20;

/// Worker threads that stay alive between calls.
///
/// Each is a rayon pool of one thread, so anything parallel inside a job runs on the job's own thread.
///
/// ```
/// # fn main() -> seqtilt::Result<()> {
/// let squares = seqtilt::nn::Pool::new(2)?.map(4, |i| Ok(i * i))?;
/// assert_eq!(squares, [0, 1, 4, 9]);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Pool {
    workers: Vec<rayon::ThreadPool>,
}

impl Pool {
    /// A pool of this many threads.
    ///
    /// # Errors
    /// A usage error for 0 threads, a device error when a thread cannot be started.
    pub fn new(threads: usize) -> Result<Self> {
        if threads == 0 {
            return Err(Error::usage("`0` threads can do no work; 1 or more are accepted"));
        }
        let worker = |index| {
            rayon::ThreadPoolBuilder::new()
                .num_threads(1)
                .stack_size(STACK)
                .thread_name(move |_| format!("shard-{index}"))
                .build()
                .map_err(|cause| Error::device(format!("cannot start thread {index} of {threads}")).because(cause))
        };
        Ok(Self { workers: (0..threads).map(worker).collect::<Result<_>>()? })
    }

    /// A pool without threads of its own: jobs run one after another on the thread that asks, for work inside a job of
    /// another pool.
    #[must_use]
    pub fn inline() -> &'static Self {
        static INLINE: Pool = Pool { workers: Vec::new() };
        &INLINE
    }

    /// This pool, or the [`inline`](Self::inline) one where there is so little to do that starting threads costs more:
    /// fewer than 65,536 numbers.
    #[must_use]
    pub(crate) fn worth(&self, numbers: usize) -> &Self {
        if numbers < 1 << 16 { Self::inline() } else { self }
    }

    /// How many threads there are; 1 where jobs run on the thread that asks.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.workers.len().max(1)
    }

    /// Runs jobs 0 … n−1 and returns their results in this order, whichever thread did which.
    ///
    /// After a failure no further job is started; those before it are finished, so the error returned is the one of
    /// the lowest index, as in a plain loop.
    ///
    /// # Errors
    /// The error of the first job, by index, that failed.
    pub fn map<T: Send + Sync>(&self, n: usize, job: impl Fn(usize) -> Result<T> + Sync) -> Result<Vec<T>> {
        let results: Vec<OnceLock<Result<T>>> = (0..n).map(|_| OnceLock::new()).collect();
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let work = || {
            while !failed.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(slot) = results.get(index) else { break };
                let result = job(index);
                failed.fetch_or(result.is_err(), Ordering::Relaxed);
                let _ = slot.set(result);
            }
        };
        match &self.workers[..self.workers.len().min(n)] {
            [] => work(),
            workers => on_each(workers, &work),
        }
        // a slot is empty only behind a failure, so collecting stops before it
        results.into_iter().filter_map(OnceLock::into_inner).collect()
    }
}

/// Runs `work` once on every worker and waits for all of them.
fn on_each(workers: &[rayon::ThreadPool], work: &(impl Fn() + Sync)) {
    if let Some((first, others)) = workers.split_first() {
        first.in_place_scope(|scope| {
            scope.spawn(|_| work());
            on_each(others, work);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_by_index_wins() {
        for threads in [1, 2, 4] {
            let pool = Pool::new(threads).unwrap();
            let result: Result<Vec<()>> = pool.map(20, |index| match index {
                11 | 12 | 15 => Err(Error::data(format!("job {index}"))),
                _ => Ok(()),
            });
            assert_eq!(result.unwrap_err().to_string(), "job 11");
            assert_eq!(pool.map(3, Ok).unwrap(), [0, 1, 2]);
        }
        assert!(Pool::new(0).is_err());
        assert_eq!(Pool::new(2).unwrap().map(0, Ok).unwrap(), [0_usize; 0]);
        let here = std::thread::current().id();
        let inline = Pool::inline().map(2, |index| Ok((index, std::thread::current().id())));
        assert_eq!(inline.unwrap(), [(0, here), (1, here)]);
    }

    #[test]
    fn jobs_run_on_the_pools_own_threads_with_a_deep_stack() {
        fn deep(n: usize) -> usize {
            let frame = std::hint::black_box([n; 128]);
            if n == 0 { 0 } else { frame[0] - n + 1 + deep(n - 1) }
        }
        let here = std::thread::current().id();
        let pool = Pool::new(2).unwrap();
        let elsewhere = pool.map(4, |_| Ok((std::thread::current().id() != here, deep(20_000))));
        assert_eq!(elsewhere.unwrap(), [(true, 20_000); 4]);
    }
}
