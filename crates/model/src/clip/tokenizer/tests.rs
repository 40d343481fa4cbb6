use super::*;

/// A tokenizer with a vocabulary made by hand, in which `ab` is the only merge of letters.
fn tokenizer(cleaning: Cleaning, context_length: usize) -> ClipTokenizer {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("merges.txt");
    std::fs::write(&path, vocabulary::testing::file()).unwrap();
    ClipTokenizer::open(&path, cleaning, context_length).unwrap()
}

fn ids(tokenizer: &ClipTokenizer, text: &str) -> Vec<u32> {
    let tokens = tokenizer.encode(text, Padding::Zero).unwrap();
    tokens.ids[1..tokens.length - 1].to_vec()
}

#[test]
fn words_are_merged_and_end_with_their_last_byte() {
    for cleaning in [Cleaning::OpenClip, Cleaning::Transformers] {
        let tokenizer = tokenizer(cleaning, 77);
        // `a` is 64 and `ab` 512; the last byte of a word is 256 further.
        assert_eq!(ids(&tokenizer, "AB"), [64, 65 + 256]);
        assert_eq!(ids(&tokenizer, "abA b"), [512, 64 + 256, 65 + 256]);
        assert_eq!(ids(&tokenizer, "12"), [16 + 256, 17 + 256]);
        assert_eq!(ids(&tokenizer, "a's"), [64 + 256, 6, 82 + 256]);
        assert!(ids(&tokenizer, " \t\n").is_empty());
        // The two bytes of é, c3 and a9.
        assert_eq!(ids(&tokenizer, "e\u{301}"), [127, 102 + 256]);
    }
}

#[test]
fn texts_start_end_and_are_padded() {
    let tokenizer = tokenizer(Cleaning::Transformers, 5);
    let [start, end] = [49_406, 49_407];
    assert_eq!(
        [tokenizer.start_of_text(), tokenizer.end_of_text()],
        [start, end]
    );
    let encode = |text: &str, padding| tokenizer.encode(text, padding).unwrap();
    let short = encode("a", Padding::Zero);
    assert_eq!(short.ids, [start, 320, end, 0, 0]);
    assert_eq!(short.length, 3);
    let short = encode("a", Padding::EndOfText);
    assert_eq!(short.ids, [start, 320, end, end, end]);
    assert_eq!(short.length, 3);
    for text in ["a a a", "a a a a"] {
        let long = encode(text, Padding::Zero);
        assert_eq!(long.ids, [start, 320, 320, 320, end], "{text}");
        assert_eq!(long.length, 5);
    }
}

#[test]
fn cleanings_differ_where_the_published_ones_do() {
    let [open_clip, transformers] =
        [Cleaning::OpenClip, Cleaning::Transformers].map(|cleaning| tokenizer(cleaning, 77));
    for (dirty, clean) in [("“ａ”", "\"a\""), ("a&lt;", "a<"), ("ﬁ", "fi")] {
        assert_eq!(ids(&open_clip, dirty), ids(&open_clip, clean), "{dirty}");
        assert_ne!(
            ids(&transformers, dirty),
            ids(&transformers, clean),
            "{dirty}"
        );
    }
}

#[test]
fn special_tokens_are_found_where_the_published_code_finds_them() {
    let open_clip = tokenizer(Cleaning::OpenClip, 77);
    assert_eq!(ids(&open_clip, "a<start_of_text>a"), [320, 49_406, 320]);
    // There, signs that stand before it swallow its first one.
    assert!(!ids(&open_clip, "!<start_of_text>").contains(&49_406));
    let tokens = open_clip.encode("a <END_OF_TEXT> a", Padding::Zero);
    assert_eq!(tokens.unwrap().length, 3);
    let transformers = tokenizer(Cleaning::Transformers, 77);
    assert_eq!(ids(&transformers, "a!<|startoftext|>"), [320, 256, 49_406]);
}

#[test]
fn a_context_without_room_is_refused() {
    let refused = |context_length| {
        let path = Path::new("no file");
        let error = ClipTokenizer::open(path, Cleaning::OpenClip, context_length).unwrap_err();
        assert!(matches!(error, TokenizerError::ContextLength(_)), "{error}");
    };
    refused(1);
    refused(usize::MAX);
    let tokenizer = tokenizer(Cleaning::OpenClip, 2);
    let tokens = tokenizer.encode("a", Padding::Zero).unwrap();
    assert_eq!(tokens.ids, [49_406, 49_407]);
}
