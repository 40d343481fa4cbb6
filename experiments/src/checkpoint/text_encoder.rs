//! From prompts to the contexts that a network is conditioned on.

use std::path::Path;

use adadiff_model::clip::ClipText;
use adadiff_model::kernels::Kernels;
use adadiff_pipeline::Contexts;
use anyhow::Result;

use crate::networks::open_text_model;
use tokenizer::Tokenizer;

/// Prompts that are encoded together.
const BATCH: usize = 16;

/// CLIP's tokenizer and text model, as U-ViT uses them: texts are cleaned as transformers does and
/// padded with the end-of-text token; a context is the last hidden state of all tokens.
#[derive(Debug)]
pub struct TextEncoder<B: Kernels> {
    tokenizer: Tokenizer,
    model: ClipText<B>,
    size: [usize; 2],
}

impl<B: Kernels> TextEncoder<B> {
    /// Reads the text model's weights and the published vocabulary, `bpe_simple_vocab_16e6.txt.gz`
    /// or `merges.txt`.
    ///
    /// # Errors
    /// Where either is missing or damaged.
    pub fn open(model: &Path, vocabulary: &Path, device: &B::Device) -> Result<Self> {
        let (config, model) = open_text_model(model, device)?;
        let tokenizer = Tokenizer::open(vocabulary, config.tokens)?;
        Ok(Self {
            tokenizer,
            model,
            size: [config.tokens, config.width],
        })
    }

    /// Tokens of a context and values of a token.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// The contexts of texts, each `[tokens, width]`.
    ///
    /// # Errors
    /// Where the tokenizer or the model refuses a text.
    pub fn encode<T: AsRef<str>>(&self, texts: &[T]) -> Result<Vec<Vec<f32>>> {
        let mut contexts = Vec::with_capacity(texts.len());
        for texts in texts.chunks(BATCH) {
            let tokens = texts.iter().map(|text| self.tokenizer.ids(text.as_ref()));
            let tokens: Vec<Vec<u32>> = tokens.collect::<Result<_>>()?;
            let hidden = self.model.forward(&tokens)?.hidden.into_data();
            let values: Vec<f32> = hidden.iter::<f32>().collect();
            let [tokens, width] = self.size;
            contexts.extend(values.chunks(tokens * width).map(<[f32]>::to_vec));
        }
        Ok(contexts)
    }
}

/// The tokenizer, where the program was built with it.
#[cfg(feature = "text")]
mod tokenizer {
    use std::path::Path;

    use adadiff_model::clip::tokenizer::{Cleaning, ClipTokenizer, Padding};
    use anyhow::Result;

    #[derive(Debug)]
    pub struct Tokenizer(ClipTokenizer);

    impl Tokenizer {
        pub fn open(vocabulary: &Path, tokens: usize) -> Result<Self> {
            let opened = ClipTokenizer::open(vocabulary, Cleaning::Transformers, tokens)?;
            Ok(Self(opened))
        }

        pub fn ids(&self, text: &str) -> Result<Vec<u32>> {
            Ok(self.0.encode(text, Padding::EndOfText)?.ids)
        }
    }
}

#[cfg(not(feature = "text"))]
mod tokenizer {
    use std::path::Path;

    use anyhow::{Result, bail};

    #[derive(Debug)]
    pub enum Tokenizer {}

    impl Tokenizer {
        pub fn open(_: &Path, _: usize) -> Result<Self> {
            bail!("this program was built without texts; build it with `--features text`")
        }

        pub fn ids(&self, _: &str) -> Result<Vec<u32>> {
            match *self {}
        }
    }
}

/// Prompts of one's own.
#[derive(Debug)]
pub struct Prompts {
    size: [usize; 2],
    contexts: Vec<Vec<f32>>,
    empty: Vec<f32>,
}

impl Prompts {
    /// Encodes prompts, at least one.
    ///
    /// # Errors
    /// As [`TextEncoder::encode`].
    pub fn new<B: Kernels>(encoder: &TextEncoder<B>, prompts: &[String]) -> Result<Self> {
        Ok(Self {
            size: encoder.size(),
            contexts: encoder.encode(prompts)?,
            empty: encoder.encode(&[""])?.concat(),
        })
    }
}

impl Contexts for Prompts {
    fn len(&self) -> usize {
        self.contexts.len()
    }

    fn size(&self) -> [usize; 2] {
        self.size
    }

    fn context(&self, prompt: usize) -> Vec<f32> {
        self.contexts[prompt].clone()
    }

    fn empty(&self) -> Vec<f32> {
        self.empty.clone()
    }
}
