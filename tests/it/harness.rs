//! Runs the tests of this binary, and says which of them did not run, and why.
//!
//! libtest shows a test that returned early as passed. Here such a test is ignored, with its reason, and the reasons
//! are counted at the end. With `REBUILDER_REQUIRE_SERVICES=1` a test that cannot run has failed, but for those that people
//! run by hand.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::num::NonZero;
use std::panic::{catch_unwind, resume_unwind};
use std::process::ExitCode;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// A test, as `#[apply(test)]` registers it.
pub struct Test {
    pub module: &'static str,
    pub name: &'static str,
    pub run: fn(),
}

inventory::collect!(Test);

/// Suites that must not run beside any other: the room's name, and why it has a room of its own.
///
/// Tests of one room run in parallel; the others wait until it is empty.
const ROOMS: [(&str, &str); 2] = [
    (
        "attack",
        "it changes roots in the store that all tests share, and measures how long answers take",
    ),
    (
        "chaos",
        "it measures how soon killed processes are gone, and kills at moments that other work would move",
    ),
];

/// The room of all the other tests.
const HALL: &str = "";

fn room(module: &str) -> &'static str {
    let suite = module.split("::").next();
    ROOMS
        .iter()
        .map(|(name, _)| *name)
        .find(|name| Some(*name) == suite)
        .unwrap_or(HALL)
}

/// Which room is open, how many tests are in it, and who waits, in the order of coming.
struct Door {
    state: Mutex<Rooms>,
    changed: Condvar,
}

struct Rooms {
    open: &'static str,
    inside: usize,
    waiting: VecDeque<u64>,
    next: u64,
}

static DOOR: Door = Door {
    state: Mutex::new(Rooms {
        open: HALL,
        inside: 0,
        waiting: VecDeque::new(),
        next: 0,
    }),
    changed: Condvar::new(),
};

/// A test's stay in a room; it leaves when this is dropped.
struct Stay;

impl Door {
    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, room: &'static str) -> Stay {
        let mut rooms = self.rooms();
        let ticket = rooms.next;
        rooms.next += 1;
        rooms.waiting.push_back(ticket);
        while rooms.waiting.front() != Some(&ticket) || (rooms.inside > 0 && rooms.open != room) {
            rooms = self.changed.wait(rooms).unwrap_or_else(PoisonError::into_inner);
        }
        rooms.waiting.pop_front();
        rooms.open = room;
        rooms.inside += 1;
        self.changed.notify_all();
        Stay
    }
}

impl Drop for Stay {
    fn drop(&mut self) {
        DOOR.rooms().inside -= 1;
        DOOR.changed.notify_all();
    }
}

/// What ends a test that cannot run.
struct Skipped(String);

/// Reasons, the tests that they kept from running, and those that they cut short.
#[derive(Default)]
struct Missed {
    whole: BTreeSet<&'static str>,
    part: BTreeSet<&'static str>,
}

static MISSED: Mutex<BTreeMap<String, Missed>> = Mutex::new(BTreeMap::new());

