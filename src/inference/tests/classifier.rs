//! Guidance by a learnt mean reward.

use super::fixture::{ALPHA, chain, mean, table};
use crate::diffusion::Chain as _;
use crate::finetune::{Control, Rollout, SequenceTerminal, Terminal as _, Valued as _};
use crate::inference::{Classifier, ClassifierConfig};
use crate::nn::Pool;
use crate::random::Seed;

const CONFIG: ClassifierConfig =
    ClassifierConfig { paths: 2048, width: 24, updates: 200, batch: 512, learning_rate: 1e-2 };

#[test]
fn the_classifier_learns_the_mean_reward_and_its_slope_raises_it() {
    let (chain, table) = (chain(8, 1), table());
    let terminal = SequenceTerminal::new(&chain, &table);
    let fit =
        |threads| Classifier::fit(&chain, &terminal, CONFIG, Seed::root(3), &Pool::new(threads).unwrap()).unwrap();
    let classifier = fit(1);
    // letters are independent given the state, so that the mean reward is the reward of the belief, up to the rounding of letters
    let k = 6;
    let states = Rollout::draw(&chain, None, k, 256, Seed::root(4), false).unwrap();
    let exact = terminal.reward(k, states.last()).unwrap().to_vec1::<f64>().unwrap();
    let learnt = classifier.predict(&chain, k, states.last()).unwrap();
    assert_eq!(learnt, fit(2).predict(&chain, k, states.last()).unwrap(), "the same whatever the threads");
    let spread = mean(&exact).1 * 16.0;
    let error = (exact.iter().zip(&learnt).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / 256.0).sqrt();
    // half of the reward's spread between states at least is learnt, whatever hard letters add to it
    assert!(error < 0.5 * spread, "{error} of {spread}");
    assert!((0.1..0.9).contains(&classifier.explained), "{}", classifier.explained);

    let reward = |control: Option<&dyn Control>| {
        let paths = Rollout::draw(&chain, control, chain.steps(), 1500, Seed::root(5), false).unwrap();
        let l = paths.log_ratio.to_vec1::<f64>().unwrap();
        (mean(&terminal.values(paths.last()).unwrap()), mean(&l).0)
    };
    let ((base, _), _) = reward(None);
    let guidance = classifier.guidance(&chain, ALPHA, 1.0).unwrap();
    let ((guided, se), nats) = reward(Some(&guidance));
    assert!(guided - base > 8.0 * se, "{base} {guided} ± {se}");
    // it pays for it: by Pinsker at least 2 (Δr/range)², in 0.9 of range
    assert!(nats > 2.0 * ((guided - base) / 0.9).powi(2), "{nats}");
    assert!(classifier.guidance(&chain, 0.0, 1.0).is_err() && classifier.guidance(&chain, 1.0, f64::NAN).is_err());
    assert!(
        Classifier::fit(
            &chain,
            &terminal,
            ClassifierConfig { paths: 1, ..CONFIG },
            Seed::root(3),
            &Pool::new(1).unwrap()
        )
        .is_err()
    );
}
