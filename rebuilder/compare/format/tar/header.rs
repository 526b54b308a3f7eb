//! The block that a header is, and what the tar reader does not tell of it.

use crate::compare::format::path_text;
use crate::compare::stored::{Type, Value};

/// All of an archive is in blocks of this size.
pub(super) const BLOCK: usize = 512;

/// A number of the header that is neither plain octal digits nor a small number in base 256 (GNU): readers take signs,
/// letters and high bytes for different numbers.
pub(super) fn odd_number(block: &[u8; BLOCK], (at, length): (usize, usize)) -> Option<String> {
    let field = block.get(at..at.checked_add(length)?)?;
    let digits = field.trim_ascii_start();
    let end = digits
        .iter()
        .position(|byte| !(b'0'..=b'7').contains(byte))
        .unwrap_or(digits.len());
    let octal = digits.get(end..)?.iter().all(|byte| matches!(byte, b' ' | 0));
    let high = field.len().saturating_sub(8).max(1);
    let base_256 = field.first() == Some(&0x80) && field.get(1..high)?.iter().all(|byte| *byte == 0);
    let text = || format!("{at}: {}", String::from_utf8_lossy(field));
    (!octal && !base_256).then(text)
}

pub(super) fn type_of(kind: tar::EntryType) -> Value {
    Value::Type(match kind {
        tar::EntryType::Link => Type::HardLink,
        tar::EntryType::Regular | tar::EntryType::Continuous | tar::EntryType::GNUSparse => Type::File,
        tar::EntryType::Symlink => Type::SymbolicLink,
        tar::EntryType::Char => Type::CharacterDevice,
        tar::EntryType::Block => Type::BlockDevice,
        tar::EntryType::Directory => Type::Folder,
        tar::EntryType::Fifo => Type::Fifo,
        tar::EntryType::XGlobalHeader => Type::Header,
        _ => Type::Other,
    })
}

/// Start and length of the numeric fields.
pub(super) const NUMBERS: [(usize, usize); 6] =
    [(100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (148, 8)];

/// How the header is written, whatever its values: magic, version, type letter, and the form of its numbers.
pub(super) fn dialect(block: &[u8; BLOCK]) -> String {
    let name = match &block[257..265] {
        b"ustar\x0000" => "ustar",
        b"ustar  \0" => "gnu",
        [0, ..] => "v7",
        _ => "other magic",
    };
    let form = |(at, length): (usize, usize)| -> String {
        let digits = block.iter().skip(at).take(length).map(|byte| match byte {
            b'0'..=b'7' => 'd',
            b' ' => '_',
            0 => '0',
            _ => 'b',
        });
        digits.collect()
    };
    let forms: Vec<_> = NUMBERS.into_iter().map(form).collect();
    let devices = if name == "v7" {
        String::new()
    } else {
        [(329, 8), (337, 8)].map(form).concat()
    };
    let letter = match block[156] {
        0 => "nul".to_owned(),
        letter => char::from(letter).to_string(),
    };
    let common = forms.join(" ");
    if common == "ddddddd0 ddddddd0 ddddddd0 ddddddddddd0 ddddddddddd0 dddddd0_" {
        format!(
            "{name}, type {letter}{}",
            if devices.contains('d') { ", devices" } else { "" }
        )
    } else {
        format!("{name}, type {letter}, numbers {common} {devices}")
    }
}

/// Bytes of the header that no field uses: after the end of its strings, and after its last field.
pub(super) fn slack(block: &[u8; BLOCK]) -> Vec<u8> {
    let mut slack = Vec::new();
    let posix = &block[257..262] == b"ustar";
    let gnu = &block[257..265] == b"ustar  \0";
    let mut strings = vec![(0, 100), (157, 100)];
    if posix {
        strings.extend([(265, 32), (297, 32)]);
        if !gnu {
            strings.push((345, 155));
        }
    }
    for (at, length) in strings {
        let field = block.iter().skip(at).take(length);
        slack.extend(field.skip_while(|byte| **byte != 0));
    }
    slack.extend(block.iter().skip(if posix { 500 } else { 257 }));
    slack
}

/// The headers that come before a member's own, without the values they carry: those are fields themselves.
pub(super) fn extended_headers(mut bytes: &[u8]) -> String {
    let mut texts = Vec::new();
    while let Some(block) = bytes.first_chunk::<BLOCK>() {
        let header = tar::Header::from_byte_slice(block);
        let size = usize::try_from(header.entry_size().unwrap_or(0)).unwrap_or(usize::MAX);
        let name: Vec<u8> = block[..100]
            .iter()
            .copied()
            .take_while(|byte| *byte != 0)
            .collect();
        texts.push(format!(
            "{} {} {:o} {}:{} @{}",
            char::from(block[156]),
            path_text(&name),
            header.mode().unwrap_or(0),
            header.uid().unwrap_or(0),
            header.gid().unwrap_or(0),
            header.mtime().unwrap_or(0),
        ));
        let whole = size
            .checked_next_multiple_of(BLOCK)
            .and_then(|size| size.checked_add(BLOCK));
        bytes = whole.and_then(|whole| bytes.get(whole..)).unwrap_or_default();
    }
    texts.join(", ")
}
