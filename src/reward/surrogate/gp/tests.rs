//! Against dense closed forms written here letter by letter, and sums over all letters.

use super::*;
use crate::nn::check;
use crate::reward::one_hot;
use crate::reward::surrogate::tuned::Tuned;
use crate::sequence::Alphabet;

const WORDS: [&str; 6] = ["ACGT", "ACGA", "TTGA", "CCCC", "GATT", "GATC"];
const VALUES: [f64; 6] = [0.3, 1.0, -0.4, 2.0, 0.1, 0.7];

fn word(text: &str) -> Sequence {
    Sequence::parse(text, &Alphabet::dna()).unwrap()
}

fn set() -> TrainingSet {
    TrainingSet::new(Alphabet::dna(), WORDS.iter().map(|text| word(text)).zip(VALUES)).unwrap()
}

/// The covariances that the options describe.
fn options() -> Vec<SurrogateConfig> {
    let plain = SurrogateConfig { noise: Tuned::Fixed(0.05), features: 64, ..SurrogateConfig::default() };
    vec![
        plain.clone(),
        SurrogateConfig { both_strands: true, amplitude: Tuned::Fixed(1.7), ..plain.clone() },
        SurrogateConfig { shifts: 1, ..plain.clone() },
        SurrogateConfig { shifts: 2, both_strands: true, shift_decay: Tuned::Fixed(0.8), ..plain },
    ]
}

fn fit(config: &SurrogateConfig) -> GaussianProcess {
    GaussianProcess::fit(config, &set(), Seed::root(1), Pool::inline()).unwrap()
}

/// The covariance from its definition: all fillings of wild cards one by one.
fn covariance(config: &SurrogateConfig, x: &Sequence, y: &Sequence) -> f64 {
    let dna = Alphabet::dna();
    let rho = (-1.0 / config.length_scale.fixed().unwrap()).exp();
    let most = config.shifts as i32;
    let mut views = Vec::new();
    for strand in 0..=usize::from(config.both_strands) {
        for shift in -most..=most {
            views.push((strand, shift, config.shift_decay.fixed().unwrap().powi(shift.abs())));
        }
    }
    let norm: f64 = views.iter().map(|(_, _, c)| c * c).sum();
    let show = |x: &Sequence, strand: usize, shift: i32| -> Vec<Option<u8>> {
        let x = if strand == 1 { x.reverse_complement(&dna).unwrap() } else { x.clone() };
        (0..4).map(|i| usize::try_from(i + shift).ok().and_then(|at| x.ids().get(at).copied())).collect()
    };
    let mut sum = 0.0;
    for (strand, shift, c) in &views {
        for (other, moved, d) in &views {
            let pairs = show(x, *strand, *shift).into_iter().zip(show(y, *other, *moved));
            let product: f64 = pairs
                .map(|(u, v)| {
                    let fill = |u: Option<u8>| u.map_or((0..4).collect::<Vec<u8>>(), |u| vec![u]);
                    let (us, vs) = (fill(u), fill(v));
                    let mean = us.iter().flat_map(|u| vs.iter().map(move |v| if u == v { 1.0 } else { rho }));
                    mean.sum::<f64>() / (us.len() * vs.len()) as f64
                })
                .product();
            sum += c * d * product;
        }
    }
    sum / norm
}

/// Mean and variance by Gaussian elimination of K + σ².
fn closed_form(config: &SurrogateConfig, x: &Sequence) -> (f64, f64) {
    let set = if config.both_strands { set().molecules().unwrap() } else { set() };
    let standard = Standardisation::of(set.values());
    let n = set.len();
    let amplitude = config.amplitude.fixed().unwrap();
    let k = |a: &Sequence, b: &Sequence| covariance(config, a, b);
    let mut system: Vec<Vec<f64>> = (0..n)
        .map(|i| {
            let row = (0..n).map(|j| {
                k(&set.sequences()[i], &set.sequences()[j]) + if i == j { config.noise.fixed().unwrap() } else { 0.0 }
            });
            let right = [(set.values()[i] - standard.centre) / standard.scale, k(&set.sequences()[i], x)];
            row.chain(right).collect()
        })
        .collect();
    for pivot in 0..n {
        for row in 0..n {
            if row != pivot {
                let factor = system[row][pivot] / system[pivot][pivot];
                let from = system[pivot].clone();
                system[row].iter_mut().zip(from).for_each(|(entry, from)| *entry -= factor * from);
            }
        }
    }
    let solution = |column: usize| (0..n).map(|i| system[i][n + column] / system[i][i]).collect::<Vec<_>>();
    let dot = |a: &[f64]| a.iter().zip(set.sequences()).map(|(a, y)| a * k(x, y)).sum::<f64>();
    let variance = amplitude * (k(x, x) - dot(&solution(1)));
    (standard.centre + standard.scale * dot(&solution(0)), standard.scale.powi(2) * variance)
}

