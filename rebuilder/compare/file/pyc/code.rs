//! Finds the functions that differ in two code objects, and how.

use std::collections::{HashMap, HashSet, VecDeque};

use super::paths::Paths;
use super::told;
use super::value::{Id, Kind, Object, Tree};
use super::version::Layout;
use crate::compare::explain::{Context, explain};
use crate::compare::file::comparator::Leaf;
use crate::compare::finding::Finding;

/// Maximum number of pairs of code objects that are compared.
const MOST_PAIRS: usize = 10_000;

/// Two corresponding code objects, and the name of their function.
struct Pair {
    released: usize,
    rebuilt: usize,
    name: String,
}

pub(super) struct Comparison<'a> {
    pub layout: &'static Layout,
    pub old: &'a Tree<'a>,
    pub new: &'a Tree<'a>,
    pub paths: Paths,
}

/// Finds every function that differs, beginning with the module.
pub(super) fn compare(leaf: &mut Leaf, sides: &Comparison) {
    let mut open = VecDeque::from([Pair {
        released: sides.old.root,
        rebuilt: sides.new.root,
        name: "<module>".to_owned(),
    }]);
    let mut seen: HashSet<(Id, Id)> = HashSet::new();
    while let Some(pair) = open.pop_front() {
        let (Some(old), Some(new)) = (sides.old.get(pair.released), sides.new.get(pair.rebuilt)) else {
            continue;
        };
        if old.id == new.id || !seen.insert((old.id, new.id)) {
            continue;
        }
        if seen.len() > MOST_PAIRS {
            leaf.add(Finding::new("functions beyond those read", "", ""));
            break;
        }
        if old.kind != Kind::Code || new.kind != Kind::Code {
            let (released, rebuilt) = (
                told::value(sides.old, pair.released),
                told::value(sides.new, pair.rebuilt),
            );
            leaf.add(Finding::new(pair.name, released, rebuilt).keyed("constants"));
            continue;
        }
        sides.code(leaf, (old, new), &pair.name, &mut open);
    }
}

