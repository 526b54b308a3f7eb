//! What the gate makes of arguments, files and settings.

use super::*;

fn read(text: &str) -> Result<Arguments, String> {
    let words: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
    Arguments::read(&words, &[]).map_err(|failure| failure.message())
}

#[test]
fn options_go_where_they_belong() {
    let given = read("install -i https://i.example/simple --target=lib idna==3.10 -U attrs>=20").unwrap();
    assert_eq!(given.requirements, ["idna==3.10", "attrs>=20"]);
    let (index, target) = (
        ["--index-url=https://i.example/simple"],
        ["--target=lib", "--upgrade"],
    );
    assert_eq!(given.of(Phase::Resolve), [&index[..], &target[..]].concat());
    assert_eq!(given.of(Phase::Download), index);
    assert_eq!(given.of(Phase::Install), target);
}

#[test]
fn refuses_what_runs_code_before_it_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let nested = file(
        "nested.txt",
        "idna \\\n  --hash=sha256:00\n-e git+https://h.example/r\n",
    );
    for (text, reason) in [
        ("download idna".to_owned(), "supports only"),
        ("install -e .".to_owned(), "-e"),
        ("install .".to_owned(), "folders"),
        ("install git+https://h.example/r".to_owned(), "folders"),
        ("install a@git+https://h.example/r".to_owned(), "folders"),
        ("install https://h.example/a-1.tar.gz".to_owned(), "folders"),
        ("install https://h.example/a-1.tar.gz#x.whl".to_owned(), "folders"),
        ("install --no-binary :all: idna".to_owned(), "--no-binary"),
        (
            "install --config-settings a=b idna".to_owned(),
            "does not support",
        ),
        ("install --target".to_owned(), "needs a value"),
        (format!("install -r {nested}"), "-e cannot be used"),
        (
            format!("install -r {}", file("loop.txt", "-r loop.txt\n")),
            "include each other",
        ),
        ("install --pre=-e idna".to_owned(), "does not take a value"),
        (
            "install -c constraints.txt".to_owned(),
            "no requirement was given",
        ),
        ("install --upgrade".to_owned(), "no requirement was given"),
        ("install idna.zip".to_owned(), "folders"),
        (
            "install -r https://h.example/r.txt".to_owned(),
            "cannot use the requirements",
        ),
        (
            format!("install -r {}", file("at.txt", "a @ file:///tmp/a\n")),
            "folders",
        ),
    ] {
        let error = read(&text).map(|_| ()).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }
    for text in [
        "install idna==3.10".to_owned(),
        "install idna[all]>=3;python_version>'3'".to_owned(),
        "install https://h.example/a-1-py3-none-any.whl".to_owned(),
        format!(
            "install -r {}",
            file("good.txt", "# all\nidna==3.10 --hash=sha256:00 # why\n")
        ),
    ] {
        assert!(read(&text).is_ok(), "{text}");
    }
}

#[test]
fn pip_is_given_what_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir_all(folder.path().join("below/wheels")).unwrap();
    write(
        "all.txt",
        "--pre\n-r below/more.txt\n-c limits.txt\nidna \\\n --hash sha256:00 # why\n",
    );
    write(
        "below/more.txt",
        "-f wheels\n-i https://file.example/simple\nattrs>=20 ; python_version > '3'\n-r ../last.txt",
    );
    write("last.txt", "six");
    // What a file of constraints requires is a requirement.
    write("limits.txt", "attrs<30\n-r required.txt\n");
    write("required.txt", "zipp\n");
    let given = read(&format!(
        "install -r {}/all.txt -i https://i.example typing-extensions",
        folder.path().display()
    ))
    .unwrap();
    let requirements = [
        "typing-extensions",
        "attrs>=20 ; python_version > '3'",
        "six",
        "zipp",
        "idna --hash=sha256:00",
    ];
    assert_eq!(given.requirements, requirements);
    assert_eq!(given.constraints, ["attrs<30"]);
    let links = format!("--find-links={}/below/wheels", folder.path().display());
    let options = [
        "--index-url=https://i.example",
        "--pre",
        &links,
        "--index-url=https://file.example/simple",
    ];
    assert_eq!(given.of(Phase::Resolve), options);
}

#[test]
fn settings_are_taken_as_their_options_are() {
    let words = ["install".to_owned(), "idna".to_owned(), "--timeout=9".to_owned()];
    let with = |name: &str, value: &str| {
        let setting = Setting {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let read = Arguments::read(&words, &[setting]).map_err(|failure| failure.message())?;
        Ok::<_, String>(read.of(Phase::Resolve).join(" "))
    };
    for (name, value, options) in [
        (
            "index-url",
            "https://i.example",
            "--index-url=https://i.example --timeout=9",
        ),
        (
            "extra-index-url",
            "a b\nc",
            "--extra-index-url=a --extra-index-url=b --extra-index-url=c --timeout=9",
        ),
        ("timeout", "180", "--timeout=180 --timeout=9"),
        ("pre", "yes", "--pre --timeout=9"),
        ("pre", "0", "--timeout=9"),
        ("target", "a b", "--target=a b --timeout=9"),
    ] {
        assert_eq!(with(name, value).as_deref(), Ok(options), "{name}");
    }
    for name in [
        "requirement",
        "constraint",
        "editable",
        "no-binary",
        "python",
        "group",
        "config-settings",
        "unheard-of",
    ] {
        assert!(with(name, "x").is_err_and(|error| error.contains(name)), "{name}");
    }
    assert!(with("pre", "perhaps").is_err());
}
