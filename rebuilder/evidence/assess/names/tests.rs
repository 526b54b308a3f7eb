use super::*;
use crate::artifact::Digests;

#[test]
fn tells_another_name_from_the_same() {
    for (file, purl, subject, differs) in [
        ("tool", None, "tool", false),
        ("tool", None, "dist/tool", false),
        ("tool", None, "tool-1.0-vulnerable.tar.gz", true),
        ("tool", None, "Tool", true),
        ("tool", None, "pkg:npm/other@1.0", true),
        ("tool", None, "pkg:npm/tool@1.0", false),
        ("tool-1.0.tgz", None, "pkg:npm/tool@1.0", false),
        ("tool-1.0.tgz", None, "pkg:npm/tool@1.1", true),
        ("tool-1.0.tgz", None, "pkg:npm/%40scope/tool@1.0", false),
        ("scope-tool-1.0.tgz", None, "pkg:npm/%40scope/tool@1.0", false),
        (
            "jq_1.6-2.1_amd64.deb",
            None,
            "pkg:deb/debian/jq@1:1.6-2.1?arch=amd64",
            false,
        ),
        ("x", Some("pkg:npm/tool@1.0"), "pkg:npm/tool@1.0", false),
        ("x", Some("pkg:npm/tool"), "pkg:npm/tool@1.0", false),
        ("x", Some("pkg:npm/tool"), "pkg:npm/other@1.0", true),
        ("x", Some("pkg:npm/tool@1.0"), "pkg:npm/tool", true),
        ("tool-1.0.tgz", Some("pkg:npm/tool@1.0"), "pkg:npm/tool@1.1", true),
        ("sha256:00", None, "anything", false),
        ("sha256:00", Some("pkg:npm/tool@1.0"), "pkg:npm/other@1.0", true),
    ] {
        let artifact = Artifact {
            name: file.into(),
            purl: purl.map(str::to_owned),
            digests: Digests::of(b"x"),
            path: None,
        };
        let subject = Descriptor {
            name: Some(subject.into()),
            ..Descriptor::default()
        };
        assert_eq!(
            super::differs(&[&subject], &artifact).is_some(),
            differs,
            "{file} {purl:?} {subject:?}"
        );
    }
}

#[test]
fn tells_another_package_from_a_free_name() {
    for (file, purl, label, another) in [
        (
            "left-pad-1.3.0.tgz",
            "pkg:npm/left-pad@1.3.0",
            "left-pad-1.3.0.tgz",
            false,
        ),
        (
            "left-pad-1.3.0.tgz",
            "pkg:npm/left-pad@1.3.0",
            "dist/left-pad-1.3.0.tgz",
            false,
        ),
        (
            "left-pad-1.3.0.tgz",
            "pkg:npm/left-pad@1.3.0",
            "pkg:npm/left-pad@1.3.0",
            false,
        ),
        (
            "left-pad-1.3.0.tgz",
            "pkg:npm/left-pad@1.3.0",
            "pkg:npm/evil@1.0.0",
            true,
        ),
        (
            "left-pad-1.3.0.tgz",
            "pkg:npm/left-pad@1.3.0",
            "evil-1.0.0.tgz",
            true,
        ),
        (
            "left-pad-1.3.0.tgz",
            "pkg:npm/left-pad@1.3.0",
            "left-pad-1.2.0.tgz",
            true,
        ),
        (
            "left-pad-1.3.0.tgz",
            "pkg:npm/left-pad@1.3.0",
            "package.tgz",
            false,
        ),
        ("left-pad-1.3.0.tgz", "pkg:npm/left-pad@1.3.0", "_", false),
        ("b-1.0.0.tgz", "pkg:npm/%40a/b@1.0.0", "a-b-1.0.0.tgz", false),
        (
            "Idna-3.10-py3-none-any.whl",
            "pkg:pypi/idna@3.10",
            "idna-3.10-py3-none-any.whl",
            false,
        ),
        (
            "idna-3.10-py3-none-any.whl",
            "pkg:pypi/idna@3.10",
            "idna2-3.10-py3-none-any.whl",
            true,
        ),
        (
            "jq_1.6-2_amd64.deb",
            "pkg:deb/debian/jq@1:1.6-2?arch=amd64",
            "build/jq_1.6-2_amd64.deb",
            false,
        ),
        (
            "jq_1.6-2_amd64.deb",
            "pkg:deb/debian/jq@1:1.6-2?arch=amd64",
            "jq_1.5-2_amd64.deb",
            true,
        ),
        (
            "jq_1.6-2_amd64.deb",
            "pkg:deb/debian/jq@1:1.6-2?arch=amd64",
            "pkg:deb/debian/jq@1.6-2",
            false,
        ),
        (
            "jq_1.6-2_amd64.deb",
            "pkg:deb/debian/jq@1:1.6-2?arch=amd64",
            "pkg:deb/debian/jq",
            false,
        ),
        (
            "x-1.0.0.crate",
            "pkg:cargo/x@1.0.0",
            "/target/package/x-1.0.0.crate",
            false,
        ),
        ("x-1.0.0.crate", "pkg:cargo/x@1.0.0", "y-1.0.0.crate", true),
        ("y-1.0.0.crate", "pkg:cargo/x@1.0.0", "y-1.0.0.crate", true),
        ("x-1.00.tgz", "pkg:npm/x@1.0.0", "x-1.00.tgz", false),
    ] {
        let artifact = Artifact {
            name: file.into(),
            purl: Some(purl.into()),
            digests: Digests::of(b"x"),
            path: None,
        };
        assert_eq!(is_of_another(label, &artifact), another, "{file} {label}");
    }
}

#[test]
fn a_folder_in_a_list_is_told() {
    for (paths, told) in [
        (&["tool"][..], None),
        (&["dist/tool"], Some("dist/tool")),
        (&["x", "known-good/tool"], Some("known-good/tool")),
        (&["staging/tool", "tool"], None),
    ] {
        let artifact = Artifact {
            name: "tool".into(),
            purl: None,
            digests: Digests::of(b"x"),
            path: None,
        };
        let files: Vec<_> = paths
            .iter()
            .map(|path| Descriptor {
                name: Some((*path).into()),
                ..Descriptor::default()
            })
            .collect();
        let found = in_folder(&files.iter().collect::<Vec<_>>(), &artifact);
        assert_eq!(found.is_some(), told.is_some(), "{paths:?}");
        assert!(
            found.unwrap_or_default().contains(told.unwrap_or_default()),
            "{paths:?}"
        );
    }
}

#[test]
fn compares_distributions_as_the_index_does() {
    for (a, b, same) in [
        ("Foo.Bar-1.0.tar.gz", "foo_bar-1.0.tar.gz", true),
        (
            "foo_bar-1.0-py3-none-any.whl",
            "Foo_Bar-1.0-py3-none-any.whl",
            true,
        ),
        ("foo-1.0.tar.gz", "foo-1.1.tar.gz", false),
        ("foo-1.0.tar.gz", "foo-1.0.zip", false),
        ("foo", "foo-1.0.tar.gz", false),
    ] {
        assert_eq!(distribution(a) == distribution(b), same, "{a} {b}");
    }
}
