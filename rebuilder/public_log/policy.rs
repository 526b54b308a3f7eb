//! Which logs and witnesses are believed (c2sp.org/tlog-policy).

use std::collections::BTreeSet;
use std::path::Path;

use super::PublicLogError;
use super::note::{NoteKey, Purpose};
use crate::bounded;

/// Maximum number of lines of each kind, and members of a group.
const MOST: usize = 256;

/// Logs, witnesses, and how many of these must have signed.
#[derive(Debug, Clone)]
pub struct LogPolicy {
    logs: Vec<NoteKey>,
    nodes: Vec<Node>,
    /// Place of the quorum among the nodes; `None` if no witness is needed.
    quorum: Option<usize>,
}

/// A witness.
#[derive(Debug, Clone)]
pub struct Witness {
    /// What the policy calls it.
    pub name: String,
    pub key: NoteKey,
    /// Where it takes checkpoints.
    pub url: Option<String>,
}

/// What a quorum is made of.
#[derive(Debug, Clone)]
enum Node {
    Witness(Witness),
    /// As many as this of the nodes at these places.
    Group(String, usize, Vec<usize>),
}

impl Node {
    fn name(&self) -> &str {
        match self {
            Self::Witness(witness) => &witness.name,
            Self::Group(name, ..) => name,
        }
    }
}

impl LogPolicy {
    /// One log, and no witness is needed.
    pub fn of_log(key: NoteKey) -> Self {
        Self {
            logs: vec![key],
            nodes: Vec::new(),
            quorum: None,
        }
    }

    /// The same with one more log.
    #[must_use]
    pub fn with_log(mut self, key: NoteKey) -> Self {
        if !self
            .logs
            .iter()
            .any(|known| known.is_same(&key) && known.name == key.name)
        {
            self.logs.push(key);
        }
        self
    }

    /// Reads a policy file.
    pub fn read(path: &Path) -> Result<Self, PublicLogError> {
        let text = bounded::read_text(path, bounded::SHORT).map_err(PublicLogError::io(path))?;
        Self::parse(&text).map_err(|(line, reason)| PublicLogError::Policy {
            path: path.to_owned(),
            line,
            reason,
        })
    }

    /// Reads the text of a policy; an error has the number of its line.
    pub(super) fn parse(text: &str) -> Result<Self, (usize, String)> {
        let mut policy = Self {
            logs: Vec::new(),
            nodes: Vec::new(),
            quorum: None,
        };
        let (mut members, mut quorums, mut last) = (BTreeSet::new(), 0_u32, 0);
        for (number, line) in (1..).zip(text.split('\n')) {
            last = number;
            let words: Vec<_> = line.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
            let taken = match words.as_slice() {
                [] => Ok(()),
                [comment, ..] if comment.starts_with('#') => Ok(()),
                ["log", key] | ["log", key, _] => policy.add_log(key),
                ["witness", name, key] => policy.add_witness(name, key, None),
                ["witness", name, key, url] => policy.add_witness(name, key, Some(url)),
                ["group", name, count, rest @ ..] => policy.add_group(name, count, rest, &mut members),
                ["quorum", name] => {
                    quorums = quorums.saturating_add(1);
                    policy.set_quorum(name)
                }
                _ => Err("it is not a line with a log, a witness, a group or the quorum".to_owned()),
            };
            taken.map_err(|reason| (number, reason))?;
        }
        match quorums {
            1 => Ok(policy),
            _ => Err((last, "a policy has exactly one line with the quorum".into())),
        }
    }

    fn add_log(&mut self, key: &str) -> Result<(), String> {
        let key: NoteKey = key.parse().map_err(|error: PublicLogError| error.to_string())?;
        if key.purpose != Purpose::Log {
            return Err("this key is not one of a log".into());
        }
        if self.logs.iter().any(|known| known.is_same(&key)) || self.logs.len() >= MOST {
            return Err("the key is there twice, or there are too many".into());
        }
        self.logs.push(key);
        Ok(())
    }

    fn add_witness(&mut self, name: &str, key: &str, url: Option<&&str>) -> Result<(), String> {
        let key: NoteKey = key.parse().map_err(|error: PublicLogError| error.to_string())?;
        if key.purpose != Purpose::Witness {
            return Err("this key is not one of a witness".into());
        }
        if self.witnesses().any(|known| known.key.is_same(&key)) {
            return Err("the key is there twice".into());
        }
        self.add_node(Node::Witness(Witness {
            name: name.to_owned(),
            key,
            url: url.map(|url| (*url).to_owned()),
        }))
    }

