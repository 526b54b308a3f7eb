//! Classes built in the test, with the constants in an order that the test chooses.

use crate::compare::{Cause, Comparison, Options, compare_bytes};

/// A class with one method of this code, and debug information.
#[derive(Clone)]
struct Sample {
    major: u16,
    /// Places of the constants, the first of which has number 1.
    order: Vec<usize>,
    text: &'static str,
    code: fn(&dyn Fn(usize) -> u16) -> Vec<u8>,
    line: u16,
    unused: Option<&'static str>,
    flags: u16,
}

/// Numbers of constants in [`Sample::constants`].
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