#[test]
fn mean_and_variance_are_those_of_the_dense_closed_form() {
    for config in options() {
        let process = fit(&config);
        for text in ["ACGT", "AAAA", "GATG", "TTTC"] {
            let (mean, variance) = closed_form(&config, &word(text));
            let got = process.predict(&[word(text)]).unwrap()[0];
            // six by six systems of condition below 100: far more than 1e-10 is kept
            assert!((got.mean - mean).abs() < 1e-10, "{config:?} {text}: {} against {mean}", got.mean);
            let sd = got.sd.unwrap();
            assert!((sd * sd - variance).abs() < 1e-10, "{config:?} {text}: {} against {variance}", sd * sd);
        }
    }
}

#[test]
fn vertices_have_the_values_of_their_sequences_in_either_type() {
    let words: Vec<Sequence> = ["ACGT", "AAAA", "GATG"].map(word).into();
    let probs = one_hot(&words, 4, &Device::Cpu).unwrap();
    for config in options() {
        let process = fit(&config);
        let predictions = process.predict(&words).unwrap();
        for bonus in [0.0, 1.5] {
            let got = process.acquire(&probs, Acquisition::Ucb { bonus }, Seed::root(0)).unwrap();
            let got = got.to_vec1::<f32>().unwrap();
            for (got, want) in got.iter().zip(&predictions) {
                let want = want.mean + bonus * want.sd.unwrap();
                // the answer is rounded to f32; the floor under the root moves an sd by less than 1e-6
                assert!((f64::from(*got) - want).abs() < 1e-6, "{config:?}: {got} against {want}");
            }
        }
    }
}

#[test]
fn interpolates_without_noise_and_knows_its_labels_with_little() {
    let config = SurrogateConfig { noise: Tuned::Fixed(0.0), ..SurrogateConfig::default() };
    for (prediction, value) in fit(&config).predict(set().sequences()).unwrap().iter().zip(VALUES) {
        assert!((prediction.mean - value).abs() < 1e-10 && prediction.sd.unwrap() < 1e-6, "{prediction:?}");
    }
    // one label far from the others has variance 1 − 1/(1 + σ²) = σ²/(1 + σ²), the others less
    let config = SurrogateConfig { noise: Tuned::Fixed(0.1), length_scale: Tuned::Fixed(0.05), ..config };
    let scale = Standardisation::of(&VALUES).scale;
    for prediction in fit(&config).predict(set().sequences()).unwrap() {
        let variance = (prediction.sd.unwrap() / scale).powi(2);
        assert!((variance - 0.1 / 1.1).abs() < 1e-6, "{variance}");
    }
}

/// All sequences with their probabilities under independent letters.
fn all(probs: &[Vec<f64>]) -> Vec<(Sequence, f64)> {
    (0..256_usize)
        .map(|index| {
            let ids: Vec<u8> = (0..4).map(|i| (index >> (2 * i) & 3) as u8).collect();
            let weight = ids.iter().zip(probs).map(|(id, row)| row[usize::from(*id)]).product();
            (Sequence::from_ids(ids, &Alphabet::dna()).unwrap(), weight)
        })
        .collect()
}

fn somewhere(batch: usize) -> Tensor {
    let mut rng = Seed::root(5).rng();
    let mut values = Vec::new();
    for _ in 0..batch * 4 {
        let row: Vec<f64> = (0..4).map(|_| -rng.uniform().ln()).collect();
        let sum: f64 = row.iter().sum();
        values.extend(row.into_iter().map(|p| p / sum));
    }
    Tensor::from_vec(values, (batch, 4, 4), &Device::Cpu).unwrap()
}

