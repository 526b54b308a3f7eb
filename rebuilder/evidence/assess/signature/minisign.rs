//! minisign signatures over a file's bytes, with a comment that is signed too.

use std::io::Read as _;

use super::file::{in_memory, open, unreadable};
use super::{good_key, unverifiable};
use crate::evidence::assessment::Artifact;
use crate::evidence::hash_list::{is_plain_path, warning};
use crate::evidence::trust::{KeyMaterial, Trust, TrustedKey};
use crate::evidence::{Proof, Unproven, Verified};

pub(in crate::evidence::assess) fn minisign(
    signature: &minisign_verify::Signature,
    artifact: &Artifact,
    trust: &Trust,
) -> Proof {
    let keys = trust.keys.iter().filter_map(|key| match &key.material {
        KeyMaterial::Minisign(public, _) => Some((key, public)),
        _ => None,
    });
    let mut last = unverifiable("no minisign key was given to verify it with");
    for (key, public) in keys {
        match minisign_with(public, signature, artifact) {
            Ok(Verified(comment)) => return commented(key, comment, &artifact.name),
            // What the matching key says counts for more than what another key says.
            Err(unproven) if matches!(last, Unproven::Unverifiable(_)) => last = unproven,
            Err(_) => {}
        }
    }
    Err(last)
}

/// Judges a good minisign signature by its signed comment, which may name the file that the signer meant, or anything
/// else.
fn commented(key: &TrustedKey, comment: &str, file: &str) -> Proof {
    match comment_on(comment, file) {
        Comment::Usual => good_key(
            key,
            format!("the signature is good; its trusted comment: {comment}"),
        ),
        Comment::Another(other) => Err(Unproven::SubjectMismatch(format!(
            "the signature is good, but its trusted comment names the file {other:?}, not {file:?}"
        ))),
        Comment::Free => Err(Unproven::Unverifiable(format!(
            "the signature is good, but its trusted comment cannot be interpreted by a program: {comment:?}"
        ))),
    }
}

/// What the trusted comment of a minisign signature says about a file.
#[derive(Debug, PartialEq, Eq)]
enum Comment<'a> {
    /// Nothing, or that this file was meant.
    Usual,
    /// That another file was meant.
    Another(&'a str),
    /// Something else.
    Free,
}

/// Reads a trusted comment in exactly the forms that programs write: `timestamp:SECONDS<tab>file:NAME<tab>hashed`,
/// "signature from minisign secret key", the file's name, or nothing.
fn comment_on<'a>(comment: &'a str, file: &str) -> Comment<'a> {
    let tools = ["minisign", "rsign", "rsign2", "signify", "zig"];
    let from_key = |text: &str| {
        let tool = text
            .strip_prefix("signature from ")
            .and_then(|rest| rest.strip_suffix(" secret key"));
        tool.is_some_and(|tool| tools.contains(&tool))
    };
    if comment.is_empty() || comment == file || from_key(comment) {
        return Comment::Usual;
    }
    let (mut when, mut name, mut how) = (None, None, None);
    for part in comment.split('\t') {
        let (label, value) = part.split_once(':').unwrap_or((part, ""));
        // Each at most once, and in this order.
        let (slot, good) = match label {
            "timestamp" => {
                let good =
                    !value.is_empty() && value.len() <= 20 && value.bytes().all(|c| c.is_ascii_digit());
                (&mut when, good && name.is_none() && how.is_none())
            }
            "file" | "filename" | "file name" => (&mut name, !value.trim().is_empty() && how.is_none()),
            "hashed" | "prehashed" => (&mut how, label == part && name.is_some()),
            _ => return Comment::Free,
        };
        if !good || slot.replace(value).is_some() {
            return Comment::Free;
        }
    }
    let Some(name) = name else {
        return Comment::Usual;
    };
    let name = name.trim().trim_matches(['"', '\'']);
    let path = name.strip_prefix("./").unwrap_or(name);
    let (folder, own) = path.rsplit_once('/').unwrap_or(("", path));
    if own != file {
        Comment::Another(name)
    } else if is_plain_path(path) && warning(folder).is_none() {
        Comment::Usual
    } else {
        Comment::Free
    }
}

