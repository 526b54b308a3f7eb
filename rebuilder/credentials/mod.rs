//! Long-lived credentials where none should be: in sources, recipes, build logs and outputs.
//!
//! `rules` finds them, by a rule set that others keep; this module says where to look, and takes what was found out of
//! everything that is printed or kept. A finding says which rule, where, and how long the secret is, and holds nothing of it.

mod rules;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use rules::Depth;

use crate::artifact::Sha256;
use crate::compare;
use crate::plan::Plan;
use crate::store::{Blob, StoreError};

/// Most bytes that are looked at together; a secret longer than the overlap of two such pieces can be missed.
const PIECE: usize = 1 << 20;
const OVERLAP: usize = 16 << 10;
/// Most findings that are kept of one run.
const MOST: usize = 200;

/// A credential that was found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Credential {
    /// Where: `source`, `output`, `log` or `recipe`, and the path there.
    pub place: String,
    /// Line, from 1; none in binary files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Rule that found it.
    pub rule: String,
    /// What that is.
    pub meaning: String,
    /// Length of the secret in bytes.
    pub length: usize,
}

/// A plan that would carry a credential into everything that is made from it.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
#[error("{place} holds a credential ({rule}, line {line})")]
#[diagnostic(help(
    "nothing was built; a recipe is published with each attestation, so take the credential out, and revoke it"
))]
pub struct InPlan {
    place: String,
    rule: String,
    line: u64,
}

/// Findings of a run, in order and without repetition.
#[derive(Debug, Default)]
pub struct Findings(Vec<Credential>);

/// Sources that were searched before, by name and digest: several plans for one subject have the same ones.
#[derive(Debug, Default)]
pub struct Searched(Mutex<BTreeMap<(String, Sha256), Vec<Credential>>>);

impl Searched {
    /// Looks through a file of the store, or remembers what was found in it.
    pub fn look_through(&self, findings: &mut Findings, name: &str, blob: &Blob) {
        let key = (name.to_owned(), blob.sha256);
        let known = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known().get(&key).cloned();
        let found = found.unwrap_or_else(|| {
            let mut own = Findings::default();
            own.look_through(name, &blob.path);
            known().insert(key, own.0.clone());
            own.0
        });
        findings.0.extend(found);
    }
}

impl Findings {
    fn add(&mut self, place: &str, text: &[u8], first_line: u64, hits: Vec<rules::Hit>) {
        let binary = text.contains(&0);
        for hit in hits {
            let before = &text[..hit.secret.start];
            let line = first_line + lines(before);
            let found = Credential {
                place: place.to_owned(),
                line: (!binary).then_some(line),
                rule: hit.rule.id.clone(),
                meaning: hit.rule.description.clone(),
                length: hit.secret.len(),
            };
            if self.0.len() < MOST && !self.0.contains(&found) {
                self.0.push(found);
            }
        }
    }

    /// Looks through a file, which is called `name`, and everything in it where it is an archive; what cannot be read is
    /// left.
    pub fn look_through(&mut self, name: &str, path: &Path) {
        // A damaged or hostile archive ends the search in it; comparing says what is wrong with it.
        let _ = compare::each_file(path, &mut |member, content| {
            let inside = if member.is_empty() {
                String::new()
            } else {
                format!("!/{member}")
            };
            let place = format!("{name}{inside}");
            self.stream(&place, member, content)
        });
    }

    fn stream(&mut self, place: &str, path: &str, content: &mut dyn Read) -> io::Result<()> {
        let mut piece = Vec::new();
        let mut line = 1;
        loop {
            let kept = piece.len();
            let read = content.take((PIECE - kept) as u64).read_to_end(&mut piece)?;
            if read == 0 {
                return Ok(());
            }
            let hits = rules::scan(&piece, path, Depth::Precise);
            self.add(place, &piece, line, hits);
            let done = piece.len().saturating_sub(OVERLAP);
            line += lines(&piece[..done]);
            piece.drain(..done);
        }
    }

    /// Takes credentials out of a log, line by line; a secret over several lines goes whole.
    pub fn redact_file(&mut self, kind: &str, path: &Path) -> Result<(), StoreError> {
        let error = |what| StoreError::io(what, path);
        let mut reader = BufReader::new(File::open(path).map_err(error("read"))?);
        let folder = path.parent().unwrap_or(Path::new("."));
        let file = tempfile::NamedTempFile::new_in(folder).map_err(StoreError::io("write into", folder))?;
        let mut writer = BufWriter::new(file);
        let (mut piece, mut line, mut changed) = (Vec::new(), 1_u64, false);
        loop {
            // Whole lines, so that none is cut in two.
            let begun = piece.len();
            while piece.len() - begun < PIECE
                && reader.read_until(b'\n', &mut piece).map_err(error("read"))? > 0
            {}
            let last = piece.len() == begun;
            let hits = rules::scan(&piece, "", Depth::All);
            let count = hits.len();
            let clean = replace(&piece, &hits);
            self.add(kind, &piece, line, hits);
            changed |= count > 0;
            let keep = if last { 0 } else { clean.len().min(OVERLAP) };
            let (out, rest) = clean.split_at(clean.len() - keep);
            writer.write_all(out).map_err(error("write"))?;
            line += lines(out);
            piece = rest.to_vec();
            if last {
                break;
            }
        }
        if !changed {
            return Ok(());
        }
        let file = writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .map_err(error("write"))?;
        file.as_file().sync_all().map_err(error("write"))?;
        let persisted = file
            .persist(path)
            .map_err(|failed| failed.error)
            .map_err(error("write"))?;
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        persisted.set_permissions(readable).map_err(error("write"))
    }

    /// Everything that was found.
    pub fn into_list(mut self) -> Vec<Credential> {
        self.0.sort();
        self.0.truncate(MOST);
        self.0
    }
}

/// How many lines end in a text.
fn lines(text: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', text).count() as u64
}

fn replace(text: &[u8], hits: &[rules::Hit]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(text.len());
    let mut at = 0;
    for hit in hits {
        if hit.secret.start < at {
            continue;
        }
        clean.extend_from_slice(&text[at..hit.secret.start]);
        clean.extend_from_slice(format!("[redacted: {}]", hit.rule.id).as_bytes());
        at = hit.secret.end;
    }
    clean.extend_from_slice(&text[at..]);
    clean
}

/// A text without the credentials in it; none where there are none.
pub fn redacted(text: &str) -> Option<String> {
    let hits = rules::scan(text.as_bytes(), "", Depth::All);
    (!hits.is_empty()).then(|| String::from_utf8_lossy(&replace(text.as_bytes(), &hits)).into_owned())
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
        let hits = rules::scan(text.as_bytes(), "", Depth::Precise);
        if let Some(hit) = hits.first() {
            let before = &text.as_bytes()[..hit.secret.start];
            return Err(InPlan {
                place,
                rule: hit.rule.id.clone(),
                line: 1 + lines(before),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
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
        findings.redact_file("log build.log", &path).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains(&token()[..12]));
        assert!(
            text == format!("{filler}export TOKEN=[redacted: github-pat]\n{filler}done\n"),
            "the rest changed too"
        );
        let list = findings.into_list();
        assert_eq!((list.len(), list[0].line), (1, Some(200_001)));
        assert!(!serde_json::to_string(&list).unwrap().contains(&token()[4..10]));
    }

    #[test]
    fn documents_lose_them_at_any_depth() {
        let mut value = serde_json::json!({"a": [{"b": format!("curl -H 'token: {}'", token())}], "c": 1});
        redact_document(&mut value);
        assert!(!value.to_string().contains("ghp_x9"), "{value}");
    }
}
