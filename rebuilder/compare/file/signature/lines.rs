//! Signatures in text form: armour, minisign, signify, and SSH.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::Form;

/// The form of a text that is a signature.
pub(super) fn form(bytes: &[u8]) -> Option<Form> {
    let text = std::str::from_utf8(bytes).ok()?;
    if unarmoured(bytes, "SSH SIGNATURE").is_some_and(|bytes| is_ssh(&bytes)) {
        return Some(Form::Ssh);
    }
    signed_lines(text)
}

/// minisign(1) and signify(1): one-line comments, each followed by a line of base64.
fn signed_lines(text: &str) -> Option<Form> {
    const PACKED: usize = 2 + 8 + 64;
    const GLOBAL: usize = 64;
    let mut lines = text.lines();
    let of_length = |line: Option<&str>, length: usize| {
        let bytes = BASE64_STANDARD.decode(line?).ok()?;
        (bytes.len() == length).then_some(bytes)
    };
    is_plain(lines.next()?.strip_prefix("untrusted comment: ")?).then_some(())?;
    let packed = of_length(lines.next(), PACKED)?;
    (packed.starts_with(b"Ed") || packed.starts_with(b"ED")).then_some(())?;
    let Some(comment) = lines.next() else {
        return Some(Form::Signify);
    };
    is_plain(comment.strip_prefix("trusted comment: ")?).then_some(())?;
    of_length(lines.next(), GLOBAL)?;
    lines.next().is_none().then_some(Form::Minisign)
}

/// Whether a comment is harmless as shell input.
fn is_plain(comment: &str) -> bool {
    comment.len() < 200
        && comment
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b" \t.,:@/+_=-()".contains(&byte))
}

/// The content of an armoured text (RFC 9580, section 6.2): one block with that name, and nothing before or after it.
pub(super) fn unarmoured(bytes: &[u8], name: &str) -> Option<Vec<u8>> {
    const HEADERS: [&str; 5] = ["Version: ", "Comment: ", "Hash: ", "Charset: ", "MessageID: "];
    let text = std::str::from_utf8(bytes).ok()?;
    let mut lines = text.lines();
    (lines.next()? == format!("-----BEGIN {name}-----")).then_some(())?;
    let end = format!("-----END {name}-----");
    let (mut encoded, mut sum) = (String::new(), None);
    let mut headers = true;
    loop {
        let line = lines.next()?;
        if line == end {
            break;
        }
        if headers && let Some(value) = HEADERS.iter().find_map(|header| line.strip_prefix(header)) {
            is_plain(value).then_some(())?;
            continue;
        }
        // Only a block with headers requires an empty line after them.
        if std::mem::take(&mut headers) && line.is_empty() {
            continue;
        }
        (sum.is_none() && !line.is_empty()).then_some(())?;
        match line.strip_prefix('=').filter(|digits| digits.len() == 4) {
            Some(digits) => sum = Some(BASE64_STANDARD.decode(digits).ok()?),
            None => encoded.push_str(line),
        }
    }
    lines.all(str::is_empty).then_some(())?;
    let decoded = BASE64_STANDARD.decode(encoded).ok()?;
    let right = sum.is_none_or(|sum| crc24(&decoded).to_be_bytes().get(1..) == Some(sum.as_slice()));
    right.then_some(decoded)
}

/// The checksum of armour (RFC 9580, section 6.1.1).
fn crc24(bytes: &[u8]) -> u32 {
    const START: u32 = 0x00b7_04ce;
    const POLYNOMIAL: u32 = 0x0186_4cfb;
    bytes.iter().fold(START, |sum, byte| {
        (0..8).fold(sum ^ (u32::from(*byte) << 16), |sum, _| {
            let shifted = sum << 1;
            if shifted & 0x0100_0000 == 0 {
                shifted
            } else {
                shifted ^ POLYNOMIAL
            }
        })
    })
}

/// PROTOCOL.sshsig of OpenSSH: five strings after a magic word and a version.
fn is_ssh(bytes: &[u8]) -> bool {
    const VERSION: [u8; 4] = [0, 0, 0, 1];
    let parts = || {
        let mut rest = bytes.strip_prefix(b"SSHSIG")?.strip_prefix(&VERSION)?;
        for _ in ["key", "namespace", "reserved", "hash", "signature"] {
            let (length, behind) = rest.split_first_chunk::<4>()?;
            let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
            (_, rest) = behind.split_at_checked(length)?;
        }
        Some(rest)
    };
    parts().is_some_and(<[u8]>::is_empty)
}
