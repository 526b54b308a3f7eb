#![no_main]

mod run;

libfuzzer_sys::fuzz_target!(|data: &[u8]| run::run("x.pyc", b"\xa7\x0d\x0d\x0a", data));
