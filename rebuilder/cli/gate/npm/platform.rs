//! The system that npm installs for, in Node's words; npm is told the same, so that no setting changes it.

use serde_json::Value;

/// The system.
pub(super) struct Platform {
    cpu: String,
    /// `None` if it is not known; then the packages for every C library are checked.
    libc: Option<&'static str>,
}

const OS: &str = "linux";

impl Platform {
    pub fn own() -> Self {
        Self {
            cpu: cpu(std::env::consts::ARCH, cfg!(target_endian = "little")).to_owned(),
            libc: std::fs::read("/usr/bin/ldd").ok().as_deref().and_then(libc),
        }
    }

    /// The options of npm for this system.
    pub fn options(&self) -> Vec<String> {
        let mut options = vec![format!("--os={OS}"), format!("--cpu={}", self.cpu)];
        options.extend(self.libc.map(|libc| format!("--libc={libc}")));
        options
    }

    /// Whether npm installs an optional package with these lists.
    pub fn fits(&self, os: &Value, cpu: &Value, libc: &Value) -> bool {
        fits(os, OS) && fits(cpu, &self.cpu) && self.libc.is_none_or(|own| fits(libc, own))
    }
}

/// Node's `process.arch` for a target of Rust.
fn cpu(arch: &str, little: bool) -> &str {
    match arch {
        "x86_64" => "x64",
        "x86" => "ia32",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64",
        "powerpc" => "ppc",
        "loongarch64" => "loong64",
        "mips" | "mips64" if little => "mipsel",
        "mips64" => "mips",
        // arm, mips, riscv64 and s390x have the same name.
        other => other,
    }
}

/// The C library, as npm reads it off the script of `ldd`.
fn libc(ldd: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(ldd);
    if text.contains("musl") {
        Some("musl")
    } else {
        text.contains("GNU C Library").then_some("glibc")
    }
}

/// Whether a list of systems includes this one (`checkList` of npm-install-checks): none of the negated entries
/// matches, and one of the others does, if there are any. Anything that is not such a list counts as a match, so that
/// the package is checked.
fn fits(list: &Value, own: &str) -> bool {
    let items: Vec<&str> = match list {
        Value::String(one) => vec![one],
        Value::Array(list) => match list.iter().map(Value::as_str).collect() {
            Some(list) => list,
            None => return true,
        },
        _ => return true,
    };
    if items.contains(&"any") {
        return true;
    }
    let negated = |item: &&str| item.starts_with('!');
    !items.iter().any(|item| item.strip_prefix('!') == Some(own))
        && (items.iter().all(negated) || items.contains(&own))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_lists_of_systems_as_npm_does() {
        for (list, expected) in [
            (json!(null), true),
            (json!([]), true),
            (json!(["linux"]), true),
            (json!("linux"), true),
            (json!("darwin"), false),
            (json!(["darwin"]), false),
            (json!(["darwin", "linux"]), true),
            (json!(["any"]), true),
            (json!(["darwin", "any"]), true),
            (json!("any"), true),
            (json!(["!win32"]), true),
            (json!(["!linux"]), false),
            (json!("!linux"), false),
            (json!(["linux", "!linux"]), false),
            (json!(["!win32", "darwin"]), false),
            (json!(["!win32", "linux"]), true),
            (json!(["!"]), true),
            (json!([""]), false),
            (json!([7]), true),
            (json!({}), true),
        ] {
            assert_eq!(fits(&list, "linux"), expected, "{list}");
        }
    }

    #[test]
    fn names_processors_as_node_does() {
        for (arch, node) in [
            ("x86_64", "x64"),
            ("x86", "ia32"),
            ("aarch64", "arm64"),
            ("arm", "arm"),
            ("powerpc64", "ppc64"),
            ("powerpc", "ppc"),
            ("loongarch64", "loong64"),
            ("riscv64", "riscv64"),
            ("s390x", "s390x"),
            ("mips64", "mipsel"),
        ] {
            assert_eq!(cpu(arch, true), node, "{arch}");
        }
    }

    #[test]
    fn an_optional_package_of_another_c_library_stays_away() {
        let fits = |libc, list| {
            let platform = Platform {
                cpu: "x64".to_owned(),
                libc,
            };
            platform.fits(&json!(["linux"]), &json!(["x64"]), &list)
        };
        assert!(fits(Some("glibc"), json!(["glibc"])));
        assert!(!fits(Some("glibc"), json!(["musl"])));
        // Not known: npm may take it.
        assert!(fits(None, json!(["musl"])));
        assert_eq!(
            libc(b"#! /bin/bash\n# This file is part of the GNU C Library.\n"),
            Some("glibc")
        );
        assert_eq!(libc(b"/lib/ld-musl-x86_64.so.1"), Some("musl"));
        assert_eq!(libc(b"something"), None);
    }
}
