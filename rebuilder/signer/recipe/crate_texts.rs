//! The texts that a plan for a crate carries. None of them has code.

use std::path::{Component, Path};

use toml::{Table, Value};

use crate::plan::places;

/// Why a planner would not have written the text at this place; `None` if the place is not known.
pub(super) fn check(place: &str, text: &str) -> Option<Result<(), &'static str>> {
    let (fits, wrong) = match place {
        places::LACKING => (
            text.lines().all(is_entry),
            "with a line that is no entry of git's index",
        ),
        places::FILE_METADATA => (
            text.lines().all(is_metadata),
            "with a line that is not a time, a mode, an owner and a path",
        ),
        places::STAND_INS_CONFIG => (
            toml::from_str(text).is_ok_and(|config| is_config(&config)),
            "that configures more than where the stand-ins are",
        ),
        _ => match in_stand_in(place)? {
            "src/lib.rs" => (text == places::STAND_IN_TEXT, "that is not this signer's own"),
            ".cargo-checksum.json" => (is_checksum(text), "that is not a list of no files"),
            "Cargo.toml" => (
                toml::from_str(text).is_ok_and(|manifest| is_manifest(&manifest)),
                "with more than a name, a version, dependencies of the registry and features",
            ),
            _ => return None,
        },
    };
    Some(if fits { Ok(()) } else { Err(wrong) })
}

/// The path below the folder of a package that stands in for another one.
fn in_stand_in(place: &str) -> Option<&str> {
    let (folder, path) = place.split_once('/')?;
    let known = [places::STAND_INS, places::STAND_IN_CRATES].contains(&folder);
    let (package, path) = path.split_once('/')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_+.".contains(c);
    (known && package.chars().all(plain) && !package.starts_with('.')).then_some(path)
}

/// `MODE ID<tab>PATH`, as `git update-index --index-info` reads it.
fn is_entry(line: &str) -> bool {
    let Some((entry, path)) = line.split_once('\t') else {
        return false;
    };
    let id = |id: &str| [40, 64].contains(&id.len()) && id.chars().all(|c| c.is_ascii_hexdigit());
    let mode = |mode: &str| ["100644", "100755", "120000", "160000"].contains(&mode);
    entry
        .split_once(' ')
        .is_some_and(|(first, second)| mode(first) && id(second))
        && is_inside(path)
}

