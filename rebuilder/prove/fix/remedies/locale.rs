//! Sorting, formatting and translation depend on the locale.

use super::super::edit::{Kind, Rule, prefixed};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

const SHELLS: &[Kind] = &[Kind::Make, Kind::Shell, Kind::PackageJson, Kind::Settings];

pub(super) const SORT: Remedy = Remedy {
    name: "locale-sort",
    title: "run sort and similar programs independently of the locale",
    knobs: &[Knob::Locale],
    causes: &[Cause::Locale, Cause::Order, Cause::Content],
    rules: &[
        Rule::new(
            SHELLS,
            r"CMD(?:LC_\w+=\S+ |LANG=\S+ )*(sort|ls|comm|join|uniq|tr|awk|sed|printf|date|locale|msgfmt)END",
            "${1}LC_ALL=C ${2}${3}",
        )
        .unless("LC_ALL=C "),
        Rule::new(&[Kind::Python], r"key\s*=\s*locale\.strxfrm\s*,?\s*", ""),
        Rule::new(
            &[Kind::Python],
            r"locale\.(?:getlocale|getdefaultlocale)\(ARGS\)",
            "(\"C\", \"UTF-8\")",
        ),
        Rule::new(
            &[Kind::Python],
            r"locale\.getpreferredencoding\(ARGS\)|sys\.getfilesystemencoding\(\)",
            "\"utf-8\"",
        ),
        Rule::new(
            &[Kind::Python],
            r#"locale\.setlocale\(locale\.LC_\w+(?:,\s*["'][^"']*["'])?\)"#,
            "locale.setlocale(locale.LC_ALL, \"C\")",
        ),
        Rule::new(
            &[Kind::Python],
            r#"\bopen\(([^(),]*(?:\([^()]*\)[^(),]*)*(?:,\s*["'][rwa]t?["'])?)\)"#,
            "open(${1}, encoding=\"utf-8\")",
        )
        .unless("encoding|[rwa]b"),
        Rule::new(
            &[Kind::JavaScript],
            r"\.localeCompare\((\w+)\)",
            ".localeCompare(${1}, 'en')",
        ),
        Rule::new(
            &[Kind::JavaScript],
            r"\.toLocale(?:Date|Time)?String\(\)",
            ".toISOString()",
        ),
        Rule::new(
            &[Kind::C],
            r#"\bsetlocale\s*\(\s*(LC_\w+)\s*,\s*"[^"]*"\s*\)"#,
            "setlocale(${1}, \"C\")",
        ),
        Rule::new(&[Kind::Perl], r"^\s*use locale;\s*$", ""),
    ],
    whole: None,
};

pub(super) const EXPORT: Remedy = Remedy {
    name: "locale-export",
    title: "run the whole build in the locale C.UTF-8",
    knobs: &[Knob::Locale],
    causes: &[Cause::Locale, Cause::Order, Cause::Content],
    rules: &[],
    whole: Some(export),
};

fn export(kind: Kind, text: &str) -> Option<String> {
    if text.contains("export LC_ALL") {
        return None;
    }
    match kind {
        Kind::Make => Some(prefixed(
            text,
            "export LC_ALL := C.UTF-8\nexport LANG := C.UTF-8\nunexport LANGUAGE\n",
        )),
        Kind::Shell => Some(prefixed(
            text,
            "export LC_ALL=C.UTF-8 LANG=C.UTF-8\nunset LANGUAGE\n",
        )),
        _ => None,
    }
}
