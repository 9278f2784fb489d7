//! Make text from callers and contracts harmless to print.

/// Bytes of a caller's own text that an error repeats.
const DETAIL_CHARS_MAX: usize = 300;

/// At most 300 characters of `text`; control characters and those that reorder text are replaced.
pub(crate) fn plain(text: &str) -> String {
    text.chars().take(DETAIL_CHARS_MAX).map(inert).collect()
}

/// All of `text`, line breaks kept; other control characters and those that reorder text are replaced.
pub(crate) fn plain_lines(text: &str) -> String {
    let keep = |character| {
        if character == '\n' {
            '\n'
        } else {
            inert(character)
        }
    };
    text.chars().map(keep).collect()
}

fn inert(character: char) -> char {
    match character {
        '\u{061c}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        other if other.is_control() => '\u{fffd}',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_codes_and_text_direction_marks_do_not_pass() {
        assert_eq!(
            plain("a\u{1b}[31m\u{202e}b\r\n"),
            "a\u{fffd}[31m\u{fffd}b\u{fffd}\u{fffd}"
        );
        assert_eq!(plain_lines("a\n\u{7}b"), "a\n\u{fffd}b");
        assert_eq!(plain(&"x".repeat(10_000)).len(), DETAIL_CHARS_MAX);
    }
}
