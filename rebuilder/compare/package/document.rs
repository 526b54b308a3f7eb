//! Documents that are recognised by their first bytes: EPUB (OCF 3.3, 4.3) and OpenDocument (part 2, 3.3). `mimetype`
//! must be the first member, and uncompressed.

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
