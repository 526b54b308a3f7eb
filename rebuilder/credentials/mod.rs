//! Finds long-lived credentials that leaked into sources, recipes, logs and outputs.
//!
//! `scan` finds them, by the rules of a set that others keep; this module says where to look, and takes what was found out of
//! everything that is printed or kept. A finding says which rule, where, and how long the secret is, and holds nothing of it.

#![cfg_attr(not(test), warn(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

mod rules;
mod scan;
mod stream;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

pub use rules::Depth;
use scan::SecretHit;
use stream::{lines, replace};

use crate::artifact::Sha256;
use crate::compare;
use crate::deadline::{Deadline, Over};
use crate::plan::Plan;
use crate::reader::{Reader, as_text};
use crate::run::Credential;
use crate::store::Blob;

/// Maximum number of findings that are kept of one run, and of one rule in one place; the rest are counted.
const MOST: usize = 200;
const MOST_OF_A_RULE: usize = 5;

/// A plan that would carry a credential into everything that is made from it.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{place} contains a credential ({rule}, line {line})")]
#[diagnostic(help(
    "nothing was built; remove the credential and revoke it, because each attestation publishes its recipe"
))]
pub struct InPlan {
    place: String,
    rule: String,
    line: u64,
}

/// Findings of a run, without repetition, and where the search ended early.
#[derive(Debug, Default, Clone)]
pub struct Findings {
    found: Vec<Credential>,
    unsearched: Vec<String>,
}

/// Sources that were searched before, by name and digest: several plans for one subject have the same ones.
#[derive(Debug, Default, Clone)]
pub struct Searched(Arc<Mutex<BTreeMap<(String, Sha256), Findings>>>);

impl Searched {
    /// Looks through a file of the store, or remembers what was found in it.
    pub fn look_through(&self, findings: &mut Findings, name: &str, blob: &Blob, deadline: &Deadline) {
        let key = (name.to_owned(), blob.sha256);
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known().get(&key).cloned();
        let found = found.unwrap_or_else(|| {
            let mut own = Findings::default();
            own.look_through(name, &blob.path, deadline);
            // Where time was short, the next attempt may have more of it.
            if own.unsearched.is_empty() {
                known().insert(key, own.clone());
            }
            own
        });
        findings.extend(found);
    }
}

impl Findings {
    /// Notes hits of one piece of text; those whose secret ends before `from` were noted with the piece before it.
    fn add(&mut self, place: &str, text: &[u8], from: usize, first_line: u64, hits: &[SecretHit]) {
        let binary = memchr::memchr(0, text).is_some();
        let (mut line, mut counted) = (first_line, 0);
        for hit in hits.iter().filter(|hit| hit.secret.end > from) {
            // Hits come in order, so each line is counted once.
            line = line.saturating_add(lines(text.get(counted..hit.secret.start).unwrap_or_default()));
            counted = hit.secret.start;
            self.note(Credential {
                place: place.to_owned(),
                line: (!binary).then_some(line),
                rule: hit.rule.id.clone(),
                meaning: hit.rule.description.clone(),
                length: hit.secret.len(),
                more: 0,
            });
        }
    }

    fn note(&mut self, credential: Credential) {
        let (mut count, mut first) = (0_usize, None);
        for (at, known) in self.found.iter().enumerate() {
            if known.rule != credential.rule || known.place != credential.place {
                continue;
            }
            if known.line.is_some() && known.line == credential.line && known.length == credential.length {
                return;
            }
            count = count.saturating_add(1);
            first.get_or_insert(at);
        }
        if count < MOST_OF_A_RULE && !self.is_full() {
            self.found.push(credential);
        } else if let Some(first) = first.and_then(|at| self.found.get_mut(at)) {
            first.more = first.more.saturating_add(1);
        }
    }

    fn extend(&mut self, other: Self) {
        let room = MOST.saturating_sub(self.found.len());
        self.found.extend(other.found.into_iter().take(room));
        self.unsearched.extend(other.unsearched);
    }

    fn is_full(&self) -> bool {
        self.found.len() >= MOST
    }

