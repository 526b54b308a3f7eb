//! rustc stores paths of sources and of the folder that it runs in.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

pub(super) const REMEDY: Remedy = Remedy {
    name: "remap-path-prefix",
    title: "make rustc and go store paths without the build folder",
    knobs: &[Knob::BuildPath, Knob::Home],
    causes: &[
        Cause::BuildPath,
        Cause::BuildId,
        Cause::DebugInformation,
        Cause::GoBuildInformation,
        Cause::Content,
    ],
    rules: &[
        Rule::new(&[Kind::Make, Kind::Shell, Kind::PackageJson, Kind::Settings], r"CMD(cargo\s+(?:build|install|rustc|package)\b)", "${1}RUSTFLAGS=\"--remap-path-prefix=§PWD=. --remap-path-prefix=§{CARGO_HOME:-§HOME/.cargo}=/cargo\" ${2}")
            .unless("remap-path-prefix"),
        Rule::new(&[Kind::Make, Kind::Shell, Kind::Settings], r"CMDrustc\s", "${1}rustc --remap-path-prefix=\"§PWD\"=. ").unless("remap-path-prefix"),
        Rule::new(&[Kind::Make, Kind::Shell, Kind::PackageJson, Kind::Settings], r"CMDgo\s+(build|install)END", "${1}go ${2} -trimpath -buildvcs=false${3}")
            .unless("trimpath"),
    ],
    whole: Some(profile),
};

/// A program without debug information stores no folder.
fn profile(kind: Kind, text: &str) -> Option<String> {
    if kind != Kind::CargoToml || !text.contains("[package]") {
        return None;
    }
    let debug = regex::Regex::new(r#"(?m)^debug\s*=\s*(?:true|1|2|"full"|"limited")\s*$"#).ok()?;
    if debug.is_match(text) {
        return Some(debug.replace_all(text, "debug = false").into_owned());
    }
    if text.contains("[profile.release]") {
        return None;
    }
    Some(format!(
        "{}\n[profile.release]\nstrip = true\n",
        text.trim_end_matches('\n').to_owned() + "\n"
    ))
}
