use std::path::PathBuf;

use thiserror::Error;

/// Why texts cannot be turned into token ids.
#[derive(Debug, Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum TokenizerError {
    /// The vocabulary file could not be opened or read.
    #[error("cannot read {path}: {source}")]
    File {
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is damaged, or no vocabulary of CLIP.
    #[error(
        "{path} is not CLIP's vocabulary: {reason}; give OpenAI's bpe_simple_vocab_16e6.txt.gz or \
         transformers' merges.txt"
    )]
    Vocabulary { path: PathBuf, reason: String },
    /// A context in which nothing fits between start and end, or longer than any model's.
    #[error("a context must have 2 to 65536 tokens, start and end included, found {0}")]
    ContextLength(usize),
    /// The tokenizer refused.
    #[error("the tokenizer failed: {0}")]
    Tokenizer(String),
}

impl From<tokenizers::Error> for TokenizerError {
    fn from(error: tokenizers::Error) -> Self {
        Self::Tokenizer(error.to_string())
    }
}