impl Comparison<'_> {
    fn code(&self, leaf: &mut Leaf, (old, new): (&Object, &Object), name: &str, open: &mut VecDeque<Pair>) {
        self.numbers(leaf, (old, new), name);
        for (index, field) in self.layout.fields().enumerate() {
            let (Some((released, one)), Some((rebuilt, other))) =
                (self.old.element(old, index), self.new.element(new, index))
            else {
                continue;
            };
            if one.id == other.id {
                continue;
            }
            let place = format!("{name}: {field}");
            match field {
                "constants" if one.kind == Kind::Tuple && other.kind == Kind::Tuple => {
                    let is_function = told::is_function(old, self.layout);
                    self.constants(leaf, (one, other), (name, is_function), open);
                }
                "file name" if self.is_same_file(one, other) => self.paths.add(leaf, &place),
                "instructions" | "line numbers" | "exception table" | "kinds of variables" => {
                    let (released, rebuilt) = told::bytes(&one.bytes, &other.bytes);
                    leaf.add(Finding::new(place, released, rebuilt).keyed(field));
                }
                _ => {
                    let (released, rebuilt) =
                        (told::value(self.old, released), told::value(self.new, rebuilt));
                    leaf.add(Finding::new(place, released, rebuilt).keyed(field));
                }
            }
        }
    }

    fn is_same_file(&self, old: &Object, new: &Object) -> bool {
        let names = told::text(old).zip(told::text(new));
        names.is_some_and(|(released, rebuilt)| self.paths.are_of_one_file(released, rebuilt))
    }

    /// Compares the numbers before the values; the last of them is the first line.
    fn numbers(&self, leaf: &mut Leaf, (old, new): (&Object, &Object), name: &str) {
        let (released, _) = old.bytes.as_chunks::<4>();
        let (rebuilt, _) = new.bytes.as_chunks::<4>();
        let names = self.layout.numbers.iter().copied().chain(["first line"]);
        for (field, (one, other)) in names.zip(released.iter().zip(rebuilt)) {
            if one == other {
                continue;
            }
            let number = |word: &[u8; 4]| i32::from_le_bytes(*word).to_string();
            let key = if field == "first line" {
                "line numbers"
            } else {
                field
            };
            leaf.add(Finding::new(format!("{name}: {field}"), number(one), number(other)).keyed(key));
        }
    }

    /// Compares the constants of one function, which include its inner functions.
    fn constants(
        &self,
        leaf: &mut Leaf,
        (old, new): (&Object, &Object),
        (name, is_function): (&str, bool),
        open: &mut VecDeque<Pair>,
    ) {
        if old.elements.len() == new.elements.len() {
            let pairs = old.elements.iter().zip(&new.elements).enumerate();
            for (index, (released, rebuilt)) in pairs {
                if self.old.id(*released) != self.new.id(*rebuilt) {
                    let what = if index == 0 && is_function {
                        "docstring"
                    } else {
                        "constant"
                    };
                    self.constant(leaf, (*released, *rebuilt), (name, what), open);
                }
            }
            return;
        }
        let (mut removed, mut added) = (
            only(self.old, &old.elements, self.new, &new.elements),
            only(self.new, &new.elements, self.old, &old.elements),
        );
        self.functions(&mut removed, &mut added, name, open);
        let place = format!("{name}: constants");
        for at in removed {
            leaf.add(Finding::new(&place, told::value(self.old, at), "").keyed("constants"));
        }
        for at in added {
            leaf.add(Finding::new(&place, "", told::value(self.new, at)).keyed("constants"));
        }
        if only(self.old, &old.elements, self.new, &new.elements).is_empty()
            && only(self.new, &new.elements, self.old, &old.elements).is_empty()
        {
            let count = |object: &Object| format!("{} constants", object.elements.len());
            leaf.add(Finding::new(place, count(old), count(new)).keyed("constants"));
        }
    }

    /// Pairs functions of the same name among the constants that only one side has.
    fn functions(
        &self,
        removed: &mut Vec<usize>,
        added: &mut Vec<usize>,
        name: &str,
        open: &mut VecDeque<Pair>,
    ) {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for at in added.iter().rev() {
            if let Some(own) = told::code_name(self.new, *at, self.layout) {
                by_name.entry(own).or_default().push(*at);
            }
        }
        let mut taken = HashSet::new();
        removed.retain(|released| {
            let own = told::code_name(self.old, *released, self.layout);
            let Some(own) = own else { return true };
            let Some(rebuilt) = by_name.get_mut(&own).and_then(Vec::pop) else {
                return true;
            };
            taken.insert(rebuilt);
            open.push_back(Pair {
                released: *released,
                rebuilt,
                name: told::nested(name, &own),
            });
            false
        });
        added.retain(|at| !taken.contains(at));
    }

    fn constant(
        &self,
        leaf: &mut Leaf,
        (released, rebuilt): (usize, usize),
        (name, what): (&str, &str),
        open: &mut VecDeque<Pair>,
    ) {
        let (Some(old), Some(new)) = (self.old.get(released), self.new.get(rebuilt)) else {
            return;
        };
        if old.kind == Kind::Code && new.kind == Kind::Code {
            let own = told::code_name(self.old, released, self.layout).unwrap_or_default();
            open.push_back(Pair {
                released,
                rebuilt,
                name: told::nested(name, &own),
            });
            return;
        }
        let place = format!("{name}: {what}");
        if let (Some(one), Some(other)) = (told::text(old), told::text(new)) {
            if self.paths.explain(one, other) {
                self.paths.add(leaf, &place);
                return;
            }
            let context = Context {
                code: true,
                ..Context::default()
            };
            let reasons = explain(one, other, context);
            if !reasons.is_empty() {
                for reason in &reasons {
                    leaf.add_reason(&place, one, other, reason);
                }
                return;
            }
        }
        let (one, other) = told::apart(&told::value(self.old, released), &told::value(self.new, rebuilt));
        leaf.add(Finding::new(place, one, other).keyed("constants"));
    }
}

/// The elements of the first list that are not in the second, counted.
fn only(tree: &Tree, elements: &[usize], other: &Tree, others: &[usize]) -> Vec<usize> {
    let mut counts: HashMap<Id, usize> = HashMap::new();
    for at in others {
        if let Some(id) = other.id(*at) {
            let count = counts.entry(id).or_default();
            *count = count.saturating_add(1);
        }
    }
    let is_only = |at: &usize| {
        let Some(count) = tree.id(*at).and_then(|id| counts.get_mut(&id)) else {
            return true;
        };
        let left = count.checked_sub(1);
        *count = left.unwrap_or(0);
        left.is_none()
    };
    elements
        .iter()
        .copied()
        .filter({
            let mut is_only = is_only;
            move |at| is_only(at)
        })
        .collect()
}
