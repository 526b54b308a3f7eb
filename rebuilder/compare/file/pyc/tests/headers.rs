//! Headers and layouts of each version of Python.

use super::super::written::{
    Code, PYTHON_2_7, PYTHON_3_6, PYTHON_3_11, Written, file, marked, none, number, text,
};
use super::{compared, first};
use crate::compare::{Cause, Outcome};

/// A magic number, the words of two headers, and the expected cause and place.
type Row = (u16, &'static [u32], &'static [u32], Cause, &'static str);

#[test]
fn headers_are_read_by_version() {
    let code = Code::default();
    let of = |magic, words: &[u32]| file(magic, words, &code.written(magic));
    let table: &[Row] = &[
        (PYTHON_2_7, &[1], &[2], Cause::Timestamp, "time of the source"),
        (
            PYTHON_3_6,
            &[1, 50],
            &[2, 50],
            Cause::Timestamp,
            "time of the source",
        ),
        (
            PYTHON_3_6,
            &[1, 50],
            &[1, 51],
            Cause::Content,
            "size of the source",
        ),
        (
            PYTHON_3_11,
            &[0, 1, 50],
            &[0, 2, 50],
            Cause::Timestamp,
            "time of the source",
        ),
        (
            PYTHON_3_11,
            &[0, 1, 50],
            &[0, 2, 51],
            Cause::Content,
            "size of the source",
        ),
        (
            PYTHON_3_11,
            &[1, 1, 50],
            &[1, 2, 50],
            Cause::Content,
            "hash of the source",
        ),
        (
            PYTHON_3_11,
            &[1, 1, 50],
            &[3, 1, 50],
            Cause::ToolVersion,
            "check for another source",
        ),
    ];
    for (magic, old, new, cause, place) in table {
        let found = first(&compared(&of(*magic, old), &of(*magic, new)));
        assert_eq!(
            (found.0, found.3.as_str()),
            (*cause, *place),
            "{magic} {old:?} {new:?}"
        );
    }
}

#[test]
fn every_version_is_read_by_its_own_layout() {
    let table: [(u16, &[u32]); 10] = [
        (PYTHON_2_7, &[1]),
        (PYTHON_3_6, &[1, 50]),
        (3394, &[0, 1, 50]),
        (3413, &[0, 1, 50]),
        (3425, &[0, 1, 50]),
        (3439, &[0, 1, 50]),
        (PYTHON_3_11, &[0, 1, 50]),
        (3531, &[0, 1, 50]),
        (3571, &[0, 1, 50]),
        (3627, &[0, 1, 50]),
    ];
    for (magic, words) in table {
        let of = |value: &Written| {
            let function = Code {
                name: "f",
                constants: vec![value.clone()],
                ..Code::default()
            };
            let module = Code::with(&[function.written(magic)]);
            file(magic, words, &module.written(magic))
        };
        let (cause, _, _, place) = first(&compared(&of(&number(1)), &of(&number(2))));
        assert_eq!(
            (cause, place.as_str()),
            (Cause::Content, "f: constant"),
            "{magic}"
        );
        let comparison = compared(&of(&number(1)), &of(&marked(number(1))));
        // Python 2 has no marks.
        let wanted = if magic == PYTHON_2_7 {
            Outcome::Different
        } else {
            Outcome::Equivalent
        };
        assert_eq!(comparison.outcome, wanted, "{magic}");
    }
    let slice = |end| Written([b":".as_slice(), &number(1).0, &number(end).0, &none().0].concat());
    let of = |end| file(3627, &[0, 1, 50], &Code::with(&[slice(end)]).written(PYTHON_3_11));
    assert_eq!(first(&compared(&of(2), &of(3))).3, "<module>: constant");
}

#[test]
fn nothing_is_hidden_behind_a_header() {
    let code = Code::default().written(PYTHON_3_11);
    let of = |words: &[u32], code: &Written| file(PYTHON_3_11, words, code);
    let old = of(&[0, 1, 50], &code);
    let with = |more: &[u8]| Written([&code.0, more].concat());
    let place = |new: &[u8]| {
        let (cause, _, _, place) = first(&compared(&old, new));
        assert_eq!(cause, Cause::Content, "{place}");
        place
    };
    assert_eq!(place(&of(&[0, 2, 50], &with(b"more"))), "bytes after the code");
    assert_eq!(
        place(&of(&[0, 2, 50], &Written(code.0[..20].to_vec()))),
        "code that cannot be read"
    );
    // Another Python does not tell what its code does.
    let other = file(
        3531,
        &[0, 1, 50],
        &Code::with(&[text("evil")]).written(PYTHON_3_11),
    );
    assert_eq!(place(&other), "code for another Python");
    // Flags that Python refuses.
    place(&of(&[8, 1, 50], &code));
}
