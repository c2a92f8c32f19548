//! Letters to ids and back as a Hugging Face tokenizer, so that a model folder is readable by other tools.

use super::alphabet::PADDING;
use super::{Alphabet, Sequence};
use crate::error::{Error, Result};
use tokenizers::decoders::fuse::Fuse;
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{SplitDelimiterBehavior, Tokenizer};

/// One token a letter; token ids are the alphabet's ids.
///
/// ```
/// use seqtilt::sequence::{Alphabet, LetterTokenizer, Sequence};
/// let dna = Alphabet::dna();
/// let tokenizer = LetterTokenizer::new(&dna)?;
/// let word = tokenizer.encode("ggtA")?;
/// assert_eq!(word.ids(), [2, 2, 3, 0]);
/// assert_eq!(LetterTokenizer::from_json(&tokenizer.to_json()?)?.decode(&word)?, "GGTA");
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LetterTokenizer {
    alphabet: Alphabet,
    inner: Tokenizer,
}

impl LetterTokenizer {
    /// The tokenizer of an alphabet.
    ///
    /// # Errors
    /// When the tokenizer library refuses the letters.
    pub fn new(alphabet: &Alphabet) -> Result<Self> {
        let vocab = (0..).zip(alphabet.letters()).map(|(id, letter)| (char::from(*letter).to_string(), id)).collect();
        let model = WordLevel::builder().vocab(vocab).unk_token(String::new()).build().map_err(failed)?;
        let pattern = SplitPattern::Regex(".".to_owned());
        let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false).map_err(failed)?;
        let mut inner = Tokenizer::new(model);
        inner.with_pre_tokenizer(Some(split)).with_decoder(Some(Fuse::new()));
        Ok(Self { alphabet: alphabet.clone(), inner })
    }

    /// Reads the bytes of a `tokenizer.json`.
    ///
    /// # Errors
    /// When it is not a tokenizer, or its tokens are not the single letters of an alphabet with ids from 0.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let inner = Tokenizer::from_bytes(bytes)
            .map_err(|source| Error::integrity("not a Hugging Face `tokenizer.json`").because(source.to_string()))?;
        let mut tokens: Vec<(u32, String)> = inner.get_vocab(true).into_iter().map(|(token, id)| (id, token)).collect();
        tokens.sort();
        let mut letters = String::new();
        for (wanted, (id, token)) in (0_u32..).zip(&tokens) {
            if *id != wanted || token.len() != 1 {
                let message = format!(
                    "token {id} is `{}`; one letter a token, with ids from 0, is accepted",
                    token.escape_debug()
                );
                return Err(Error::integrity(message));
            }
            letters.push_str(token);
        }
        let plain = letters.strip_suffix(char::from(PADDING));
        let alphabet = Alphabet::of_letters(plain.unwrap_or(&letters))
            .and_then(|alphabet| if plain.is_some() { alphabet.padded() } else { Ok(alphabet) })
            .map_err(|error| Error::integrity(error.message()).hint("the tokenizer was not made by seqtilt"))?;
        Ok(Self { alphabet, inner })
    }

    /// The bytes of its `tokenizer.json`: the same on every machine and in every run.
    ///
    /// # Errors
    /// When the tokenizer library fails.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let mut text = self.inner.to_string(true).map_err(failed)?;
        text.push('\n');
        Ok(text.into_bytes())
    }

    /// The alphabet; one with the letters of a built-in alphabet has its name, another is called `custom`; padding is the
    /// last token, `_`.
    #[must_use]
    pub fn alphabet(&self) -> &Alphabet {
        &self.alphabet
    }

    /// The tokenizer itself.
    #[must_use]
    pub fn inner(&self) -> &Tokenizer {
        &self.inner
    }

    /// The sequence of a text; lower case is read as upper case.
    ///
    /// # Errors
    /// As [`Sequence::parse`].
    pub fn encode(&self, text: &str) -> Result<Sequence> {
        let checked = Sequence::parse(text, &self.alphabet)?;
        let encoding = self.inner.encode_fast(text.to_ascii_uppercase(), false).map_err(failed)?;
        let ids: Vec<u8> = encoding.get_ids().iter().map(|id| *id as u8).collect();
        if ids != checked.ids() {
            return Err(Error::integrity("the tokenizer does not give one id a letter in alphabet order"));
        }
        Ok(checked)
    }

    /// The text of a sequence.
    ///
    /// # Errors
    /// When an id is not in the alphabet.
    pub fn decode(&self, sequence: &Sequence) -> Result<String> {
        let ids: Vec<u32> = sequence.ids().iter().map(|id| u32::from(*id)).collect();
        if let Some(id) = ids.iter().find(|id| **id as usize >= self.alphabet.len()) {
            return Err(Error::data(format!("token id {id} is not below {}", self.alphabet.len())));
        }
        self.inner.decode(&ids, false).map_err(failed)
    }
}

fn failed(source: tokenizers::Error) -> Error {
    Error::data("the tokenizer failed").because(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_alphabets_for_every_letter() {
        let custom = Alphabet::custom("ab", "BA*-").unwrap();
        let padded = Alphabet::protein().padded().unwrap();
        for alphabet in [Alphabet::dna(), Alphabet::rna(), Alphabet::protein(), custom, padded] {
            let tokenizer = LetterTokenizer::new(&alphabet).unwrap();
            let letters = String::from_utf8(alphabet.plain().letters().to_vec()).unwrap();
            let word = tokenizer.encode(&letters).unwrap();
            assert_eq!(word.ids(), (0..alphabet.plain().len() as u8).collect::<Vec<_>>());
            assert_eq!(
                LetterTokenizer::from_json(&tokenizer.to_json().unwrap()).unwrap().alphabet().len(),
                alphabet.len()
            );
            assert!(tokenizer.encode("_").is_err());
            assert_eq!(tokenizer.decode(&word).unwrap(), letters);
        }
    }

    #[test]
    fn bytes_are_stable_and_carry_the_alphabet() {
        let bytes = LetterTokenizer::new(&Alphabet::protein()).unwrap().to_json().unwrap();
        assert_eq!(LetterTokenizer::new(&Alphabet::protein()).unwrap().to_json().unwrap(), bytes);
        let back = LetterTokenizer::from_json(&bytes).unwrap();
        assert_eq!(back.alphabet(), &Alphabet::protein());
        assert_eq!(back.to_json().unwrap(), bytes);
        assert!(String::from_utf8(bytes).unwrap().contains("\"W\": 18"));
    }

    #[test]
    fn foreign_tokenizers_are_refused() {
        let error = LetterTokenizer::from_json(b"{}").unwrap_err();
        assert_eq!(error.kind().exit_code(), 7);
        let bytes = LetterTokenizer::new(&Alphabet::dna()).unwrap().to_json().unwrap();
        let words = String::from_utf8(bytes).unwrap().replace("\"A\"", "\"AA\"");
        assert!(LetterTokenizer::from_json(words.as_bytes()).unwrap_err().message().contains("one letter a token"));
    }
}
