//! OpenCLIP's cleaning of texts: `ftfy.fix_text`, `html.unescape` twice, white space, lower case.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use unicode_normalization::UnicodeNormalization;

use super::html;

static ENTITY: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("&#?[0-9A-Za-z]{1,24};").expect("a valid pattern"));

static TERMINAL_ESCAPE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\x1b\[[\d;]*[a-zA-Z]").expect("a valid pattern"));

/// Cleans a text as OpenCLIP's `SimpleTokenizer` does.
pub(super) fn clean(text: &str) -> String {
    let text = html::unescape(&html::unescape(&fix_text(text)));
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

/// What `ftfy.fix_text` 6 does to texts that were decoded with the right encoding. Texts that were
/// not ("cafÃ©") stay as they are: guessing their encoding is not done here. Neither are line
/// breaks unified, which white space takes no notice of.
fn fix_text(text: &str) -> String {
    // In HTML, entities are left to the caller, from the first line that looks like it.
    let mut is_html = false;
    text.split_inclusive('\n')
        .map(|line| {
            is_html |= line.contains('<');
            fix_line(line, !is_html)
        })
        .collect()
}

/// Repeats all fixes until none changes anything.
fn fix_line(line: &str, with_entities: bool) -> String {
    let mut line = line.to_owned();
    loop {
        let text = if with_entities {
            ENTITY.replace_all(&line, entity)
        } else {
            Cow::Borrowed(line.as_str())
        };
        let mut fixed = String::with_capacity(text.len());
        for character in text.chars().map(html::windows_1252) {
            match ligature(character) {
                Some(letters) => fixed.extend(letters.chars().map(straighten)),
                None => fixed.extend(narrow(character).map(straighten)),
            }
        }
        let fixed = TERMINAL_ESCAPE.replace_all(&fixed, "");
        let fixed: String = fixed.chars().filter(|&c| !is_useless(c)).nfc().collect();
        if fixed == line {
            return fixed;
        }
        line = fixed;
    }
}

/// Replaces an entity that ends in a semicolon, and Latin letters' in capitals (`&EACUTE;`).
fn entity(reference: &Captures<'_>) -> String {
    let reference = &reference[0];
    if let Some(characters) = html::named(reference) {
        return characters.to_owned();
    }
    let unescaped = html::unescape(reference);
    if reference.starts_with("&#") {
        return if unescaped.contains(';') {
            reference.to_owned()
        } else {
            unescaped
        };
    }
    let small = reference.to_ascii_lowercase();
    match html::named(&small) {
        Some(characters) if small.to_ascii_uppercase() == reference && unescaped == reference => {
            characters.to_uppercase()
        }
        _ => reference.to_owned(),
    }
}

/// The letters of a ligature or a digraph that is one character for the sake of old encodings.
fn ligature(character: char) -> Option<&'static str> {
    Some(match character {
        'Ĳ' => "IJ",
        'ĳ' => "ij",
        'ŉ' => "ʼn",
        'Ǳ' => "DZ",
        'ǲ' => "Dz",
        'ǳ' => "dz",
        'Ǆ' => "DŽ",
        'ǅ' => "Dž",
        'ǆ' => "dž",
        'Ǉ' => "LJ",
        'ǈ' => "Lj",
        'ǉ' => "lj",
        'Ǌ' => "NJ",
        'ǋ' => "Nj",
        'ǌ' => "nj",
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        'ﬅ' => "ſt",
        'ﬆ' => "st",
        _ => return None,
    })
}

/// The usual form of a full-width or half-width character.
fn narrow(character: char) -> impl Iterator<Item = char> {
    let (usual, other) = match character {
        '\u{3000}' => (Some(' '), None),
        '\u{ff01}'..='\u{ffef}' => (None, Some(std::iter::once(character).nfkc())),
        _ => (Some(character), None),
    };
    usual.into_iter().chain(other.into_iter().flatten())
}

/// A straight quotation mark for a curly one.
fn straighten(character: char) -> char {
    match character {
        '\u{2bc}' | '\u{2018}'..='\u{201b}' => '\'',
        '\u{201c}'..='\u{201f}' => '"',
        _ => character,
    }
}

/// Control characters that no text needs, the byte-order mark and interlinear annotations.
fn is_useless(character: char) -> bool {
    matches!(
        character,
        '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{206a}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffc}'
    )
}

#[cfg(test)]
mod tests {
    use super::{clean, fix_text};

    #[test]
    fn text_is_fixed_as_ftfy_does() {
        // What ftfy 6.3 gives.
        for (text, expected) in [
            (
                "“curly” ‘quotes’ ‚low‛ „low‟ it’s ŉ",
                "\"curly\" 'quotes' 'low' \"low\" it's 'n",
            ),
            ("ﬁne ﬄ ﬅ ĳ ǅ æ œ", "fine ffl ſt ij Dž æ œ"),
            ("ＦＵＬＬ　ｗｉｄｔｈ＂ ｶﾞ ￦", "FULL width\" ガ ₩"),
            ("e\u{301} A\u{30a} \u{212b}", "é Å Å"),
            (
                "\u{1b}[36;44mblue\u{1b}[0m \u{7}bell\u{feff}\u{7f}",
                "blue bell",
            ),
            ("\u{91}single\u{92} \u{85} \u{81}", "'single' … \u{81}"),
            (
                "soft\u{ad}hyphen zero\u{200b}width",
                "soft\u{ad}hyphen zero\u{200b}width",
            ),
            ("P&EACUTE;REZ &amp;amp; &#233; &AMP; &Not;", "PÉREZ & é & ⫬"),
            ("&amp &#38 &unknown; &NOTIN;", "&amp &#38 &unknown; ∉"),
        ] {
            assert_eq!(fix_text(text), expected, "{text}");
        }
    }

    #[test]
    fn entities_stay_from_the_first_line_that_looks_like_html() {
        assert_eq!(fix_text("&lt;\n<b>&lt;\n&lt;"), "<\n<b>&lt;\n&lt;");
    }

    #[test]
    fn texts_are_cleaned_in_open_clips_order() {
        assert_eq!(
            clean("  A <b>\tTom &amp;amp; &ldquo;JERRY&rdquo;\n"),
            "a <b> tom & “jerry”"
        );
        assert_eq!(clean("ΟΔΟΣ İ &nbsp; x"), "οδος i\u{307} x");
    }
}
