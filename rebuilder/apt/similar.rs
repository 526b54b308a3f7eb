//! Which package someone may have meant.

use super::Indexes;

impl Indexes {
    /// The name of a binary package that is most like `name`, which is not a package.
    pub fn similar(&self, name: &str) -> Option<String> {
        // Short names have too many neighbours.
        let most = name.len().div_ceil(4).min(2);
        let mut best: Option<(usize, String)> = None;
        for package in self.names() {
            // Most names differ too much in length alone.
            if name.len().abs_diff(package.len()) > most {
                continue;
            }
            let edits = strsim::osa_distance(name, package);
            let is_better = |(fewest, known): &(usize, String)| (edits, package) < (*fewest, known.as_str());
            if edits <= most && best.as_ref().is_none_or(is_better) {
                best = Some((edits, package.to_owned()));
            }
        }
        best.map(|(_, name)| name)
    }
}
