//! Texts that can be in a log or a message as they are.

/// Maximum length of a text in a line, in bytes; reasons are cut to this length, anything else that is longer is
/// refused.
pub(crate) const TEXT: usize = 4 << 10;

/// Whether a text can stand in a log or a message as it is: no control characters, nothing that turns the reading
/// direction.
pub(crate) fn is_plain(text: &str) -> bool {
    let odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    !text.chars().any(odd)
}

/// The text, made plain and at most [`TEXT`] bytes long.
pub(crate) fn shortened(text: &str) -> String {
    let mut plain = String::with_capacity(text.len().min(TEXT));
    for c in text.chars() {
        let c = if is_plain(c.encode_utf8(&mut [0; 4])) {
            c
        } else {
            ' '
        };
        if plain.len().saturating_add(c.len_utf8()) > TEXT.saturating_sub('\u{2026}'.len_utf8()) {
            plain.push('\u{2026}');
            break;
        }
        plain.push(c);
    }
    plain
}
