#![no_main]

mod run;

libfuzzer_sys::fuzz_target!(|data: &[u8]| run::run("x.xz", b"\xfd7zXZ\0", data));
