//! What is hidden stays visible in every output.
#![allow(clippy::unwrap_used)]

use askama::filters::Escaper as _;
use proptest::prelude::*;

use super::screen::PART_LIMIT;
use super::*;

/// Members of every kind that must not be seen raw.
const HOSTILE: &[char] = &[
    '\0',
    '\u{7}',
    '\u{8}',
    '\t',
    '\n',
    '\u{b}',
    '\r',
    '\u{1b}',
    '\u{1f}',
    '\u{7f}',
    '\u{80}',
    '\u{85}',
    '\u{90}',
    '\u{9b}',
    '\u{9d}',
    '\u{9f}',
    '\u{a0}',
    '\u{ad}',
    '\u{34f}',
    '\u{61c}',
    '\u{115f}',
    '\u{1160}',
    '\u{1680}',
    '\u{17b4}',
    '\u{17b5}',
    '\u{180b}',
    '\u{180c}',
    '\u{180d}',
    '\u{180e}',
    '\u{180f}',
    '\u{2000}',
    '\u{200a}',
    '\u{200b}',
    '\u{200c}',
    '\u{200d}',
    '\u{200e}',
    '\u{200f}',
    '\u{2028}',
    '\u{2029}',
    '\u{202a}',
    '\u{202b}',
    '\u{202c}',
    '\u{202d}',
    '\u{202e}',
    '\u{202f}',
    '\u{205f}',
    '\u{2060}',
    '\u{2061}',
    '\u{2062}',
    '\u{2063}',
    '\u{2064}',
    '\u{2065}',
    '\u{2066}',
    '\u{2067}',
    '\u{2068}',
    '\u{2069}',
    '\u{206a}',
    '\u{206f}',
    '\u{2800}',
    '\u{3000}',
    '\u{3164}',
    '\u{e000}',
    '\u{f8ff}',
    '\u{fdd0}',
    '\u{fdef}',
    '\u{fe00}',
    '\u{fe0f}',
    '\u{feff}',
    '\u{ffa0}',
    '\u{fff0}',
    '\u{fff9}',
    '\u{fffa}',
    '\u{fffb}',
    '\u{fffe}',
    '\u{ffff}',
    '\u{13430}',
    '\u{16fe4}',
    '\u{1bca0}',
    '\u{1d159}',
    '\u{1d173}',
    '\u{1d17a}',
    '\u{1fffe}',
    '\u{e0000}',
    '\u{e0001}',
    '\u{e0020}',
    '\u{e007f}',
    '\u{e0100}',
    '\u{e01ef}',
    '\u{e0fff}',
    '\u{f0000}',
    '\u{ffffd}',
    '\u{10fffd}',
    '\u{10ffff}',
];

fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<char>().prop_map(String::from),
        proptest::sample::select(HOSTILE).prop_map(String::from),
        "[ -~]{0,6}",
        "\u{1b}\\[[0-9;]{0,4}[A-Za-z]",
        "[a\u{300}-\u{340}]{0,9}",
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Said without the table of the module: what of `text` a person would not see, or would see the effect of.
fn raw(text: &str) -> Vec<char> {
    let hidden = |c: char| {
        c.is_control()
            || (c.is_whitespace() && c != ' ')
            || (HOSTILE.contains(&c))
            || matches!(u32::from(c), 0x200b..=0x200f | 0x2028..=0x202f | 0x2060..=0x206f | 0xe000..=0xf8ff
                | 0xfe00..=0xfe0f | 0xfff0..=0xfffb | 0xfdd0..=0xfdef | 0xe0000..=0x10_ffff)
            || u32::from(c) & 0xfffe == 0xfffe
    };
    text.chars().filter(|c| hidden(*c)).collect()
}

#[test]
fn every_hidden_character_is_written_out() {
    for c in HOSTILE {
        let text = format!("a{c}b");
        assert_eq!(visible(&text), format!("a<U+{:04X}>b", u32::from(*c)));
    }
}

#[test]
fn what_people_write_stays_as_it_is() {
    for text in [
        "",
        "libc6_2.36-9+deb12u10_amd64.deb",
        "Größe → ½ × 3 … “quoted” ✓",
        "Ελληνικά, Русский, עברית, العربية, हिन्दी, ไทย, 日本語、한국어, Tiếng Việt",
        "e\u{301} and Z\u{338}",
        "🦀 🎉",
    ] {
        assert_eq!(visible(text), text);
    }
}

#[test]
fn marks_stand_on_nothing_of_ours_and_do_not_pile_up() {
    assert_eq!(visible("\u{338}= same"), "<U+0338>= same");
    let pile = format!("a{}", "\u{301}".repeat(40));
    assert_eq!(visible(&pile), format!("a{}", "<U+0301>".repeat(40)));
}

#[test]
fn a_part_of_a_line_cannot_end_it_or_colour_others() {
    let mut screen = Screen::new(true);
    screen.line([
        Style::Bad.of("mismatch"),
        plain("  x\x1b[0m\nreproduced\r\x1b[2K"),
    ]);
    assert_eq!(
        screen.as_str(),
        "\x1b[1;31mmismatch\x1b[0m  x<U+001B>[0m<U+000A>reproduced<U+000D><U+001B>[2K\n"
    );
    let mut screen = Screen::new(false);
    screen.paragraph(&plain("error:"), "no such thing\nhelp: run this\u{202e}\n");
    assert_eq!(
        screen.as_str(),
        "error: no such thing\n    help: run this<U+202E>\n"
    );
}

#[test]
fn a_long_text_does_not_push_the_rest_away() {
    let mut screen = Screen::new(false);
    screen.say("é".repeat(PART_LIMIT));
    screen.say("é".repeat(PART_LIMIT + 7));
    let lines: Vec<_> = screen.as_str().lines().collect();
    assert_eq!(lines[0], "é".repeat(PART_LIMIT));
    assert_eq!(lines[1], lines[0].to_owned() + "… and 7 more characters");
}

