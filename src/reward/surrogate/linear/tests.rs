//! Against closed forms on single letters, where all matrices are diagonal or small.

use super::*;
use crate::nn::check;
use crate::reward::one_hot;
use crate::reward::{Architecture, CnnConfig};
use crate::sequence::Alphabet;

fn two() -> Alphabet {
    Alphabet::custom("two", "AB").unwrap()
}

fn pairs() -> SurrogateConfig {
    SurrogateConfig {
        kind: "linear-ucb".to_owned(),
        linear_features: LinearFeatures::Pairs,
        ridge: 0.5,
        ..Default::default()
    }
}

fn word(text: &str) -> Sequence {
    Sequence::parse(text, &two()).unwrap()
}

fn set(pairs: &[(&str, f64)]) -> TrainingSet {
    TrainingSet::new(two(), pairs.iter().map(|(text, value)| (word(text), *value))).unwrap()
}

#[test]
fn one_position_has_the_closed_form() {
    // φ = (1, [A], [B]); Σφφᵀ + λ = [[2+λ, 1, 1], [1, 1+λ, 0], [1, 0, 1+λ]], z = (−1, 1)
    let model = LinearUcb::fit(&pairs(), &set(&[("A", 1.0), ("B", 3.0)]), Seed::root(0), Pool::inline()).unwrap();
    let got = model.predict(&[word("A"), word("B")]).unwrap();
    // along (0, 1, −1)/√2 the matrix is 1 + λ: the mean is centre ± scale /(1 + λ)
    for (prediction, sign) in got.iter().zip([-1.0, 1.0]) {
        assert!((prediction.mean - (2.0 + sign / 1.5)).abs() < 1e-12, "{prediction:?}");
        // φ = (1, ½, ½) ± (0, ½, −½); in the span of (1, 0, 0) and (0, 1, 1)/√2 the matrix is [[2+λ, √2], [√2, 1+λ]]
        let (a, b, c) = (2.5, 2_f64.sqrt(), 1.5);
        let half = 0.5_f64.sqrt();
        let square = (c - 2.0 * b * half + a * half * half) / (a * c - b * b) + 0.5 / 1.5;
        assert!((prediction.sd.unwrap() - square.sqrt()).abs() < 1e-9, "{prediction:?} {square}");
    }
}

#[test]
fn the_gram_bonus_falls_with_repeats_and_the_covariance_form_does_not() {
    let rows = Array2::from_shape_vec((2, 2), vec![1.0, 0.5, -0.5, 1.0]).unwrap();
    let bonus = |inner: Array2<f64>| {
        let white = inverse_root(inner, 1e-9).unwrap();
        let whitened = white.dot(&rows.row(0));
        whitened.dot(&whitened).sqrt()
    };
    let repeated = |times: usize| {
        let indices: Vec<usize> = (0..2 * times).map(|i| i % 2).collect();
        rows.select(Axis(0), &indices)
    };
    let gram = |times| {
        let rows = repeated(times);
        bonus(rows.t().dot(&rows))
    };
    // exactly 1/√n but for the ridge of 1e-9
    assert!((gram(1) - 1.0).abs() < 1e-8 && (gram(100) / gram(1) - 0.1).abs() < 1e-8);
    let mixed = |times| {
        let mut rows = repeated(times);
        rows.row_mut(0)[0] += 1.0;
        bonus(covariance(&rows))
    };
    let (few, many) = (mixed(2), mixed(200));
    assert!(many > 0.5 * few, "{few} with 4 rows, {many} with 400");
    let whole = covariance(&Array2::from_shape_vec((3, 1), vec![1.0, 2.0, 6.0]).unwrap());
    assert_eq!(whole[[0, 0]], 7.0, "squares 4 + 1 + 9 over 2");
}

#[test]
fn the_released_bonus_is_clipped_and_in_the_units_of_labels() {
    let labels = [("AA", 10.0), ("AB", 30.0), ("BB", 20.0)];
    let config = SurrogateConfig { covariance: true, ridge: 1e-3, bonus_scale: 0.01, ..pairs() };
    let model = LinearUcb::fit(&config, &set(&labels), Seed::root(0), Pool::inline()).unwrap();
    // BA lies far outside the plane of the three; 0.01 φᵀ(C + 0.001)⁻¹φ below 0.01 |φ|/√0.001
    let sd = model.predict(&[word("BA")]).unwrap()[0].sd.unwrap();
    assert!(sd > 0.1 && sd < 0.01 * 2.0 * 1000_f64.sqrt(), "{sd}");
    let config = SurrogateConfig { bonus_scale: 1e3, ..config };
    let model = LinearUcb::fit(&config, &set(&labels), Seed::root(0), Pool::inline()).unwrap();
    assert_eq!(model.predict(&[word("BA")]).unwrap()[0].sd, Some(10.0));
    let probs = one_hot(&[word("BA")], 2, &Device::Cpu).unwrap();
    assert!(model.acquire(&probs, Acquisition::Thompson, Seed::root(0)).is_err());
}

