//! Gradients over the shards of a batch: the same bytes for any number of threads.

use super::grad::Gradients;
use super::host::with_f32;
use super::parallel::Pool;
use crate::error::{Error, Result};
use candle_core::Tensor;

/// Sums that are kept beside each other: more than the threads of most machines, few enough for their memory.
const SUMS: usize = 8;

/// How many sums the gradients of n shards are kept in.
pub(super) fn sums(n: usize) -> usize {
    n.div_ceil(n.div_ceil(SUMS).max(1))
}

/// Runs `shard` for 0 … n−1 and answers the gradients in at most eight sums, and whatever else each shard answered, in
/// order. Which shards a sum holds depends on n alone, and so do its bytes; memory is eight gradients, however many shards.
///
/// # Errors
/// The error of the first shard, by index, that failed; or when their parameters differ.
pub fn over_shards<T: Send + Sync>(
    pool: &Pool,
    n: usize,
    shard: impl Fn(usize) -> Result<(Gradients, T)> + Sync,
) -> Result<(Vec<Gradients>, Vec<T>)> {
    let each = n.div_ceil(SUMS).max(1);
    let parts = pool.map(sums(n), |index| {
        let (mut sum, mut answers): (Option<Gradients>, _) = (None, Vec::with_capacity(each));
        for index in index * each..n.min((index + 1) * each) {
            let (gradients, answer) = shard(index)?;
            answers.push(answer);
            match &mut sum {
                None => sum = Some(gradients),
                Some(sum) => sum.add(gradients)?,
            }
        }
        Ok((sum, answers))
    })?;
    let (mut sums, mut answers) = (Vec::with_capacity(parts.len()), Vec::with_capacity(n));
    for (sum, some) in parts {
        sums.extend(sum);
        answers.extend(some);
    }
    Ok((sums, answers))
}

/// The sum over shards, added in their order: the same bytes for any number of threads.
///
/// # Errors
/// When there is no shard, or the shards have different parameters.
pub fn sum_gradients(shards: &[Gradients], pool: &Pool) -> Result<Gradients> {
    let first = shards.first().ok_or_else(|| Error::device("there are no gradients to sum"))?;
    let names = |gradients: &Gradients| gradients.0.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    for shard in shards {
        if shard.0.len() != first.0.len() || shard.0.iter().zip(&first.0).any(|((a, _), (b, _))| a != b) {
            let (one, other) = (names(first), names(shard));
            return Err(Error::device(format!(
                "gradients of different parameters cannot be added: {one:?} and {other:?}"
            )));
        }
    }
    let sums = pool.worth(first.count()).map(first.0.len(), |index| {
        sum(&shards.iter().filter_map(|shard| shard.0[index].1.as_ref()).collect::<Vec<_>>())
    })?;
    Ok(Gradients(first.0.iter().zip(sums).map(|((name, _), sum)| (name.clone(), sum)).collect()))
}

/// The sum of tensors of one shape in their order.
fn sum(parts: &[&Tensor]) -> Result<Option<Tensor>> {
    let Some((first, rest)) = parts.split_first() else { return Ok(None) };
    if let Some(mut sum) = with_f32(first, <[f32]>::to_vec) {
        let added = rest.iter().all(|part| {
            let add = |part: &[f32]| sum.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
            part.shape() == first.shape() && with_f32(part, add).is_some()
        });
        if added {
            return Ok(Some(Tensor::from_vec(sum, first.shape(), first.device())?));
        }
    }
    let mut sum = (*first).clone();
    for part in rest {
        sum = (sum + *part)?;
    }
    Ok(Some(sum))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Mlp, check, gradients};

    fn numbers(gradients: &Gradients) -> Vec<f32> {
        gradients.iter().flat_map(|(_, g)| g.unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect()
    }

    #[test]
    fn gradients_have_the_same_bytes_on_1_2_and_4_threads() {
        let params = check::params_f32();
        let mlp = Mlp::new(&params, &[3, 300, 300, 1]).unwrap();
        let shard = |index: usize| {
            let x = check::normal_f32(index as u64, &[5, 3]);
            Ok((gradients(&mlp.forward(&x)?.sqr()?.sum_all()?, &params.vars())?, index))
        };
        for n in [1, 7, 21] {
            let run = |threads| {
                let pool = Pool::new(threads).unwrap();
                assert_eq!(pool.threads(), threads);
                let (sums, answers) = over_shards(&pool, n, shard).unwrap();
                assert!(sums.len() <= SUMS && answers.into_iter().eq(0..n));
                numbers(&sum_gradients(&sums, &pool).unwrap())
            };
            let one = run(1);
            assert!(one.iter().any(|g| *g != 0.0));
            assert_eq!(one, run(2));
            assert_eq!(one, run(4));
            let all: Vec<Gradients> = (0..n).map(|index| shard(index).unwrap().0).collect();
            let in_order = numbers(&sum_gradients(&all, Pool::inline()).unwrap());
            let size = in_order.iter().fold(0.0_f32, |size, g| size.max(g.abs()));
            assert!(one.iter().zip(&in_order).all(|(a, b)| (a - b).abs() < 1e-6 * size));
        }
    }

    #[test]
    fn shards_of_different_parameters_and_failures_are_refused() {
        let one = |_| Ok((Gradients::default(), ()));
        assert!(over_shards(Pool::inline(), 3, one).is_ok());
        let failing = |index: usize| {
            if index > 1 { Err(Error::data(format!("shard {index}"))) } else { Ok((Gradients::default(), ())) }
        };
        assert_eq!(over_shards(&Pool::new(2).unwrap(), 30, failing).unwrap_err().to_string(), "shard 2");
        assert!(sum_gradients(&[], Pool::inline()).is_err());
        let named = Gradients(vec![("w".to_owned(), None)]);
        assert!(sum_gradients(&[named, Gradients::default()], Pool::inline()).is_err());
    }
}
