//! Which addresses are followed, and which are refused.

use super::*;

fn word(mirrors: &[&str], hosts: &[&str]) -> Word {
    Word {
        mirrors: mirrors.iter().map(|text| text.parse().unwrap()).collect(),
        hosts: hosts.iter().map(|text| text.parse().unwrap()).collect(),
        ..Word::default()
    }
}

// One long table.
#[test]
fn follows_addresses_of_documents_to_public_https_hosts_only() {
    let word = word(
        &["https://pypi.org/simple=http://127.0.0.1:8080/simple"],
        &["registry.corp:8443", "[fd00::5]"],
    );
    for address in [
        "https://github.com/o/r",
        "https://files.pythonhosted.org/packages/a",
        "https://sub.host.example:8443/a",
        "https://registry.corp:8443/a",
        "http://[fd00::5]/a",
        "https://pypi.org/simple/idna/",
    ] {
        assert!(
            word.route(address).is_ok(),
            "{address}: {:?}",
            word.route(address)
        );
    }
    for (address, reason) in [
        ("file:///etc/passwd", "--mirror"),
        ("FILE:/etc/passwd", "--mirror"),
        ("ftp://host.example/a", "not https"),
        ("data:text/plain,a", "not https"),
        ("../a", "not an address"),
        ("http://host.example/a", "plain HTTP"),
        ("https://me:secret@host.example/a", "credentials"),
        ("https://token@host.example/a", "credentials"),
        ("https://pypi.org@host.example/a", "credentials"),
        ("https://127.0.0.1/a", "by number"),
        ("https://2130706433/a", "by number (127.0.0.1)"),
        ("https://0x7f.1/a", "by number (127.0.0.1)"),
        ("https://0177.0.0.1/a", "by number (127.0.0.1)"),
        ("https://127.1/a", "by number (127.0.0.1)"),
        ("https://0/a", "by number (0.0.0.0)"),
        ("https://１２７.0.0.1/a", "by number (127.0.0.1)"),
        ("https://[::1]/a", "by number"),
        ("https://[::ffff:10.0.0.1]/a", "by number"),
        ("https://[64:ff9b::7f00:1]/a", "by number"),
        ("https://localhost/a", "inner network"),
        ("https://LOCALHOST./a", "inner network"),
        ("https://a.localhost/a", "inner network"),
        ("https://metadata/a", "inner network"),
        ("https://metadata.google.internal/a", "inner network"),
        ("https://printer.local/a", "inner network"),
        ("https://registry.corp/a", "inner network"),
        ("https://registry.corp:9999/a", "inner network"),
        ("http://127.0.0.1:8080/admin", "plain HTTP"),
        ("https://pypi.org:80/x y", ""),
    ] {
        match word.route(address) {
            Err(barred) => {
                assert!(
                    barred.reason.contains(reason) && !reason.is_empty(),
                    "{address}: {barred}"
                );
                assert!(!barred.to_string().contains("secret"), "{barred}");
            }
            Ok(route) => assert!(reason.is_empty(), "{address}: {route:?}"),
        }
    }
}

#[test]
fn no_path_leads_out_of_a_mirror() {
    let word = word(
        &[
            "https://a.example/pool=file:///srv/pool",
            "https://b.example/=file:///srv/b",
            "https://c.example=http://127.0.0.1:80",
        ],
        &[],
    );
    let file = |root: &str, parts: &[&str]| Route::File {
        root: root.into(),
        parts: parts.iter().map(|part| (*part).to_owned()).collect(),
    };
    for (address, expected) in [
        (
            "https://a.example/pool/x/y%2Bz.deb",
            Some(file("/srv/pool", &["x", "y+z.deb"])),
        ),
        ("https://a.example/pool", Some(file("/srv/pool", &[]))),
        ("https://b.example/private", Some(file("/srv/b", &["private"]))),
        ("https://a.example/pool/..%2f..%2fetc/passwd", None),
        ("https://a.example/pool/a%00b", None),
        ("https://a.example/pool/%ff", None),
    ] {
        assert_eq!(word.route(address).ok(), expected, "{address}");
    }
    // Dots are resolved before mirrors are looked up, and a mirror's prefix matches whole parts of a path.
    for address in [
        "https://a.example/pool/../../etc/passwd",
        "https://a.example/pool/%2e%2e/secret",
        "https://a.example/pool-private/x",
        "https://c.example.evil.example/x",
        "https://c.example:81/x",
    ] {
        let route = word.route(address);
        assert!(
            matches!(
                &route,
                Ok(Route::Http {
                    trust: AddressTrust::Outside,
                    ..
                })
            ),
            "{address}: {route:?}"
        );
    }
    assert!(word.route("https://c.example@evil.example/x").is_err());
    let Ok(Route::Http { url, trust }) = word.route("https://c.example/0/x") else {
        panic!()
    };
    assert_eq!(
        (url.as_str(), trust),
        ("http://127.0.0.1/0/x", AddressTrust::Chosen)
    );
}

#[test]
fn judges_redirects_like_addresses() {
    let word = word(&[], &["127.0.0.1:9"]);
    let url = |text: &str| Url::parse(text).unwrap();
    let go = |from: &str, trust, to: &str| word.redirect(&url(from), trust, &url(to));
    let good = "https://host.example/a";
    assert_eq!(
        go(good, AddressTrust::Outside, "https://cdn.example/b"),
        Ok(AddressTrust::Outside)
    );
    assert_eq!(
        go("http://10.0.0.1/a", AddressTrust::Chosen, "http://10.0.0.1/a/"),
        Ok(AddressTrust::Chosen)
    );
    for to in [
        "http://host.example/a",
        "http://127.0.0.1:9/a",
        "https://127.0.0.1/a",
        "https://localhost/a",
        "https://a:b@cdn.example/",
        "file:///etc/passwd",
    ] {
        assert!(go(good, AddressTrust::Outside, to).is_err(), "{to}");
    }
    for to in [
        "http://10.0.0.1:81/",
        "http://10.0.0.2/",
        "http://a:b@10.0.0.1/",
        "file:///etc/passwd",
    ] {
        assert!(go("http://10.0.0.1/a", AddressTrust::Chosen, to).is_err(), "{to}");
    }
    let barred = go(good, AddressTrust::Outside, "https://10.0.0.1/path?token=secret").unwrap_err();
    assert!(!barred.to_string().contains("secret"), "{barred}");
}

#[test]
fn chosen_prefixes_stand_for_what_is_below_them() {
    let word = Word::default();
    word.choose("http://mirror.corp/debian/");
    word.allow_plain("http://deb.example/debian");
    let trust = |text: &str| word.admit(&Url::parse(text).unwrap()).ok();
    assert_eq!(
        trust("http://mirror.corp/debian/dists/x"),
        Some(AddressTrust::Chosen)
    );
    assert_eq!(trust("http://mirror.corp/debian-secret/x"), None);
    assert_eq!(trust("http://deb.example/debian/x"), Some(AddressTrust::Outside));
    assert_eq!(trust("http://deb.example/other"), None);
}

proptest::proptest! {
    #[test]
    fn no_address_makes_the_reader_panic(text in ".{0,60}") {
        let _ = word(&["https://a.example/pool=file:///srv/pool"], &[]).route(&text);
    }
}
