//! Which package someone may have meant.

use super::{AptError, Indexes};

impl Indexes {
    /// The name of a binary package that is most like `name`, which is not a package.
    pub fn similar(&self, name: &str) -> Result<Option<String>, AptError> {
        // Short names have too many neighbours.
        let most = name.len().div_ceil(4).min(2);
        let mut best: Option<(usize, String)> = None;
        self.each_package(|package| {
            // Most names differ too much in length alone.
            if name.len().abs_diff(package.len()) > most {
                return;
            }
            let edits = strsim::osa_distance(name, package);
            let is_better = |(fewest, known): &(usize, String)| (edits, package) < (*fewest, known.as_str());
            if edits <= most && best.as_ref().is_none_or(is_better) {
                best = Some((edits, package.to_owned()));
            }
        })?;
        Ok(best.map(|(_, name)| name))
    }
}
