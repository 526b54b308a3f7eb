//! Pairs of compiled files, and the expected causes.

mod headers;

use super::written::{
    Code, PYTHON_3_11, Written, again, bytes, file, long_text, many, marked, number, text, tuple,
};
use crate::compare::{Cause, Comparison, Confidence, Options, Outcome, compare_bytes};

fn file_of(code: &Code) -> Vec<u8> {
    file(PYTHON_3_11, &[0, 1_700_000_000, 50], &code.written(PYTHON_3_11))
}

fn compared(released: &[u8], rebuilt: &[u8]) -> Comparison {
    compare_bytes("m.pyc", released, rebuilt, &Options::default())
}

/// The cause, confidence, key and place of the first root cause.
fn first(comparison: &Comparison) -> (Cause, Confidence, String, String) {
    let cause = &comparison.causes[0];
    (
        cause.cause,
        cause.confidence,
        cause.key.clone(),
        cause.example.place.clone(),
    )
}

fn assert_content(old: &Code, new: &Code, place: &str) {
    let (cause, _, _, found) = first(&compared(&file_of(old), &file_of(new)));
    assert_eq!((cause, found.as_str()), (Cause::Content, place));
}

#[test]
fn marks_and_forms_that_change_no_object_are_set_aside() {
    let one = text("one");
    let pairs = [
        (
            Code::with(std::slice::from_ref(&one)),
            Code::with(&[marked(one.clone())]),
        ),
        (
            Code::with(std::slice::from_ref(&one)),
            Code::with(&[long_text("one")]),
        ),
        // The index of a reference depends on which other objects are marked.
        (
            Code::with(&[one.clone(), marked(text("two")), again(0)]),
            Code::with(&[marked(one.clone()), marked(text("two")), again(1)]),
        ),
        (
            Code::with(&[number(5)]),
            Code::with(&[Written(b"l\x01\0\0\0\x05\0".to_vec())]),
        ),
    ];
    for (old, new) in pairs {
        let comparison = compared(&file_of(&old), &file_of(&new));
        assert_eq!(comparison.outcome, Outcome::Equivalent);
        assert_eq!(comparison.normalisations[0].name.name(), "pyc-references");
        assert_eq!(first(&comparison).0, Cause::Randomness);
    }
}

#[test]
fn constants_that_are_one_object_are_random_but_not_set_aside_by_default() {
    let value = bytes(b"one constant of some length");
    let old = file_of(&Code::with(&[marked(value.clone()), again(0)]));
    let new = file_of(&Code::with(&[value.clone(), value]));
    let comparison = compared(&old, &new);
    assert_eq!(comparison.outcome, Outcome::Different);
    let (cause, confidence, key, _) = first(&comparison);
    assert_eq!((cause, confidence), (Cause::Randomness, Confidence::Proven));
    assert_eq!(key, "marshal references");
    let options = Options {
        normalise: "pyc-shared-constants".parse().map_or_else(
            |_| unreachable!(),
            |known| {
                let known: crate::compare::Normalisation = known;
                crate::compare::Chosen::parse(known.name()).unwrap()
            },
        ),
        ..Options::default()
    };
    assert_eq!(
        compare_bytes("m.pyc", &old, &new, &options).outcome,
        Outcome::Equivalent
    );
}

#[test]
fn a_reference_to_another_value_is_a_change_of_content() {
    let constants = |index| [marked(text("safe")), marked(text("evil")), again(index)];
    assert_content(
        &Code::with(&constants(0)),
        &Code::with(&constants(1)),
        "<module>: constant",
    );
}

#[test]
fn values_of_other_types_are_not_equal() {
    let one_digit = |digit: u8| Written(vec![b'l', 1, 0, 0, 0, digit, 0]);
    let pairs = [
        (number(1), Written(vec![b'T'])),
        (text("a"), bytes(b"a")),
        (number(5), one_digit(6)),
        (number(5), number(-5)),
        (tuple(&[number(1)]), many(b'>', &[number(1)])),
        (
            Written([&b"g"[..], &0_f64.to_le_bytes()].concat()),
            Written([&b"g"[..], &(-0_f64).to_le_bytes()].concat()),
        ),
    ];
    for (old, new) in pairs {
        assert_content(&Code::with(&[old]), &Code::with(&[new]), "<module>: constant");
    }
}

#[test]
fn sets_of_strings_have_no_order_and_sets_of_numbers_do() {
    let set = |elements: &[Written]| file_of(&Code::with(&[many(b'>', elements)]));
    let texts = compared(&set(&[text("a"), text("b")]), &set(&[text("b"), text("a")]));
    assert_eq!(
        (texts.outcome, first(&texts).0),
        (Outcome::Different, Cause::Randomness)
    );
    let numbers = compared(&set(&[number(0), number(8)]), &set(&[number(8), number(0)]));
    assert_eq!(first(&numbers).0, Cause::Content);
    let others = compared(&set(&[text("a"), text("b")]), &set(&[text("b"), text("c")]));
    assert_eq!(first(&others).0, Cause::Content);
}

