//! The tree that unpackers make from an archive, built from the members in stored order.
//!
//! A later member replaces an earlier one with the same path, `a//x` and `./a/x` mean `a/x`, a hard link needs its
//! target before it, and a path below a symbolic link leads elsewhere. If none of this applies, the order of members
//! does not matter; [`Outline`] holds what does, so that two archives can be compared by it.
//!
//! Only hashes of paths are kept, 32 bytes for each member and each folder. The model holds for widely used unpackers
//! (GNU tar, bsdtar, Python, dpkg, Info-ZIP, cpio); if they disagree about an archive, that is reported too.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, DefaultHasher, Hash as _, Hasher as _, RandomState};

use unicode_normalization::UnicodeNormalization as _;

use super::both::Both;
use super::cause::{Cause, Confidence};
use super::finding::Finding;
use super::stored::{Fields, Type, mode, spelling, target, type_of};

/// Maximum length of a path that is followed, in components. Linux opens paths of up to 2048.
const DEEPEST: usize = 256;
/// The prefix of a name that removes another one from an image (OCI image layer specification, "Whiteouts").
const WHITEOUT: &str = ".wh.";
/// Maximum number of notes of each kind that are kept as text.
const MOST_TOLD: usize = 64;

/// The path as every unpacker interprets it: without `.` and empty components, and without a trailing slash. A leading
/// slash and `..` stay, as unpackers treat them differently.
pub(super) fn clean(path: &str) -> Cow<'_, str> {
    let rest = path.strip_prefix('/').unwrap_or(path);
    let odd = |component: &str| component.is_empty() || component == ".";
    if !rest.split('/').any(odd) {
        return Cow::Borrowed(path);
    }
    let kept: Vec<&str> = rest.split('/').filter(|component| !odd(component)).collect();
    let root = if rest.len() == path.len() { "" } else { "/" };
    let joined = format!("{root}{}", kept.join("/"));
    Cow::Owned(if joined.is_empty() { ".".to_owned() } else { joined })
}

/// Facts about members, as an order-independent sum of keyed hashes, and the first few as text.
#[derive(Debug, Default)]
pub(super) struct Notes {
    sum: u64,
    told: Vec<(u64, String)>,
}

impl Notes {
    fn add(&mut self, fact: u64) {
        self.sum = self.sum.wrapping_add(fact);
    }

    fn tell(&mut self, fact: u64, words: impl FnOnce() -> String) {
        self.add(fact);
        if self.told.len() < MOST_TOLD {
            self.told.push((fact, words()));
        }
    }

    /// The first fact that the other side does not have.
    fn beyond(&self, other: &Self) -> String {
        let lacks = |fact: &u64| other.told.iter().all(|(known, _)| known != fact);
        let first = self.told.iter().find(|(fact, _)| lacks(fact));
        first.map(|(_, words)| words.clone()).unwrap_or_default()
    }
}

/// The parts of an archive's tree that depend on the order of members or on the unpacker.
#[derive(Debug, Default)]
pub(super) struct Outline {
    /// Members whose relative order matters.
    order: Notes,
    /// Folders that come after their content.
    late: Notes,
    /// Facts about which widely used unpackers disagree.
    ambiguous: Notes,
    /// Why no two members may be swapped, if that is the case.
    tangled: Option<String>,
}

/// What is known about one path.
#[derive(Clone, Copy)]
struct Seen {
    /// How often it occurred; 0 if it is only on the way to others.
    times: u32,
    what: Type,
    /// The last permission bits, for a file under any of its names.
    mode: Option<u32>,
    /// The path of the file that it is a hard link to, or its own path.
    file: u64,
    /// The spelling of its path.
    spelling: u64,
}

/// The target of a path: its hash, and the hash that it shares with paths that are the same file on some file systems.
#[derive(Clone)]
struct Way {
    exact: DefaultHasher,
    folded: DefaultHasher,
}

impl Way {
    fn new(hasher: &RandomState) -> Self {
        Self {
            exact: hasher.build_hasher(),
            folded: hasher.build_hasher(),
        }
    }

    /// Adds one component. File systems that ignore case or normalise names treat several names as one; on some, a
    /// backslash is a slash.
    fn step(&mut self, component: &str, buffer: &mut String) {
        buffer.clear();
        if component.is_ascii() {
            buffer.push_str(component);
            buffer.make_ascii_lowercase();
        } else {
            // First to upper case, as one letter may be two in the other case ("ß", "SS").
            let capitals = component.nfc().flat_map(char::to_uppercase);
            buffer.extend(capitals.flat_map(char::to_lowercase));
        }
        for part in buffer.split('\\') {
            self.folded.write(b"/");
            self.folded.write(part.as_bytes());
        }
        self.exact.write(b"/");
        self.exact.write(component.as_bytes());
    }
}