#[test]
fn gradients_agree_with_differences_and_vertices_with_sequences() {
    let labels = [("AAB", 1.0), ("ABA", 3.0), ("BBA", 2.0), ("BAB", 0.0)];
    let model = LinearUcb::fit(&pairs(), &set(&labels), Seed::root(0), Pool::inline()).unwrap();
    let probs = Tensor::new(&[[[0.3_f64, 0.7], [0.8, 0.2], [0.5, 0.5]]], &Device::Cpu).unwrap();
    for acquisition in [Acquisition::Mean, Acquisition::Ucb { bonus: 1.5 }, Acquisition::Thompson] {
        check::input(&probs, |p| model.acquire(p, acquisition, Seed::root(2)));
    }
    let words = [word("AAA"), word("BBB")];
    let ucb = model.acquire(&one_hot(&words, 2, &Device::Cpu).unwrap(), Acquisition::Ucb { bonus: 2.0 }, Seed::root(0));
    for (ucb, prediction) in ucb.unwrap().to_vec1::<f32>().unwrap().iter().zip(model.predict(&words).unwrap()) {
        assert!((f64::from(*ucb) - prediction.mean - 2.0 * prediction.sd.unwrap()).abs() < 1e-6);
    }
}

#[test]
fn draws_have_the_variance_of_the_bonus() {
    let labels = [("AAB", 1.0), ("ABA", 3.0), ("BBA", 2.0), ("BAB", 0.0)];
    let model = LinearUcb::fit(&pairs(), &set(&labels), Seed::root(0), Pool::inline()).unwrap();
    let x = word("BBB");
    let probs = one_hot(std::slice::from_ref(&x), 2, &Device::Cpu).unwrap();
    let Prediction { mean, sd } = model.predict(&[x]).unwrap()[0];
    let n = 2000_u32;
    let draw = |index| {
        let value = model.acquire(&probs, Acquisition::Thompson, Seed::root(3).index(u64::from(index))).unwrap();
        f64::from(value.to_vec1::<f32>().unwrap()[0]) - mean
    };
    let variance = (0..n).map(|index| draw(index).powi(2)).sum::<f64>() / f64::from(n);
    // standard error √(2/n) = 0.032 of the variance; four of them
    assert!((variance / sd.unwrap().powi(2) - 1.0).abs() < 0.13, "{variance}");
}

#[test]
fn a_networks_mean_is_linear_in_its_features() {
    let dna = Alphabet::dna();
    let mut rng = Seed::root(4).rng();
    let words: Vec<Sequence> = (0..40)
        .map(|_| Sequence::from_ids((0..5).map(|_| rng.below(4) as u8).collect::<Vec<_>>(), &dna).unwrap())
        .collect();
    let set = TrainingSet::new(dna, words.iter().map(|x| (x.clone(), f64::from(x.ids()[2])))).unwrap();
    let architecture = Architecture::Cnn(CnnConfig { channels: 8, hidden: 6, ..CnnConfig::default() });
    let config = SurrogateConfig { kind: "linear-ucb".to_owned(), architecture, steps: 20, ..Default::default() };
    let model = LinearUcb::fit(&config, &set, Seed::root(1), Pool::inline()).unwrap();
    let Features::Network(network) = &model.features else { panic!("a network was asked for") };
    let rows = matrix(&model.features, set.domain(), set.sequences(), Pool::inline()).unwrap();
    assert_eq!(rows.dim(), (set.len(), 6));
    let predictions = model.predict(set.sequences()).unwrap();
    assert_eq!(predictions[0].mean, network.predict(&set.sequences()[..1]).unwrap()[0].mean);
    // regress the predictions on the features and a constant: nothing is left
    let mut design = Array2::ones((set.len(), 7));
    design.slice_mut(ndarray::s![.., ..6]).assign(&rows);
    let target: Array1<f64> = predictions.iter().map(|p| p.mean).collect();
    let white = inverse_root(design.t().dot(&design), 1e-9).unwrap();
    let left = &target - &design.dot(&white.t().dot(&white.dot(&design.t().dot(&target))));
    // the features are in f32 and nearly collinear early in training
    assert!(left.iter().all(|left| left.abs() < 1e-4), "{left}");
}

