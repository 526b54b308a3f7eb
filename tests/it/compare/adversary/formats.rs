//! The formats, and what each can hold and be asked for.

use super::{Format, Spelling, Write, writers};

pub(super) const fn format(name: &'static str, write: Write) -> Format {
    Format {
        name,
        write,
        owners: false,
        links: false,
        lists: false,
        zip: false,
        tar: false,
    }
}

pub(super) const TAR: Format = Format {
    links: true,
    tar: true,
    ..format("x.tar", |tree, spelling| writers::tar(tree, spelling, ""))
};

pub(super) static FORMATS: &[Format] = &[
    TAR,
    Format {
        name: "x.tar.gz",
        write: |tree, spelling| writers::gzip(&writers::tar(tree, spelling, ""), spelling),
        ..TAR
    },
    Format {
        name: "x.tar.xz",
        write: |tree, spelling| writers::xz(&writers::tar(tree, spelling, ""), spelling),
        ..TAR
    },
    Format {
        name: "x.tar.zst",
        write: |tree, spelling| writers::zst(&writers::tar(tree, spelling, ""), spelling),
        ..TAR
    },
    Format {
        name: "x.tar.bz2",
        write: |tree, spelling| writers::bz2(&writers::tar(tree, spelling, ""), spelling),
        ..TAR
    },
    Format {
        name: "x-1.crate",
        write: |tree, spelling| writers::gzip(&writers::tar(tree, spelling, "x-1/"), spelling),
        owners: true,
        ..TAR
    },
    Format {
        name: "x-1.tgz",
        write: |tree, spelling| writers::gzip(&writers::tar(tree, spelling, "package/"), spelling),
        owners: true,
        ..TAR
    },
    Format {
        name: "x-1.gem",
        write: writers::gem,
        owners: true,
        ..TAR
    },
    Format {
        name: "x_1_all.deb",
        write: writers::deb,
        lists: true,
        ..TAR
    },
    Format {
        links: true,
        zip: true,
        ..format("x.zip", writers::zip)
    },
    Format {
        lists: true,
        zip: true,
        ..format("x-1-py3-none-any.whl", writers::wheel)
    },
    Format {
        lists: true,
        zip: true,
        ..format("x.jar", writers::jar)
    },
    Format {
        links: true,
        ..format("x.cpio", writers::cpio)
    },
    format("x.a", |tree, spelling| {
        let files = tree.in_order(&Spelling {
            reverse: false,
            ..spelling.clone()
        });
        let members: Vec<_> = files
            .into_iter()
            .filter(|file| file.link.is_none())
            .map(|file| (file.path.rsplit('/').next().unwrap(), file.bytes.clone()))
            .collect();
        writers::ar(&members, spelling.time)
    }),
    format("core.py.gz", |tree, spelling| {
        writers::gzip(&tree.files[0].bytes, spelling)
    }),
    format("x.zip.xz", |tree, spelling| {
        writers::xz(&writers::zip(tree, spelling), spelling)
    }),
];
