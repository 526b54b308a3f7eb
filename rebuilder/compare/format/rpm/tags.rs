//! Names of tags in reports, and the types of their values.

/// A tag's name and type.
pub(super) struct Tag {
    pub name: String,
    pub kind: Kind,
}

/// The types of values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bytes,
    Small,
    Short,
    Number,
    Long,
    String,
    Strings,
    Translated,
    Other,
}

impl Kind {
    pub fn of(number: u32) -> Self {
        match number {
            7 => Self::Bytes,
            2 => Self::Small,
            3 => Self::Short,
            4 => Self::Number,
            5 => Self::Long,
            6 => Self::String,
            8 => Self::Strings,
            9 => Self::Translated,
            _ => Self::Other,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Small => "8-bit number",
            Self::Short => "16-bit number",
            Self::Number => "number",
            Self::Long => "64-bit number",
            Self::String => "string",
            Self::Strings => "strings",
            Self::Translated => "translated string",
            Self::Other => "value",
        }
    }
}

/// Tags of the signature header, whose numbers have other meanings in the main header.
pub(super) fn of_signature(tag: u32) -> Tag {
    use Kind::{Bytes, Long, Number, String};
    let (name, kind) = match tag {
        62 => ("signed part", Bytes),
        267 | 268 | 1002 | 1003 | 1005 => ("signature", Bytes),
        270 | 271 => ("size", Long),
        277 | 278 => ("signature", Kind::Strings),
        269 => ("digest of the header by SHA-1", String),
        273 => ("digest of the header by SHA-256", String),
        1004 => ("digest of header and payload by MD5", Bytes),
        1000 | 1007 => ("size", Number),
        1008 => ("reserved space", Bytes),
        tag => return unknown(tag),
    };
    Tag {
        name: name.to_owned(),
        kind,
    }
}

/// Tags of the main header, in one table.
pub(super) fn of_header(tag: u32) -> Tag {
    use Kind::{Bytes, Number, Short, String, Strings, Translated};
    let (name, kind) = match tag {
        63 => ("signed part", Bytes),
        100 => ("languages", Strings),
        1000 => ("name", String),
        1001 => ("version", String),
        1002 => ("release", String),
        1003 => ("epoch", Number),
        1004 => ("summary", Translated),
        1005 => ("description", Translated),
        1006 => ("build time", Number),
        1007 => ("build host", String),
        1009 => ("size", Number),
        1010 => ("distribution", String),
        1011 => ("vendor", String),
        1014 => ("license", String),
        1015 => ("packager", String),
        1016 => ("group", Translated),
        1020 => ("url", String),
        1021 => ("system", String),
        1022 => ("architecture", String),
        1023 => ("script before installation", String),
        1024 => ("script after installation", String),
        1025 => ("script before removal", String),
        1026 => ("script after removal", String),
        1028 => ("file size", Number),
        1030 => ("file mode", Short),
        1033 => ("file device", Short),
        1034 => ("file mtime", Number),
        1035 => ("file digest", Strings),
        1036 => ("file link", Strings),
        1037 => ("file flags", Number),
        1039 => ("file owner", Strings),
        1040 => ("file group", Strings),
        1044 => ("source rpm", String),
        1045 => ("file verify flags", Number),
        1047 => ("provides", Strings),
        1048 => ("requires flags", Number),
        1049 => ("requires", Strings),
        1050 => ("requires version", Strings),
        1064 => ("rpm version", String),
        1080 => ("changelog time", Number),
        1081 => ("changelog name", Strings),
        1082 => ("changelog text", Strings),
        1094 => ("cookie: build host", String),
        1095 => ("file system of the file", Number),
        1096 => ("file inode", Number),
        1097 => ("file language", Strings),
        1112 => ("provides flags", Number),
        1113 => ("provides version", Strings),
        1116 => ("folder of the file", Number),
        1117 => ("base name", Strings),
        1118 => ("folder", Strings),
        1122 => ("compiler flags", String),
        1124 => ("payload format", String),
        1125 => ("payload compression", String),
        1126 => ("payload level", String),
        1132 => ("platform", String),
        1140 => ("file colour", Number),
        1141 => ("file class", Number),
        1142 => ("class", Strings),
        5011 => ("algorithm of file digests", Number),
        5062 => ("encoding", String),
        5092 => ("payload digest", Strings),
        5093 => ("algorithm of the payload digest", Number),
        5097 => ("alternative payload digest", Strings),
        tag => return unknown(tag),
    };
    Tag {
        name: name.to_owned(),
        kind,
    }
}

fn unknown(tag: u32) -> Tag {
    Tag {
        name: format!("tag {tag}"),
        kind: Kind::Other,
    }
}
