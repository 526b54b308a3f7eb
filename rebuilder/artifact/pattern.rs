//! Patterns for names that people write in recipes and policies.

/// Whether `name` fits `pattern`: `*` matches any text, `/` included; everything else matches itself.
pub fn fits(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    // The first place is as good as any later one, so nothing is tried twice.
    let rest = parts.try_fold(rest, |rest, part| rest.split_once(part).map(|(_, rest)| rest));
    rest.is_some_and(|rest| rest.ends_with(last))
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
            ("a*a", "a", false),
            ("a*b*b", "ab", false),
            ("a*b*b", "a-b-b-b", true),
            ("a**b", "ab", true),
            ("*", "", true),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
    }
}
