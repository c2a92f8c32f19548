//! Whether the number of threads changes a result.

use crate::case::named;
use crate::rollout::Descent;
use crate::train::Train;
use seqtilt::Result;
use seqtilt::nn::{Params, Pool};
use seqtilt::store::{Sha256, encode_tensors};
use serde_json::json;

/// Prints a hash of weights after a few steps of three cases, for 1, 2 and 4 threads.
pub(crate) fn print(shards: usize) -> Result<()> {
    for threads in [1, 2, 4] {
        let pool = Pool::new(threads)?;
        let mut hash = Sha256::default();
        let mut add = |params: &Params| -> Result<()> {
            hash.update(&encode_tensors(&params.snapshot()?, None)?);
            Ok(())
        };
        for name in ["train-dna-b256", "train-protein128-b8"] {
            let case = named(name)?;
            let mut train = Train::new(&case, shards, &pool)?;
            for _ in 0..3 {
                train.step()?;
            }
            add(train.params())?;
        }
        let mut case = named("rollout-dna-b256")?;
        (case.batch, case.calls) = (64, 5);
        let mut descent = Descent::new(&case, shards, &pool)?;
        for _ in 0..2 {
            descent.step()?;
        }
        add(descent.params())?;
        println!("{}", json!({"side": "seqtilt", "case": "bytes", "threads": threads, "hash": hash.hex()}));
    }
    Ok(())
}