/// How long each test took, without its wait for a room.
static TOOK: Mutex<Vec<(Duration, &'static str)>> = Mutex::new(Vec::new());

thread_local! {
    /// The name of the test that runs on this thread.
    static CURRENT: Cell<&'static str> = const { Cell::new("a thread of a test") };
}

fn required() -> bool {
    std::env::var_os("REBUILDER_REQUIRE_SERVICES").is_some_and(|value| value == "1")
}

fn note(reason: &str, add: impl FnOnce(&mut Missed)) {
    let mut missed = MISSED.lock().unwrap_or_else(PoisonError::into_inner);
    add(missed.entry(reason.to_owned()).or_default());
}

/// Ends this test, which cannot run without what `missing` names.
pub fn skip(missing: &str) -> ! {
    assert!(
        !required(),
        "{missing} is missing, and REBUILDER_REQUIRE_SERVICES is set"
    );
    skip_by_hand(missing);
}

/// Ends this test, which people run by hand, with more at hand than tests may ask for, or which needs another machine.
pub fn skip_by_hand(missing: &str) -> ! {
    note(missing, |missed| {
        missed.whole.insert(CURRENT.get());
    });
    resume_unwind(Box::new(Skipped(missing.to_owned())));
}

/// Says that a part of this test cannot run without what `missing` names; the rest of it goes on.
pub fn skip_part(missing: &str) {
    assert!(
        !required(),
        "a part of this test needs {missing}, and REBUILDER_REQUIRE_SERVICES is set"
    );
    note(missing, |missed| {
        missed.part.insert(CURRENT.get());
    });
}

fn run(name: &'static str, test: fn()) -> Result<Completion, Failed> {
    let _stay = DOOR.enter(room(name));
    CURRENT.set(name);
    let begun = Instant::now();
    let ended = catch_unwind(test);
    let mut took = TOOK.lock().unwrap_or_else(PoisonError::into_inner);
    took.push((begun.elapsed(), name));
    drop(took);
    match ended {
        Ok(()) => Ok(Completion::Completed),
        Err(payload) => match payload.downcast::<Skipped>() {
            Ok(skipped) => Ok(Completion::ignored_with(format!("without {}", skipped.0))),
            Err(payload) => resume_unwind(payload),
        },
    }
}

/// How many tests were skipped, and how many for each reason; one test may be cut short by several.
fn summary(missed: &BTreeMap<String, Missed>) -> String {
    let count = |pick: fn(&Missed) -> &BTreeSet<&'static str>| {
        let names: BTreeSet<_> = missed.values().flat_map(pick).collect();
        names.len()
    };
    let (whole, part) = (count(|missed| &missed.whole), count(|missed| &missed.part));
    let mut text = format!("skipped: {whole}");
    if part > 0 {
        text.push_str(&format!(", and a part of {part} more"));
    }
    text.push('\n');
    for (reason, missed) in missed {
        if !missed.whole.is_empty() {
            text.push_str(&format!("{:5} without {reason}\n", missed.whole.len()));
        }
    }
    for (reason, missed) in missed {
        if !missed.part.is_empty() {
            text.push_str(&format!("{:5} in part without {reason}\n", missed.part.len()));
        }
    }
    text
}

/// The tests that took longest, so that a suite that grows slow shows where.
fn slowest(took: &mut [(Duration, &'static str)]) -> String {
    const SHOWN: usize = 20;
    const WORTH_TELLING: Duration = Duration::from_secs(10);
    took.sort_unstable_by(|one, other| other.cmp(one));
    let long = took.iter().take(SHOWN).filter(|(took, _)| *took >= WORTH_TELLING);
    let lines: Vec<_> = long
        .map(|(took, name)| format!("{:5} s {name}\n", took.as_secs()))
        .collect();
    if lines.is_empty() {
        String::new()
    } else {
        format!("slowest:\n{}", lines.concat())
    }
}

/// Runs what the arguments choose, as libtest does.
pub fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // For much of its time, a test waits for the disk, the network or an engine.
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    arguments.test_threads.get_or_insert(cores + cores.div_ceil(2));
    let mut tests: Vec<(&'static str, fn())> = inventory::iter::<Test>()
        .map(|test| {
            let suite = test.module.split_once("::").map_or("", |(_, suite)| suite);
            let name: &'static str = format!("{suite}::{}", test.name).leak();
            (name, test.run)
        })
        .collect();
    tests.sort_unstable_by_key(|(name, _)| *name);
    let trials = tests
        .into_iter()
        .map(|(name, test)| Trial::ignorable_test(name, move || run(name, test)))
        .collect();
    let conclusion = libtest_mimic::run(&arguments, trials);
    let missed = MISSED.lock().unwrap_or_else(PoisonError::into_inner);
    if !arguments.list {
        let mut took = TOOK.lock().unwrap_or_else(PoisonError::into_inner);
        println!("{}{}", summary(&missed), slowest(&mut took));
    }
    conclusion.exit_code()
}

/// `#[test]` would compile, and nothing would ever run it.
#[apply(test)]
fn every_test_is_registered() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it");
    let attribute = format!("#[{}]", "test");
    for entry in walkdir::WalkDir::new(folder) {
        let path = entry.unwrap().into_path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let found = text.lines().any(|line| line.trim() == attribute);
            assert!(!found, "{} has {attribute} for #[apply(test)]", path.display());
        }
    }
}
