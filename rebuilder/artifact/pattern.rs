//! Patterns for names that people write in recipes and policies.

/// Whether `name` fits `pattern`: `*` matches any text, `/` included; everything else matches itself.
pub fn fits(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, rest)) => name.strip_prefix(before).is_some_and(|tail| {
            (0..=tail.len())
                .filter(|at| tail.is_char_boundary(*at))
                .any(|at| fits(rest, &tail[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name, expected) in [
            ("*-dbgsym_*.deb", "jq-dbgsym_1.6_amd64.deb", true),
            ("*-dbgsym_*.deb", "jq_1.6_amd64.deb", false),
            ("*.udeb", "a.udeb", true),
            ("*.udeb", "a.udeb.deb", false),
            ("exact", "exact", true),
            ("exact", "exactly", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
