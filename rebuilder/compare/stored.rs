//! What formats store besides the bytes: kinds of fields, and their values.

use std::fmt;

use super::cause::{Cause, Reason};
use super::normalise::Normalisation;

/// The meaning of a stored field; it is a single static, so its address is its identity.
#[derive(Debug)]
pub(super) struct FieldKind {
    /// Name for reports.
    pub name: &'static str,
    /// The cause of a difference, if the values do not tell a more specific one.
    pub cause: Cause,
    /// The normalisation that may set it aside.
    pub normalisation: Option<Normalisation>,
    /// Whether packages install it with their files; in those, nothing sets it aside.
    pub installed: bool,
    /// Whether programs look for a member by it, so that only an installer that does not can ignore it.
    pub looked_up: bool,
    /// Whether it follows from the contents, so that it is reported only if those are the same.
    pub follows_contents: bool,
    /// Finds a more specific reason in two lists of values.
    pub refine: Option<Refine>,
}

/// A more specific reason than that of the kind, from the released and the rebuilt values.
pub(super) type Refine = fn(&[Value], &[Value]) -> Option<Reason>;

impl FieldKind {
    pub const fn new(name: &'static str, cause: Cause) -> Self {
        Self {
            name,
            cause,
            normalisation: None,
            installed: false,
            looked_up: false,
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

    pub const fn looked_up(self) -> Self {
        Self {
            looked_up: true,
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

/// A stored value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Number(u64),
    /// Permission bits and other mode bits.
    Mode(u32),
    /// Seconds since 1970.
    Time(i64),
    /// The operating system of an archive's writer, and its other claims about itself.
    Creator {
        system: String,
        versions: String,
    },
    Type(Type),
    /// The target of a link, as written.
    Target(String),
    Text(String),
}

/// What an unpacker makes from a member.
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
    /// A file whose path ends with a slash, from which some unpackers make a folder.
    FileOrFolder,
    /// Nothing: it has data about the members that follow.
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
    /// The type in a Unix mode, if it has one.
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

/// Several values as one text.
pub(super) fn joined(values: &[Value]) -> String {
    values.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")
}

/// Fields in the order of their format; kinds without a value are left out.
pub(super) type Fields = Vec<(&'static FieldKind, Value)>;

/// The operating system of an archive's writer, according to the archive.
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

/// The names of the fields for the owner and the group of a member.
pub(super) const OWNER: &str = "owner";
pub(super) const GROUP: &str = "group";

/// The ids of user and group.
pub(super) fn owner(fields: &Fields) -> Option<(u32, u32)> {
    let number = |name: &str| {
        fields.iter().find_map(|(kind, value)| match value {
            // Their names follow the ids.
            Value::Text(text) if kind.name == name => text.split(' ').next()?.parse().ok(),
            _ => None,
        })
    };
    Some((number(OWNER)?, number(GROUP)?))
}

/// The first time, which is the member's modification time.
pub(super) fn time(fields: &Fields) -> Option<i64> {
    fields.iter().find_map(|(_, value)| match value {
        Value::Time(time) => Some(*time),
        _ => None,
    })
}

/// What an unpacker makes from the member, if the format tells.
pub(super) fn type_of(fields: &Fields) -> Option<Type> {
    fields.iter().find_map(|(_, value)| match value {
        Value::Type(what) => Some(*what),
        _ => None,
    })
}

/// The name of the field with the spelling of a path.
pub(super) const SPELLING: &str = "path as written";

/// The spelling of the path, if it is unusual.
pub(super) fn spelling(fields: &Fields) -> Option<&str> {
    fields.iter().find_map(|(kind, value)| match value {
        Value::Text(text) if kind.name == SPELLING => Some(text.as_str()),
        _ => None,
    })
}

/// The target of a link.
pub(super) fn target(fields: &Fields) -> Option<&str> {
    fields.iter().find_map(|(_, value)| match value {
        Value::Target(target) => Some(target.as_str()),
        _ => None,
    })
}
