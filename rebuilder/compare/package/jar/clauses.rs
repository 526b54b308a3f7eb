//! Lists of clauses in attributes of OSGi bundles (OSGi Core 3.2.4), some of which are sets.

use std::collections::BTreeSet;

/// Attributes whose clauses are looked up by name, so that their order does not matter. `Class-Path`,
/// `Bundle-ClassPath`, `Require-Bundle`, `DynamicImport-Package` and `Bundle-NativeCode` are not included, as they are
/// tried in order.
const SETS: [&str; 7] = [
    "export-package",
    "ignore-package",
    "import-package",
    "include-resource",
    "private-package",
    "provide-capability",
    "require-capability",
];

/// Whether two values of an attribute have the same clauses in different orders.
pub(super) fn only_order(attribute: &str, released: &str, rebuilt: &str) -> bool {
    SETS.contains(&attribute)
        && match (clauses(released), clauses(rebuilt)) {
            (Some(released), Some(rebuilt)) => released == rebuilt,
            _ => false,
        }
}

/// The sorted clauses; `None` if they are ambiguous, or one name has several different clauses.
fn clauses(value: &str) -> Option<Vec<Vec<String>>> {
    let mut clauses: Vec<Vec<String>> = Vec::new();
    let mut names = BTreeSet::new();
    let mut listed = split(value, ',')?;
    // Some tools write a space after each comma.
    if let [_, rest @ ..] = listed.as_mut_slice()
        && rest.iter().all(|clause| clause.starts_with(' '))
    {
        for clause in rest {
            *clause = clause.get(1..)?;
        }
    }
    for clause in listed {
        let mut parts = Vec::new();
        for (at, part) in split(clause, ';')?.into_iter().enumerate() {
            let is_parameter = part.contains('=');
            if at == 0 && is_parameter {
                return None;
            }
            if !is_parameter {
                names.insert(part.to_owned());
            }
            parts.push(parameter(part));
        }
        parts.sort();
        if parts.windows(2).any(|two| two.first() == two.last()) {
            return None;
        }
        clauses.push(parts);
    }
    clauses.sort();
    // Capabilities of one namespace differ by their attributes, and packages may be exported in two versions: both are
    // looked up by the whole clause.
    let is_unique = clauses.windows(2).all(|two| two.first() != two.last());
    (is_unique && !names.is_empty()).then_some(clauses)
}

/// The packages in `uses` are a set too.
fn parameter(part: &str) -> String {
    let packages = part
        .strip_prefix("uses:=\"")
        .and_then(|rest| rest.strip_suffix('"'));
    let Some(packages) = packages else {
        return part.to_owned();
    };
    let mut packages: Vec<&str> = packages.split(',').collect();
    packages.sort_unstable();
    format!("uses:=\"{}\"", packages.join(","))
}

/// The parts between unquoted separators; `None` if a quote is not closed or a part is empty.
fn split(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, character) in text.char_indices() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if character == separator && !quoted => {
                parts.push(text.get(start..at)?);
                start = at.saturating_add(1);
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?);
    (!quoted && parts.iter().all(|part| !part.trim().is_empty())).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_clauses_that_are_a_set_may_move() {
        for (attribute, released, rebuilt, same) in [
            ("export-package", "a;version=1,b", "b,a;version=1", true),
            (
                "export-package",
                r#"a;uses:="x,y";version="1",b"#,
                r#"b,a;version="1";uses:="y,x""#,
                true,
            ),
            (
                "import-package",
                r#"a;version="[1,2)",b"#,
                r#"b,a;version="[1,2)""#,
                true,
            ),
            (
                "import-package",
                r#"a;version="[1,2)",b"#,
                r#"b,a;version="[2,1)""#,
                false,
            ),
            (
                "import-package",
                r#"a;version="[1,2)",b;version="[3,4)""#,
                r#"a;version="[3,4)",b;version="[1,2)""#,
                false,
            ),
            (
                "import-package",
                "a;resolution:=optional,b",
                "a,b;resolution:=optional",
                false,
            ),
            ("require-bundle", "a,b", "b,a", false),
            ("bundle-classpath", ".,lib/a.jar", "lib/a.jar,.", false),
            ("class-path", "a.jar b.jar", "b.jar a.jar", false),
            ("dynamicimport-package", "a,b", "b,a", false),
            ("export-package", "a,b", "b,c", false),
            ("export-package", "a,a,b", "a,b,b", false),
            ("import-package", "a, b", "b, a", true),
            ("import-package", "a, b", "b,a", true),
            ("import-package", "a,  b", "b,a", false),
            ("import-package", r#"a;x="1,b"#, r#"b,a;x="1"#, false),
        ] {
            assert_eq!(
                only_order(attribute, released, rebuilt),
                same,
                "{attribute} {released} {rebuilt}"
            );
        }
    }
}
