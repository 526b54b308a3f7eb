//! Documents that are told by their first bytes: EPUB (OCF 3.3, 4.3) and OpenDocument (part 2, 3.3). `mimetype` is the
//! first member, and stored as it is.

use super::{Package, Placed};

pub(super) static DOCUMENT: Package = Package {
    placed: |format, path| {
        (format == "zip" && path == "mimetype").then_some(Placed {
            as_stored: true,
            ..Placed::at(0)
        })
    },
    ..Package::new("document")
};
