//! Files and folders get permissions according to the user's mask, unless a program sets others.

use super::super::edit::{Kind, Rule, prefixed, with_python_imports};
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
                            let marks = recipe.strip_suffix(command).unwrap_or_default();
                            format!("\t{marks}umask 022; {command}")
                        }
                        None => line.to_owned(),
                    })
                })
                .collect();
            Some(masked.concat()).filter(|masked| masked != text)
        }
        Kind::Python if text.contains("setup(") && !text.contains("os.umask") => python(text),
        _ => None,
    }
}

/// What is built gets the mask's permissions; what is only copied has those of the checkout.
const PYTHON: &str = r#"
os.umask(0o022)
for folder, folders, names in os.walk("."):
    folders[:] = [name for name in folders if not name.startswith(".")]
    for path in (os.path.join(folder, name) for name in names):
        if os.path.isfile(path):
            os.chmod(path, 0o755 if os.access(path, os.X_OK) else 0o644)
"#;

/// With the mask behind the imports.
fn python(text: &str) -> Option<String> {
    let is_import = |line: &str| line.starts_with("import ") || line.starts_with("from ");
    let mut lines: Vec<_> = text.split_inclusive('\n').collect();
    let last = lines.iter().rposition(|line| is_import(line))?;
    // An import may go on over several lines.
    let opened = lines.get(last).is_some_and(|line| line.trim_end().ends_with('('));
    let end = lines.iter().skip(last).position(|line| line.starts_with(')'));
    let end = if opened { last.saturating_add(end?) } else { last };
    if !lines.get(end)?.ends_with('\n') {
        return None;
    }
    lines.insert(end.saturating_add(1), PYTHON);
    Some(with_python_imports(&lines.concat(), &["os"]))
}
