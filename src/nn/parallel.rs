//! Data-parallel work: the only place with threads.

use super::grad::Gradients;
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

    /// How many threads there are.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.workers.len()
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
        on_each(&self.workers[..self.workers.len().min(n)], &work);
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

/// The sum over shards, added in their order: the same bytes for any number of threads.
///
/// # Errors
/// When there is no shard, or the shards have different parameters.
pub fn sum_gradients(shards: Vec<Gradients>) -> Result<Gradients> {
    let mut shards = shards.into_iter();
    let mut sum = shards.next().ok_or_else(|| Error::device("there are no gradients to sum"))?;
    for shard in shards {
        sum.add(&shard)?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Mlp, check, gradients};

    #[test]
    fn gradients_have_the_same_bytes_on_1_2_and_4_threads() {
        let params = check::params_f32();
        let mlp = Mlp::new(&params, &[3, 16, 1]).unwrap();
        let run = |threads| {
            let pool = Pool::new(threads).unwrap();
            assert_eq!(pool.threads(), threads);
            let shards = pool.map(7, |index| {
                let x = check::normal_f32(index as u64, &[5, 3]);
                gradients(&mlp.forward(&x)?.sqr()?.sum_all()?, &params.vars())
            });
            let sum = sum_gradients(shards.unwrap()).unwrap();
            sum.iter()
                .flat_map(|(_, g)| g.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap())
                .collect::<Vec<_>>()
        };
        let one = run(1);
        assert!(one.iter().any(|g| *g != 0.0));
        assert_eq!(one, run(2));
        assert_eq!(one, run(4));
    }

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
