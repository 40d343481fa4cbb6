//! HTML's character references, as Python's `html.unescape` replaces them.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What stands for a character that cannot be.
const REPLACEMENT: &str = "\u{fffd}";

static REFERENCE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"&(?:#([0-9]+);?|#[xX]([0-9a-fA-F]+);?|[^\t\n\f <&#;]{1,32};?)")
        .expect("a valid pattern")
});

/// What a name stands for, `&` included and, unless the name is known without it, `;`.
pub(super) fn named(reference: &str) -> Option<&'static str> {
    let characters = htmlize::ENTITIES.get(reference.as_bytes())?;
    str::from_utf8(characters).ok()
}

/// What the C1 control characters are in Windows-1252, which HTML takes them for. Five are nothing.
pub(super) fn windows_1252(character: char) -> char {
    const TABLE: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž',
        '\u{8f}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}',
        'ž', 'Ÿ',
    ];
    match character {
        '\u{80}'..='\u{9f}' => TABLE[character as usize - 0x80],
        _ => character,
    }
}

/// Replaces every character reference, once.
pub(super) fn unescape(text: &str) -> String {
    let replaced = REFERENCE.replace_all(text, |reference: &Captures<'_>| {
        let number = |group, radix| {
            let digits: regex::Match<'_> = reference.get(group)?;
            // A number beyond 32 bits is no character either.
            Some(u32::from_str_radix(digits.as_str(), radix).unwrap_or(u32::MAX))
        };
        match number(1, 10).or_else(|| number(2, 16)) {
            Some(number) => numbered(number),
            None => by_longest_name(&reference[0]),
        }
    });
    replaced.into_owned()
}

/// The character of a number; nothing for control characters and what will never be a character.
fn numbered(number: u32) -> String {
    match (number, char::from_u32(number)) {
        (0, _) | (_, None) => REPLACEMENT.to_owned(),
        (0x80..=0x9f, Some(character)) => windows_1252(character).to_string(),
        (0x1..=0x8 | 0xb | 0xe..=0x1f | 0x7f | 0xfdd0..=0xfdef, _) => String::new(),
        (_, _) if number & 0xfffe == 0xfffe => String::new(),
        (_, Some(character)) => character.to_string(),
    }
}

/// The reference, or the longest start of it that is a name, replaced.
fn by_longest_name(reference: &str) -> String {
    let ends = reference.char_indices().map(|(start, _)| start).skip(3);
    let ends: Vec<_> = ends.chain([reference.len()]).collect();
    for &end in ends.iter().rev() {
        if let Some(characters) = named(&reference[..end]) {
            return format!("{characters}{}", &reference[end..]);
        }
    }
    reference.to_owned()
}

#[cfg(test)]
mod tests {
    use super::unescape;

    #[test]
    fn references_are_replaced_as_python_does() {
        // What Python's `html.unescape` gives.
        for (text, expected) in [
            ("Tom &amp; Jerry &lt;b&gt;", "Tom & Jerry <b>"),
            ("&amp;amp;", "&amp;"),
            ("&notit; &notin;", "¬it; ∉"),
            ("&AMP &AMPLE &amp", "& &LE &"),
            (
                "&unknown; & &; &#; &#x; AT&T",
                "&unknown; & &; &#; &#x; AT&T",
            ),
            ("&gt", ">"),
            ("&#65;&#x42;&#X43;&#68.", "ABCD."),
            (
                "&#0;&#xd800;&#x110000;&#99999999999999999999;",
                "\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
            ),
            ("&#128;&#x85;&#x81;&#13;", "€…\u{81}\r"),
            ("a&#1;&#11;&#127;&#xfdd0;&#x1ffff;b", "ab"),
            ("&NotEqualTilde;&fjlig;", "≂\u{338}fj"),
            ("&éa;&eacuteé", "&éa;éé"),
        ] {
            assert_eq!(unescape(text), expected, "{text}");
        }
    }
}
