//! Vocabularies of the CLIP tokenizer, and texts in them: the first two bytes say where the text
//! begins.
#![no_main]

use adadiff_fuzz::file;
use adadiff_model::clip::tokenizer::{Cleaning, ClipTokenizer, Padding};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, bytes)) = bytes.split_at_checked(2) else {
        return;
    };
    let cut = usize::from(u16::from_le_bytes([cut[0], cut[1]])).min(bytes.len());
    let (vocabulary, text) = bytes.split_at(cut);
    let vocabulary = file("vocabulary.txt", vocabulary);
    let text = String::from_utf8_lossy(text);
    for cleaning in [Cleaning::OpenClip, Cleaning::Transformers] {
        if let Ok(tokenizer) = ClipTokenizer::open(&vocabulary, cleaning, 77)
            && let Ok(tokens) = tokenizer.encode(&text, Padding::EndOfText)
        {
            assert_eq!(tokens.ids.len(), 77);
        }
    }
});
