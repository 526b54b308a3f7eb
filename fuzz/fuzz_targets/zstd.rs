#![no_main]

mod run;

libfuzzer_sys::fuzz_target!(|data: &[u8]| run::run("x.zst", b"\x28\xb5\x2f\xfd", data));
