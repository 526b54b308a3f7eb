//! The comparison beside the tools that it must not be slower than: `cargo bench --bench compare`.
//!
//! Pairs are generated below the target folder, once. Each is compared by `rebuilder compare`, read by the
//! reference tools (decompress and hash both files at the same time, one core each; for the identical pair
//! `sha256sum` of both), and compared by `diffoscope` where it is installed. All in one run, as ratios.
//! Go programs, WebAssembly, dex, PDF and fonts are made with `golang-go`, `clang` and `lld`, `libsmali-java` and a
//! Java runtime, `ghostscript` and `qpdf`, and `fonttools`, where they are installed.
#![allow(clippy::unwrap_used)]

mod programs;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const BIN: &str = env!("CARGO_BIN_EXE_rebuilder");
/// Seconds that diffoscope gets for one pair.
const PATIENCE: &str = "900";

struct Pair {
    name: &'static str,
    files: [&'static str; 2],
    /// Decompresses and hashes `$F`.
    reference: &'static str,
    /// Expected exit code.
    code: i32,
}

const PAIRS: [Pair; 10] = [
    Pair {
        name: "50 MB tar.gz, 2,000 files, other times",
        files: ["times-a.tar.gz", "times-b.tar.gz"],
        reference: "gzip -dc $F | sha256sum",
        code: 1,
    },
    Pair {
        name: "two .debs, one timestamp",
        files: ["stamp-a.deb", "stamp-b.deb"],
        reference: "ar p $F control.tar.xz | xz -dc | sha256sum; ar p $F data.tar.xz | xz -dc | sha256sum",
        code: 1,
    },
    Pair {
        name: "20 MB ELFs, other build paths",
        files: ["elf-a/x", "elf-b/x"],
        reference: "sha256sum $F",
        code: 1,
    },
    Pair {
        name: "identical 200 MB archives",
        files: ["same-a.tar.gz", "same-b.tar.gz"],
        reference: "",
        code: 0,
    },
    Pair {
        name: "1 GB tar.zst, one byte",
        files: ["byte-a.tar.zst", "byte-b.tar.zst"],
        reference: "zstd -dcq $F | sha256sum",
        code: 1,
    },
    Pair {
        name: "Go programs, other folders",
        files: ["go-a/x", "go-b/x"],
        // Their debug sections are compressed.
        reference: "objcopy --decompress-debug-sections $F $F.unpacked && sha256sum $F.unpacked",
        code: 1,
    },
    Pair {
        name: "WebAssembly, another function",
        files: ["wasm-a/x.wasm", "wasm-b/x.wasm"],
        reference: "sha256sum $F",
        code: 1,
    },
    Pair {
        name: "dex, another method",
        files: ["dex-a/classes.dex", "dex-b/classes.dex"],
        reference: "sha256sum $F",
        code: 1,
    },
    Pair {
        name: "PDF, another day",
        files: ["pdf-a/x.pdf", "pdf-b/x.pdf"],
        // Its streams are compressed.
        reference: "qpdf --stream-data=uncompress $F - | sha256sum",
        code: 1,
    },
    Pair {
        name: "fonts, another day",
        files: ["font-a/x.ttf", "font-b/x.ttf"],
        reference: "sha256sum $F",
        code: 1,
    },
];

fn main() {
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-compare");
    fs::create_dir_all(&folder).unwrap();
    generate(&folder);
    programs::generate(&folder);
    let with_diffoscope = Command::new("diffoscope").arg("--version").output().is_ok();
    println!(
        "{:<40} {:>9} {:>9} {:>6} {:>11} {:>7} {:>8}",
        "", "ours", "reference", "ratio", "diffoscope", "faster", "peak MB"
    );
    let mut faster = Vec::new();
    for pair in &PAIRS {
        let files = pair.files.map(|file| folder.join(file));
        if !files.iter().all(|file| file.exists()) {
            println!("{:<40} left out: the tools that make it are missing", pair.name);
            continue;
        }
        // Into the page cache, for all of them alike.
        shell(&format!(
            "cat {} {} > /dev/null",
            files[0].display(),
            files[1].display()
        ));
        let mut peak = 0;
        let ours = median(5, || {
            let (took, memory, code) = ours(&files);
            assert_eq!(code, pair.code, "{}", pair.name);
            peak = peak.max(memory);
            took
        });
        let reference = median(5, || reference(pair, &files));
        let diffoscope = with_diffoscope.then(|| {
            let begun = Instant::now();
            Command::new("timeout")
                .args([PATIENCE, "diffoscope", "--text", "/dev/null"])
                .args(&files)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .unwrap();
            begun.elapsed()
        });
        let mut line = format!(
            "{:<40} {:>6} ms {:>6} ms {:>6.2}",
            pair.name,
            ours.as_millis(),
            reference.as_millis(),
            ours.as_secs_f64() / reference.as_secs_f64()
        );
        if let Some(diffoscope) = diffoscope {
            let times = diffoscope.as_secs_f64() / ours.as_secs_f64();
            if pair.code == 1 {
                faster.push(times);
            }
            let _ = write!(line, " {:>8} ms {times:>6.0}×", diffoscope.as_millis());
        } else {
            line.push_str("    (none here)    ");
        }
        println!("{line} {:>8}", peak / 1024);
    }
    faster.sort_by(f64::total_cmp);
    if !faster.is_empty() {
        let middle = f64::midpoint(faster[(faster.len() - 1) / 2], faster[faster.len() / 2]);
        println!(
            "differing pairs: {:.1} times faster than diffoscope at least, {middle:.1} times in the median",
            faster[0]
        );
    }
}

/// Time, peak memory in kB, and exit code of one comparison.
fn ours(files: &[PathBuf; 2]) -> (Duration, u64, i32) {
    let begun = Instant::now();
    let mut child = Command::new(BIN)
        .args(["--quiet", "compare"])
        .args(files)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let watch = std::thread::spawn(move || {
        // VmHWM only grows, so the last reading before the end is the peak.
        let mut peak = 0;
        while let Ok(text) = fs::read_to_string(&status) {
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let Some(line) = line else { break };
            peak = line.trim().trim_end_matches(" kB").parse().unwrap_or(peak);
            std::thread::sleep(Duration::from_millis(1));
        }
        peak
    });
    let code = child.wait().unwrap().code().unwrap();
    let took = begun.elapsed();
    (took, watch.join().unwrap(), code)
}

/// Both files at the same time, one core each; the identical pair one after the other.
fn reference(pair: &Pair, files: &[PathBuf; 2]) -> Duration {
    let begun = Instant::now();
    if pair.reference.is_empty() {
        shell(&format!(
            "sha256sum {} {} > /dev/null",
            files[0].display(),
            files[1].display()
        ));
    } else {
        let one = |core: u32, file: &Path| {
            let command = pair.reference.replace("$F", &file.display().to_string());
            format!("taskset -c {core} sh -c '{command}' > /dev/null")
        };
        shell(&format!("{} & {} ; wait", one(0, &files[0]), one(1, &files[1])));
    }
    begun.elapsed()
}

fn median(times: usize, mut once: impl FnMut() -> Duration) -> Duration {
    let mut taken: Vec<_> = (0..times).map(|_| once()).collect();
    taken.sort();
    taken[times / 2]
}

/// Whether a command is on the path, or a file is there.
fn have(command: &str) -> bool {
    if command.contains('/') {
        return Path::new(command).exists();
    }
    let found = Command::new("sh")
        .args(["-c", "command -v \"$0\" >/dev/null", command])
        .status();
    found.is_ok_and(|status| status.success())
}

fn shell(command: &str) {
    let status = Command::new("sh").arg("-c").arg(command).status().unwrap();
    assert!(status.success(), "{command}");
}

/// Numbers that look random and are the same in each run (xorshift).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Half words, half noise: compresses like a mixed archive.
    fn fill(&mut self, size: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(size + 16);
        while bytes.len() < size {
            if self.next().is_multiple_of(2) {
                bytes.extend_from_slice(&self.next().to_le_bytes());
            } else {
                let _ = write!(bytes, "word{} ", self.next() % 512);
            }
        }
        bytes.truncate(size);
        bytes
    }
}