#[test]
fn between_letters_it_is_the_mean_of_the_process_over_letters() {
    let probs = somewhere(1);
    let rows = probs.to_vec3::<f64>().unwrap().remove(0);
    let words = all(&rows);
    for config in options() {
        let process = fit(&config);
        let value =
            |acquisition| process.acquire(&probs, acquisition, Seed::root(3)).unwrap().to_vec1::<f64>().unwrap()[0];
        let sequences: Vec<Sequence> = words.iter().map(|(word, _)| word.clone()).collect();
        let means = process.predict(&sequences).unwrap();
        let mean: f64 = means.iter().zip(&words).map(|(prediction, (_, weight))| weight * prediction.mean).sum();
        assert!((value(Acquisition::Mean) - mean).abs() < 1e-10, "{config:?}");
        // variance of E f(X): the mean of the posterior covariance over two independent copies of X
        let codes: Words = sequences.iter().map(|sequence| process.kernel.words(sequence.ids())).collect();
        let whitened = process.white.dot(&process.bank.rows(&process.kernel, &codes).t());
        let weights = Array1::from_iter(words.iter().map(|(_, weight)| *weight));
        let known = whitened.dot(&weights);
        let mut own = 0.0;
        for (x, p) in codes.iter().zip(&weights) {
            own += codes.iter().zip(&weights).map(|(y, q)| p * q * process.kernel.pair(x, y)).sum::<f64>();
        }
        let sd = process.standardisation.scale * (process.amplitude * (own - known.dot(&known)) + 1e-12).sqrt();
        let got = value(Acquisition::Ucb { bonus: 1.0 }) - value(Acquisition::Mean);
        assert!((got - sd).abs() < 1e-9, "{config:?}: {got} against {sd}");
        // and a draw is the mean of the draw
        let vertices = one_hot(&sequences, 4, &Device::Cpu).unwrap().to_dtype(candle_core::DType::F64).unwrap();
        let draws = process.acquire(&vertices, Acquisition::Thompson, Seed::root(3)).unwrap().to_vec1::<f64>().unwrap();
        let mean: f64 = draws.iter().zip(&words).map(|(draw, (_, weight))| weight * draw).sum();
        assert!((value(Acquisition::Thompson) - mean).abs() < 1e-9, "{config:?}");
    }
}

#[test]
fn gradients_agree_with_differences() {
    let probs = somewhere(2);
    for config in options() {
        let process = fit(&config);
        for acquisition in [Acquisition::Mean, Acquisition::Ucb { bonus: 1.5 }, Acquisition::Thompson] {
            check::input(&probs, |p| process.acquire(p, acquisition, Seed::root(3)));
        }
    }
    let refused = fit(&options()[0]).acquire(&probs, Acquisition::BootstrapMax, Seed::root(0));
    assert_eq!(refused.unwrap_err().kind(), crate::Kind::Usage);
}

