//! Weighted particles and candidates against the exact tilt.

use super::fixture::{Asked, chain, drawn, ratio_to_z, shares, tilt, variation};
use crate::inference::{BestOfN, Guided, Outlook, Smc, Steering, Svdd};

const OUTLOOKS: [Outlook; 3] = [Outlook::Soft, Outlook::Relaxed, Outlook::Decoded];

#[test]
fn z_of_particles_is_unbiased_whatever_they_are_steered_by() {
    let chain = chain(12, 3);
    let guided = Guided { guide: None, scale: 0.7 };
    for (proposal, resampled) in [(None, true), (Some(guided), false)] {
        for outlook in OUTLOOKS {
            let asked = Asked { outlook: Some(outlook), ..Asked::default() };
            let method = Smc { particles: 8, proposal: proposal.clone() };
            let drawn = drawn(&method, &chain, asked, 2400, 11).unwrap();
            let (ratio, se) = ratio_to_z(&drawn, 8);
            assert!(se < 0.08, "{outlook:?}: {se}");
            assert!(((ratio - 1.0) / se).abs() < 3.5, "{outlook:?} {proposal:?}: {ratio} ± {se}");
            // the tilt is far enough for particles to be resampled, or nothing of that would be tested
            assert!(!resampled || drawn.resampled > 100, "{outlook:?}: {}", drawn.resampled);
            assert!(variation(&shares(&drawn, true), &tilt()) < 0.05, "{outlook:?} {:?}", shares(&drawn, true));
        }
    }
}

#[test]
fn an_island_may_be_larger_than_what_is_walked_at_a_time() {
    let method = Smc { particles: 600, proposal: None };
    let drawn = drawn(&method, &chain(12, 3), Asked::default(), 1800, 13).unwrap();
    assert_eq!(drawn.sequences.len(), 1800);
    // three islands of 600: each estimates Z to about a tenth
    let (ratio, _) = ratio_to_z(&drawn, 600);
    assert!((ratio - 1.0).abs() < 0.2, "{ratio}");
    assert!(variation(&shares(&drawn, true), &tilt()) < 0.06, "{:?}", shares(&drawn, true));
}

#[test]
fn a_better_outlook_and_a_better_proposal_have_a_smaller_error() {
    let chain = chain(24, 3);
    let error = |outlook, proposal| {
        let asked = Asked { outlook: Some(outlook), ..Asked::default() };
        ratio_to_z(&drawn(&Smc { particles: 16, proposal }, &chain, asked, 1600, 12).unwrap(), 16).1
    };
    let (decoded, soft) = (error(Outlook::Decoded, None), error(Outlook::Soft, None));
    let guided = error(Outlook::Soft, Some(Guided::default()));
    // of 100 islands an error is known to 7 %
    assert!(soft < 0.8 * decoded && guided < 0.8 * soft, "{decoded} {soft} {guided}");
}

#[test]
fn candidates_approach_the_tilt_and_their_weights_are_exact() {
    let chain = chain(12, 3);
    let far = |m: usize| {
        let drawn = drawn(&Svdd { candidates: m }, &chain, Asked::default(), 1500, 21).unwrap();
        let (ratio, se) = ratio_to_z(&drawn, 1);
        assert!(((ratio - 1.0) / se).abs() < 3.5 && se < 0.06, "{m} candidates: {ratio} ± {se}");
        assert!(variation(&shares(&drawn, true), &tilt()) < 0.07, "{:?}", shares(&drawn, true));
        variation(&shares(&drawn, false), &tilt())
    };
    let (one, four, sixteen) = (far(1), far(4), far(16));
    // one candidate is the prior; the noise of 1,500 draws in 8 cells is 0.02
    let prior = variation(&[0.125; 8], &tilt());
    assert!((one - prior).abs() < 0.05, "{one} {prior}");
    assert!(four < 0.6 * one && sixteen < 0.5 * four, "{one} {four} {sixteen}");
}

#[test]
fn a_score_without_gradient_is_enough() {
    let chain = chain(12, 3);
    let asked = Asked { gradient: false, ..Asked::default() };
    let smc = Smc { particles: 8, proposal: None };
    let svdd = Svdd { candidates: 4 };
    for (method, group) in [(&smc as &dyn Steering, 8), (&svdd, 1)] {
        let drawn = drawn(method, &chain, asked, 1200, 31).unwrap();
        let (ratio, se) = ratio_to_z(&drawn, group);
        assert!(((ratio - 1.0) / se).abs() < 3.5, "{ratio} ± {se}");
        assert_eq!((drawn.calls.values, drawn.calls.slopes), (0, 0));
        assert!(drawn.calls.scores >= 4 * 1200);
    }
    let error = drawn(&Guided::default(), &chain, asked, 8, 1).unwrap_err();
    assert!(error.message().contains("needs a reward with a gradient"), "{error}");
    let soft = Asked { outlook: Some(Outlook::Soft), ..asked };
    assert!(drawn(&smc, &chain, soft, 8, 1).unwrap_err().message().contains("no soft value"));
}

#[test]
fn threads_do_not_change_a_bit() {
    let chain = chain(6, 3);
    let methods: [&dyn Steering; 4] = [
        &Smc { particles: 4, proposal: Some(Guided::default()) },
        &Svdd { candidates: 32 },
        &BestOfN { candidates: 32, greedy: false },
        &Guided::default(),
    ];
    for method in methods {
        let with = |threads| drawn(method, &chain, Asked { threads, ..Asked::default() }, 150, 41).unwrap();
        let one = with(1);
        assert!(one.sequences.len() >= 150);
        assert_eq!(one, with(2));
        assert_eq!(one, with(4));
    }
}
