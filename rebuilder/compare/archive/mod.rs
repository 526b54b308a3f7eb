//! Two archives of one format: members that differ, members of one side only, and fields of the archives themselves.

mod alone;

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use crate::artifact::Sha256;
use crate::compare::again::{self, Wanted};
use crate::compare::both::Both;
use crate::compare::cause::{Cause, Confidence};
use crate::compare::fields::{field_findings, keep_owners, member, order};
use crate::compare::finding::{Finding, Node};
use crate::compare::format::FormatReader;
use crate::compare::front;
use crate::compare::package::{self, Enclosing};
use crate::compare::pair::{At, Comparer, on_two_threads};
use crate::compare::partners;
use crate::compare::row::Row;
use crate::compare::source::Source;
use crate::compare::stale;
use crate::compare::stored;
use crate::compare::tree;
use crate::compare::walk::{self, Judged, Later, Walked};

/// Two archives of one format, and their place in the tree.
#[derive(Clone, Copy)]
struct Archive<'a> {
    at: At<'a>,
    format: &'static dyn FormatReader,
}

/// Maximum number of members that get a node although only fields differ; the others are counted.
const MOST_NODES: u64 = 100_000;
/// Number of nodes that are kept of an archive with too many.
const KEPT_NODES: usize = 1000;
/// Maximum number of times that are remembered.
const MOST_TIMES: usize = 10_000;