    fn add_group(
        &mut self,
        name: &str,
        count: &str,
        names: &[&str],
        members: &mut BTreeSet<usize>,
    ) -> Result<(), String> {
        let mut places = Vec::new();
        for name in names {
            let place = self.place(name)?;
            if !members.insert(place) {
                return Err(format!("{name} is a member twice"));
            }
            places.push(place);
        }
        let count = match count {
            "any" => 1,
            "all" => places.len(),
            number => number
                .parse()
                .map_err(|_| "it has no number of members".to_owned())?,
        };
        if count == 0 || count > places.len() {
            return Err("it asks for more members than it has, or for none".into());
        }
        self.add_node(Node::Group(name.to_owned(), count, places))
    }

    fn add_node(&mut self, node: Node) -> Result<(), String> {
        if node.name() == "none" || self.nodes.iter().any(|known| known.name() == node.name()) {
            return Err(format!("the name {} is taken", node.name()));
        }
        if self.nodes.len() >= MOST {
            return Err("there are too many witnesses and groups".into());
        }
        self.nodes.push(node);
        Ok(())
    }

    fn place(&self, name: &str) -> Result<usize, String> {
        let place = self.nodes.iter().position(|node| node.name() == name);
        place.ok_or_else(|| format!("no line before it defines {name}"))
    }

    fn set_quorum(&mut self, name: &str) -> Result<(), String> {
        self.quorum = match name {
            "none" => None,
            name => Some(self.place(name)?),
        };
        Ok(())
    }

    /// The key of the log with this origin.
    pub fn log(&self, origin: &str) -> Option<&NoteKey> {
        self.logs.iter().find(|key| key.name == origin)
    }

    /// The origins of all logs, for messages.
    pub fn origins(&self) -> String {
        let names: Vec<_> = self.logs.iter().map(|key| key.name.as_str()).collect();
        names.join(" or ")
    }

    pub fn witnesses(&self) -> impl Iterator<Item = &Witness> {
        self.nodes.iter().filter_map(|node| match node {
            Node::Witness(witness) => Some(witness),
            Node::Group(..) => None,
        })
    }

    /// Whether the witnesses of these names are enough.
    pub fn is_enough(&self, cosigned: &[&str]) -> bool {
        // Members stand before their group.
        let mut good: Vec<bool> = Vec::new();
        for node in &self.nodes {
            let is_good = match node {
                Node::Witness(witness) => cosigned.contains(&witness.name.as_str()),
                Node::Group(_, count, places) => {
                    let present = places.iter().filter(|place| good.get(**place) == Some(&true));
                    present.count() >= *count
                }
            };
            good.push(is_good);
        }
        self.quorum.is_none_or(|place| good.get(place) == Some(&true))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn witness(byte: u8) -> String {
        use crate::artifact::Sha256;
        use base64::Engine as _;
        let key = [&[4][..], &[byte; 32]].concat();
        let id = Sha256::of([b"w\n", &key[..]].concat()).to_hex();
        let key = base64::engine::general_purpose::STANDARD.encode(key);
        format!("w+{}+{key}", &id[..8])
    }

    #[test]
    fn quorums_are_counted_group_by_group() {
        let [a, b, c] = [1, 2, 3].map(witness);
        let text = format!(
            "# two of A, B or the group\nwitness A {a} https://a.example\nwitness B {b}\n\twitness C {c}\n\ngroup one any C\ngroup G 2 A B one\nquorum G\n"
        );
        let policy = LogPolicy::parse(&text).unwrap();
        for (cosigned, enough) in [
            (&["A"][..], false),
            (&["A", "B"], true),
            (&["B", "C"], true),
            (&["C"], false),
            (&["D", "E"], false),
            (&[], false),
        ] {
            assert_eq!(policy.is_enough(cosigned), enough, "{cosigned:?}");
        }
        assert!(LogPolicy::parse("quorum none").unwrap().is_enough(&[]));
    }

    #[test]
    fn policies_are_read_exactly() {
        let a = witness(1);
        for (text, line) in [
            (String::new(), 1),
            ("quorum none\nquorum none".into(), 2),
            ("quorum A".into(), 1),
            (format!("witness A {a}\nwitness B {a}\nquorum A"), 2),
            (format!("witness A {a}\ngroup A any A\nquorum A"), 2),
            (format!("witness A {a}\ngroup G 2 A\nquorum G"), 2),
            (
                format!("witness A {a}\ngroup G any A\ngroup H any A\nquorum G"),
                3,
            ),
            (format!("witness A {a}\ngroup G any B\nquorum G"), 2),
            (format!("witness none {a}\nquorum none"), 1),
            (format!("log {a}\nquorum none"), 1),
            ("witnes A".into(), 1),
        ] {
            assert_eq!(LogPolicy::parse(&text).unwrap_err().0, line, "{text}");
        }
    }
}