#[test]
fn paddings_are_letters_that_occur() {
    let protein = Alphabet::protein();
    let word = |length: usize, at: usize| {
        let mut ids = vec![3_u8; length];
        ids[at] = 8;
        Sequence::from_ids(ids, &protein).unwrap()
    };
    let words = [word(60, 2), word(58, 2), word(55, 7), word(60, 40)];
    let domain = Domain::of(&protein, words.iter()).unwrap();
    let set = TrainingSet::within(&domain, words.iter().cloned().zip([0.0, 1.0, 3.0, -1.0])).unwrap();
    let config = SurrogateConfig {
        linear_features: LinearFeatures::Letters,
        ridge: 0.5,
        kind: "linear-ucb".into(),
        ..Default::default()
    };
    let model = LinearUcb::fit(&config, &set, Seed::root(0), Pool::inline()).unwrap();
    let row = |x: &Sequence, y: &Sequence| {
        let (x, y) = (x.padded(&domain.alphabet, 60), y.padded(&domain.alphabet, 60));
        1.0 + x.iter().zip(&y).filter(|(a, b)| a == b).count() as f64
    };
    let gram = Array2::from_shape_fn((4, 4), |(i, j)| row(&words[i], &words[j]) + if i == j { 0.5 } else { 0.0 });
    let root = invert_lower(&cholesky(gram).unwrap());
    let Standardisation { centre, scale } = Standardisation::of(set.values());
    let z: Array1<f64> = set.values().iter().map(|value| (value - centre) / scale).collect();
    let new = word(57, 7);
    let k: Array1<f64> = words.iter().map(|word| row(&new, word)).collect();
    let mean = centre + scale * root.dot(&k).dot(&root.dot(&z));
    let found = model.predict(&[new]).unwrap()[0].mean;
    assert!((found - mean).abs() < 1e-9, "{found} {mean}");
}

#[test]
fn letters_that_were_not_seen_count_as_if_they_had_features() {
    let protein = Alphabet::protein();
    let length = 60;
    let word = |changed: &[(usize, u8)]| {
        let mut ids = vec![3_u8; length];
        for (position, id) in changed {
            ids[*position] = *id;
        }
        Sequence::from_ids(ids, &protein).unwrap()
    };
    let pairs = [(word(&[]), 0.0), (word(&[(2, 5)]), 1.0), (word(&[(2, 5), (7, 1)]), 3.0), (word(&[(40, 9)]), -1.0)];
    let set = TrainingSet::new(protein.clone(), pairs).unwrap();
    let features = LinearFeatures::Letters;
    // a constant, sixty usual letters and three others, and what was not seen
    assert_eq!(features.count(&set), 2 + 60 + 3);
    let config =
        SurrogateConfig { linear_features: features, ridge: 0.5, kind: "linear-ucb".into(), ..Default::default() };
    let model = LinearUcb::fit(&config, &set, Seed::root(0), Pool::inline()).unwrap();
    // the ridge regression on all 1 + 60 · 20 features, in its dual form
    let row = |x: &Sequence, y: &Sequence| 1.0 + x.ids().iter().zip(y.ids()).filter(|(a, b)| a == b).count() as f64;
    let n = set.len();
    let words = set.sequences();
    let gram = Array2::from_shape_fn((n, n), |(i, j)| row(&words[i], &words[j]) + if i == j { 0.5 } else { 0.0 });
    let root = invert_lower(&cholesky(gram).unwrap());
    let Standardisation { centre, scale } = Standardisation::of(set.values());
    let z: Array1<f64> = set.values().iter().map(|value| (value - centre) / scale).collect();
    let new = word(&[(2, 5), (9, 17), (40, 9), (41, 0)]);
    let k: Array1<f64> = words.iter().map(|word| row(&new, word)).collect();
    let mean = centre + scale * root.dot(&k).dot(&root.dot(&z));
    let variance = (row(&new, &new) - root.dot(&k).mapv(|v| v * v).sum()) / 0.5;
    let found = model.predict(&[new]).unwrap()[0];
    assert!((found.mean - mean).abs() < 1e-9, "{} {mean}", found.mean);
    assert!((found.sd.unwrap() - scale * variance.sqrt()).abs() < 1e-9, "{found:?} {variance}");
}