/// `TIME MODE USER:GROUP PATH`.
fn is_metadata(line: &str) -> bool {
    let mut parts = line.splitn(4, ' ');
    let (Some(time), Some(mode), Some(owner), Some(path)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let owner = owner.split_once(':');
    let id = |id: &str| id.parse::<u64>().is_ok();
    time.parse::<i64>().is_ok()
        && u32::from_str_radix(mode, 8).is_ok_and(|mode| mode <= 0o777)
        && owner.is_some_and(|(user, group)| id(user) && id(group))
        && is_inside(path)
}

pub(super) fn is_inside(path: &str) -> bool {
    let normal = |part| matches!(part, Component::Normal(_));
    !path.is_empty() && !path.chars().any(char::is_control) && Path::new(path).components().all(normal)
}

fn is_config(config: &Table) -> bool {
    let sources = config.get("source").and_then(Value::as_table);
    let folder = format!("/inputs/{}", places::STAND_INS);
    let own = |source: &Table| {
        source.len() == 1 && source.get("directory").and_then(Value::as_str) == Some(folder.as_str())
    };
    let replaced = |source: &Table| {
        let known = ["git", "rev", "tag", "branch", "replace-with"];
        source
            .iter()
            .all(|(key, value)| known.contains(&key.as_str()) && value.is_str())
            && source.get("replace-with").and_then(Value::as_str) == Some("stand-ins")
    };
    config.len() == 1
        && sources.is_some_and(|sources| {
            sources.iter().all(|(name, source)| {
                source.as_table().is_some_and(|source| match name.as_str() {
                    "stand-ins" => own(source),
                    name => name.starts_with("git+") && replaced(source),
                })
            })
        })
}

fn is_checksum(text: &str) -> bool {
    let Ok(serde_json::Value::Object(list)) = serde_json::from_str(text) else {
        return false;
    };
    list.iter().all(|(key, value)| match key.as_str() {
        "files" => value.as_object().is_some_and(serde_json::Map::is_empty),
        "package" => value.as_str().map_or(value.is_null(), |digest| {
            digest.chars().all(|c| c.is_ascii_hexdigit())
        }),
        _ => false,
    })
}

fn is_manifest(manifest: &Table) -> bool {
    let only = |table: &Table, keys: &[&str]| {
        table
            .iter()
            .all(|(key, value)| keys.contains(&key.as_str()) && value.is_str())
    };
    manifest.iter().all(|(key, value)| {
        let Some(table) = value.as_table() else {
            return false;
        };
        match key.as_str() {
            "package" => only(table, &["name", "version"]),
            "dependencies" => table.values().all(|dependency| {
                dependency
                    .as_table()
                    .is_some_and(|it| only(it, &["package", "version"]))
            }),
            "features" => table
                .values()
                .all(|list| list.as_array().is_some_and(Vec::is_empty)),
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_the_planner_writes_and_no_code() {
        let id = "ab".repeat(20);
        let stand_in = |file: &str| format!("{}/a-1.0.0/{file}", places::STAND_INS);
        let other = |file: &str| format!("{}/a-1.0.0/{file}", places::STAND_IN_CRATES);
        let table = [
            (
                places::LACKING.to_owned(),
                format!("100644 {id}\tbig/file.bin\n"),
                Some(true),
            ),
            (
                places::LACKING.to_owned(),
                format!("100644 {id}\t../file\n"),
                Some(false),
            ),
            (
                places::LACKING.to_owned(),
                format!("160000 {id}\tmodule\n"),
                Some(true),
            ),
            (
                places::LACKING.to_owned(),
                format!("040000 {id}\tfolder\n"),
                Some(false),
            ),
            (places::LACKING.to_owned(), "rm -rf /\n".to_owned(), Some(false)),
            (
                places::FILE_METADATA.to_owned(),
                "1500000000 644 1000:1000 src/a b.rs\n".to_owned(),
                Some(true),
            ),
            (
                places::FILE_METADATA.to_owned(),
                "1500000000 4755 0:0 src/lib.rs\n".to_owned(),
                Some(false),
            ),
            (
                places::FILE_METADATA.to_owned(),
                "1500000000 644 0:0 /etc/passwd\n".to_owned(),
                Some(false),
            ),
            (
                places::STAND_INS_CONFIG.to_owned(),
                "[source.stand-ins]\ndirectory = \"/inputs/stand-ins\"\n\
                 [source.\"git+https://h.example/p?rev=1\"]\ngit = \"https://h.example/p\"\nrev = \"1\"\n\
                 replace-with = \"stand-ins\"\n"
                    .to_owned(),
                Some(true),
            ),
            (
                places::STAND_INS_CONFIG.to_owned(),
                "[build]\nrustc-wrapper = \"/inputs/evil\"\n".to_owned(),
                Some(false),
            ),
            (
                places::STAND_INS_CONFIG.to_owned(),
                "[source.stand-ins]\ndirectory = \"/elsewhere\"\n".to_owned(),
                Some(false),
            ),
            (
                stand_in("src/lib.rs"),
                places::STAND_IN_TEXT.to_owned(),
                Some(true),
            ),
            (other("src/lib.rs"), "fn main() {}\n".to_owned(), Some(false)),
            (stand_in("build.rs"), String::new(), None),
            (stand_in("../lib.rs"), places::STAND_IN_TEXT.to_owned(), None),
            (
                "elsewhere/a-1.0.0/src/lib.rs".to_owned(),
                places::STAND_IN_TEXT.to_owned(),
                None,
            ),
            (
                stand_in("Cargo.toml"),
                "[package]\nname = \"a\"\nversion = \"1.0.0\"\n[dependencies]\n\
                 d0 = { package = \"b\", version = \"=1.0\" }\n[features]\n\"x\" = []\n"
                    .to_owned(),
                Some(true),
            ),
            (
                stand_in("Cargo.toml"),
                "[package]\nname = \"a\"\nversion = \"1\"\nbuild = \"../../evil.rs\"\n".to_owned(),
                Some(false),
            ),
            (
                other("Cargo.toml"),
                "[lib]\nproc-macro = true\n".to_owned(),
                Some(false),
            ),
            (
                other(".cargo-checksum.json"),
                format!("{{\"files\":{{}},\"package\":\"{id}\"}}"),
                Some(true),
            ),
            (
                stand_in(".cargo-checksum.json"),
                "{\"files\":{},\"package\":null}".to_owned(),
                Some(true),
            ),
            (
                stand_in(".cargo-checksum.json"),
                "{\"files\":{\"a\":\"b\"}}".to_owned(),
                Some(false),
            ),
        ];
        for (place, text, expected) in table {
            assert_eq!(
                check(&place, &text).map(|it| it.is_ok()),
                expected,
                "{place}: {text}"
            );
        }
    }
}
