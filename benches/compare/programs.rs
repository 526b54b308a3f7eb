//! Pairs that real tools make: programs, documents and fonts. A pair whose tool is missing is left out.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use super::{have, shell};

/// The assembler of dex files.
const SMALI: &str = "/usr/share/java/smali.jar";

/// The name of a pair, the tools that it takes, and what makes one side of it.
type Made = (&'static str, &'static [&'static str], fn(&Path));

/// Makes every pair that the machine has the tools for, unless it is there.
pub(super) fn generate(folder: &Path) {
    let pairs: [Made; 5] = [
        ("go", &["go"], go),
        ("wasm", &["clang", "wasm-ld"], wasm),
        ("dex", &["java", SMALI], dex),
        ("pdf", &["gs", "qpdf"], pdf),
        ("font", &["/usr/bin/python3", "fonttools"], font),
    ];
    for (name, tools, make) in pairs {
        let whole = folder.join(format!("{name}-made"));
        if whole.exists() || !tools.iter().all(|tool| have(tool)) {
            continue;
        }
        for side in ["a", "b"] {
            let place = folder.join(format!("{name}-{side}"));
            fs::create_dir_all(&place).unwrap();
            make(&place);
        }
        fs::write(whole, "").unwrap();
    }
}

/// Whether this is the side that differs.
fn second(place: &Path) -> bool {
    place.to_string_lossy().ends_with("-b")
}

/// A server with what Go's library has for it, built where it lies.
fn go(place: &Path) {
    let source = "package main\n\nimport (\n\t\"fmt\"\n\t\"net/http\"\n)\n\nfunc main() {\n\tfmt.Println(http.ListenAndServe(\":0\", nil))\n}\n";
    fs::write(place.join("main.go"), source).unwrap();
    fs::write(place.join("go.mod"), "module example.org/x\n\ngo 1.18\n").unwrap();
    shell(&format!(
        "cd {0} && HOME={0} GOFLAGS=-mod=mod CGO_ENABLED=0 go build -o x . && chmod -R u+w {0} && rm -rf {0}/.cache {0}/go",
        place.display()
    ));
}

/// Four thousand functions, one of which adds something else.
fn wasm(place: &Path) {
    let mut source = String::new();
    for number in 0..4000 {
        let added = number * 7 + i32::from(second(place) && number == 2345);
        let _ = writeln!(
            source,
            "int f{number}(int *p, int n) {{ int s = {added}; for (int i = 0; i < n; i++) s += p[i] * s + {number}; return s; }}"
        );
    }
    fs::write(place.join("x.c"), source).unwrap();
    shell(&format!(
        "cd {} && clang --target=wasm32 -O1 -g -c x.c && wasm-ld --no-entry --export-all -o x.wasm x.o",
        place.display()
    ));
}

/// Forty classes, in one of which a method answers something else.
fn dex(place: &Path) {
    for class in 0..40 {
        let mut source = format!(".class public LC{class};\n.super Ljava/lang/Object;\n");
        for method in 0..100 {
            let answer = class * method + i32::from(second(place) && class == 23 && method == 45);
            let _ = writeln!(
                source,
                ".method public static m{method}(I)I\n.registers 2\nconst v0, {answer}\nmul-int v0, v0, p0\n\
                 return v0\n.end method"
            );
        }
        fs::write(place.join(format!("C{class}.smali")), source).unwrap();
    }
    shell(&format!(
        "cd {} && java -jar {SMALI} assemble C*.smali -o classes.dex",
        place.display()
    ));
}

/// Three hundred pages of text, with the day on which each side was made.
fn pdf(place: &Path) {
    let day = if second(place) {
        "20261126071201"
    } else {
        "20261125033945"
    };
    let mut source = String::from("%!PS\n/Helvetica findfont 11 scalefont setfont\n");
    for page in 0..300 {
        for line in 0..60 {
            let _ = writeln!(
                source,
                "72 {} moveto (line {line} of page {page}: the quick brown fox) show",
                760 - line * 12
            );
        }
        source.push_str("showpage\n");
    }
    let _ = writeln!(source, "[ /CreationDate (D:{day}Z) /DOCINFO pdfmark");
    fs::write(place.join("x.ps"), source).unwrap();
    shell(&format!(
        "cd {} && gs -q -dNOPAUSE -dBATCH -sDEVICE=pdfwrite -sOutputFile=x.pdf x.ps",
        place.display()
    ));
}

/// A font of the machine, saved again on another day.
fn font(place: &Path) {
    let day = 3_800_000_000_u64 + u64::from(second(place)) * 86_400;
    let program = "import sys; from fontTools.ttLib import TTFont; f = TTFont(sys.argv[1], recalcTimestamp=False); \
                   f['head'].modified = int(sys.argv[2]); f.save(sys.argv[3])";
    shell(&format!(
        "/usr/bin/python3 -c \"{program}\" $(find /usr/share/fonts -name '*.ttf' -size +300k | sort | head -n1) {day} {}/x.ttf",
        place.display()
    ));
}