impl Comparer<'_> {
    /// Compares the members of two archives of one format.
    pub fn archive(&self, at: At, format: &'static dyn FormatReader, sides: Both<&Source>, node: &mut Node) {
        let known = package::Archive::read(format, sides.released, self.meter);
        let enclosing = Enclosing::new(at.path, &known, at.within);
        let within = if matches!(sides.released, Source::Folder(_)) {
            at.within
        } else {
            enclosing.within()
        };
        if at.depth == self.meter.depth {
            self.clamped.store(within.clamps_times(), Ordering::Relaxed);
        }
        let at = At { within, ..at };
        let archive = Archive { at, format };
        let judge = |released: Row, rebuilt: Row| self.judge(archive, released, rebuilt);
        let mut walked = walk::walk(format, sides, self.meter, &judge);
        for (which, error) in walked.errors.as_ref().each() {
            let unread = error.as_ref().map(|error| self.unread_side(which, error));
            node.findings.extend(unread);
        }
        partners::pair(format, sides, self.meter, within, &mut walked);
        node.children = self.members(archive, sides, &mut walked, &mut node.findings);
        node.same = walked.same;
        if !node.is_same() {
            format.prove(sides, self.meter, node);
        }
        format.settle(node);
        let settling = package::Settling {
            format,
            sides,
            meter: self.meter,
        };
        package::settle(enclosing.kind(), &settling, node);
        self.fold(node);
    }

    /// The members that differ, in order of their names, and findings of the archives themselves.
    fn members(
        &self,
        archive: Archive,
        sides: Both<&Source>,
        walked: &mut Walked,
        findings: &mut Vec<Finding>,
    ) -> Vec<Node> {
        let Archive { at, format } = archive;
        let within = at.within;
        let mut nodes = std::mem::take(&mut walked.nodes);
        self.second_walk(archive, sides, std::mem::take(&mut walked.later), &mut nodes);
        let listing = stale::Listing {
            path: at.path,
            format,
            sides,
            meter: self.meter,
            within,
        };
        findings.extend(stale::lines(&listing, &nodes, &walked.names));
        findings.extend(stale::signatures(&listing, &nodes, &walked.names));
        keep_owners(&mut nodes, format, walked, within);
        if walked.errors.as_ref().all(Option::is_none) {
            findings.extend(tree::ambiguous(walked.outlines.as_ref()));
            findings.extend(order(format, walked, within));
            findings.extend(front::findings(walked.fronts.as_ref()));
            let fields = walked.fields.as_ref();
            findings.extend(field_findings(format.name(), fields, within));
        }
        // A walk that ended early may have missed a partner.
        let complete = walked.errors.as_ref().map(Option::is_none);
        for (which, complete) in complete.each() {
            if !complete {
                walked.alone.of_mut(which.other()).clear();
            }
        }
        nodes.extend(self.only(archive, sides, std::mem::take(&mut walked.alone)));
        nodes.sort_by(|(_, one), (_, next)| one.name.cmp(&next.name));
        nodes.into_iter().map(|(_, node)| node).collect()
    }

    /// Compares a pair of members; pairs whose bytes were not kept are compared later.
    fn judge(&self, archive: Archive, released: Row, rebuilt: Row) -> Judged {
        if let Some(time) = stored::time(&released.fields)
            && stored::time(&rebuilt.fields) == Some(time)
        {
            let mut times = self.times.lock().unwrap_or_else(PoisonError::into_inner);
            if times.len() < MOST_TIMES {
                let count = times.entry(time).or_default();
                *count = count.saturating_add(1);
            }
        }
        if released.same_bytes(&rebuilt) {
            let node = member(archive.format.name(), &released, &rebuilt, archive.at.within);
            return if node.is_same() {
                Judged::Same
            } else {
                Judged::Node(Box::new(node))
            };
        }
        let unread = Both::new(released.unread(), rebuilt.unread());
        if unread.any(|reason| reason.is_some()) {
            let mut node = member(archive.format.name(), &released, &rebuilt, archive.at.within);
            let told = unread.map(|reason| reason.unwrap_or("readable"));
            let finding = Finding::new("contents", told.released, told.rebuilt);
            node.findings.push(
                finding
                    .because(Cause::Unread, Confidence::Proven)
                    .keyed("damaged"),
            );
            return Judged::Node(Box::new(node));
        }
        if released.source.is_none() || rebuilt.source.is_none() {
            return Judged::Later(Box::new(Later { released, rebuilt }));
        }
        Judged::Node(Box::new(self.member(archive, &released, &rebuilt)))
    }

    /// Compares a pair of members whose bytes differ and were kept.
    fn member(&self, archive: Archive, released: &Row, rebuilt: &Row) -> Node {
        let mut node = member(archive.format.name(), released, rebuilt, archive.at.within);
        if let (Some(old), Some(new)) = (&released.source, &rebuilt.source) {
            let path = format!("{}/{}", archive.at.path, released.path);
            let content = self.pair(archive.at.inside(&path), Both::new(old, new));
            node.format = content.format;
            node.findings.extend(content.findings);
            node.excerpts = content.excerpts;
            node.children = content.children;
            node.same = content.same;
        }
        node.other_bytes = true;
        node.findings
            .retain(|finding| finding.place.field().is_none_or(|kind| !kind.follows_contents));
        if node.findings.is_empty() && node.children.is_empty() {
            let digest = |row: &Row| row.sha256().map(Sha256::to_hex).unwrap_or_default();
            node.findings
                .push(Finding::new("bytes", digest(released), digest(rebuilt)));
        }
        node
    }

    /// Reads members that were not kept again, in one walk of each side.
    fn second_walk(
        &self,
        archive: Archive,
        sides: Both<&Source>,
        later: Vec<Later>,
        nodes: &mut Vec<(usize, Node)>,
    ) {
        if later.is_empty() {
            return;
        }
        let mut wanted: Both<Wanted> = Both::default();
        for pair in &later {
            for (which, row) in Both::new(&pair.released, &pair.rebuilt).each() {
                if row.source.is_none() {
                    wanted.of_mut(which).insert(row.index, None);
                }
            }
        }
        let jobs = Both::new(
            (sides.released, &mut wanted.released),
            (sides.rebuilt, &mut wanted.rebuilt),
        );
        let fetched = on_two_threads(jobs, |(source, wanted)| {
            again::fetch(archive.format, source, self.meter, wanted)
        });
        for mut pair in later {
            for (which, row) in Both::new(&mut pair.released, &mut pair.rebuilt).each() {
                if row.source.is_none() {
                    row.source = wanted.of_mut(which).remove(&row.index).flatten();
                }
            }
            let mut node = self.member(archive, &pair.released, &pair.rebuilt);
            if pair.released.source.is_none() || pair.rebuilt.source.is_none() {
                for (which, end) in fetched.as_ref().each() {
                    let unread = end.as_ref().err().map(|error| self.unread_side(which, error));
                    node.findings.extend(unread);
                }
            }
            nodes.push((pair.released.index, node));
        }
    }

    /// Beyond this number of nodes, members of which only fields differ are counted in their archive.
    fn fold(&self, node: &mut Node) {
        let own = node.children.len() as u64;
        let before = self.nodes.fetch_add(own, Ordering::Relaxed);
        if before.saturating_add(own) < MOST_NODES {
            return;
        }
        let mut folded: Vec<Finding> = Vec::new();
        let mut kept = Vec::new();
        for child in std::mem::take(&mut node.children) {
            let small = child.children.is_empty() && child.excerpts.is_empty();
            if !small || kept.len() < KEPT_NODES {
                kept.push(child);
                continue;
            }
            for finding in child.findings {
                let same = folded.iter_mut().find(|other| {
                    other.key == finding.key
                        && other.cause == finding.cause
                        && other.normalisation == finding.normalisation
                });
                match same {
                    Some(other) => other.places = other.places.saturating_add(finding.places),
                    None => folded.push(Finding {
                        place: format!("{}: {}", child.name, finding.place).into(),
                        ..finding
                    }),
                }
            }
        }
        node.children = kept;
        node.findings.extend(folded);
    }
}

#[cfg(test)]
mod tests;
