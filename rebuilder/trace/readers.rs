//! Readers of the events of a build.

use super::Writers;
use crate::reader::Reader;

/// Entry points for fuzzing.
pub const READERS: &[Reader] = &[("trace", |bytes| {
    let Ok(writers) = Writers::read(bytes) else {
        return;
    };
    writers
        .that_ran(&["sh"])
        .for_each(|hand| drop(writers.peers(hand)));
    for path in writers.files.keys() {
        writers.slice(path);
        writers.member(path, "x");
        for step in writers.whence(path) {
            writers.chain(step.by);
        }
    }
})];
