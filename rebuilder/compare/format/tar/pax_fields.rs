//! The content of extended headers for one member: values that override those of its header, and the rest by meaning.

use std::collections::BTreeMap;

use super::header::{GNAME, Header, UNAME};
use super::number::{decimal, seconds};
use super::pax::{Records, records};
use super::reader::Extended;
use crate::artifact::Sha256;
use crate::compare::format::{described, path_text};

/// Values of extended headers.
#[derive(Default)]
pub(super) struct Pax<'a> {
    pub path: Option<&'a [u8]>,
    pub link: Option<&'a [u8]>,
    pub uname: Option<&'a [u8]>,
    pub gname: Option<&'a [u8]>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub size: Option<u64>,
    pub mtime: Option<i64>,
    pub major: Option<u64>,
    pub minor: Option<u64>,
    /// `GNU.sparse.*` without that prefix, in stored order.
    pub sparse: Vec<(&'a str, &'a [u8])>,
    /// GNU's long name and long link target.
    pub long_name: Option<&'a [u8]>,
    pub long_link: Option<&'a [u8]>,
    pub rest: Rest,
}

/// Everything else, as texts.
#[derive(Default)]
pub(super) struct Rest {
    pub times: Vec<String>,
    /// The place of the file before it was packed.
    pub home: Vec<String>,
    /// Where the file was downloaded from.
    pub origin: Vec<String>,
    pub security: Vec<String>,
    pub comments: Vec<String>,
    /// Records whose meaning is not known here.
    pub meaning: Vec<String>,
    /// Records that readers interpret differently.
    pub doubtful: Vec<String>,
    /// Bytes that all readers ignore.
    pub hidden: Vec<Vec<u8>>,
    pub charset: Option<String>,
}

/// The records of global headers so far, as later members see them.
#[derive(Default)]
pub(super) struct Globals {
    pub times: Option<String>,
    pub doubtful: Option<String>,
}

impl Globals {
    /// Adds a global header; returns the comments in it.
    pub fn add(&mut self, body: &[u8]) -> Vec<String> {
        let Records { records, malformed } = records(body);
        let (mut times, mut doubtful, mut comments) = (Vec::new(), Vec::new(), Vec::new());
        for (key, value) in records {
            let text = record_text(key, value);
            match key {
                b"comment" => comments.push(path_text(value)),
                b"mtime" | b"atime" | b"ctime" if seconds(value).is_some() => times.push(text),
                _ => doubtful.push(text),
            }
        }
        if !malformed.is_empty() {
            doubtful.push(format!("malformed: {}", described(malformed)));
        }
        for (all, new) in [(&mut self.times, times), (&mut self.doubtful, doubtful)] {
            if !new.is_empty() {
                let before = all.as_deref().unwrap_or_default();
                *all = Some(bounded(format!("{before} global {}", new.join(" "))));
            }
        }
        comments
    }
}

/// A short text that differs for different texts.
pub(super) fn bounded(text: String) -> String {
    const LONGEST: usize = 400;
    if text.len() <= LONGEST {
        return text;
    }
    let beginning: String = text.chars().take(100).collect();
    format!("{beginning}… sha256 {}", Sha256::of(text.as_bytes()).to_hex())
}

fn record_text(key: &[u8], value: &[u8]) -> String {
    format!("{}={}", path_text(key), path_text(value))
}

impl<'a> Pax<'a> {
    /// Reads the extended headers before a member; global ones are ignored.
    pub fn of(extended: &'a [Extended], header: &Header) -> Self {
        let mut pax = Self::default();
        let mut seen: Vec<u8> = Vec::new();
        for one in extended {
            let letter = match Header::new(&one.block).letter {
                b'g' => continue,
                b'X' => b'x',
                letter => letter,
            };
            if seen.contains(&letter) {
                let text = format!("a second {} header: {}", char::from(letter), described(&one.body));
                pax.rest.doubtful.push(text);
            }
            seen.push(letter);
            if letter == b'x' {
                pax.records(&one.body, header);
                continue;
            }
            let end = one
                .body
                .iter()
                .position(|byte| *byte == 0)
                .unwrap_or(one.body.len());
            let (name, after) = one.body.split_at_checked(end).unwrap_or_default();
            if after.iter().any(|byte| *byte != 0) {
                pax.rest.hidden.push(after.to_vec());
            }
            let place = if letter == b'L' {
                &mut pax.long_name
            } else {
                &mut pax.long_link
            };
            *place = Some(name);
        }
        pax
    }

