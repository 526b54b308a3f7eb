//! Writers that are killed at any moment, two at once, and old copies of what a writer kept.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Stdio;
use std::time::Instant;

use super::place::{Place, checked_by_stranger, copy};
use crate::common::{code, json, text};

#[apply(test)]
fn a_writer_that_is_killed_leaves_a_whole_log() {
    let place = Place::new();
    place.sign(0..3);
    let begun = Instant::now();
    place.good_publish();
    let mut takes = begun.elapsed();
    let key = place.key();
    let (mut acknowledged, mut killed, mut end) = (3, 0, 3);
    for round in 0..40 {
        let more = [1, 7, 252, 300][round % 4];
        place.sign(end..end + more);
        end += more;
        fs::copy(place.path("public/checkpoint"), place.path("earlier")).unwrap();
        let mut child = place
            .publish()
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // From before the first file to after the last.
        std::thread::sleep(takes * u32::try_from(4 + round * 7 % 20).unwrap() / 10);
        let _ = child.kill();
        let output = child.wait_with_output().unwrap();
        if output.status.signal().is_some() {
            killed += 1;
        } else {
            acknowledged = json(&output)["size"].as_u64().unwrap();
            // The first one may have been slow, because other tests ran.
            takes = takes.mul_f64(0.8);
        }
        // Readers find a whole log at each moment, with all that was acknowledged, and it never forks.
        let whole = json(&place.good(&["log", "verify", &place.folder(), "--log-key", &key, "--json"]));
        assert!(whole["size"].as_u64().unwrap() >= acknowledged, "{whole}");
        place.good(&["log", "watch", &place.folder(), "--log-key", &key]);
    }
    assert!(killed >= 10, "only {killed} writers were killed");
    assert_eq!(json(&place.good_publish())["size"], end);
    let earlier = place.text("earlier");
    checked_by_stranger(&["grew", &place.folder(), &key, &earlier]);
    // What a killed writer was making is swept away, and nothing was published twice.
    let left: Vec<_> = fs::read_dir(place.path("public/.new"))
        .unwrap()
        .flatten()
        .collect();
    assert_eq!(left.len(), 1, "{left:?}");
    let whole = json(&place.good(&["log", "verify", &place.folder(), "--log-key", &key, "--json"]));
    assert_eq!(whole["size"], end);
}

#[apply(test)]
fn two_writers_wait_for_each_other() {
    let place = Place::new();
    place.sign(0..500);
    let publish = || {
        place
            .publish()
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let children: Vec<_> = (0..4).map(|_| publish()).collect();
    let mut added = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), 0, "{}", text(&output));
        added += json(&output)["added"].as_u64().unwrap();
    }
    assert_eq!(added, 500);
    checked_by_stranger(&["log", &place.folder(), &place.key()]);
}

#[apply(test)]
fn nothing_old_that_is_restored_forks_the_log() {
    let place = Place::new();
    place.sign(0..10);
    place.good_publish();
    let kept = place.text("config/rebuilder/public-logs");
    copy(&kept, &place.text("kept"));
    copy(&place.folder(), &place.text("old"));
    place.sign(10..20);
    place.good_publish();
    let refused = |what: &str| {
        place.sign(0..0);
        let output = place.publish().output().unwrap();
        assert_ne!(code(&output), 0, "{what}");
        text(&output)
    };
    // The writer forgot what it signed.
    copy(&kept, &place.text("new"));
    fs::remove_dir_all(&kept).unwrap();
    copy(&place.text("kept"), &kept);
    assert!(refused("an old state").contains("would fork the log"));
    fs::remove_dir_all(&kept).unwrap();
    let told = refused("no state");
    assert!(told.contains("--adopt"), "{told}");
    // It can be taken over as it is, and nothing is published twice.
    let output = place.publish().arg("--adopt").output().unwrap();
    assert_eq!((code(&output), &json(&output)["added"]), (0, &0.into()));
    // An old folder lacks tiles.
    let folder = place.folder();
    fs::remove_dir_all(&folder).unwrap();
    copy(&place.text("old"), &folder);
    assert!(refused("an old folder").contains("is missing"));
    // The private log no longer has what is public.
    fs::remove_dir_all(&folder).unwrap();
    fs::remove_dir_all(&kept).unwrap();
    copy(&place.text("old"), &folder);
    copy(&place.text("kept"), &kept);
    let log = place.path("config/rebuilder/signatures.jsonl");
    let lines = fs::read_to_string(&log).unwrap();
    let fewer: Vec<_> = lines.lines().take(9).collect();
    fs::write(&log, fewer.join("\n") + "\n").unwrap();
    let told = refused("a cut private log");
    assert!(told.contains("its first 10 lines are public"), "{told}");
    place.sign(99..101);
    assert!(refused("another private log").contains("its first 10 lines are public"));
}
