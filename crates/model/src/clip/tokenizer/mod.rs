//! CLIP's byte-pair tokenizer, by Hugging Face's `tokenizers`.
//!
//! OpenCLIP's and transformers' tokenizers share vocabulary and merges. They differ in how they
//! clean a text ([`Cleaning`]) and in what follows its end ([`Padding`]); the text model does not
//! mask padding, so both change its hidden states.

mod cleaning;
mod error;
mod html;
mod vocabulary;

use std::path::Path;

use regex::Regex;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::{self, Lowercase, NFC, Replace};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

pub use error::TokenizerError;
use vocabulary::{END_OF_WORD, Vocabulary};

/// Tokens of a text in every published CLIP model, start and end included.
pub const CONTEXT_LENGTH: usize = 77;

/// The most tokens that a context may have; far more than any model's.
const LONGEST_CONTEXT: usize = 1 << 16;

/// What is a word: a contraction, letters, one digit, or signs. The quantifiers are as published.
const WORDS: &str = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// How a text is cleaned before it is split into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cleaning {
    /// As OpenCLIP's `SimpleTokenizer`: `ftfy.fix_text`, HTML's entities twice, white space and
    /// lower case. Curly quotes become straight, ligatures and full-width letters ordinary ones.
    /// Of ftfy, the guessing of wrong encodings ("cafÃ©") is left out.
    OpenClip,
    /// As transformers' `CLIPTokenizer`, which AdaDiff uses: NFC, white space and lower case.
    Transformers,
}

impl Cleaning {
    /// The words in a text that are taken for its start and its end.
    fn special_tokens(self) -> [&'static str; 2] {
        match self {
            Self::OpenClip => ["<start_of_text>", "<end_of_text>"],
            Self::Transformers => ["<|startoftext|>", "<|endoftext|>"],
        }
    }
}

/// What fills the context after the end of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Zeros, as OpenCLIP's `SimpleTokenizer` has it.
    Zero,
    /// The end-of-text token, as transformers' `CLIPTokenizer` and so AdaDiff have it.
    EndOfText,
}

/// The token ids of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClipTokens {
    /// As many ids as the context has.
    pub ids: Vec<u32>,
    /// Ids up to and including the first end-of-text token.
    pub length: usize,
}

/// CLIP's tokenizer: texts to token ids.
#[derive(Debug)]
pub struct ClipTokenizer {
    tokenizer: Tokenizer,
    cleaning: Cleaning,
    /// Words and special tokens as OpenCLIP searches for them.
    words: Regex,
    context_length: usize,
    start_of_text: u32,
    end_of_text: u32,
}

impl ClipTokenizer {
    /// Reads the published vocabulary: OpenAI's `bpe_simple_vocab_16e6.txt.gz`, packed or not, or
    /// transformers' `merges.txt`. `context_length` is [`CONTEXT_LENGTH`] for published models.
    ///
    /// # Errors
    /// Where the file cannot be read or is no such vocabulary, or no text fits into the context.
    pub fn open(
        path: &Path,
        cleaning: Cleaning,
        context_length: usize,
    ) -> Result<Self, TokenizerError> {
        if !(2..=LONGEST_CONTEXT).contains(&context_length) {
            return Err(TokenizerError::ContextLength(context_length));
        }
        let Vocabulary { mut tokens, merges } = Vocabulary::open(path)?;
        let special_tokens = cleaning.special_tokens();
        let [start_of_text, end_of_text] = special_tokens.map(|token| {
            let id = tokens.len() as u32;
            tokens.insert(token.to_owned(), id);
            id
        });
        let damaged = |error: tokenizers::Error| TokenizerError::Vocabulary {
            path: path.to_owned(),
            reason: error.to_string(),
        };
        let model = BPE::builder()
            .vocab_and_merges(tokens, merges)
            .end_of_word_suffix(END_OF_WORD.to_owned())
            .build()
            .map_err(damaged)?;
        let mut tokenizer = Tokenizer::new(model);
        if cleaning == Cleaning::Transformers {
            let white_space = normalizers::replace::ReplacePattern::Regex(r"\s+".to_owned());
            tokenizer.with_normalizer(Some(normalizers::Sequence::new(vec![
                NFC.into(),
                Replace::new(white_space, " ")?.into(),
                Lowercase.into(),
            ])));
            tokenizer
                .add_special_tokens(&special_tokens.map(|token| AddedToken::from(token, true)));
        }
        let words = match cleaning {
            Cleaning::OpenClip => format!("(?i:{WORDS})"),
            Cleaning::Transformers => WORDS.to_owned(),
        };
        let split = Split::new(
            SplitPattern::Regex(words.clone()),
            SplitDelimiterBehavior::Removed,
            true,
        )?;
        let bytes = ByteLevel::new(false, false, false);
        let steps = vec![split.into(), bytes.into()];
        tokenizer.with_pre_tokenizer(Some(sequence::Sequence::new(steps)));
        let words = format!("{}|{words}", special_tokens.map(regex::escape).join("|"));
        Ok(Self {
            tokenizer,
            cleaning,
            words: Regex::new(&words)
                .map_err(|error| TokenizerError::Tokenizer(error.to_string()))?,
            context_length,
            start_of_text,
            end_of_text,
        })
    }

    /// The token ids of a text: its start, its words, its end and the padding. A text that is too
    /// long is cut before its end.
    ///
    /// # Errors
    /// Where the tokenizer refuses the text, which none is known to bring about.
    pub fn encode(&self, text: &str, padding: Padding) -> Result<ClipTokens, TokenizerError> {
        let words = match self.cleaning {
            Cleaning::OpenClip => self.encode_words(&cleaning::clean(text))?,
            Cleaning::Transformers => self.encode_part(text)?,
        };
        let mut ids = vec![self.start_of_text];
        ids.extend(words.into_iter().take(self.context_length - 2));
        ids.push(self.end_of_text);
        let end = ids.iter().position(|&id| id == self.end_of_text);
        let length = end.map_or(ids.len(), |end| end + 1);
        let padding = match padding {
            Padding::Zero => 0,
            Padding::EndOfText => self.end_of_text,
        };
        ids.resize(self.context_length, padding);
        Ok(ClipTokens { ids, length })
    }

    /// The ids of a cleaned text in which special tokens count only as whole words, as OpenCLIP
    /// has it; `tokenizers` would find them anywhere.
    fn encode_words(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let [start_of_text, end_of_text] = self.cleaning.special_tokens();
        let mut ids = Vec::new();
        let mut rest = 0;
        for word in self.words.find_iter(text) {
            let id = match word.as_str() {
                word if word == start_of_text => self.start_of_text,
                word if word == end_of_text => self.end_of_text,
                _ => continue,
            };
            ids.extend(self.encode_part(&text[rest..word.start()])?);
            ids.push(id);
            rest = word.end();
        }
        ids.extend(self.encode_part(&text[rest..])?);
        Ok(ids)
    }

    fn encode_part(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoding = self.tokenizer.encode_fast(text, false)?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The token that starts a text.
    pub fn start_of_text(&self) -> u32 {
        self.start_of_text
    }

    /// The token that ends a text.
    pub fn end_of_text(&self) -> u32 {
        self.end_of_text
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