/// Verifies with one key; returns the signed comment. The steps are those of minisign's signature format
/// (jedisct1.github.io/minisign).
fn minisign_with<'a>(
    public: &minisign_verify::PublicKey,
    signature: &'a minisign_verify::Signature,
    artifact: &Artifact,
) -> Result<Verified<&'a str>, Unproven> {
    let bad = |error: minisign_verify::Error| match error {
        // A key that is not known here made it.
        minisign_verify::Error::UnexpectedKeyId => {
            unverifiable("it names a minisign key that is not trusted here")
        }
        error => Unproven::Invalid(format!("minisign: {error}")),
    };
    // 1. "key_id: 8 random bytes, matching the public key": the library refuses another one.
    // 2. "signature (prehashed): ed25519(Blake2b-512(<file data>))", in a stream.
    if let Ok(mut verifier) = public.verify_stream(signature) {
        let mut file = open(artifact)?;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => {
                    // 3. "global_signature: ed25519(<signature> || <trusted_comment>)": the library verifies both.
                    verifier.finalize().map_err(bad)?;
                    return Ok(Verified(signature.trusted_comment()));
                }
                Ok(count) => verifier.update(buffer.get(..count).unwrap_or_default()),
                Err(error) => return Err(unreadable(&error)),
            }
        }
    }
    // 2. "signature (legacy): ed25519(<file data>)": over the bytes themselves, which takes them whole; then 3.
    let bytes = in_memory(artifact)?;
    public.verify(&bytes, signature, true).map_err(bad)?;
    Ok(Verified(signature.trusted_comment()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trusted_comment_says_which_file_was_meant_or_nothing() {
        for comment in [
            "",
            "tool",
            "signature from minisign secret key",
            "signature from rsign secret key",
            "timestamp:1732540000",
            "timestamp:1732540000\tfile:tool",
            "timestamp:1732540000\tfile:tool\thashed",
            "timestamp:1732540000\tfile:tool\tprehashed",
            "timestamp:1732540000\tfile:dist/tool\thashed",
            "timestamp:1\tfile:./tool",
            "file: tool",
            "filename:\"tool\"",
        ] {
            assert_eq!(comment_on(comment, "tool"), Comment::Usual, "{comment:?}");
        }
        for (comment, other) in [
            ("timestamp:1\tfile:tool-vulnerable\thashed", "tool-vulnerable"),
            ("file: other", "other"),
            ("file:tool is malware", "tool is malware"),
            ("filename:\"dist/other\"", "dist/other"),
            ("file:tool/", "tool/"),
        ] {
            assert_eq!(
                comment_on(comment, "tool"),
                Comment::Another(other),
                "{comment:?}"
            );
        }
        for comment in [
            "THIS IS MALWARE, DO NOT USE",
            "malware",
            "tool is malware",
            "tool tool",
            "Tool",
            "signature from a stolen secret key",
            "signature from minisign secret key, which was stolen",
            "timestamp:now",
            "timestamp:",
            "timestamp:1 revoked\tfile:tool",
            "timestamp:1\tfile:tool\thashed\trevoked",
            "timestamp:1\tfile:tool\thashed:no",
            "timestamp:1\tfile:tool\tfile:tool",
            "timestamp:1\tfile:tool\tfile:other",
            "timestamp:1\tstatus:revoked\tfile:tool",
            "file:tool\ttimestamp:1",
            "timestamp:1\tfile:known-malware/tool\thashed",
            "timestamp:1\tfile:DO NOT USE/tool",
            "file:",
            "hashed",
        ] {
            assert_eq!(comment_on(comment, "tool"), Comment::Free, "{comment:?}");
        }
    }
}
