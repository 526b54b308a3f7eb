//! The parts of two texts that are explained.

use std::ops::Range;

/// Pairs of parts, one on each side, that correspond to each other.
#[derive(Default)]
pub(super) struct Claims {
    pairs: Vec<(Range<usize>, Range<usize>)>,
}

impl Claims {
    pub fn add(&mut self, released: Range<usize>, rebuilt: Range<usize>) {
        self.pairs.push((released, rebuilt));
    }

    /// Whether neither part overlaps an explained one.
    pub fn are_free(&self, released: &Range<usize>, rebuilt: &Range<usize>) -> bool {
        let apart =
            |one: &Range<usize>, other: &Range<usize>| one.end <= other.start || other.end <= one.start;
        self.pairs
            .iter()
            .all(|(old, new)| apart(old, released) && apart(new, rebuilt))
    }

    /// Whether the two texts are the same except for the explained parts.
    pub fn explain_all(&mut self, released: &str, rebuilt: &str) -> bool {
        self.pairs.sort_by_key(|(old, new)| (old.start, new.start));
        let (mut at_old, mut at_new) = (0, 0);
        for (old, new) in &self.pairs {
            let (before_old, before_new) = (released.get(at_old..old.start), rebuilt.get(at_new..new.start));
            if before_old.is_none() || before_old != before_new {
                return false;
            }
            (at_old, at_new) = (old.end, new.end);
        }
        released.get(at_old..).is_some() && released.get(at_old..) == rebuilt.get(at_new..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_claimed_must_be_the_same() {
        let claimed = |released: &str, rebuilt: &str, pairs: &[(Range<usize>, Range<usize>)]| {
            let mut claims = Claims::default();
            for (old, new) in pairs {
                claims.add(old.clone(), new.clone());
            }
            claims.explain_all(released, rebuilt)
        };
        assert!(claimed("a1b2", "a33b4", &[(3..4, 4..5), (1..2, 1..3)]));
        assert!(!claimed("a1b2", "a33c4", &[(1..2, 1..3), (3..4, 4..5)]));
        assert!(!claimed("a1", "a1x", &[(1..2, 1..2)]));
        // Parts that swapped places do not correspond to each other.
        assert!(!claimed("1a2", "3a4", &[(0..1, 2..3), (2..3, 0..1)]));
    }
}