fn generate(folder: &Path) {
    let path = |name: &str| folder.join(name);
    let cd = format!("cd {} && ", folder.display());
    let made = |name: &str| path(name).exists();
    let mut numbers = Numbers(42);
    if !made("times-b.tar.gz") {
        fs::create_dir_all(path("p")).unwrap();
        for file in 0..2000 {
            fs::write(path(&format!("p/f{file:04}")), numbers.fill(34_000 + file * 3)).unwrap();
        }
        for (side, time) in [("a", 1_700_000_000), ("b", 1_700_086_400)] {
            shell(&format!(
                "{cd} tar --mtime=@{time} --owner=0 --group=0 --sort=name -cf - p | gzip -n > times-{side}.tar.gz"
            ));
        }
        fs::remove_dir_all(path("p")).unwrap();
    }
    if !made("stamp-b.deb") {
        fs::create_dir_all(path("d/DEBIAN")).unwrap();
        fs::create_dir_all(path("d/usr/share/p")).unwrap();
        let control = "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: A <a@b.c>\nDescription: p\n";
        fs::write(path("d/DEBIAN/control"), control).unwrap();
        // As large as most packages are.
        for file in 0..30 {
            fs::write(path(&format!("d/usr/share/p/f{file:02}")), numbers.fill(5_000)).unwrap();
        }
        for (side, date) in [("a", "2026-11-25 03:39:45"), ("b", "2026-11-26 07:12:01")] {
            fs::write(path("d/usr/share/p/built"), format!("built on {date}\n")).unwrap();
            shell(&format!(
                "{cd} SOURCE_DATE_EPOCH=1700000000 dpkg-deb -Zxz --root-owner-group -b d stamp-{side}.deb > /dev/null"
            ));
        }
        fs::remove_dir_all(path("d")).unwrap();
    }
    if !made("elf-b/x") {
        for side in ["a", "b"] {
            fs::create_dir_all(path(&format!("elf-{side}"))).unwrap();
            for file in 0..33 {
                let mut source = String::from("#include <stdio.h>\n#include <assert.h>\n");
                for function in file * 1000..file * 1000 + 1000 {
                    let size = function % 7 + 1;
                    let _ = writeln!(
                        source,
                        "struct s{function} {{ int a, b; long c[{size}]; }};\nint f{function}(struct s{function} *p, int n) {{ assert(n != {function}); for (int i = 0; i < n; i++) p->c[i % {size}] += p->a * i + n; return p->b + printf(\"%d {function}\\n\", n); }}"
                    );
                }
                if file == 0 {
                    source.push_str("int main(void) { return 0; }\n");
                }
                fs::write(path(&format!("elf-{side}/x{file:02}.c")), source).unwrap();
            }
            shell(&format!(
                "cd {}/elf-{side} && ls *.c | xargs -P2 -n1 gcc -g -O0 -c && gcc -o x *.o && rm *.o",
                folder.display()
            ));
        }
    }
    if !made("same-b.tar.gz") {
        let mut file = BufWriter::new(File::create(path("same.bin")).unwrap());
        for _ in 0..280 {
            file.write_all(&numbers.fill(1 << 20)).unwrap();
        }
        file.flush().unwrap();
        shell(&format!(
            "{cd} tar -cf - same.bin | gzip -n -1 > same-a.tar.gz && cp same-a.tar.gz same-b.tar.gz && rm same.bin"
        ));
    }
    if !made("byte-b.tar.zst") {
        fs::create_dir_all(path("z")).unwrap();
        for file in 0..100 {
            let mut out = BufWriter::new(File::create(path(&format!("z/f{file:02}"))).unwrap());
            for _ in 0..15 {
                out.write_all(&numbers.fill(1 << 20)).unwrap();
            }
            out.flush().unwrap();
        }
        let tar = |side: &str| {
            shell(&format!(
                "{cd} tar --mtime=@1700000000 --sort=name -cf - z | zstd -q -1 -T2 -o byte-{side}.tar.zst"
            ));
        };
        tar("a");
        let changed = path("z/f57");
        let mut bytes = fs::read(&changed).unwrap();
        bytes[7_654_321] ^= 1;
        fs::write(&changed, bytes).unwrap();
        tar("b");
        fs::remove_dir_all(path("z")).unwrap();
    }
}
