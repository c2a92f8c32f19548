//! Law by law against hand numbers, then the whole benchmark on 256 sequences.

use super::case::{Case, Shape, seed};
use super::cell::{beside_best, window};
use super::draws::{Sampler, picked};
use super::law::{Law, distinct, median};
use super::level::sampled;
use super::matched::{Quantity, crossing};
use super::*;
use crate::cli::bench::toy;
use crate::reward::Multilinear;
use crate::sequence::Alphabet;
use serde_json::Value;
use std::path::Path;

/// All words of two letters of DNA under a law that is not uniform.
fn case() -> Case {
    let shape = Shape { alphabet: Alphabet::dna(), length: 2 };
    let prior: Vec<f64> = (1..=16).map(|i| f64::from(i) / 136.0).collect();
    let reward: Vec<f64> = (0..16).map(|i| f64::from(i * 7 % 16) / 15.0).collect();
    let truth: Vec<f64> = (0..16).map(|i| f64::from(i * 5 % 16) / 15.0).collect();
    Case::new("model", &shape, &prior, &reward, &truth, 0.8).unwrap()
}

#[test]
fn the_figures_of_a_law_are_sums_over_all_sequences() {
    let case = case();
    for name in ["kl", "pearson", "js"] {
        let law = Law::of(&case, name.parse().unwrap(), 0.1).unwrap();
        let q = &law.q;
        assert!((q.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        let at = law.figures(3).unwrap();
        // every pair of draws, letter by letter
        let letters = |cell: usize| [cell / 4, cell % 4];
        let differ = |a: usize, b: usize| letters(a).iter().zip(letters(b)).filter(|(x, y)| *x != y).count() as f64;
        let mut distance = 0.0;
        for a in 0..16 {
            for b in 0..16 {
                distance += q[a] * q[b] * differ(a, b);
            }
        }
        assert!((at["distance"] - distance).abs() < 1e-12, "{name}");
        let sum = |f: &dyn Fn(usize) -> f64| (0..16).map(f).sum::<f64>();
        assert!((at["truth"] - sum(&|i| q[i] * case.truth[i])).abs() < 1e-12);
        assert!((at["optimism"] - sum(&|i| q[i] * (case.reward[i] - case.truth[i]))).abs() < 1e-12);
        let kl = sum(&|i| if q[i] > 0.0 { q[i] * (q[i] / case.prior[i]).ln() } else { 0.0 });
        assert!((at["kl"] - kl).abs() < 1e-12 && at["below_kl"] > -1e-9);
        // 0.8 is 12/15: true values 12 to 15 of 15, four words
        let good: Vec<usize> = (0..16).filter(|i| i * 5 % 16 >= 12).collect();
        assert_eq!((good.len(), at["good_of_prior"]), (4, 4.0));
        assert!((at["good_mass"] - good.iter().map(|i| q[*i]).sum::<f64>()).abs() < 1e-12);
        assert_eq!(at["good_raised"], good.iter().filter(|i| q[**i] >= case.prior[**i]).count() as f64);
        assert!((at["plate_good"] - good.iter().map(|i| 1.0 - (1.0 - q[*i]).powi(3)).sum::<f64>()).abs() < 1e-12);
    }
    let own = Law::of(&case, "kl".parse().unwrap(), 0.1).unwrap().figures(3).unwrap();
    // KL is on its own frontier, up to the root's 1e-13 in the price
    assert!(own["below_kl"].abs() < 1e-9 && own["truth_below_kl"].abs() < 1e-9);
}

#[test]
fn forward_kl_keeps_its_floor_and_pearson_does_not() {
    let case = case();
    let at = |name: &str| Law::of(&case, name.parse().unwrap(), 0.1).unwrap().figures(3).unwrap();
    // q*/p ≥ 1/(1 + range/α)
    let (forward, pearson) = (at("forward-kl"), at("pearson"));
    assert!(forward["floor"] >= 1.0 / 11.0 && forward["dropped"] == 0.0);
    assert!(pearson["floor"] == 0.0 && pearson["dropped"] > 0.1);
}

#[test]
fn orders_that_are_other_divergences_have_the_same_laws_at_matched_prices() {
    let case = case();
    for (order, other) in [("order:-1", "neyman"), ("order:0.5", "hellinger"), ("order:2", "pearson")] {
        let law = |name: &str| Law::of(&case, name.parse().unwrap(), 0.2).unwrap().q;
        let apart = law(order).iter().zip(law(other)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(apart < 1e-12, "{order} {apart}");
    }
}

#[test]
fn quantities_are_met_where_they_are_enclosed() {
    let cubed = |x: f64| Ok(x * x * x);
    let known: Vec<(f64, f64)> = [3.0, 2.0, 1.0, 0.0].map(|x: f64| (x, x.powi(3))).to_vec();
    let found = crossing(&known, 3.375, cubed).unwrap().unwrap();
    assert!((found - 1.5).abs() < 1e-5, "{found}");
    assert_eq!(crossing(&known, 28.0, cubed).unwrap(), None);
    assert_eq!(crossing(&known, 8.0, |_| unreachable!()).unwrap(), Some(2.0));
    assert_eq!(crossing(&known[..1], 27.0, cubed).unwrap(), None);
    // two words of one letter each and prior ½: q = 3/4 has KL ln 2 − H, at α = 1/ln 3
    let shape = Shape { alphabet: Alphabet::custom("two", "AB").unwrap(), length: 1 };
    let case = Case::new("truth", &shape, &[0.5, 0.5], &[0.0, 1.0], &[0.0, 1.0], 1.0).unwrap();
    let kl = 0.75 * 1.5_f64.ln() + 0.25 * 0.5_f64.ln();
    let law = |log: f64| Law::of(&case, "kl".parse().unwrap(), log.exp()).unwrap();
    let known: Vec<(f64, f64)> = [0.5, -1.5].map(|log| (log, Quantity::Kl.of(&law(log)))).to_vec();
    let price = crossing(&known, kl, |log| Ok(Quantity::Kl.of(&law(log)))).unwrap().unwrap().exp();
    assert!((price - 1.0 / 3.0_f64.ln()).abs() < 1e-4, "{price}");
    assert!((Quantity::Effective.of(&law(price.ln())) - 1.6).abs() < 1e-4, "1/(9/16 + 1/16)");
    assert!((Quantity::Distance.of(&law(price.ln())) - 0.375).abs() < 1e-4, "2 · 3/4 · 1/4");
}

#[test]
fn medians_numbers_of_different_draws_and_windows_are_as_by_hand() {
    assert_eq!(median(&[0.25, 0.5, 0.25], &[3.0, 1.0, 2.0]), 1.0);
    assert_eq!(median(&[0.25, 0.25, 0.5], &[3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&[1.0, 0.0], &[3.0, 1.0]), 3.0);
    assert!((distinct([0.5, 0.25].into_iter(), 2) - (0.75 + 0.4375)).abs() < 1e-15);
    assert_eq!(distinct([1.0, 0.0].into_iter(), 9), 1.0);
    // 0.9 is crossed half-way, in the logarithm, between 1 and 4 and between 4 and 16
    let hill = [(16.0, 0.8), (4.0, 1.0), (1.0, 0.8)];
    assert!((window(&hill, 0.9) - 4.0).abs() < 1e-12);
    assert!((window(&hill[..2], 0.9) - 2.0).abs() < 1e-12, "no further than the grid");
    assert_eq!(window(&[(1.0, 1.0)], 0.9), 1.0);
    let mut worth = [(1.0, 0.2), (16.0, 0.5), (4.0, 0.9)];
    assert_eq!(beside_best(&mut worth), [8.0, 2.0]);
    worth[2].1 = 2.0;
    assert_eq!(beside_best(&mut worth), [2.0], "the best is the last");
}

#[test]
fn draws_follow_the_law_and_the_best_of_them_are_picked() {
    let law = [0.1, 0.0, 0.6, 0.3];
    let drawn = Sampler::new(&law).draw(20_000, seed(1, "draws"));
    for (cell, q) in law.iter().enumerate() {
        let share = drawn.iter().filter(|d| **d == cell).count() as f64 / 20_000.0;
        // standard error √(q(1−q)/n) is at most 0.0035; four of them
        assert!((share - q).abs() < 0.014, "{cell}: {share}");
    }
    let case = case();
    // rewards 9, 0, 7 of 15: the two best are cells 15 and 1, true values 11 and 5
    let at = picked(&case, &[15, 0, 1, 15], 2).unwrap();
    assert_eq!((at["unique"], at["picked"], at["picked_good"]), (0.75, 2.0, 0.0));
    assert!((at["picked_mean"] - 8.0 / 15.0).abs() < 1e-15);
    assert_eq!(at["picked_distance"], 2.0, "AC and TT");
    assert!(picked(&case, &[], 2).is_err());
    // a well that stays empty is worth what the prior is
    let prior: f64 = case.prior.iter().zip(&case.truth).map(|(p, t)| p * t).sum();
    let at = picked(&case, &[15], 4).unwrap();
    assert!((at["picked_filled"] - (11.0 / 15.0 + 3.0 * prior) / 4.0).abs() < 1e-15);
}

#[test]
fn kl_needs_no_constant_and_many_draws_find_the_others() {
    let case = case();
    let table = Multilinear::new("reward", &case.reward, 4, 2).unwrap();
    let lost = |name: &str, draws: usize| {
        let kind = name.parse().unwrap();
        let law = Law::of(&case, kind, 0.3).unwrap();
        sampled(&case, &table, kind, &law, draws, seed(0, "samples")).unwrap()
    };
    assert!(lost("kl", 50)["total_variation"] < 1e-12);
    for name in ["jeffreys", "kl-chi2", "hellinger"] {
        // λ is a mean over draws: its error falls as 1/√n, 0.002 of a range of 3 α here
        assert!(lost(name, 200_000)["total_variation"] < 0.01, "{name}");
        assert!(lost(name, 50)["total_variation"] > lost(name, 200_000)["total_variation"], "{name}");
    }
}

/// The landscape, and a model of it that is wrong about every third word.
fn args(folder: &Path) -> Args {
    let truth = toy::landscape(folder);
    let text = std::fs::read_to_string(&truth).unwrap();
    let wrong = text.lines().enumerate().map(|(row, line)| match line.split_once(',') {
        Some((word, _)) if row > 0 && row % 3 == 0 => format!("{word},0.5\n"),
        _ => format!("{line}\n"),
    });
    let model = folder.join("model.csv");
    std::fs::write(&model, wrong.collect::<String>()).unwrap();
    Args {
        out: Some(folder.join("out")),
        truth: Some(format!("table:{truth}")),
        reward: Some(format!("table:{}", model.display())),
        divergences: Some(["kl", "js", "order:1.5"].map(str::to_owned).to_vec()),
        alphas: Some(vec![0.01, 1.0, 0.1]),
        kl: Some(vec![0.5, 1.0]),
        effective: Some(vec![50.0]),
        distances: Some(vec![2.5]),
        plate: Some(8),
        draws: Some(100),
        samples: Some(vec![50, 500]),
        seeds: Some(vec![0, 1]),
        ..Args::default()
    }
}

#[test]
fn fronts_are_exact_in_both_cases_and_not_computed_twice() {
    let folder = tempfile::tempdir().unwrap();
    let context = toy::context();
    let args = args(folder.path());
    let first = execute(&args, &context).unwrap();
    let rows = |report: &Report, case: &str, part: &str| {
        let is = |row: &&crate::cli::bench::rows::Row| row.parameters["case"] == case && row.parameters["part"] == part;
        report.results.rows.iter().filter(is).cloned().collect::<Vec<_>>()
    };
    let front = rows(&first, "truth", "front");
    assert_eq!(front.len(), 9, "three divergences at three prices");
    assert!(front.iter().all(|row| row.metrics["optimism"].abs() < 1e-9 && row.metrics["below_kl"] > -1e-9));
    let matched = rows(&first, "truth", "at-kl");
    assert_eq!(matched.len(), 6);
    for row in &matched {
        let level = row.parameters["level"].as_f64().unwrap();
        assert!((row.metrics["kl"] - level).abs() < 2e-5 * level, "{row:?}");
        // at equal KL none is above KL, but for what the root leaves of the level
        let kl = matched.iter().find(|r| r.method == "kl" && r.parameters["level"] == row.parameters["level"]).unwrap();
        assert!(row.metrics["truth"] < kl.metrics["truth"] + 1e-5);
        assert!((kl.metrics["truth"] - row.metrics["truth"] - row.metrics["truth_below_kl"]).abs() < 1e-5);
    }
    // a wrong model gives less of the truth at the same KL
    for row in rows(&first, "model", "at-kl").iter().filter(|row| row.method == "kl") {
        let same =
            matched.iter().find(|r| r.method == "kl" && r.parameters["level"] == row.parameters["level"]).unwrap();
        assert!(row.metrics["truth"] < same.metrics["truth"] - 0.01);
    }
    assert_eq!(rows(&first, "model", "sampled").len(), 3 * 2 * 2 * 2, "divergences, levels, samples, seeds");
    assert_eq!(rows(&first, "model", "draws").len(), 3 * 3 * 2);
    assert_eq!(rows(&first, "model", "robust").len(), 3 * 3);
    let text = first.to_string();
    assert!(
        text.contains("order:1.5") && text.contains("True mean at the same KL; on the right, more of it at 1"),
        "{text}"
    );
    assert!(text.lines().all(|line| line.chars().count() <= 130), "{text}");

    let out = folder.path().join("out");
    let cell = out.join("js-model/rows.json");
    let before = std::fs::metadata(&cell).unwrap().modified().unwrap();
    let again = execute(&args, &context).unwrap();
    assert_eq!(again.results.rows, first.results.rows);
    assert_eq!(std::fs::metadata(&cell).unwrap().modified().unwrap(), before);
    let stored: Value = serde_json::from_slice(&std::fs::read(out.join("results.json")).unwrap()).unwrap();
    assert_eq!(stored["rows"].as_array().map(Vec::len), Some(first.results.rows.len()));
    assert!(std::fs::read_to_string(out.join("report.html")).unwrap().contains("How much does the price matter?"));
    assert!(std::fs::read_to_string(out.join("fronts.svg")).unwrap().starts_with("<svg xmlns"));
    let other = Args { plate: Some(9), ..args };
    assert!(execute(&other, &context).unwrap_err().message().contains("different configuration"));
}

#[test]
fn a_prior_is_counted_once_and_the_truth_alone_is_one_case() {
    let folder = tempfile::tempdir().unwrap();
    let context = toy::context();
    let base = args(folder.path());
    let args = Args {
        prior: Some(toy::prior(folder.path())),
        base_paths: Some(2_000),
        reward: base.truth.clone(),
        divergences: Some(vec!["kl".to_owned()]),
        seeds: Some(vec![0]),
        ..base
    };
    let first = execute(&args, &context).unwrap();
    assert!(first.results.rows.iter().all(|row| row.parameters["case"] == "truth"));
    assert!(first.results.versions["prior"].starts_with("sha256:"));
    let counts: Vec<u64> =
        serde_json::from_slice(&std::fs::read(folder.path().join("out/prior/counts.json")).unwrap()).unwrap();
    assert_eq!((counts.len(), counts.iter().sum::<u64>()), (256, 2_000));
    assert_eq!(execute(&args, &context).unwrap().results.rows, first.results.rows);
    assert!(execute(&Args { base_paths: Some(300), ..args }, &context).is_err(), "counted on another number of paths");
}

#[test]
fn what_does_not_fit_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let context = toy::context();
    let base = args(folder.path());
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(format!("table:{}", path.display()))
    };
    let long = write("long.csv", &format!("sequence,value\n{},1\n{},2\n", "A".repeat(12), "ACGT".repeat(3)));
    let mixed = write("mixed.csv", "sequence,value\nACGT,1\nACG,2\n");
    let few = write("few.csv", "sequence,value\nACGT,1\nACGA,2\n");
    let short = write("short.csv", "sequence,value\nA,1\nC,2\nG,0\nT,1\n");
    for (broken, says) in [
        (Args { out: None, ..base.clone() }, "needs `--out`"),
        (Args { truth: long, ..base.clone() }, "4^12 sequences are too many"),
        (Args { truth: mixed, ..base.clone() }, "3 to 4 letters; one length"),
        (Args { truth: few.clone(), ..base.clone() }, "254 of the 256"),
        (Args { reward: few, ..base.clone() }, "254 of the 256"),
        (Args { reward: short, ..base.clone() }, "the same sequences are needed"),
        (Args { reward: Some("magic:x".to_owned()), ..base.clone() }, "unknown oracle kind"),
        (Args { divergences: Some(vec!["tv".to_owned()]), ..base.clone() }, "a metric, not a divergence"),
        (Args { divergences: Some(vec!["kl".to_owned(); 2]), ..base.clone() }, "`divergences` has kl twice"),
        (Args { divergences: Some(Vec::new()), ..base.clone() }, "`divergences` is empty"),
        (Args { alphas: Some(vec![0.1, f64::NAN]), ..base.clone() }, "`alphas` is NaN"),
        (Args { alphas: Some(vec![-0.1]), ..base.clone() }, "`alphas` is -0.1"),
        (Args { kl: Some(vec![0.0]), ..base.clone() }, "`kl` is 0"),
        (Args { seeds: Some(vec![1, 1]), ..base.clone() }, "`seeds` has 1 twice"),
        (Args { samples: Some(vec![1]), ..base.clone() }, "`samples` is 1"),
        (Args { plate: Some(0), ..base.clone() }, "`plate` is 0"),
        (Args { draws: Some(0), ..base.clone() }, "`draws` is 0"),
        (Args { good: Some(7.0), ..base.clone() }, "no sequence has a true value"),
        (Args { good: Some(f64::NAN), ..base.clone() }, "`good` is NaN"),
    ] {
        let error = execute(&broken, &context).unwrap_err();
        assert!(error.message().contains(says), "{says}: {error}");
    }
    assert!(!folder.path().join("out").exists());
    // nothing of the levels is reached: the fronts are there and the comparisons empty
    let out_of_reach = Args { kl: Some(vec![50.0]), effective: Some(vec![1e9]), distances: Some(vec![40.0]), ..base };
    assert!(execute(&out_of_reach, &context).unwrap().to_string().contains("window"));
}
