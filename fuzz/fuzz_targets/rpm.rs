#![no_main]

mod run;

libfuzzer_sys::fuzz_target!(|data: &[u8]| run::run("x.rpm", b"\xed\xab\xee\xdb", data));