/// The tree so far.
pub(super) struct Tree<'a> {
    hasher: &'a RandomState,
    seen: HashMap<u64, Seen>,
    /// The last of the paths that differ only by case and the like, by their shared hash.
    last: HashMap<u64, u64>,
    outline: Outline,
    /// The folder of the last member, if it is an ordinary one.
    folder: Option<(String, Way)>,
    buffer: String,
}

impl<'a> Tree<'a> {
    /// Facts of two trees can be compared if both use the same hasher.
    pub fn new(hasher: &'a RandomState) -> Self {
        Self {
            hasher,
            seen: HashMap::new(),
            last: HashMap::new(),
            outline: Outline::default(),
            folder: None,
            buffer: String::new(),
        }
    }

    pub fn outline(self) -> Outline {
        self.outline
    }

    /// Adds the next member in stored order.
    pub fn add(&mut self, path: &str, fields: &Fields) {
        let what = type_of(fields).unwrap_or(Type::File);
        let cleaned = clean(path);
        let plain = cleaned.trim_start_matches('/');
        if what == Type::Header || plain.is_empty() || plain == "." {
            return;
        }
        if plain.len() < cleaned.len() {
            let fact = self.fact("absolute", &cleaned);
            self.outline
                .ambiguous
                .tell(fact, || format!("{path}: an absolute path"));
        }
        if what == Type::FileOrFolder {
            let fact = self.fact("slash", path);
            self.outline.ambiguous.tell(fact, || format!("{path}: a {what}"));
        }
        let (folder, name) = plain.rsplit_once('/').unwrap_or(("", plain));
        let Some(mut way) = self.folder(folder, path) else {
            return;
        };
        if name == ".." {
            self.outside(path);
            return;
        }
        if let Some(removed) = name.strip_prefix(WHITEOUT) {
            self.whiteout(path, removed, way.clone());
        }
        way.step(name, &mut self.buffer);
        let file = if what == Type::HardLink {
            self.link(path, fields)
        } else {
            None
        };
        self.put(path, what, &way, file, fields);
    }

    /// In the layer of an image, such a name removes the path without the prefix. Docker and containerd also remove
    /// what they unpacked from the same layer; other programs remove only what is in the layers below.
    fn whiteout(&mut self, path: &str, removed: &str, mut way: Way) {
        way.step(removed, &mut self.buffer);
        if self.seen.contains_key(&way.exact.finish()) {
            self.tangle(path, || {
                format!("{path}: after the path that it removes from an image")
            });
        }
    }

    /// The way to a folder; it and the folders above it exist from here on.
    fn folder(&mut self, folder: &str, path: &str) -> Option<Way> {
        if let Some((known, way)) = &self.folder
            && known == folder
        {
            return Some(way.clone());
        }
        let mut way = Way::new(self.hasher);
        let mut ordinary = true;
        for (depth, component) in folder.split('/').filter(|part| !part.is_empty()).enumerate() {
            if component == ".." || depth >= DEEPEST {
                self.outside(path);
                return None;
            }
            way.step(component, &mut self.buffer);
            let exact = way.exact.finish();
            let below = self.seen.get(&exact).map(|seen| seen.what);
            if below.is_none() {
                let what = Type::Folder;
                let new = Seen {
                    times: 0,
                    what,
                    mode: None,
                    file: exact,
                    spelling: 0,
                };
                self.seen.insert(exact, new);
                self.alike(path, what, &way);
            }
            if let Some(below) = below.filter(|below| *below != Type::Folder) {
                ordinary = false;
                self.tangle(path, || format!("{path}: below a {below}"));
            }
        }
        self.folder = ordinary.then(|| (folder.to_owned(), way.clone()));
        Some(way)
    }

    fn put(&mut self, path: &str, what: Type, way: &Way, file: Option<u64>, fields: &Fields) {
        self.alike(path, what, way);
        let key = way.exact.finish();
        let before = self.seen.get(&key).copied();
        let times = before.map_or(0, |before| before.times);
        let now = Seen {
            times: times.saturating_add(1),
            what,
            mode: mode(fields),
            file: file.unwrap_or(key),
            spelling: spelling(fields).map_or(0, |text| self.fact("spelling", text)),
        };
        self.seen.insert(key, now);
        let is_folder = what == Type::Folder;
        let comes_late = before.is_some() && times == 0;
        // Some unpackers set the mode of a folder at once, and cannot write into it afterwards.
        if is_folder && mode(fields).is_some_and(|mode| mode & 0o300 != 0o300) {
            let fact = self.fact(("closed", comes_late), path);
            self.outline.order.add(fact);
        }
        let Some(before) = before else { return };
        match (before.what == Type::Folder, is_folder) {
            (true, true) if comes_late => {
                let fact = self.fact("late", path);
                let words = || format!("{path}, after what is in it");
                self.outline.late.tell(fact, words);
            }
            (true, true) if before.mode != now.mode => {
                // Some unpackers set all modes at the end, in the order of the paths as written.
                let fact = self.fact(("again", before.spelling, now.spelling), path);
                let words = || format!("{path}: a folder that is repeated with another mode");
                self.outline.order.tell(fact, words);
                self.outline.ambiguous.tell(fact, words);
            }
            (true, true) => {}
            (false, false) if matches!(before.what, Type::SymbolicLink | Type::HardLink) => {
                // Some unpackers write through the link.
                self.tangle(path, || format!("{path}: a {what} after a {}", before.what));
            }
            (false, false) => {
                let fact = self.fact(times, path);
                let words = || format!("{path}: a repeated path");
                self.outline.order.tell(fact, words);
                self.outline.ambiguous.tell(fact, words);
            }
            _ => {
                self.folder = None;
                self.tangle(path, || format!("{path}: a {what} after a {}", before.what));
            }
        }
    }