    fn records(&mut self, body: &'a [u8], header: &Header) {
        let Records { records, malformed } = records(body);
        if !malformed.is_empty() {
            self.rest
                .doubtful
                .push(format!("malformed: {}", described(malformed)));
        }
        let mut values = BTreeMap::new();
        let is_twice = records.iter().any(|(key, _)| key.starts_with(XATTR_AGAIN));
        let plain: BTreeMap<_, _> = records.iter().copied().filter(|_| is_twice).collect();
        let is_again = |key: &[u8], value: &[u8]| {
            let name = key.strip_prefix(XATTR_AGAIN);
            let plain = name.and_then(|name| plain.get([b"SCHILY.xattr.", name].concat().as_slice()));
            plain.is_some_and(|bytes| {
                bytes.len().saturating_mul(4).div_ceil(3) == value.len() && base_64(bytes) == value
            })
        };
        for (key, value) in records
            .iter()
            .copied()
            .filter(|(key, value)| !is_again(key, value))
        {
            let sparse = key.strip_prefix(b"GNU.sparse.");
            let repeats = matches!(sparse, Some(b"offset" | b"numbytes"));
            if let Some(before) = values
                .insert(key, value)
                .filter(|before| *before != value && !repeats)
            {
                self.rest
                    .doubtful
                    .push(format!("repeated {}", record_text(key, before)));
            }
            let is_text = matches!(key, b"path" | b"linkpath" | b"uname" | b"gname");
            // npm writes empty owner names, which are empty in its headers too.
            let no_owner = value.is_empty()
                && ((key == b"uname" && header.owner(UNAME).is_empty())
                    || (key == b"gname" && header.owner(GNAME).is_empty()));
            if value.is_empty() && key != b"comment" && !no_owner
                || (value.contains(&0) && (is_text || repeats))
            {
                self.rest.doubtful.push(record_text(key, value));
            }
            if value.is_empty() && sparse.is_none() {
                self.forget(key);
                continue;
            }
            match sparse.and_then(|key| std::str::from_utf8(key).ok()) {
                Some(key) => self.sparse.push((key, value)),
                None => self.record(key, value, header),
            }
        }
    }

    /// An empty value revokes earlier ones.
    fn forget(&mut self, key: &[u8]) {
        match key {
            b"path" => self.path = None,
            b"linkpath" => self.link = None,
            b"uname" => self.uname = None,
            b"gname" => self.gname = None,
            b"uid" => self.uid = None,
            b"gid" => self.gid = None,
            b"size" => self.size = None,
            b"mtime" => self.mtime = None,
            _ => {}
        }
    }

    fn record(&mut self, key: &[u8], value: &'a [u8], header: &Header) {
        let rest = &mut self.rest;
        let text = || record_text(key, value);
        let is_owner = matches!(key, b"uname" | b"gname");
        if is_owner && (value.len() > LONGEST_OWNER || value.iter().any(u8::is_ascii_control)) {
            rest.meaning.push(text());
        }
        let (number, is_device) = (decimal(value), header.is_device());
        match key {
            b"path" => self.path = Some(value),
            b"linkpath" => self.link = Some(value),
            b"uname" => self.uname = Some(value),
            b"gname" => self.gname = Some(value),
            b"uid" if number.is_some() => self.uid = number,
            b"gid" if number.is_some() => self.gid = number,
            b"size" if number.is_some() => self.size = number,
            b"SCHILY.devmajor" if number.is_some() && is_device => self.major = number,
            b"SCHILY.devminor" if number.is_some() && is_device => self.minor = number,
            b"mtime" | b"atime" | b"ctime" | b"LIBARCHIVE.creationtime" => match seconds(value) {
                Some((time, _)) => {
                    if key == b"mtime" {
                        self.mtime = Some(time);
                    }
                    rest.times.push(text());
                }
                None => rest.meaning.push(text()),
            },
            b"SCHILY.dev" | b"SCHILY.ino" | b"SCHILY.nlink" | b"SCHILY.devmajor" | b"SCHILY.devminor"
                if number.is_some_and(|_| !is_device || !key.starts_with(b"SCHILY.devm")) =>
            {
                rest.home.push(text());
            }
            b"SCHILY.xattr.user.xdg.origin.url" | b"SCHILY.xattr.user.xdg.referrer.url" => {
                rest.origin.push(text());
            }
            b"comment" => rest.comments.push(path_text(value)),
            b"hdrcharset" if matches!(value, b"BINARY" | b"ISO-IR 10646 2000 UTF-8") => {
                rest.charset = Some(path_text(value));
            }
            _ if is_security(&path_text(key)) => rest.security.push(text()),
            // Attributes, flags, volumes, and records that other unpackers may understand.
            _ => rest.meaning.push(text()),
        }
    }
}

/// Maximum length of a user name; a longer one is treated as something else.
const LONGEST_OWNER: usize = 64;

/// bsdtar writes each attribute twice, once in base64.
const XATTR_AGAIN: &[u8] = b"LIBARCHIVE.xattr.";

/// Access lists, capabilities and labels.
fn is_security(key: &str) -> bool {
    key.contains("security.") || key.contains("acl") || key.contains("selinux")
}

/// Base64 without padding, as bsdtar writes it.
fn base_64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = Vec::with_capacity(bytes.len().saturating_mul(2));
    for chunk in bytes.chunks(3) {
        let [one, two, three] = [0, 1, 2].map(|at| u32::from(chunk.get(at).copied().unwrap_or(0)));
        let bits = (one << 16) | (two << 8) | three;
        let letters = [18, 12, 6, 0].map(|shift| (bits >> shift) & 63);
        let letters = letters.iter().take(chunk.len().saturating_add(1));
        text.extend(letters.filter_map(|at| LETTERS.get(usize::try_from(*at).ok()?)));
    }
    text
}
