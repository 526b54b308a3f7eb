//! The objects that Python loads, their values, and numbers that only equal values share.

use std::borrow::Cow;
use std::collections::HashMap;

/// The type of a value; marshal's different forms of one type are one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    None,
    False,
    True,
    StopIteration,
    Ellipsis,
    Int,
    /// Python 2 has a second type for large numbers.
    Long,
    Float,
    Complex,
    Bytes,
    Text,
    Tuple,
    List,
    Dict,
    Set,
    FrozenSet,
    Slice,
    Code,
}

impl Kind {
    /// Whether Python code can change such a value, so that sharing it matters.
    pub fn is_mutable(self) -> bool {
        matches!(self, Self::List | Self::Dict | Self::Set)
    }

    pub fn is_set(self) -> bool {
        matches!(self, Self::Set | Self::FrozenSet)
    }
}

/// The number of a value; equal values have the same one.
pub(super) type Id = u32;

/// One loaded object.
#[derive(Debug)]
pub(super) struct Object<'a> {
    pub kind: Kind,
    /// Whether Python interns it when loading.
    pub interned: bool,
    /// The value of an object without elements; for a code object, its numbers and first line.
    pub bytes: Cow<'a, [u8]>,
    /// Indices of the elements in [`Tree::objects`], in stored order.
    pub elements: Vec<usize>,
    pub id: Id,
}

/// All objects of a file.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    pub objects: Vec<Object<'a>>,
    /// Index of the outermost object.
    pub root: usize,
    /// Bytes after the object, which Python does not read.
    pub rest: &'a [u8],
    pub has_mutable: bool,
}

impl<'a> Tree<'a> {
    pub fn get(&self, at: usize) -> Option<&Object<'a>> {
        self.objects.get(at)
    }

    pub fn element(&self, object: &Object, index: usize) -> Option<(usize, &Object<'a>)> {
        let at = *object.elements.get(index)?;
        Some((at, self.get(at)?))
    }

    pub fn id(&self, at: usize) -> Option<Id> {
        self.get(at).map(|object| object.id)
    }
}

/// Assigns numbers to the values of both sides.
#[derive(Default)]
pub(super) struct Values<'a> {
    ids: HashMap<Key<'a>, Id>,
}

type Key<'a> = (Kind, Cow<'a, [u8]>, Vec<Id>);

impl<'a> Values<'a> {
    pub fn number(&mut self, kind: Kind, bytes: Cow<'a, [u8]>, mut elements: Vec<Id>) -> Option<Id> {
        if kind.is_set() {
            elements.sort_unstable();
        }
        let next = Id::try_from(self.ids.len()).ok()?;
        Some(*self.ids.entry((kind, bytes, elements)).or_insert(next))
    }
}
