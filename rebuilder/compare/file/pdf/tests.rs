//! Small PDF files, and the expected causes of their differences.

use super::super::writers::{packed_pdf, pdf};
use crate::compare::cause::Cause;
use crate::compare::{Options, compare_bytes};

const INFO: &str = "<</Producer(GPL Ghostscript 10.00.0)/CreationDate(D:20240131123000Z)/Title(Good)>>";
const PAGE: &str = "BT (pay 10 to Ann, D:20240131123000Z) Tj ET";
const ID: &str = "650E6C3F169DA4C15D3B12C9917EACF1";

fn causes(released: &[u8], rebuilt: &[u8]) -> Vec<(Cause, String)> {
    let found = compare_bytes("x.pdf", released, rebuilt, &Options::default());
    let causes = found.causes.iter();
    causes
        .map(|cause| (cause.cause, cause.example.place.clone()))
        .collect()
}

#[test]
fn fields_have_their_causes_and_all_else_is_content() {
    let xmp = |date: &str| format!("<x xmp:CreateDate='{date}'/>");
    let base = pdf(INFO, PAGE, &xmp("2024-01-31T12:30:00Z"), ID);
    let with = |info: &str, page: &str, date: &str, id: &str| pdf(info, page, &xmp(date), id);
    let same = "2024-01-31T12:30:00Z";
    let table = [
        (
            with(&INFO.replace("0131", "0201"), PAGE, same, ID),
            Cause::Timestamp,
            "/CreationDate",
        ),
        (
            with(INFO, PAGE, "2024-02-01T01:01:01.5Z", ID),
            Cause::Timestamp,
            "metadata, xmp:CreateDate",
        ),
        (
            with(&INFO.replace("10.00.0", "9.56.1"), PAGE, same, ID),
            Cause::ToolVersion,
            "/Producer",
        ),
        (
            with(INFO, PAGE, same, "D1B72C252F99DE58E2A699EF333BE034"),
            Cause::Randomness,
            "trailer, /ID",
        ),
        (
            with(INFO, PAGE, same, &ID.replace("650E", "650F")),
            Cause::Content,
            "trailer, /ID",
        ),
        (
            with(&INFO.replace("Good", "Evil"), PAGE, same, ID),
            Cause::Content,
            "object 2, from ",
        ),
        (
            with(INFO, &PAGE.replace("0131", "0201"), same, ID),
            Cause::Content,
            "object 3, from ",
        ),
        (
            with(INFO, &PAGE.replace("pay 10", "pay 1000"), same, ID),
            Cause::Content,
            "from object 3, from ",
        ),
        (with(INFO, PAGE, "2024-13-45T1x", ID), Cause::Content, "fields"),
    ];
    for (rebuilt, cause, place) in table {
        let found = causes(&base, &rebuilt);
        assert_eq!(found[0].0, cause, "{place} {found:?}");
        assert!(found[0].1.starts_with(place), "{place} {found:?}");
    }
}

#[test]
fn an_offset_that_points_elsewhere_is_content() {
    let base = pdf(INFO, PAGE, "", ID);
    let at = base.windows(9).rposition(|text| text == b" 00000 n ").unwrap() - 1;
    let mut lie = base.clone();
    lie[at] ^= 1;
    assert_eq!(causes(&base, &lie)[0].0, Cause::Content);
    assert_eq!(causes(&base, &[&base[..], b"evil"].concat())[0].0, Cause::Content);
}

#[test]
fn compressed_objects_are_compared_as_what_they_unpack_to() {
    const CATALOG: &str = "<</Type/Catalog/Lang(en)>>";
    const OTHER_ID: &str = "D1B72C252F99DE58E2A699EF333BE034";
    let later = INFO.replace("0131", "0201");
    let longer = INFO.replace("0131123000Z", "0131123000+01'00'");
    let (evil, evil_info) = (CATALOG.replace("en", "de"), INFO.replace("Good", "Evil"));
    let base = packed_pdf(INFO, CATALOG, ID, 9, 0);
    let table: [(&str, Vec<u8>, Cause, &str); 8] = [
        (
            "date",
            packed_pdf(&later, CATALOG, ID, 9, 0),
            Cause::Timestamp,
            "/CreationDate",
        ),
        (
            "longer",
            packed_pdf(&longer, CATALOG, ID, 9, 0),
            Cause::Timestamp,
            "/CreationDate",
        ),
        (
            "identifier",
            packed_pdf(INFO, CATALOG, OTHER_ID, 9, 0),
            Cause::Randomness,
            "trailer, /ID",
        ),
        (
            "level",
            packed_pdf(INFO, CATALOG, ID, 0, 0),
            Cause::Compression,
            "objects in the stream of object 3",
        ),
        (
            "language",
            packed_pdf(INFO, &evil, ID, 9, 0),
            Cause::Content,
            "object 1, in the stream of object 3",
        ),
        (
            "title and date",
            packed_pdf(&evil_info.replace("0131", "0201"), CATALOG, ID, 9, 0),
            Cause::Content,
            "object 2, in the stream of object 3",
        ),
        (
            "date elsewhere",
            packed_pdf(INFO, "<</Type/Catalog/Lang(D:20240131123000Z)>>", ID, 9, 0),
            Cause::Content,
            "from object 1, in the stream of object 3",
        ),
        (
            "offset",
            packed_pdf(INFO, CATALOG, ID, 9, 1),
            Cause::Content,
            "fields",
        ),
    ];
    for (what, rebuilt, cause, place) in table {
        let found = causes(&base, &rebuilt);
        assert_eq!(found[0].0, cause, "{what} {found:?}");
        assert!(found[0].1.starts_with(place), "{what} {found:?}");
        assert!(cause == Cause::Content || found.len() == 1, "{what} {found:?}");
    }
}
