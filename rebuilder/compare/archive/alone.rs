//! Members of one side only, and the signatures among them.

use super::Archive;
use crate::compare::again::{self, Wanted};
use crate::compare::both::{Both, Which};
use crate::compare::cause::{Cause, Confidence};
use crate::compare::file::{LONGEST_SIGNATURE, is_signature};
use crate::compare::finding::{Finding, Node, Presence};
use crate::compare::package;
use crate::compare::pair::Comparer;
use crate::compare::row::Row;
use crate::compare::source::Source;

impl Comparer<'_> {
    /// Nodes for members of one side only.
    pub(super) fn only(
        &self,
        archive: Archive,
        sides: Both<&Source>,
        alone: Both<Vec<Row>>,
    ) -> Vec<(usize, Node)> {
        let mut nodes = Vec::new();
        for (which, mut rows) in alone.each() {
            self.read_small(archive, sides.of(which), &mut rows);
            for row in rows {
                let (presence, sizes, released, rebuilt) = match which {
                    Which::Released => (Presence::OnlyReleased, (Some(row.size), None), "there", "missing"),
                    Which::Rebuilt => (Presence::OnlyRebuilt, (None, Some(row.size)), "missing", "there"),
                };
                let mut finding =
                    Finding::new("presence", released, rebuilt).keyed("members on one side only");
                let path = format!("{}/{}", archive.at.path, row.path);
                let file = package::File::new(&path, archive.at.within);
                if is_small(&row)
                    && let Some(source) = &row.source
                    && source
                        .head(LONGEST_SIGNATURE)
                        .is_ok_and(|bytes| is_signature(&bytes))
                {
                    finding = finding
                        .because(Cause::Signature, Confidence::Likely)
                        .keyed("signatures on one side only")
                        .set_aside_by(file.signature());
                }
                let node = Node {
                    name: row.path,
                    presence,
                    sizes,
                    findings: vec![finding],
                    ..Node::default()
                };
                nodes.push((row.index, node));
            }
        }
        nodes
    }

    /// Reads possible signatures again that were not kept. A member that cannot be read is not one.
    fn read_small(&self, archive: Archive, source: &Source, rows: &mut [Row]) {
        let lost = |row: &&mut Row| row.source.is_none() && is_small(row);
        let mut wanted: Wanted = rows
            .iter_mut()
            .filter(lost)
            .map(|row| (row.index, None))
            .collect();
        if wanted.is_empty() || again::fetch(archive.format, source, self.meter, &mut wanted).is_err() {
            return;
        }
        for row in rows {
            if let Some(source) = wanted.remove(&row.index) {
                row.source = source;
            }
        }
    }
}

/// Whether a member is short enough to be a signature.
fn is_small(row: &Row) -> bool {
    (1..=LONGEST_SIGNATURE as u64).contains(&row.size)
}
