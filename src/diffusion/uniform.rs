//! A prior that needs no data: independent uniform letters.

use super::{Denoiser, DenoiserConfig, Embedding, Prior, PriorConfig, Warp, prior_folder};
use crate::error::{Error, Result};
use crate::nn::Tensors;
use crate::sequence::Alphabet;
use crate::store::ModelFolder;
use candle_core::{Device, Tensor};

/// What the name of a uniform prior begins with.
const PREFIX: &str = "uniform:";

/// What an alphabet begins with that is given by its letters.
const LETTERS: &str = "letters=";

/// Width of the embedding at which a letter is decided at the default log signal-to-noise ratios.
const WIDTH: f64 = 4.0;

/// Says nothing about any letter: exact for independent uniform letters, whose posterior is each position's own evidence.
///
/// ```text
/// p(x_i = v | z) ∝ p(z_i | x_i = v) · 1/V
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Uniform;

impl Denoiser for Uniform {
    fn context(&self, _: &Tensor, local: &Tensor, _: &[f64]) -> Result<Tensor> {
        Ok(local.zeros_like()?)
    }
}

impl PriorConfig {
    /// Independent uniform letters: no network, and letters at the vertices of a regular simplex.
    ///
    /// Exchanging two letters exchanges two axes of the noise, so that hard-decoded sequences of the chain are uniform exactly,
    /// however coarse it is. Rows of the embedding have the norm √V, so the walk is moved by `ln(V/4)`: a letter is as far
    /// from the others, in units of noise, as those of DNA are at the default ends.
    ///
    /// ```
    /// use seqtilt::diffusion::{Prior, PriorConfig, elbo};
    /// use seqtilt::nn::{Params, Pool, Tensors};
    /// use seqtilt::Seed;
    /// use seqtilt::sequence::{Alphabet, Sequence};
    /// let dna = Alphabet::dna();
    /// let prior = Prior::new(&PriorConfig::uniform(&dna, 3), &Params::frozen(Tensors::new(), &candle_core::Device::Cpu))?;
    /// let words = vec![Sequence::parse("ACG", &dna)?; 64];
    /// let bound = elbo(&prior, &words, 1, Seed::root(1), &Pool::new(1)?)?;
    /// assert!((bound.nats_per_token - 4_f64.ln()).abs() < 1e-4);
    /// # Ok::<(), seqtilt::Error>(())
    /// ```
    #[must_use]
    pub fn uniform(alphabet: &Alphabet, length: usize) -> Self {
        let plain = Self::new(alphabet, length);
        let letters = alphabet.len();
        let moved = (letters as f64 / WIDTH).ln();
        let decode_log_snr = plain.decode_log_snr - moved;
        Self {
            embedding: Embedding::Simplex,
            embedding_dim: letters,
            denoiser: DenoiserConfig { layers: 0, ..plain.denoiser.clone() },
            start_log_snr: plain.start_log_snr - moved,
            decode_log_snr,
            warp: Warp::new(plain.range().0, decode_log_snr, 48),
            ..plain
        }
    }

    /// Whether its letters are independent and uniform.
    #[must_use]
    pub fn is_uniform(&self) -> bool {
        self.denoiser.layers == 0 && !self.sites && self.constraint.is_empty() && !self.is_padded()
    }
}

/// The name of a uniform prior, `uniform:ALPHABET:LENGTH`, as every command takes it: alphabets of the caller's own by their letters.
///
/// ```
/// use seqtilt::diffusion::uniform_name;
/// use seqtilt::sequence::Alphabet;
/// assert_eq!(uniform_name(&Alphabet::protein(), 12), "uniform:protein:12");
/// assert_eq!(uniform_name(&Alphabet::custom("hp", "HP")?, 20), "uniform:letters=HP:20");
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[must_use]
pub fn uniform_name(alphabet: &Alphabet, length: usize) -> String {
    let known = Alphabet::named(alphabet.name()).is_ok_and(|known| known == *alphabet);
    let letters = String::from_utf8_lossy(alphabet.letters());
    let alphabet = if known { alphabet.name().to_owned() } else { format!("{LETTERS}{letters}") };
    format!("{PREFIX}{alphabet}:{length}")
}

