//! Characters that a reader does not see, but that change the meaning of a text for machines.

/// Whether a character is invisible: controls, direction marks, joiners, variation selectors, tags.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}'
        | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Whether two texts have different invisible characters, or have them in different places.
pub(in crate::compare) fn differ(released: &str, rebuilt: &str) -> bool {
    let invisible = |text: &str| text.chars().any(is_invisible);
    if !invisible(released) && !invisible(rebuilt) {
        return false;
    }
    let own = |text: &str| text.chars().filter(|c| is_invisible(*c)).collect::<Vec<_>>();
    let visible = |text: &str| text.chars().filter(|c| !is_invisible(*c)).collect::<String>();
    own(released) != own(rebuilt) || visible(released) == visible(rebuilt)
}

/// The text with these characters spelled out.
pub(in crate::compare) fn spelled(text: &str) -> String {
    let mut spelled = String::with_capacity(text.len());
    for c in text.chars() {
        if is_invisible(c) {
            spelled.extend(c.escape_unicode());
        } else {
            spelled.push(c);
        }
    }
    spelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_spelled_out() {
        assert!(differ("user", "user\u{202e}") && differ("a\u{200b}b c", "ab\u{200b} c"));
        assert!(!differ("a\u{feff}1", "a\u{feff}2") && !differ("user", "admin"));
        assert_eq!(spelled("user\u{202e}"), "user\\u{202e}");
    }
}
