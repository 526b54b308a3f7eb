//! Debian packages, deb(5): an ar archive of two compressed tar files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};

use super::{FormatReader, Visit};
use crate::container::decompress;

pub(super) struct Deb;

impl FormatReader for Deb {
    fn name(&self) -> &'static str {
        "Debian package"
    }

    fn ending(&self) -> &'static str {
        "deb"
    }

    fn walk(&self, file: File, visit: Visit) -> io::Result<()> {
        let mut archive = ar::Archive::new(io::BufReader::with_capacity(1 << 16, file));
        let mut whole = false;
        while let Some(member) = archive.next_entry() {
            let mut member = member?;
            let header = member.header();
            let name = String::from_utf8_lossy(header.identifier()).into_owned();
            let fields = BTreeMap::from([
                ("mode", format!("{:o}", header.mode())),
                ("mtime", header.mtime().to_string()),
                ("uid", header.uid().to_string()),
                ("gid", header.gid().to_string()),
            ]);
            let Some((stem, _)) = name.split_once(".tar") else {
                if !visit(name, fields, &mut member)? {
                    return Ok(());
                }
                continue;
            };
            whole = stem == "data";
            // The compressed member stands for itself too: the same files may be compressed otherwise.
            if !visit(name.clone(), fields, &mut io::empty())? {
                return Ok(());
            }
            if !walk_tar(&format!("{stem}.tar"), decompress(&name, member)?, visit)? {
                return Ok(());
            }
        }
        if whole {
            Ok(())
        } else {
            Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "data.tar is missing",
            ))
        }
    }
}

fn walk_tar(prefix: &str, tar: impl Read, visit: Visit) -> io::Result<bool> {
    let mut archive = tar::Archive::new(tar);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let header = entry.header();
        let owner = |name: io::Result<Option<&str>>| name.ok().flatten().unwrap_or_default().to_owned();
        let mut fields = BTreeMap::from([
            ("mode", format!("{:o}", header.mode()?)),
            ("mtime", header.mtime()?.to_string()),
            (
                "uid",
                format!(
                    "{} {}",
                    header.uid()?,
                    owner(header.username().map_err(io::Error::other))
                ),
            ),
            (
                "gid",
                format!(
                    "{} {}",
                    header.gid()?,
                    owner(header.groupname().map_err(io::Error::other))
                ),
            ),
            ("type", format!("{:?}", header.entry_type())),
        ]);
        if let Some(target) = entry.link_name()? {
            fields.insert("link", target.display().to_string());
        }
        let path = entry.path()?.display().to_string();
        let path = format!("{prefix}/{}", path.trim_start_matches("./").trim_end_matches('/'));
        if !visit(path, fields, &mut entry)? {
            return Ok(false);
        }
    }
    // What follows the end marker must be read too, or a truncated compressed stream would pass.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(true)
}