/// The folder of a prior named `uniform:ALPHABET:LENGTH`, such as `uniform:dna:8` or `uniform:letters=HP:20`; nothing for other names.
///
/// # Errors
/// When there is no such alphabet, or the length is not a number in range.
pub(super) fn uniform_folder(name: &str) -> Option<Result<ModelFolder>> {
    let parts = name.strip_prefix(PREFIX)?;
    Some(uniform_config(parts).and_then(|config| {
        let card = format!(
            "# Independent uniform letters\n\n{} letters of {}, each with probability 1/{}. It has no weights and has seen no \
             data.\n",
            config.length,
            config.alphabet,
            config.letters.len()
        );
        Ok(prior_folder(&config, Tensors::new())?.with_card(card))
    }))
}

fn uniform_config(parts: &str) -> Result<PriorConfig> {
    let form = || {
        Error::usage(format!("`{PREFIX}{parts}` is not a uniform prior; `{PREFIX}ALPHABET:LENGTH` is accepted"))
            .hint("for example `uniform:dna:8`, `uniform:protein:12` or, by its letters, `uniform:letters=ACGU:8`")
    };
    let (alphabet, length) = parts.rsplit_once(':').ok_or_else(form)?;
    let length = length.parse().map_err(|_| form())?;
    let alphabet = match alphabet.strip_prefix(LETTERS) {
        Some(letters) => Alphabet::of_letters(letters)?,
        None => {
            Alphabet::named(alphabet).map_err(|error| error.hint(format!("or {LETTERS}ABC for letters of your own")))?
        }
    };
    let config = PriorConfig::uniform(&alphabet, length);
    config.check()?;
    Ok(config)
}