#[test]
fn draws_have_the_posterior_mean_and_covariance() {
    let config = SurrogateConfig { features: 16, noise: Tuned::Fixed(0.2), ..options().remove(3) };
    let process = fit(&config);
    let words: Words = ["ACGT", "GATT", "CCAC"].iter().map(|text| process.kernel.words(word(text).ids())).collect();
    let rows = process.bank.rows(&process.kernel, &words);
    let means = rows.dot(&process.alpha);
    let whitened = process.white.dot(&rows.t());
    let vertices = one_hot(&["ACGT", "GATT", "CCAC"].map(word), 4, &Device::Cpu).unwrap();
    let vertices = vertices.to_dtype(candle_core::DType::F64).unwrap();
    let Standardisation { centre, scale } = process.standardisation;
    let n = 1500_u32;
    let draws: Vec<Vec<f64>> = (0..n)
        .map(|draw| {
            let seed = Seed::root(8).index(u64::from(draw));
            let values = process.acquire(&vertices, Acquisition::Thompson, seed).unwrap().to_vec1::<f64>().unwrap();
            values.iter().zip(&means).map(|(value, mean)| (value - centre) / scale - mean).collect()
        })
        .collect();
    for i in 0..3 {
        for j in 0..=i {
            let products: Vec<f64> = draws.iter().map(|draw| draw[i] * draw[j]).collect();
            let mean = products.iter().sum::<f64>() / f64::from(n);
            let error =
                (products.iter().map(|p| (p - mean).powi(2)).sum::<f64>() / f64::from(n)).sqrt() / f64::from(n).sqrt();
            let want = process.kernel.pair(&words[i], &words[j]) - whitened.column(i).dot(&whitened.column(j));
            // four standard errors of the mean product, estimated from the draws: about 0.1 of a variance
            assert!((mean - want).abs() < 4.0 * error, "{i} {j}: {mean} ± {error} against {want}");
            assert!(error < 0.1, "{error}");
        }
        let mean = draws.iter().map(|draw| draw[i]).sum::<f64>() / f64::from(n);
        assert!(mean.abs() < 4.0 / f64::from(n).sqrt(), "posterior sd is below 1: {mean}");
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let pool = Pool::new(3).unwrap();
    for config in options() {
        let one = GaussianProcess::fit(&config, &set(), Seed::root(1), Pool::inline()).unwrap();
        let three = GaussianProcess::fit(&config, &set(), Seed::root(1), &pool).unwrap();
        let sequences: Vec<Sequence> = all(&vec![vec![0.25; 4]; 4]).into_iter().map(|(word, _)| word).collect();
        assert_eq!(one.predict(&sequences).unwrap(), three.predict(&sequences).unwrap());
    }
}

#[test]
fn covariances_with_shifts_have_no_negative_eigenvalue() {
    // Cholesky with a millionth on the diagonal fails where an eigenvalue is below −1e-6
    let mut rng = Seed::root(2).rng();
    for (shifts, strands) in [(1, false), (3, true)] {
        let complements = strands.then(|| vec![3, 2, 1, 0]);
        let kernel = Kernel::new(4, 6, complements, shifts).with(&[0.5, 1.0, 2.0, 4.0, 8.0, 30.0], 0.9);
        let words: Words =
            (0..120).map(|_| kernel.words(&(0..6).map(|_| rng.below(4) as u8).collect::<Vec<_>>())).collect();
        let mut covariance = Bank::new(&kernel, &words).rows(&kernel, &words);
        covariance.diag_mut().mapv_inplace(|own| own + 1e-6);
        assert!(dense::cholesky(covariance).is_some());
    }
}

#[test]
fn the_best_half_and_some_of_the_rest_are_kept() {
    let landscape: Vec<(Sequence, f64)> =
        all(&vec![vec![0.25; 4]; 4]).into_iter().map(|(word, _)| word).zip((0..256).map(f64::from)).collect();
    let set = TrainingSet::new(Alphabet::dna(), landscape).unwrap();
    let few = kept(&set, 20, Seed::root(1)).unwrap();
    assert_eq!(few.len(), 20);
    assert_eq!(few.values().iter().filter(|value| **value >= 246.0).count(), 10);
    assert_ne!(few, kept(&set, 20, Seed::root(2)).unwrap());
    assert_eq!(kept(&set, 0, Seed::root(1)).unwrap(), set);
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let protein = Alphabet::protein();
    let words = ["AC", "WY"].map(|text| Sequence::parse(text, &protein).unwrap());
    let set = TrainingSet::new(protein, words.into_iter().zip([1.0, 2.0])).unwrap();
    let config = SurrogateConfig { both_strands: true, ..SurrogateConfig::default() };
    let error = GaussianProcess::fit(&config, &set, Seed::root(0), Pool::inline()).unwrap_err();
    assert_eq!(error.message(), "`both-strands` asks for complements, and alphabet `protein` has none");
    let process = fit(&SurrogateConfig::default());
    assert_eq!(process.predict(&[word("ACG")]).unwrap_err().kind(), crate::Kind::Data);
}

#[test]
fn the_evidence_is_the_log_density_of_the_labels_and_its_slope_that_of_differences() {
    // two labels: C = s² [[1 + σ², k], [k, 1 + σ²]], z = ∓1
    let (a, b) = (word("ACGT"), word("ACGA"));
    let pair = TrainingSet::new(Alphabet::dna(), [(a, 1.0), (b, 3.0)]).unwrap();
    let config =
        SurrogateConfig { amplitude: Tuned::Fixed(1.7), noise: Tuned::Fixed(0.3), ..SurrogateConfig::default() };
    let process = GaussianProcess::fit(&config, &pair, Seed::root(0), Pool::inline()).unwrap();
    let (own, k) = (1.7 * 1.3, 1.7 * (-0.4_f64).exp());
    let want = -1.0 / (own - k) - 0.5 * (own * own - k * k).ln() - (2.0 * std::f64::consts::PI).ln();
    assert!((process.log_evidence() - want).abs() < 1e-12, "{} against {want}", process.log_evidence());
    let z = [0.3, -1.0, 0.5, 1.2, -0.2, 0.4];
    let shape = Kernel::new(4, 4, Some(vec![3, 2, 1, 0]), 1);
    let words: Words = WORDS.iter().map(|text| shape.words(word(text).ids())).collect();
    for amplitude in [Tuned::Auto, Tuned::Fixed(0.8)] {
        // log ℓ of four positions, log σ², logit of the decay
        let start = [0.3, -0.2, 0.9, 0.1, -2.0, 0.4];
        let at = |theta: &[f64]| {
            let lengths: Vec<f64> = theta[..4].iter().map(|log| log.exp()).collect();
            let decay = 1.0 / (1.0 + (-theta[5]).exp());
            let kernel = shape.clone().with(&lengths, decay);
            let problem = Problem { kernel: &kernel, words: &words, z: &z, noise: theta[4].exp() };
            let solved = problem.solve(amplitude, Pool::inline()).unwrap().unwrap();
            let slope = problem.slope(&solved, &lengths, Pool::inline()).unwrap();
            let decay = slope.decay(&kernel, decay);
            (solved.evidence, [slope.lengths, vec![slope.noise, decay]].concat())
        };
        let slope = at(&start).1;
        for (i, exact) in slope.iter().enumerate() {
            let value = |step: f64| {
                let mut moved = start;
                moved[i] += step;
                at(&moved).0
            };
            // central differences at 1e-5 leave about 1e-10 and rounding of 1e-15/1e-5
            let difference = (value(1e-5) - value(-1e-5)) / 2e-5;
            assert!((difference - exact).abs() < 1e-7, "{i}: {exact}, differences {difference}");
        }
    }
}

#[test]
fn the_evidence_finds_what_made_the_labels() {
    // values by the first letter alone, twice as far apart as an error of the third
    let sequences: Vec<Sequence> = all(&vec![vec![0.25; 4]; 4]).into_iter().map(|(word, _)| word).step_by(2).collect();
    let mut rng = Seed::root(6).rng();
    let pairs = sequences.into_iter().map(|x| {
        let value = [0.0, 2.0, -1.0, 1.0][usize::from(x.ids()[0])] + 0.3 * rng.normal();
        (x, value)
    });
    let set = TrainingSet::new(Alphabet::dna(), pairs.collect::<Vec<_>>()).unwrap();
    let auto = SurrogateConfig {
        length_scale: Tuned::Auto,
        noise: Tuned::Auto,
        amplitude: Tuned::Auto,
        ..SurrogateConfig::default()
    };
    let fit = |config: &SurrogateConfig| GaussianProcess::fit(config, &set, Seed::root(0), Pool::inline()).unwrap();
    let (fixed, one) = (fit(&SurrogateConfig::default()), fit(&auto));
    let each = fit(&SurrogateConfig { per_position: true, ..auto });
    assert!(fixed.log_evidence() < one.log_evidence() && one.log_evidence() < each.log_evidence());
    let lengths = each.lengths();
    assert!(lengths[1..].iter().all(|length| *length > 4.0 * lengths[0]), "{lengths:?}");
    // variance of the errors, 0.09, with a standard error of √(2/124) of it; four of them
    let noise = each.noise() * each.amplitude() * Standardisation::of(set.values()).scale.powi(2);
    assert!((noise / 0.09 - 1.0).abs() < 0.51, "{noise}");
}