    /// Looks through a file, which is called `name`, and everything in it if it is an archive; what cannot be read is
    /// left. What there was no time for is noted.
    pub fn look_through(&mut self, name: &str, path: &Path, deadline: &Deadline) {
        if let Err(over) = deadline.check() {
            self.unsearched.push(format!("{name}: {over}"));
            return;
        }
        let searched = compare::each_file(path, deadline, &mut |member, content| {
            let inside = if member.is_empty() {
                String::new()
            } else {
                format!("!/{member}")
            };
            let place = format!("{name}{inside}");
            self.stream(&place, member, content, deadline)
        });
        // A damaged or hostile archive ends the search in it; comparing says what is wrong with it.
        if let Err(error) = searched {
            self.unsearched.push(format!("{name}: {}", error.reason()));
        }
    }

    /// Everything that was found, and where the search ended early.
    pub fn into_lists(mut self) -> (Vec<Credential>, Vec<String>) {
        self.found.sort();
        self.found.truncate(MOST);
        self.unsearched.sort();
        self.unsearched.truncate(MOST);
        (self.found, self.unsearched)
    }
}

/// A text without the credentials in it; `None` if there are none.
pub fn redacted(text: &str) -> Option<String> {
    let Ok(hits) = scan(text, Depth::All) else {
        return Some("[redacted: interrupted]".into());
    };
    let mut clean = Vec::new();
    // Writing to memory does not fail.
    let changed = replace(text.as_bytes(), 0, &hits, &mut clean).unwrap_or(true);
    changed.then(|| String::from_utf8_lossy(&clean).into_owned())
}

/// The text from the byte `from` on without the credentials in it. What comes before tells credentials apart.
pub fn redacted_from(text: &[u8], from: usize) -> String {
    let mut clean = Vec::new();
    match scan::scan(text, "", Depth::All, &Deadline::default()) {
        Ok(hits) => {
            // Writing to memory does not fail.
            let _ = replace(text, from, &hits, &mut clean);
        }
        Err(_) => clean.extend_from_slice(b"[redacted: interrupted]\n"),
    }
    String::from_utf8_lossy(&clean).into_owned()
}

/// A text that is short, or this tool's own: it is looked at to its end.
fn scan(text: &str, depth: Depth) -> Result<Vec<SecretHit>, Over> {
    scan::scan(text.as_bytes(), "", depth, &Deadline::default())
}

/// Takes credentials out of every text of a document.
pub fn redact_document(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(clean) = redacted(text) {
                *text = clean;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact_document),
        Value::Object(fields) => fields.values_mut().for_each(redact_document),
        _ => {}
    }
}

/// Refuses a plan whose steps, environment or inline files hold a credential: it would be signed and published.
pub fn check_plan(plan: &Plan) -> Result<(), InPlan> {
    let phases = [&plan.setup, &plan.build];
    let steps = phases.iter().flat_map(|phase| &phase.steps);
    let steps = steps.map(|step| (format!("the step {:?}", step.name), step.run.clone()));
    let values = phases.iter().flat_map(|phase| &phase.env);
    let values = values.map(|(name, value)| (format!("the variable {name}"), format!("{name}={value}\n")));
    let files = plan
        .files
        .iter()
        .map(|file| (format!("the inline file {}", file.place), file.text.clone()));
    for (place, text) in steps.chain(values).chain(files) {
        let hits = scan(&text, Depth::Precise).unwrap_or_default();
        if let Some(hit) = hits.first() {
            let before = text.as_bytes().get(..hit.secret.start).unwrap_or_default();
            return Err(InPlan {
                place,
                rule: hit.rule.id.clone(),
                line: lines(before).saturating_add(1),
            });
        }
    }
    Ok(())
}

