//! What formats store beside the bytes: kinds of fields, and their values.

use std::fmt;

use super::cause::{Cause, Reason};
use super::normalise::Normalisation;

/// What a stored field means; one static for all members that have it, so its address is its identity.
#[derive(Debug)]
pub(super) struct FieldKind {
    /// Name for people.
    pub name: &'static str,
    /// Why two builds differ in it, if the values do not say more.
    pub cause: Cause,
    /// What may set it aside.
    pub normalisation: Option<Normalisation>,
    /// Whether packages that install files install it too; in those, nothing sets it aside.
    pub installed: bool,
    /// Whether it follows from the contents, so that it is only worth telling if those are the same.
    pub follows_contents: bool,
    /// What two lists of values say beyond that they differ.
    pub refine: Option<Refine>,
}

/// A better reason than the kind's own, seen in the released and the rebuilt values.
pub(super) type Refine = fn(&[Value], &[Value]) -> Option<Reason>;

impl FieldKind {
    pub const fn new(name: &'static str, cause: Cause) -> Self {
        Self {
            name,
            cause,
            normalisation: None,
            installed: false,
            follows_contents: false,
            refine: None,
        }
    }

    pub const fn by(name: &'static str, cause: Cause, normalisation: Normalisation) -> Self {
        Self {
            normalisation: Some(normalisation),
            ..Self::new(name, cause)
        }
    }

    pub const fn installed(self) -> Self {
        Self {
            installed: true,
            ..self
        }
    }

    pub const fn following_contents(self) -> Self {
        Self {
            follows_contents: true,
            ..self
        }
    }

    pub const fn refined(self, refine: Refine) -> Self {
        Self {
            refine: Some(refine),
            ..self
        }
    }
}

impl PartialEq for FieldKind {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for FieldKind {}

/// The stored value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Number(u64),
    /// Permission bits and more.
    Mode(u32),
    /// Seconds since 1970.
    Time(i64),
    /// The operating system that the writer of an archive claims, and what else it says of itself.
    Creator {
        system: String,
        versions: String,
    },
    Type(Type),
    /// What a link is to, as it is written.
    Target(String),
    Text(String),
}

/// What an unpacker makes of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    File,
    Folder,
    SymbolicLink,
    /// Another name of an earlier member.
    HardLink,
    CharacterDevice,
    BlockDevice,
    Fifo,
    Socket,
    /// A file whose path ends with a slash, of which some make a folder.
    FileOrFolder,
    /// Nothing: it says something of the members that follow.
    Header,
    Other,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "file",
            Self::Folder => "folder",
            Self::SymbolicLink => "symbolic link",
            Self::HardLink => "hard link",
            Self::CharacterDevice => "character device",
            Self::BlockDevice => "block device",
            Self::Fifo => "fifo",
            Self::Socket => "socket",
            Self::FileOrFolder => "file with a slash at its end",
            Self::Header => "global header",
            Self::Other => "other",
        })
    }
}

impl Type {
    /// The type within a Unix mode, if it has one.
    pub fn of_mode(mode: u32) -> Option<Self> {
        Some(match mode & 0o170_000 {
            0o010_000 => Self::Fifo,
            0o020_000 => Self::CharacterDevice,
            0o040_000 => Self::Folder,
            0o060_000 => Self::BlockDevice,
            0o100_000 => Self::File,
            0o120_000 => Self::SymbolicLink,
            0o140_000 => Self::Socket,
            0 => return None,
            _ => Self::Other,
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Mode(mode) => write!(f, "{mode:04o}"),
            Self::Time(seconds) => match jiff::Timestamp::from_second(*seconds) {
                Ok(time) => write!(f, "{time}"),
                Err(_) => write!(f, "{seconds}"),
            },
            Self::Creator { system, versions } => write!(f, "{system} {versions}"),
            Self::Type(what) => what.fmt(f),
            Self::Target(text) | Self::Text(text) => f.write_str(text),
        }
    }
}

/// Values as one text.
pub(super) fn joined(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
}

/// Fields in the order that their format has them; kinds without a value are left out.
pub(super) type Fields = Vec<(&'static FieldKind, Value)>;

/// The operating system that an archive's writer claims.
pub(super) fn system(fields: &Fields) -> Option<String> {
    fields.iter().find_map(|(_, value)| match value {
        Value::Creator { system, .. } => Some(system.clone()),
        _ => None,
    })
}

/// The permission bits.
pub(super) fn mode(fields: &Fields) -> Option<u32> {
    fields.iter().find_map(|(_, value)| match value {
        Value::Mode(mode) => Some(*mode),
        _ => None,
    })
}

/// The names of the fields that say whose a member is.
pub(super) const OWNER: &str = "owner";
pub(super) const GROUP: &str = "group";

/// The numbers of the user and of the group.
pub(super) fn owner(fields: &Fields) -> Option<(u32, u32)> {
    let number = |name: &str| {
        fields.iter().find_map(|(kind, value)| match value {
            // Their names follow.
            Value::Text(text) if kind.name == name => text.split(' ').next()?.parse().ok(),
            _ => None,
        })
    };
    Some((number(OWNER)?, number(GROUP)?))
}

/// The first time, which is the member's own.
pub(super) fn time(fields: &Fields) -> Option<i64> {
    fields.iter().find_map(|(_, value)| match value {
        Value::Time(time) => Some(*time),
        _ => None,
    })
}

/// What an unpacker makes of the member, if the format says so.
pub(super) fn type_of(fields: &Fields) -> Option<Type> {
    fields.iter().find_map(|(_, value)| match value {
        Value::Type(what) => Some(*what),
        _ => None,
    })
}

/// The name of the field that says how a path is written.
pub(super) const SPELLING: &str = "path as written";

/// How the path is written, if not in the usual way.
pub(super) fn spelling(fields: &Fields) -> Option<&str> {
    fields.iter().find_map(|(kind, value)| match value {
        Value::Text(text) if kind.name == SPELLING => Some(text.as_str()),
        _ => None,
    })
}

/// What a link is to.
pub(super) fn target(fields: &Fields) -> Option<&str> {
    fields.iter().find_map(|(_, value)| match value {
        Value::Target(target) => Some(target.as_str()),
        _ => None,
    })
}
