//! Numbers with their nouns, and lists of words.

use std::fmt::Display;

/// A count with its noun, which agrees with it: "1 file", "2 files", "0 entries".
pub(crate) fn plural<N: Copy + Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    if count == N::from(1) {
        return format!("{count} {noun}");
    }
    let mut before = noun.chars().rev();
    match (before.next(), before.next()) {
        (Some('y'), Some(letter)) if !"aeiou".contains(letter) => {
            format!("{count} {}ies", noun.trim_end_matches('y'))
        }
        (Some('s' | 'x'), _) | (Some('h'), Some('s' | 'c')) => format!("{count} {noun}es"),
        _ => format!("{count} {noun}s"),
    }
}

/// How many more there are than are shown, after a comma; nothing if all are.
pub(crate) fn and_more<N: Copy + Display + PartialEq + From<u8>>(count: N) -> String {
    if count == N::from(0) {
        String::new()
    } else {
        format!(", and {count} more")
    }
}

/// `A, B or C`.
pub(crate) fn one_of(all: &[impl AsRef<str>]) -> String {
    let all: Vec<_> = all.iter().map(AsRef::as_ref).collect();
    match all.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => all.concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_words_is_told_apart() {
        for (words, wanted) in [
            (&[][..], ""),
            (&["a"], "a"),
            (&["a", "b"], "a or b"),
            (&["a", "b", "c"], "a, b or c"),
        ] {
            assert_eq!(one_of(words), wanted);
        }
    }

    #[test]
    fn nouns_agree_with_their_numbers() {
        for (count, noun, wanted) in [
            (1, "file", "1 file"),
            (0, "file", "0 files"),
            (2, "day", "2 days"),
            (1, "day", "1 day"),
            (3, "entry", "3 entries"),
            (2, "party", "2 parties"),
            (2, "batch", "2 batches"),
            (7, "build dependency", "7 build dependencies"),
        ] {
            assert_eq!(plural(count, noun), wanted);
        }
        assert_eq!(plural(1_usize, "byte") + &and_more(2_u64), "1 byte, and 2 more");
    }
}
