//! Pairs of archives of one format, and the expected findings.

use std::io::Write as _;

use crate::compare::{Cause, Comparison, Options, Outcome, compare_bytes};

fn zipped(entries: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, data) in entries {
        let written = writer.start_file(*name, options).map(|()| writer.write_all(data));
        assert!(matches!(written, Ok(Ok(()))));
    }
    writer
        .finish()
        .map(std::io::Cursor::into_inner)
        .unwrap_or_default()
}

fn tarred(entries: &[(&str, tar::EntryType, &str)], time: u64) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, kind, data) in entries {
        let mut header = tar::Header::new_ustar();
        header.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.set_mtime(time);
        if kind.is_hard_link() || kind.is_symlink() {
            header.set_size(0);
            assert!(header.set_link_name(data).is_ok());
        } else {
            header.set_size(data.len() as u64);
        }
        header.set_cksum();
        let data = if header.size().is_ok_and(|size| size > 0) {
            *data
        } else {
            ""
        };
        assert!(builder.append(&header, data.as_bytes()).is_ok());
    }
    builder.into_inner().unwrap_or_default()
}

fn compared(name: &str, released: &[u8], rebuilt: &[u8]) -> Comparison {
    compare_bytes(name, released, rebuilt, &Options::default())
}

fn told(comparison: &Comparison) -> Vec<(Cause, &str)> {
    let causes = comparison.causes.iter();
    causes
        .map(|cause| (cause.cause, cause.example.place.as_str()))
        .collect()
}

#[test]
fn the_order_of_a_tar_archive_is_set_aside_only_if_it_makes_the_same_tree() {
    use tar::EntryType::{Directory, Link, Regular, Symlink};
    let (d, x, l) = (("d", Directory, ""), ("d/x", Regular, "1"), ("l", Symlink, "d"));
    let (y, link, y_again) = (("y", Regular, "2"), ("z", Link, "y"), ("./y", Regular, "3"));
    let good = tarred(&[d, x, l, y, link], 5);
    let moved = compared("a.tar", &good, &tarred(&[y, link, l, d, x], 6));
    assert_eq!(moved.outcome, Outcome::Equivalent, "{:?}", moved.tree);
    let early = compared("a.tar", &good, &tarred(&[link, y, l, d, x], 6));
    assert_eq!(told(&early)[0], (Cause::Content, "order of members"));
    let repeated = compared("a.tar", &good, &tarred(&[d, x, l, y, link, y_again], 6));
    let place = "paths that unpackers read differently";
    assert!(
        told(&repeated).contains(&(Cause::AmbiguousArchive, place)),
        "{:?}",
        repeated.causes
    );
    let (slash, none) = (("f/", Regular, ""), ("f", Regular, ""));
    let found = compared("a.tar", &tarred(&[none], 5), &tarred(&[slash], 6));
    assert_eq!(told(&found)[0], (Cause::Content, "type"));
}

#[test]
fn members_that_are_looked_for_at_their_place() {
    use zip::CompressionMethod::{Deflated, Stored};
    let (kind, file) = (
        ("mimetype", b"application/epub+zip" as &[u8]),
        ("a", b"a" as &[u8]),
    );
    let good = zipped(&[kind, file], Stored);
    let late = compared("a.epub", &good, &zipped(&[file, kind], Stored));
    assert_eq!(told(&late)[0], (Cause::Content, "place of mimetype"));
    let packed = compared("a.epub", &good, &zipped(&[kind, file], Deflated));
    assert_eq!(
        told(&packed)[0],
        (Cause::Content, "compression"),
        "{:?}",
        packed.tree
    );
    let manifest = ("META-INF/MANIFEST.MF", b"x" as &[u8]);
    let good = zipped(&[manifest, file], Stored);
    let late = compared("a.jar", &good, &zipped(&[file, manifest], Stored));
    assert_eq!(told(&late)[0], (Cause::Content, "place of META-INF/MANIFEST.MF"));
}

#[test]
fn a_damaged_member_is_told_and_the_others_are_compared() {
    let entries = |last| [("a", b"one" as &[u8]), ("b", b"two"), ("c", last)];
    let good = zipped(&entries(b"three"), zip::CompressionMethod::Stored);
    let mut damaged = zipped(&entries(b"four!"), zip::CompressionMethod::Stored);
    let at = damaged
        .windows(3)
        .position(|bytes| bytes == b"two")
        .unwrap_or_default();
    damaged[at] ^= 1;
    let found = compared("a.zip", &good, &damaged);
    let text = format!("{:?}", found.tree);
    assert!(text.contains("b: 3 bytes with CRC-32"), "{text}");
    assert!(text.contains(r#"name: "c""#), "{text}");
}