#[test]
fn shared_lists_are_content() {
    let list = many(b'[', &[]);
    let old = Code::with(&[marked(list.clone()), again(0)]);
    assert_content(
        &old,
        &Code::with(&[list.clone(), list]),
        "shared values that code can change",
    );
}

#[test]
fn what_differs_in_a_function_is_named() {
    let function = Code {
        name: "f",
        constants: vec![text("docs"), number(1)],
        ..Code::default()
    };
    let within = |function: &Code| Code::with(&[number(7), function.written(PYTHON_3_11)]);
    let table = [
        (
            "f: instructions",
            Code {
                instructions: b"\x97\0d\x01S\0",
                ..function.clone()
            },
        ),
        (
            "f: constant",
            Code {
                constants: vec![text("docs"), number(2)],
                ..function.clone()
            },
        ),
        (
            "f: constants",
            Code {
                constants: vec![text("docs")],
                ..function.clone()
            },
        ),
        (
            "f: first line",
            Code {
                first_line: 9,
                ..function.clone()
            },
        ),
        (
            "f: file name",
            Code {
                file: "n.py",
                ..function.clone()
            },
        ),
        (
            "f: name",
            Code {
                name: "g",
                ..function.clone()
            },
        ),
    ];
    for (place, changed) in table {
        assert_content(&within(&function), &within(&changed), place);
    }
}

#[test]
fn one_folder_in_place_of_another_is_a_build_path() {
    let in_folder = |outer: &'static str, inner: &'static str, constant: &str| {
        let inner = Code {
            file: inner,
            name: "f",
            ..Code::default()
        };
        Code {
            file: outer,
            ..Code::with(&[inner.written(PYTHON_3_11), text(constant)])
        }
    };
    let old = in_folder("/build/a/m.py", "/build/a/m.py", "x");
    let comparison = compared(
        &file_of(&old),
        &file_of(&in_folder("/somewhere/bb/m.py", "/somewhere/bb/m.py", "x")),
    );
    assert_eq!(comparison.causes.len(), 1);
    let (cause, confidence, key, _) = first(&comparison);
    assert_eq!((cause, confidence), (Cause::BuildPath, Confidence::Proven));
    assert_eq!(key, "/build/a → /somewhere/bb");
    // Another file, another folder in one function, or another value beside it.
    assert_content(
        &old,
        &in_folder("/somewhere/bb/n.py", "/somewhere/bb/n.py", "x"),
        "<module>: file name",
    );
    assert_content(
        &old,
        &in_folder("/somewhere/bb/m.py", "/somewhere/cc/m.py", "x"),
        "<module>: file name",
    );
    assert_content(
        &old,
        &in_folder("/somewhere/bb/m.py", "/somewhere/bb/m.py", "y"),
        "<module>: constant",
    );
}

#[test]
fn a_build_path_hides_no_other_difference() {
    let in_folder = |file: &'static str, constants: &[Written]| Code {
        file,
        ..Code::with(constants)
    };
    let list = many(b'[', &[]);
    let table = [
        (
            vec![many(b'>', &[number(0), number(8)])],
            vec![many(b'>', &[number(8), number(0)])],
            "order of the elements of sets of numbers",
        ),
        (
            vec![marked(list.clone()), again(0)],
            vec![list.clone(), list],
            "shared values that code can change",
        ),
    ];
    for (old, new, place) in table {
        assert_content(&in_folder("/a/m.py", &old), &in_folder("/b/m.py", &new), place);
    }
}

#[test]
fn hostile_files_cost_no_more_than_their_bytes() {
    // Each tuple contains the previous one twice: written out, these would be 2^60 values.
    let mut doubling = vec![marked(tuple(&[text("x")]))];
    for index in 0..60 {
        doubling.push(marked(tuple(&[again(index), again(index)])));
    }
    let mut other = doubling.clone();
    other[0] = marked(tuple(&[text("y")]));
    let (old, new) = (Code::with(&doubling), Code::with(&other));
    assert_eq!(first(&compared(&file_of(&old), &file_of(&new))).0, Cause::Content);
    let deep = |end: &str| Code::with(&[Written([b")\x01".repeat(100_000), text(end).0].concat())]);
    assert_content(&deep("a"), &deep("b"), "code that cannot be read");
    let itself = Code::with(&[marked(tuple(&[again(0)]))]);
    assert_content(&itself, &Code::default(), "code that cannot be read");
    let huge = Code::with(&[Written([&b"("[..], &i32::MAX.to_le_bytes()].concat())]);
    assert_content(&huge, &Code::default(), "code that cannot be read");
}

#[test]
fn any_changed_byte_of_code_is_seen() {
    let code = Code::with(&[
        marked(text("one")),
        number(3),
        again(0),
        many(b'>', &[text("a"), text("b")]),
    ]);
    let old = file_of(&code);
    for at in 16..old.len() {
        for bit in [1, 0x20, 0x80] {
            let mut new = old.clone();
            new[at] ^= bit;
            let comparison = compared(&old, &new);
            let (cause, _, key, place) = first(&comparison);
            let of_marks = cause == Cause::Randomness && key == "marshal references";
            assert!(
                cause == Cause::Content || of_marks,
                "byte {at:#x}, {place}: {cause} {key}"
            );
        }
    }
}
