//! The processes that one process started, and which of them ran at the same time as another one.

/// The children of one process in the order of their numbers, as a tree over their times. Each node knows when the
/// first of its children began and when the last one ended, so a search skips the nodes whose time does not overlap.
#[derive(Debug, Clone, Default)]
pub(super) struct Siblings {
    numbers: Vec<u32>,
    /// Begin and end of each node. The children of node `i` are `2i` and `2i + 1`; the second half has the leaves.
    times: Vec<(usize, usize)>,
}

/// A time that overlaps with nothing.
const NEVER: (usize, usize) = (usize::MAX, 0);

impl Siblings {
    /// Takes each child's number with its begin and end.
    pub(super) fn new(children: &[(u32, (usize, usize))]) -> Self {
        let leaves = children.len().next_power_of_two();
        let mut times = vec![NEVER; leaves.saturating_mul(2)];
        for (leaf, (_, time)) in times.iter_mut().skip(leaves).zip(children) {
            *leaf = *time;
        }
        let mut this = Self {
            numbers: children.iter().map(|(number, _)| *number).collect(),
            times,
        };
        for node in (1..leaves).rev() {
            this.join(node);
        }
        this
    }

    /// All of them.
    pub(super) fn numbers(&self) -> &[u32] {
        &self.numbers
    }

    fn time(&self, node: usize) -> (usize, usize) {
        self.times.get(node).copied().unwrap_or(NEVER)
    }

    fn join(&mut self, node: usize) {
        let (one, other) = (
            self.time(node.saturating_mul(2)),
            self.time(node.saturating_mul(2).saturating_add(1)),
        );
        if let Some(time) = self.times.get_mut(node) {
            *time = (one.0.min(other.0), one.1.max(other.1));
        }
    }

    /// Numbers of the children that ran at some moment between `begun` and `ended`.
    pub(super) fn beside(&self, begun: usize, ended: usize) -> Vec<u32> {
        let leaves = self.times.len() / 2;
        let (mut found, mut open) = (Vec::new(), vec![1]);
        while let Some(node) = open.pop() {
            let (first, last) = self.time(node);
            if first >= ended || last <= begun {
                continue;
            }
            match node.checked_sub(leaves) {
                Some(leaf) => found.extend(self.numbers.get(leaf)),
                None => open.extend([node.saturating_mul(2).saturating_add(1), node.saturating_mul(2)]),
            }
        }
        found
    }

    /// Returns the same children, and removes them, so that they are not found again.
    pub(super) fn take_beside(&mut self, begun: usize, ended: usize) -> Vec<u32> {
        let found = self.beside(begun, ended);
        for number in &found {
            let Ok(leaf) = self.numbers.binary_search(number) else {
                continue;
            };
            let mut node = leaf.saturating_add(self.times.len() / 2);
            if let Some(time) = self.times.get_mut(node) {
                *time = NEVER;
            }
            while node > 1 {
                node /= 2;
                self.join(node);
            }
        }
        found
    }
}