    /// Another path that is the same on some file systems, where the later of two files replaces the earlier.
    fn alike(&mut self, path: &str, what: Type, way: &Way) {
        let exact = way.exact.finish();
        let Some(before) = self.last.insert(way.folded.finish(), exact) else {
            return;
        };
        let other = self.seen.get(&before).map(|seen| seen.what);
        if before != exact && (other, what) != (Some(Type::Folder), Type::Folder) {
            let fact = self.fact(("alike", before), path);
            let words = || format!("{path}, after a name that differs from it by case or spelling alone");
            self.outline.order.tell(fact, words);
        }
    }

    /// A hard link refers to its target at that moment. Some unpackers apply the link's mode to the file. Returns the
    /// path of the file.
    fn link(&mut self, path: &str, fields: &Fields) -> Option<u64> {
        let target = target(fields)?;
        let cleaned = clean(target);
        let mut way = Way::new(self.hasher);
        let parts = cleaned.split('/').filter(|part| !part.is_empty());
        for component in parts.take(DEEPEST) {
            way.step(component, &mut self.buffer);
        }
        let found = self.seen.get(&way.exact.finish()).copied();
        let times = found.map_or(0, |target| target.times);
        let fact = self.fact(("link", times), path);
        if times == 0 {
            self.outline
                .order
                .tell(fact, || format!("{path}, a hard link before its target {target}"));
        } else {
            self.outline.order.add(fact);
        }
        let file = found?.file;
        let before = self.seen.get(&file)?.mode;
        let own = mode(fields);
        if own.is_some() && own != before {
            let fact = self.fact(("mode", before), path);
            let words = || format!("{path}, a hard link with another mode than its target");
            self.outline.order.tell(fact, words);
            if let Some(file) = self.seen.get_mut(&file) {
                file.mode = own;
            }
        }
        Some(file)
    }

    /// A member whose place depends on existing files and on the unpacker.
    fn tangle(&mut self, path: &str, words: impl FnOnce() -> String) {
        let fact = self.fact("tangled", path);
        let words = words();
        self.outline.ambiguous.tell(fact, || words.clone());
        self.outline.tangled.get_or_insert(words);
    }

    fn outside(&mut self, path: &str) {
        self.tangle(path, || {
            let shown: String = path.chars().take(80).collect();
            format!("{shown}: a path with \"..\", or a very deep one")
        });
    }

    fn fact(&self, kind: impl std::hash::Hash, path: &str) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        kind.hash(&mut hasher);
        path.hash(&mut hasher);
        hasher.finish()
    }
}

/// Why the order of the same members changes the tree, for each side, if it does. With `folders_first`, a folder must
/// come before its content.
pub(super) fn order_matters(outlines: Both<&Outline>, folders_first: bool) -> Option<Both<String>> {
    let Both { released, rebuilt } = outlines;
    if released.tangled.is_some() || rebuilt.tangled.is_some() {
        return Some(outlines.map(|outline| outline.tangled.clone().unwrap_or_default()));
    }
    let differing = |of: fn(&Outline) -> &Notes| {
        let (old, new) = (of(released), of(rebuilt));
        (old.sum != new.sum).then(|| Both::new(old.beyond(new), new.beyond(old)))
    };
    differing(|outline| &outline.order)
        .or_else(|| differing(|outline| &outline.late).filter(|_| folders_first))
}

/// Facts on which unpackers disagree for one side, but not in the same way for the other.
pub(super) fn ambiguous(outlines: Both<&Outline>) -> Option<Finding> {
    let notes = outlines.map(|outline| &outline.ambiguous);
    if notes.map(|notes| notes.sum).same() {
        return None;
    }
    let (released, rebuilt) = (
        notes.released.beyond(notes.rebuilt),
        notes.rebuilt.beyond(notes.released),
    );
    Some(
        Finding::new("paths that unpackers read differently", released, rebuilt)
            .because(Cause::AmbiguousArchive, Confidence::Proven)
            .keyed("paths that unpackers read differently"),
    )
}

#[cfg(test)]
mod tests;
