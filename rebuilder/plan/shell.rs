//! What a plan says to a shell, and where its jobs find their files.

use std::collections::BTreeMap;

/// Where a job finds its inputs and leaves its outputs.
pub const INPUTS: &str = "/inputs";
/// The only folder whose files come back.
pub const OUT: &str = "/out";

/// Variable with the entrypoint of the image that a step runs in, as shell words.
pub const IMAGE_ENTRYPOINT: &str = "IMAGE_ENTRYPOINT";

/// A script as one shell command whose environment is exactly `env`.
pub fn shell_command(env: &BTreeMap<String, String>, script: &str) -> String {
    let pairs: Vec<_> = env
        .iter()
        .map(|(key, value)| quote(&format!("{key}={value}")))
        .collect();
    format!("env -i {} /bin/sh -eu -c {}", pairs.join(" "), quote(script))
}

/// Puts a shell word in quotes if it needs them.
pub fn quote(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./=:,+@%".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_quoted_word_stays_one_word(word in "[^\\x00]{0,40}") {
            let script = format!("printf %s {}", quote(&word));
            let output = std::process::Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
        }
    }
}
