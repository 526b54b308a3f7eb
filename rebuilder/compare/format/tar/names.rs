//! The path and the link target of a member, and whether other readers would find another one.

use super::header::{Header, LINK};
use super::pax_fields::Pax;
use super::short::{bsdtar, is_object_name, marked, shortened, shortened_link};

/// The names of a member.
#[derive(Default)]
pub(super) struct Names {
    pub path: Vec<u8>,
    pub link: Vec<u8>,
    /// How the names in the header follow from those in extended headers.
    pub dialect: Vec<String>,
    /// Names in the header that do not follow.
    pub short: Vec<Vec<u8>>,
    /// In git's archives, names of the file and of its link by their objects.
    pub objects: Vec<Vec<u8>>,
    pub short_link: Option<Vec<u8>>,
    /// The name in a sparse file's header, with a process id.
    pub sparse: Option<String>,
}

const SPARSE: &str = "GNUSparseFile";

impl Names {
    pub fn of(header: &Header, pax: &Pax) -> Self {
        let own = header.name();
        let sparse_name = pax
            .sparse
            .iter()
            .rev()
            .find(|(key, _)| *key == "name")
            .map(|(_, name)| *name);
        let long = [sparse_name, pax.path, pax.long_name];
        let path = long.into_iter().flatten().next().unwrap_or(&own).to_vec();
        let mut names = Self {
            link: pax
                .link
                .or(pax.long_link)
                .unwrap_or_else(|| header.text(LINK))
                .to_vec(),
            ..Self::default()
        };
        // From the name that overrides all others down to the one in the header.
        let mut above: Option<&[u8]> = None;
        for (place, name) in [sparse_name, pax.path, pax.long_name, Some(&*own)]
            .into_iter()
            .enumerate()
        {
            let Some(name) = name else { continue };
            if let Some(above) = above {
                names.below(above, name, sparse_name.is_some(), place == 3);
            }
            above = Some(name);
        }
        names.path = path;
        names.links(header, pax);
        names
    }

    /// Adds a name that another one overrides.
    fn below(&mut self, above: &[u8], name: &[u8], is_sparse: bool, is_header: bool) {
        if name == above {
            return;
        }
        if is_sparse && let Some(marked) = marked(name, above, SPARSE) {
            self.sparse = Some(marked.shown);
            return;
        }
        let inserted = || bsdtar(above, Some(b"GNUSparseFile.0")) == name;
        match shortened(name, above).filter(|_| is_header) {
            Some(how) => self.dialect.push(format!("name {how}")),
            None if is_sparse && inserted() => self
                .dialect
                .push("name of a sparse file as bsdtar writes it".into()),
            None if is_header && is_object_name(name) => self.objects.push(name.to_vec()),
            None => self.short.push(name.to_vec()),
        }
    }

    fn links(&mut self, header: &Header, pax: &Pax) {
        let own = header.text(LINK);
        if let (Some(one), Some(other)) = (pax.link, pax.long_link)
            && one != other
        {
            self.short_link = Some(other.to_vec());
        }
        if (pax.link.is_none() && pax.long_link.is_none()) || own == self.link {
            return;
        }
        match shortened_link(own, &self.link) {
            Some(how) => self.dialect.push(format!("link {how}")),
            None if is_git_link(own) => self.objects.push(own.to_vec()),
            None => {
                let both = [self.short_link.take().unwrap_or_default(), own.to_vec()];
                self.short_link = Some(both.join(&b' '));
            }
        }
    }
}

/// If a link target does not fit, git writes the name of the header that contains it.
fn is_git_link(link: &[u8]) -> bool {
    let object = link
        .strip_prefix(b"see ")
        .and_then(|link| link.strip_suffix(b".paxheader"));
    object.is_some_and(|object| is_object_name(&[object, b".data"].concat()))
}