/// A prior of independent uniform letters without a name, for alphabets of the caller's own.
///
/// # Errors
/// When the length is out of range.
pub fn uniform_prior(alphabet: &Alphabet, length: usize, device: &Device) -> Result<(Prior, ModelFolder)> {
    let folder = prior_folder(&PriorConfig::uniform(alphabet, length), Tensors::new())?;
    Ok((super::prior_of(&folder, device)?, folder))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::{Decode, DiffusionChain, SampleConfig, elbo, open_prior, sample};
    use crate::nn::Pool;
    use crate::random::Seed;
    use crate::sequence::Sequence;
    use std::sync::Arc;

    #[test]
    fn hard_decoded_words_of_a_coarse_chain_are_uniform() {
        let pool = Pool::new(2).unwrap();
        let (prior, _) = open_prior("uniform:dna:2", &Device::Cpu).unwrap();
        let config = SampleConfig { steps: Some(8), ..SampleConfig::default() };
        let count = 16_384;
        let words = sample(&prior, &config, count, Seed::root(5), &pool).unwrap();
        let mut counts = [0_f64; 16];
        for word in &words {
            counts[usize::from(word.ids()[0]) * 4 + usize::from(word.ids()[1])] += 1.0;
        }
        // 1024 each with a standard error of 31; χ² of 15 degrees has mean 15 and standard deviation 5.5: four of them
        let chi: f64 = counts.iter().map(|n| (n - 1024.0).powi(2) / 1024.0).sum();
        assert!(chi < 37.0, "{chi}: {counts:?}");
    }

    #[test]
    fn exchanging_letters_of_the_noise_exchanges_letters_of_the_word() {
        // the reason why the law is uniform: what the chain does commutes with permutations of the letters
        let (prior, _) = open_prior("uniform:protein:3", &Device::Cpu).unwrap();
        let config = prior.config().clone();
        let chain = DiffusionChain::new(Arc::new(prior), 6, 2, config.grid, config.solver).unwrap();
        let mut rng = Seed::root(2).rng();
        let noise: Vec<Tensor> =
            (0..7).map(|_| Tensor::from_vec(rng.normals(60), (1, 3, 20), &Device::Cpu).unwrap()).collect();
        let turned: Vec<u32> = (0..20).map(|v| (v + 7) % 20).collect();
        let turn = Tensor::new(turned.as_slice(), &Device::Cpu).unwrap();
        let walk = |permute: bool| {
            let draw = |k: usize| if permute { noise[k].index_select(&turn, 2).unwrap() } else { noise[k].clone() };
            let mut z = draw(0);
            for k in 0..6 {
                use crate::diffusion::Chain as _;
                let step = chain.advance(k, &z, &mut crate::diffusion::Memory::default()).unwrap();
                z = (step.mean + (draw(k + 1) * step.std).unwrap()).unwrap();
            }
            Decode::Hard.read(&chain.read(6, &z).unwrap(), chain.prior(), &mut Seed::root(0).rng()).unwrap().remove(0)
        };
        let (plain, permuted) = (walk(false), walk(true));
        let back: Vec<u8> = permuted.ids().iter().map(|id| turned[usize::from(*id)] as u8).collect();
        assert_eq!(plain.ids(), back);
    }

    #[test]
    fn the_bound_is_the_log_of_the_number_of_letters() {
        let pool = Pool::new(2).unwrap();
        for (name, letters, text) in [("uniform:dna:4", 4.0_f64, "ACGT"), ("uniform:protein:4", 20.0, "WYAC")] {
            let (prior, folder) = open_prior(name, &Device::Cpu).unwrap();
            assert!(prior.config().is_uniform() && folder.weights.is_empty());
            let words = vec![Sequence::parse(text, prior.alphabet()).unwrap(); 128];
            let bound = elbo(&prior, &words, 2, Seed::root(2), &pool).unwrap();
            // only the start lies between them: half the squared signal of 4.5e-5, times the width, at most
            assert!((bound.nats_per_token - letters.ln()).abs() < 5e-4, "{name}: {}", bound.nats_per_token);
        }
    }

    #[test]
    fn names_that_are_no_uniform_prior_say_what_is_accepted() {
        for (name, wrong) in [
            ("uniform:dna", "`uniform:ALPHABET:LENGTH` is accepted"),
            ("uniform:dna:x", "`uniform:ALPHABET:LENGTH` is accepted"),
            ("uniform:dna:0", "`length` is 0"),
            ("uniform:lego:4", "unknown alphabet `lego`"),
            ("uniform:letters=A:4", "has 1 letters; 2 to 64 are accepted"),
            ("uniform:letters=ABA:4", "repeats letter `A`"),
            ("uniform:letters=a:b:4", "`a` is not accepted"),
        ] {
            let error = open_prior(name, &Device::Cpu).unwrap_err();
            assert!(error.message().contains(wrong), "{error}");
        }
        let mut config = PriorConfig::uniform(&Alphabet::dna(), 4);
        config.embedding = Embedding::Learned;
        assert!(config.check().unwrap_err().message().contains("`denoiser.layers` is 0"));
    }

    #[test]
    fn letters_of_ones_own_make_an_alphabet() {
        for (name, letters, called) in [
            ("uniform:letters=HP:3", "HP", "custom"),
            ("uniform:letters=ACGU:3", "ACGU", "rna"),
            ("uniform:rna:3", "ACGU", "rna"),
        ] {
            let (prior, _) = open_prior(name, &Device::Cpu).unwrap();
            assert_eq!((prior.alphabet().letters(), prior.alphabet().name()), (letters.as_bytes(), called), "{name}");
            let again = open_prior(&uniform_name(prior.alphabet(), 3), &Device::Cpu).unwrap().0;
            assert_eq!(again.config(), prior.config(), "{name}");
        }
    }

    #[test]
    fn a_folder_without_weights_is_written_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let (_, model) = open_prior("uniform:dna:5", &Device::Cpu).unwrap();
        model.save(folder.path().join("prior")).unwrap();
        let (prior, again) = open_prior(&folder.path().join("prior").display().to_string(), &Device::Cpu).unwrap();
        assert!(prior.config().is_uniform());
        assert_eq!(crate::diffusion::fingerprint(&model).unwrap(), crate::diffusion::fingerprint(&again).unwrap());
    }
}
