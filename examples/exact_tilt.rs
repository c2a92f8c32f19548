//! The exact tilt of a small table: what any sampler of p(x) exp(r(x)/α) can be compared with.
#![allow(clippy::print_stdout, reason = "an example shows its result")]
use seqtilt::eval::exact::{Frontier, Tilt};

fn main() -> seqtilt::Result<()> {
    // four sequences with equal prior probability, one of them good
    let (prior, reward) = ([0.25; 4], [0.0, 0.1, 0.2, 1.0]);
    println!("{:>6} {:>8} {:>8} {:>8}", "alpha", "E[r]", "KL", "log Z");
    for alpha in [1.0, 0.5, 0.2, 0.1] {
        let tilt = Tilt::kl(&prior, &reward, alpha)?;
        println!("{alpha:>6} {:>8.4} {:>8.4} {:>8.4}", tilt.mean_reward, tilt.kl, tilt.log_z);
    }
    let best = Frontier::new(&prior, &reward)?.reward_at(0.5);
    println!("no sampler half a nat from the prior has a mean reward above {best:.4}");
    assert!(best > 0.7 && best < 0.9, "{best}");
    Ok(())
}