#[test]
fn columns_are_as_wide_as_they_say() {
    assert_eq!(column("ab", 4), "ab  ");
    assert_eq!(column("日本", 5), "日本 ");
    assert_eq!(column("日本語", 5), "日本…");
    assert_eq!(column("a\u{202e}bcdefg", 6), "a<U+2…");
    assert_eq!(column("", 3), "   ");
}

#[test]
fn code_in_markdown_is_only_code() {
    for (text, wanted) in [
        ("a", "`a`"),
        ("a`b", "``a`b``"),
        ("`", "`` ` ``"),
        ("``x", "``` ``x ```"),
        (" x ", "`  x  `"),
        ("", "(blank, 0 characters)"),
        ("  ", "(blank, 2 characters)"),
        ("a\n\n# b", "`a<U+000A><U+000A># b`"),
    ] {
        assert_eq!(code(text), wanted);
    }
    assert_eq!(code_cell("a|b\\|"), "`a<U+007C>b\\<U+007C>`");
    assert_eq!(
        prose_cell("3 inputs, each with a digest"),
        "3 inputs, each with a digest"
    );
    for text in [
        "@all",
        "see www.e.com",
        "<b>x</b>",
        "a|b",
        "#1",
        "GH-1",
        "x\ny",
        "*x*",
    ] {
        assert!(prose_cell(text).starts_with('`'), "{text}");
    }
    assert_eq!(
        code_block("diff", ["-\tx", "+```"]),
        "````diff\n-\tx\n+```\n````\n"
    );
}

#[test]
fn json_has_the_data_and_shows_nothing() {
    let value =
        serde_json::json!({"\u{202e}k": ["\u{9b}31m", "\u{7f}", "\u{e0041}", "\\\u{200b}", "\t\n\"é"]});
    assert_eq!(
        json(&value),
        r#"{"\u202ek":["\u009b31m","\u007f","\udb40\udc41","\\\u200b","\t\n\"é"]}"#
    );
    assert_eq!(json_pretty(&["\u{202e}"]), "[\n  \"\\u202e\"\n]");
}

#[test]
fn sarif_has_no_links() {
    assert_eq!(sarif_message("[x](https://e)\\"), "\\[x\\](https://e)\\\\");
}

#[test]
fn logs_are_copied_with_every_byte() {
    let copy = |bytes: &[u8]| {
        let mut out = Vec::new();
        copy_visible(bytes, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    assert_eq!(copy(b"a\tb\n\x1b[2Jc\xff\xc3"), "a\tb\n<U+001B>[2Jc<FF><C3>");
    // Characters that lie across two reads.
    let long = format!("{}é{}🦀", "x".repeat((1 << 16) - 1), "y".repeat((1 << 16) - 4));
    assert_eq!(copy(long.as_bytes()), long);
}

proptest! {
    #[test]
    fn nothing_hidden_comes_through(text in hostile()) {
        prop_assert_eq!(raw(&visible(&text)), Vec::<char>::new());
        let lines = raw(&visible_lines(&text));
        prop_assert!(lines.iter().all(|c| matches!(c, '\n' | '\t')), "{:?}", lines);
        prop_assert_eq!(raw(&code(&text)), Vec::<char>::new());
        prop_assert_eq!(raw(&column(&text, 12)), Vec::<char>::new());
        let mut html = String::new();
        Html.write_escaped_str(&mut html, &text).unwrap();
        prop_assert_eq!(raw(&html), Vec::<char>::new());
        prop_assert!(!html.contains(['<', '>', '"', '\'']));
    }

    #[test]
    fn what_is_visible_stays_visible(text in hostile()) {
        let once = visible(&text).into_owned();
        prop_assert_eq!(&visible(&once), &once);
    }

    #[test]
    fn nothing_is_dropped(text in hostile()) {
        // Reading the written form as the character gives the text back, if the text held no such form.
        prop_assume!(!text.contains("<U+"));
        let form = Regex::new("<U\\+([0-9A-F]{4,6})>").unwrap();
        let shown = visible(&text).into_owned();
        let back = form.replace_all(&shown, |found: &regex::Captures<'_>| {
            u32::from_str_radix(&found[1], 16).ok().and_then(char::from_u32).map(String::from).unwrap_or_default()
        });
        prop_assert_eq!(back, text);
    }

    #[test]
    fn json_reads_back_the_same(text in hostile()) {
        let written = json(&text);
        prop_assert_eq!(raw(&written), Vec::<char>::new());
        prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
    }

    #[test]
    fn columns_never_grow(text in hostile(), width in 1_usize..40) {
        prop_assert_eq!(unicode_width::UnicodeWidthStr::width(column(&text, width).as_str()), width);
    }

    #[test]
    fn lines_stay_lines(text in hostile()) {
        let mut screen = Screen::new(true);
        screen.line([Style::Dim.of(&text), plain(&text)]);
        prop_assert_eq!(screen.as_str().matches('\n').count(), 1);
        prop_assert_eq!(screen.as_str().matches('\u{1b}').count(), 2);
    }
}

#[test]
fn takes_credentials_out_of_any_text() {
    for (text, expected) in [
        ("a https://me:pw@h/x b", "a https://***@h/x b"),
        ("git+ssh://git@h/x", "git+ssh://***@h/x"),
        ("https://a:p@ss@h/x, http://u@h", "https://***@h/x, http://***@h"),
        ("https://h/@scope/x", "https://h/@scope/x"),
        ("plain", "plain"),
    ] {
        assert_eq!(redacted(text), expected);
    }
}
