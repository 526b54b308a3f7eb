//! Small packages for tests.

use std::io::Write as _;

/// A file in a sample: its path, mode, owner, time, and bytes.
#[derive(Debug, Clone)]
pub(in crate::compare) struct Sample {
    pub path: String,
    pub mode: u32,
    pub owner: u64,
    pub time: u64,
    pub bytes: Vec<u8>,
    /// The target, if it is a hard link in a tar archive.
    pub link: Option<String>,
}

/// A file with the usual mode and owner.
pub(in crate::compare) fn sample(path: &str, bytes: impl AsRef<[u8]>) -> Sample {
    Sample {
        path: path.to_owned(),
        mode: 0o644,
        owner: 0,
        time: 1_700_000_000,
        bytes: bytes.as_ref().to_vec(),
        link: None,
    }
}

/// Files with their paths and texts.
pub(in crate::compare) fn samples(files: &[(&str, &str)]) -> Vec<Sample> {
    files.iter().map(|(path, text)| sample(path, text)).collect()
}

pub(in crate::compare) fn tar(files: &[Sample]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.bytes.len() as u64);
        header.set_mode(file.mode);
        header.set_uid(file.owner);
        header.set_mtime(file.time);
        if let Some(link) = &file.link {
            header.set_entry_type(tar::EntryType::Link);
            builder.append_link(&mut header, &file.path, link).unwrap();
            continue;
        }
        builder
            .append_data(&mut header, &file.path, file.bytes.as_slice())
            .unwrap();
    }
    builder.into_inner().unwrap()
}

pub(in crate::compare) fn zip(files: &[Sample]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for file in files {
        let minute = u8::try_from(file.time % 60).unwrap();
        let time = zip::DateTime::from_date_and_time(2024, 1, 2, 0, minute, 0).unwrap();
        let options = zip::write::SimpleFileOptions::default()
            .unix_permissions(file.mode)
            .last_modified_time(time);
        writer.start_file(file.path.as_str(), options).unwrap();
        writer.write_all(&file.bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub(in crate::compare) fn ar(files: &[Sample]) -> Vec<u8> {
    let mut archive = b"!<arch>\n".to_vec();
    for file in files {
        let (path, length) = (&file.path, file.bytes.len());
        archive.extend(
            format!(
                "{path:<16}{:<12}{:<6}{:<6}{:<8}{length:<10}`\n",
                0, 0, 0, "100644"
            )
            .bytes(),
        );
        archive.extend(&file.bytes);
        archive.resize(archive.len() + length % 2, b'\n');
    }
    archive
}

pub(in crate::compare) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

pub(in crate::compare) fn jar(files: &[(&str, &str)]) -> Vec<u8> {
    let mut all = samples(&[("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n")]);
    all.extend(samples(files));
    zip(&all)
}

pub(in crate::compare) fn gem(files: &[Sample]) -> Vec<u8> {
    let specification = "--- !ruby/object:Gem::Specification\nname: x\nversion: 1\n";
    tar(&[
        sample("metadata.gz", gzip(specification.as_bytes())),
        sample("data.tar.gz", gzip(&tar(files))),
    ])
}

pub(in crate::compare) fn deb(control: &[Sample], data: &[Sample]) -> Vec<u8> {
    ar(&[
        sample("debian-binary", "2.0\n"),
        sample("control.tar.gz", gzip(&tar(control))),
        sample("data.tar.gz", gzip(&tar(data))),
    ])
}

/// `openssl cms -sign -binary -outform DER` of `hi`, with a line end.
pub(crate) const CMS_BASE64: &str = concat!(
    "MIIDIAYJKoZIhvcNAQcCoIIDETCCAw0CAQExDTALBglghkgBZQMEAgEwCwYJKoZIhvcNAQcBoIIBcDCCAWwwggEToAMCAQICFD1p",
    "1vAZdYcCBX55k2xTI6mlqWTtMAoGCCqGSM49BAMCMAwxCjAIBgNVBAMMAXgwHhcNMjYxMTI2MDMwMTUxWhcNMjYxMTI3MDMwMTUx",
    "WjAMMQowCAYDVQQDDAF4MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMhSbfhJohQvB1Nc6OWET+nxRuOshKepbLxUbIr8pdaTG",
    "k73TmtK7VHBVbo0aRw7IiQicAKGfZt/ovZzrxxo8xqNTMFEwHQYDVR0OBBYEFPHag5ZhHgvy7kuPEJVdwApSJBTTMB8GA1UdIwQY",
    "MBaAFPHag5ZhHgvy7kuPEJVdwApSJBTTMA8GA1UdEwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgaQxpHzVLZRzpcDcCYWBu",
    "Nbpda7qlB9MyKIljb7QDrpkCIDsUA2oPUgEU/dVRxpOdaCYYgiIJau/SXw0ytgs0A6ZQMYIBdjCCAXICAQEwJDAMMQowCAYDVQQD",
    "DAF4AhQ9adbwGXWHAgV+eZNsUyOppalk7TALBglghkgBZQMEAgGggeQwGAYJKoZIhvcNAQkDMQsGCSqGSIb3DQEHATAcBgkqhkiG",
    "9w0BCQUxDxcNMjYxMTI2MDMwMTUxWjAvBgkqhkiG9w0BCQQxIgQgmOpuTyFvL7S2n/+bOkSELDhobKaF8/VdxIxdP7EQe+QweQYJ",
    "KoZIhvcNAQkPMWwwajALBglghkgBZQMEASowCwYJYIZIAWUDBAEWMAsGCWCGSAFlAwQBAjAKBggqhkiG9w0DBzAOBggqhkiG9w0D",
    "AgICAIAwDQYIKoZIhvcNAwICAUAwBwYFKw4DAgcwDQYIKoZIhvcNAwICASgwCgYIKoZIzj0EAwIERzBFAiA6C+qPhnxlYvNscb/v",
    "pk/fwjq1H3EYh9QMQeb1Fdi5eAIhAIxU4aZZZEhiIaiHJlZeBfOHoDMxYcbJIJfHXhlpD7Eq",
);
