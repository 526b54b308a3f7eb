//! Names of bundlers' output files, with a digest of the content: `main.3f2a1b9c.js`.

use std::sync::LazyLock;

use regex::Regex;

static NAME: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(r"([A-Za-z0-9_~@-]*)([.-])([0-9a-f]{8,32})((?:\.[a-z]+)?\.(?:js|mjs|cjs|css|map|wasm|json|woff2?|png|svg|jpg|webp|ttf))\b").ok()
});

/// The differing names on the released side, if only digests in such names differ.
pub(super) fn renamed(released: &str, rebuilt: &str) -> Vec<String> {
    let Some(pattern) = NAME.as_ref() else {
        return Vec::new();
    };
    // A word may look like a digest by chance.
    let is_digest = |digest: &str| {
        digest.bytes().any(|byte| byte.is_ascii_digit())
            && digest.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    if pattern.replace_all(released, "$1$2$4") != pattern.replace_all(rebuilt, "$1$2$4") {
        return Vec::new();
    }
    let pairs = pattern
        .captures_iter(released)
        .zip(pattern.captures_iter(rebuilt));
    let mut names = Vec::new();
    for (old, new) in pairs {
        let digest = |found: &regex::Captures| found.get(3).map(|digest| digest.as_str().to_owned());
        let (Some(from), Some(to)) = (digest(&old), digest(&new)) else {
            return Vec::new();
        };
        if from == to {
            continue;
        }
        if from.len() != to.len() || !is_digest(&from) || !is_digest(&to) {
            return Vec::new();
        }
        names.extend(old.get(0).map(|name| name.as_str().to_owned()));
    }
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digests_in_names_of_files_are_such() {
        let old = "<script src=\"/static/main.3f2a1b9c.js\"></script>";
        assert_eq!(
            renamed(old, &old.replace("3f2a1b9c", "99aa1b9c")),
            ["main.3f2a1b9c.js"]
        );
        assert!(renamed(old, &old.replace("main.3f2a1b9c", "evil.99aa1b9c")).is_empty());
        assert!(renamed(old, &old.replace("3f2a1b9c", "deadbeef")).is_empty());
        assert!(renamed(old, &old.replace("3f2a1b9c.js\"", "99aa1b9c.js\" defer")).is_empty());
    }
}
