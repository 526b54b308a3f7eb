//! Files and folders get permissions according to the user's mask, unless a program sets others.

use super::super::edit::{Kind, Rule, prefixed};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

const SHELLS: &[Kind] = &[Kind::Make, Kind::Shell, Kind::PackageJson, Kind::Settings];

pub(super) const INSTALL: Remedy = Remedy {
    name: "install-mode",
    title: "create files and folders with explicit permissions",
    knobs: &[Knob::Umask],
    causes: &[Cause::Permissions],
    rules: &[
        Rule::new(SHELLS, r"CMDmkdir\s+-p\s+", "${1}install -d -m 755 "),
        Rule::new(
            SHELLS,
            r"CMDcp\s+([^-\s]\S*\s+[^-\s;|&]+\s*)$",
            "${1}install -m 644 ${2}",
        ),
        Rule::new(
            SHELLS,
            r"CMDinstall\s+(-D\s+)?([^-])",
            "${1}install ${2}-m 644 ${3}",
        )
        .unless(r"\s-m|\s-d\b"),
    ],
    whole: None,
};

pub(super) const MASK: Remedy = Remedy {
    name: "umask",
    title: "set the mask in the build itself",
    knobs: &[Knob::Umask],
    causes: &[Cause::Permissions, Cause::Content],
    rules: &[Rule::new(
        &[Kind::PackageJson],
        r#"(:\s*")((?:node|tsc|cp|mkdir|npm|sh|bash|tar|zip)\b)"#,
        "${1}umask 022 && ${2}",
    )],
    whole: Some(mask),
};

fn mask(kind: Kind, text: &str) -> Option<String> {
    match kind {
        Kind::Shell if !text.contains("umask 022") => Some(prefixed(text, "umask 022\n")),
        Kind::Make if !text.contains("umask 022") => {
            // Each recipe line has a shell of its own.
            let masked: Vec<_> = text
                .split_inclusive('\n')
                .scan(false, |goes_on, line| {
                    let begins = !*goes_on && line.starts_with('\t');
                    *goes_on = line.trim_end().ends_with('\\');
                    Some(match line.strip_prefix('\t').filter(|_| begins) {
                        Some(recipe) => {
                            let command = recipe.trim_start_matches(['@', '-', '+']);
                            let (marks, command) = recipe.split_at(recipe.len() - command.len());
                            format!("\t{marks}umask 022; {command}")
                        }
                        None => line.to_owned(),
                    })
                })
                .collect();
            Some(masked.concat()).filter(|masked| masked != text)
        }
        Kind::Python if text.contains("setup(") && !text.contains("os.umask") => {
            let line = text
                .lines()
                .position(|line| line.starts_with("import ") || line.starts_with("from "))?;
            let mut lines: Vec<_> = text.split_inclusive('\n').map(str::to_owned).collect();
            lines.insert(line, "import os\nos.umask(0o022)\n".to_owned());
            Some(lines.concat())
        }
        _ => None,
    }
}