/// For fuzzing.
#[doc(hidden)]
pub const READERS: &[Reader] = &[("credentials", |bytes| {
    drop(scan::scan(bytes, "x.py", Depth::All, &Deadline::default()));
    as_text(bytes, |text| drop(redacted(text)));
})];

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Write as _;

    use super::stream::{OVERLAP, PIECE};
    use super::*;

    /// Built at run time, so that this file holds none.
    fn token() -> String {
        format!("ghp_{}", "x9Kq2LmZ7pRtVb4NwYs8DfGh1JcAe3Tu6Ioi")
    }

    #[test]
    fn nothing_of_a_secret_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("build.log");
        let filler = "compiling a file\n".repeat(200_000);
        std::fs::write(&path, format!("{filler}export TOKEN={}\n{filler}done\n", token())).unwrap();
        let mut findings = Findings::default();
        findings
            .redact_file("log build.log", &path, &Deadline::default())
            .unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&token()[..12]));
        assert!(
            text == format!("{filler}export TOKEN=[redacted: github-pat]\n{filler}done\n"),
            "the rest changed too"
        );
        let (list, unsearched) = findings.into_lists();
        assert!(unsearched.is_empty());
        assert_eq!((list.len(), list[0].line), (1, Some(200_001)));
        assert!(!serde_json::to_string(&list).unwrap().contains(&token()[4..10]));
    }

    /// Whatever a log is made of, it is read in one pass, and no part of a secret gets through where two pieces meet.
    #[test]
    fn logs_of_any_form_lose_them() {
        let folder = tempfile::tempdir().unwrap();
        let secret = token();
        let filler = |byte: u8, length: usize| vec![byte; length];
        for (name, byte, end) in [
            ("one line", b'.', " "),
            ("one word around", b'x', "-"),
            ("binary", 0, "\0"),
            ("lines", b'\n', "\n"),
        ] {
            for back in [0, 20, 40, OVERLAP + 20] {
                let path = folder.path().join("build.log");
                let mut log = filler(byte, PIECE - back);
                log.extend(format!(" {secret}{end}").as_bytes());
                log.extend(filler(byte, 2 * OVERLAP));
                std::fs::write(&path, &log).unwrap();
                let mut findings = Findings::default();
                findings.redact_file("log", &path, &Deadline::default()).unwrap();
                let clean = std::fs::read(&path).unwrap();
                for part in [&secret.as_bytes()[4..20], &secret.as_bytes()[24..]] {
                    assert!(
                        memchr::memmem::find(&clean, part).is_none(),
                        "{name}, {back} before the end of a piece"
                    );
                }
                assert!(
                    clean.len() > PIECE + 2 * OVERLAP - back - 100,
                    "{name}: {} bytes are left",
                    clean.len()
                );
                assert_eq!(findings.into_lists().0.len(), 1, "{name} {back}");
            }
        }
    }

    #[test]
    fn what_there_is_no_time_for_is_cut_off_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("build.log");
        std::fs::write(&path, format!("{}\n", token()).repeat(1000)).unwrap();
        let late = Deadline::within(std::time::Duration::ZERO);
        std::thread::sleep(std::time::Duration::from_millis(2));
        let mut findings = Findings::default();
        findings.redact_file("log", &path, &late).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(
            !text.contains("ghp_") && text.contains("could not be searched for credentials"),
            "{text}"
        );
        findings.look_through("output", &path, &late);
        let (found, unsearched) = findings.into_lists();
        assert!(found.is_empty());
        assert_eq!(unsearched.len(), 2, "{unsearched:?}");
    }

    #[test]
    fn archives_that_unpack_to_much_more_are_left_when_time_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bomb.tar");
        let mut zip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for _ in 0..512 {
            zip.write_all(&vec![0; 1 << 20]).unwrap();
        }
        let zip = zip.finish().unwrap();
        let mut tar = tar::Builder::new(File::create(&path).unwrap());
        for number in 0..12 {
            let mut header = tar::Header::new_ustar();
            header.set_size(zip.len() as u64);
            tar.append_data(&mut header, format!("{number}.gz"), &zip[..])
                .unwrap();
        }
        tar.finish().unwrap();
        let begun = std::time::Instant::now();
        let mut findings = Findings::default();
        let deadline = Deadline::within(std::time::Duration::from_millis(100));
        findings.look_through("output", &path, &deadline);
        assert!(
            begun.elapsed() < std::time::Duration::from_secs(3),
            "{:?}",
            begun.elapsed()
        );
        let (_, unsearched) = findings.into_lists();
        assert!(unsearched[0].contains("time"), "{unsearched:?}");
    }

    #[test]
    fn many_of_one_kind_are_counted() {
        let mut findings = Findings::default();
        for number in 0..2000 {
            let text = format!("{}{number:04}\n", &token()[..36]);
            let hits = scan(&text, Depth::All).unwrap();
            findings.add("log", text.as_bytes(), 0, number, &hits);
        }
        let (found, _) = findings.into_lists();
        assert_eq!(found.len(), MOST_OF_A_RULE);
        assert_eq!(found.iter().map(|it| 1 + it.more).sum::<u64>(), 2000);
    }

    #[test]
    fn documents_lose_them_at_any_depth() {
        let mut value = serde_json::json!({"a": [{"b": format!("curl -H 'token: {}'", token())}], "c": 1});
        redact_document(&mut value);
        assert!(!value.to_string().contains("ghp_x9"), "{value}");
    }
}
