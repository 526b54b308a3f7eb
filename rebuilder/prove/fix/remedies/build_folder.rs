//! Scripts must not write the folder that they run in to outputs.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

pub(super) const REMEDY: Remedy = Remedy {
    name: "no-build-folder",
    title: "do not write the build folder to outputs",
    knobs: &[Knob::BuildPath, Knob::Home, Knob::Temporary],
    causes: &[Cause::BuildPath, Cause::Content],
    rules: &[
        Rule::new(
            &[Kind::Make],
            r"\$[({](?:CURDIR|PWD|shell pwd|abspath \.|realpath \.)[)}]",
            ".",
        ),
        Rule::new(&[Kind::Make], r"\$\$(?:PWD|\{PWD\}|\(pwd\))", "."),
        Rule::new(
            &[Kind::Shell, Kind::PackageJson, Kind::Settings],
            r"\$(?:PWD\b|\{PWD\}|\(pwd(?: -P)?\))|`pwd`",
            ".",
        )
        .unless("prefix-map|^\\s*(cd|[A-Za-z_]+=)"),
        Rule::new(&[Kind::Make, Kind::Shell], r"CMDpwdEND", "${1}echo .${2}").unless("cd "),
        Rule::new(&[Kind::Python], r"os\.getcwd\(\)|Path\.cwd\(\)", "\".\""),
        Rule::new(
            &[Kind::Python],
            r"os\.path\.abspath\(__file__\)|Path\(__file__\)\.(?:resolve|absolute)\(\)",
            "os.path.basename(__file__)",
        )
        .importing(&["os"]),
        Rule::new(&[Kind::JavaScript], r"process\.cwd\(\)", "'.'"),
        Rule::new(&[Kind::JavaScript], r"\b__dirname\b", "'.'").unless("path|require|join|resolve"),
        Rule::new(&[Kind::Rust], r#"\benv!\("CARGO_MANIFEST_DIR"\)"#, "\".\""),
        Rule::new(
            &[Kind::Rust],
            r#"(?:std::)?env::var\("(?:CARGO_MANIFEST_DIR|PWD)"\)"#,
            "Ok::<String, std::env::VarError>(String::from(\".\"))",
        ),
        Rule::new(
            &[Kind::Rust],
            r"(?:std::)?env::current_dir\(\)",
            "Ok::<std::path::PathBuf, std::io::Error>(std::path::PathBuf::from(\".\"))",
        ),
        Rule::new(&[Kind::Go], r"os\.Getwd\(\)", "\".\", error(nil)"),
        Rule::new(&[Kind::Perl], r"\b(?:get)?cwd\(\)", "'.'"),
        Rule::new(
            &[Kind::CMake],
            r"\$\{(?:CMAKE|PROJECT)(?:_CURRENT)?_(?:SOURCE|BINARY)_DIR\}",
            ".",
        )
        .unless("include|add_|configure_file|prefix-map"),
        Rule::new(
            &[Kind::Meson],
            r"\bmeson\.(?:(?:current|project|global)_)?(?:source|build)_(?:root|dir)\(\)",
            "'.'",
        )
        .unless("include|join_paths|files|find_program|/"),
        Rule::new(
            &[Kind::Ruby],
            r"\bDir\.pwd\b|\b__dir__\b|\bDir\.home\b|\bDir\.tmpdir\b",
            "\".\"",
        )
        .unless("join|require|expand_path"),
        // Homes and folders for temporary files.
        Rule::new(&[Kind::Make], r"\$\$\{(?:HOME|TMPDIR):?-([^{}]*)\}", "${1}"),
        Rule::new(
            &[Kind::Shell, Kind::PackageJson, Kind::Settings],
            r"\$\{(?:HOME|TMPDIR):?-([^{}]*)\}",
            "${1}",
        ),
        Rule::new(
            &[Kind::Make],
            r"\$[({](?:HOME|TMPDIR)[)}]|\$\$(?:HOME|TMPDIR)\b|\$\$\{(?:HOME|TMPDIR)[^}]*\}",
            "/nonexistent",
        ),
        Rule::new(
            &[Kind::Shell, Kind::PackageJson, Kind::Settings],
            r"\$(?:HOME|TMPDIR)\b|\$\{(?:HOME|TMPDIR)[^}]*\}",
            "/nonexistent",
        )
        .unless("^\\s*cd "),
        Rule::new(
            &[Kind::Python],
            r#"os\.path\.expanduser\(["']~["']\)|Path\.home\(\)|os\.environ\[["'](?:HOME|TMPDIR)["']\]|os\.environ\.get\(["'](?:HOME|TMPDIR)["'][^()]*\)|os\.getenv\(["'](?:HOME|TMPDIR)["'][^()]*\)|tempfile\.gettempdir\(\)"#,
            "\"/nonexistent\"",
        ),
        Rule::new(
            &[Kind::JavaScript],
            r"os\.(?:homedir|tmpdir)\(\)|process\.env\.(?:HOME|TMPDIR)\b",
            "'/nonexistent'",
        ),
        Rule::new(
            &[Kind::Perl],
            r#"\$ENV\{["']?(?:HOME|TMPDIR)["']?\}"#,
            "'/nonexistent'",
        ),
        Rule::new(
            &[Kind::Rust],
            r#"(?:std::)?env::var\("(?:HOME|TMPDIR)"\)"#,
            "Ok::<String, std::env::VarError>(String::from(\"/nonexistent\"))",
        ),
        Rule::new(
            &[Kind::Rust],
            r"(?:std::)?env::temp_dir\(\)",
            "std::path::PathBuf::from(\"/nonexistent\")",
        ),
        Rule::new(
            &[Kind::Go],
            r#"os\.(?:Getenv\("(?:HOME|TMPDIR|PWD)"\)|TempDir\(\))"#,
            "\"/nonexistent\"",
        ),
    ],
    whole: None,
};
