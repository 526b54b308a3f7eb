//! What a worker says of a run that did not happen so.

use crate::attack::ground::{Ground, must};
use serde_json::{Value, json};

use super::{Office, Try, attempt, input};

pub(super) fn internal(statement: &Value) -> &Value {
    &statement["predicate"]["buildDefinition"]["internalParameters"]
}

pub(super) fn own_words(ground: &Ground) -> Result<(), String> {
    let office = Office::open(ground, &[]);
    let run = office.run("words", 0, |plan, record| {
        plan["policy"] =
            json!({"policy": "SPOOFED", "checks": [{"rule": "SPOOFED", "kept": true, "finding": "SPOOFED"}]});
        plan["claims"][0]["claim"] = json!("SPOOFED");
        plan["assumptions"] =
            json!([{"what": "SPOOFED", "value": "SPOOFED", "origin": {"declared": "SPOOFED"}}]);
        record["attempts"] =
            json!([{"number": 1, "ended": "SPOOFED\u{1b}[2J", "places": 0, "seconds": 1.0, "chosen": true}]);
        record["rebuilder"] = json!("9.9.9-SPOOFED");
    });
    let mut statement = office.ask(&run, 0)?;
    let shown = internal(&statement)["workerStated"]["attempts"].to_string();
    must(!shown.contains("\\u001b"), "a control character in a statement")?;
    must(
        internal(&statement)["policy"]["policy"] == "built-in",
        "another policy than the signer's",
    )?;
    must(
        internal(&statement)["recipe"]["name"] == "c-make",
        "no recipe of the signer's",
    )?;
    must(
        internal(&statement)["signedOn"].is_string(),
        "no time of the signer's",
    )?;
    // What is set apart is the worker's; nothing else may be.
    statement["predicate"]["buildDefinition"]["internalParameters"]["workerStated"] = Value::Null;
    must(
        !statement.to_string().contains("SPOOFED"),
        format!("its own words: {statement}"),
    )
}

pub(super) fn variables(ground: &Ground) -> Result<(), String> {
    let office = Office::open(ground, &[]);
    let named = [
        "LD_PRELOAD",
        "BASH_ENV",
        "MAKEFLAGS",
        "TAR_OPTIONS",
        "GCC_EXEC_PREFIX",
        "CC",
        "GIT_SSH_COMMAND",
        "NEVER_HEARD_OF",
    ];
    let mut tries: Vec<Try> = named
        .into_iter()
        .map(|name| {
            attempt(name, "may run code that no step names", move |plan, _| {
                plan["build"]["env"][name] = json!("/inputs/x");
            })
        })
        .collect();
    tries.extend([
        attempt("another PATH", "may run code that no step names", |plan, _| {
            plan["build"]["env"]["PATH"] = json!("/inputs/dependencies:/usr/bin:/bin");
        }),
        attempt(
            "a variable in the setup",
            "may run code that no step names",
            |plan, _| {
                plan["setup"]["env"]["PATH"] = json!("/bin");
            },
        ),
        attempt("an absent variable", "does not set the variable", |plan, _| {
            plan["build"]["env"].as_object_mut().unwrap().remove("LC_ALL");
        }),
        attempt("OUTPUTS with options", "but it should be", |plan, _| {
            plan["build"]["env"]["OUTPUTS"] = json!("hello -o -name x");
        }),
        attempt("FOLDER elsewhere", "but it should be", |plan, _| {
            plan["build"]["env"]["FOLDER"] = json!("../../usr");
        }),
        attempt("another clock", "but it should be", |plan, _| {
            plan["build"]["env"]["SOURCE_DATE_EPOCH"] = json!("1");
        }),
        attempt("an exported function", "not the name of a variable", |plan, _| {
            plan["build"]["env"]["BASH_FUNC_tar%%"] = json!("() { :; }");
        }),
    ]);
    office.refuses(tries)
}

pub(super) fn other_sources(ground: &Ground) -> Result<(), String> {
    let office = Office::open(ground, &[]);
    office.refuses(vec![
        attempt(
            "another repository",
            "the verified provenance names",
            |plan, _| {
                let other = "https://github.com/mallory/hello";
                plan["git"][0]["source"]["repository"] = json!(other);
                plan["build"]["env"]["SOURCE_REPOSITORY"] = json!(other);
            },
        ),
        attempt("another commit", "the verified provenance names", |plan, _| {
            plan["git"][0]["source"]["commit"] = json!("f".repeat(40));
            plan["build"]["env"]["SOURCE_COMMIT"] = json!("f".repeat(40));
        }),
        attempt("another ref", "the verified provenance names", |plan, _| {
            plan["git"][0]["source"]["ref"] = json!("refs/tags/v6.6.6");
            plan["build"]["env"]["SOURCE_REF"] = json!("refs/tags/v6.6.6");
        }),
        attempt("other files of the commit", "but they are sha256:", |plan, _| {
            plan["git"][0]["archive"] = json!("f".repeat(64));
        }),
        attempt("a second source", "as its source", |plan, _| {
            let mut second = plan["git"][0].clone();
            second["place"] = json!("second.tar");
            plan["git"].as_array_mut().unwrap().push(second);
        }),
        attempt("the source elsewhere", "as its source", |plan, _| {
            plan["git"][0]["place"] = json!("source/source.tar");
        }),
        attempt("no source", "but it should be", |plan, _| {
            plan["git"] = json!([]);
        }),
        attempt("another ecosystem", "says that it is one of debian", |plan, _| {
            plan["ecosystem"] = json!("debian");
        }),
    ])
}

pub(super) fn other_containers(ground: &Ground) -> Result<(), String> {
    let office = Office::open(ground, &[]);
    office.refuses(vec![
        attempt("another lock", "another lock than this signer's", |plan, _| {
            plan["container"]["lock"]["packages"][0]["sha256"] = json!("f".repeat(64));
        }),
        attempt("a package more", "another lock than this signer's", |plan, _| {
            let packages = plan["container"]["lock"]["packages"].as_array_mut().unwrap();
            let again = packages[0].clone();
            packages.push(again);
        }),
        attempt("another tree", "another lock than this signer's", |plan, _| {
            plan["container"]["lock"]["tree"] = json!("f".repeat(64));
        }),
        attempt("another container", "but its recipe in", |plan, _| {
            plan["container"]["name"] = json!("trixie-rust");
        }),
        attempt("an unknown container", "but its recipe in", |plan, _| {
            plan["container"]["name"] = json!("../mallory");
        }),
        attempt("an image of its own", "allow it with --image", |plan, _| {
            plan["container"] = json!({"image": {
                "repository": "docker.io/mallory/build", "digest": "f".repeat(64)
            }});
        }),
        attempt("another host name", "has the host name", |plan, _| {
            plan["hostname"] = json!("elsewhere");
        }),
        attempt("another mask", "file mode creation mask", |plan, _| {
            plan["umask"] = json!(0);
        }),
    ])
}

pub(super) fn other_steps(ground: &Ground) -> Result<(), String> {
    let office = Office::open(ground, &[]);
    let steps = |plan: &mut Value, change: fn(&mut Vec<Value>)| {
        change(plan["build"]["steps"].as_array_mut().unwrap());
    };
    office.refuses(vec![
        attempt(
            "a step of its own",
            "in no recipe of this signer",
            move |plan, _| {
                steps(plan, |all| {
                    all.push(json!({"name": "x", "run": "cp /inputs/x /out/hello"}));
                });
            },
        ),
        attempt("another order", "in this order", move |plan, _| {
            steps(plan, |all| all.swap(0, 1));
        }),
        attempt("a step left out", "in this order", move |plan, _| {
            steps(plan, |all| drop(all.remove(1)));
        }),
        attempt("a step twice", "in this order", move |plan, _| {
            steps(plan, |all| all.push(all[2].clone()));
        }),
        attempt(
            "a step under another name",
            "control characters",
            move |plan, _| {
                steps(plan, |all| all[0]["name"] = json!("build\n== built =="));
            },
        ),
        attempt(
            "a step in the setup",
            "in no recipe of this signer",
            move |plan, _| {
                plan["setup"]["steps"] = json!([{"name": "x", "run": "apt-get install x"}]);
            },
        ),
        attempt(
            "a file of its own",
            "that no recipe of this signer knows",
            |plan, _| {
                plan["files"] = json!([{"place": "recipe/x", "text": "what was built elsewhere"}]);
            },
        ),
        attempt(
            "the released file as a text",
            "contains the released file itself",
            |plan, _| {
                plan["files"] = json!([{"place": "recipe/x", "text": "what was released"}]);
            },
        ),
    ])
}

pub(super) fn made_up_inputs(ground: &Ground) -> Result<(), String> {
    let office = Office::open(ground, &[]);
    office.refuses(vec![
        attempt("a made-up source", "may only use git", |plan, _| {
            plan["inputs"] = json!([input("source", "source/x")]);
        }),
        attempt(
            "an input in the recipe's place",
            "no recipe of this signer has one",
            |plan, _| {
                plan["inputs"] = json!([input("dependency", "recipe/x")]);
            },
        ),
        attempt("two in one place", "two of its inputs are put at", |plan, _| {
            plan["inputs"] = json!([
                input("dependency", "dependencies/x"),
                input("dependency", "dependencies//x")
            ]);
        }),
    ])?;
    let run = office.run("made-up", 0, |plan, _| {
        plan["inputs"] = json!([input("dependency", "dependencies/x")]);
    });
    // Signed or not, nobody may take it for more than the worker's word.
    let Ok(statement) = office.ask(&run, 0) else {
        return Ok(());
    };
    let all = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
        .as_array()
        .unwrap();
    for dependency in all {
        let annotations = &dependency["annotations"];
        let made_up = dependency["name"] == "SPOOFED";
        must(
            made_up == (annotations["statedBy"] == "worker") && made_up == annotations["namedBy"].is_null(),
            format!("an input that is not marked: {dependency}"),
        )?;
    }
    must(
        internal(&statement)["workerStated"]["inputs"] == json!(["dependencies/x"]),
        "an input that is not listed",
    )
}

pub(super) fn left_out(ground: &Ground) -> Result<(), String> {
    let office = Office::open(ground, &[]);
    let pattern = |what: &'static str, pattern: &'static str| {
        attempt(what, "from the comparison", move |plan, _| {
            plan["not_compared"] = json!([pattern]);
        })
    };
    office.refuses(vec![
        pattern("everything", "*"),
        pattern("everything in other words", "**"),
        pattern("some", "hell*"),
        pattern("a trojan", "hello-trojan"),
        attempt(
            "a name without a pattern",
            "but its plan does not",
            |_, record| {
                record["not_compared"] = json!(["hello-trojan"]);
            },
        ),
        attempt(
            "an extra output called released",
            "does not match the record",
            |_, record| {
                let mut extra = record["outputs"][0].clone();
                extra["name"] = json!("extra");
                record["outputs"].as_array_mut().unwrap().push(extra);
            },
        ),
    ])
}

pub(super) fn other_dates(ground: &Ground) -> Result<(), String> {
    let office = Office::open(ground, &[]);
    let dated = |what: &'static str, started: &'static str, finished: &'static str| {
        attempt(what, "says that it", move |_, record| {
            record["started"] = json!(started);
            record["finished"] = json!(finished);
        })
    };
    office.refuses(vec![
        dated("2001", "2001-01-01T00:00:00Z", "2001-01-01T00:01:00Z"),
        dated("1970", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        dated(
            "before Christ",
            "-000044-03-15T00:00:00Z",
            "-000044-03-15T00:00:00Z",
        ),
        dated("2099", "2099-01-01T00:00:00Z", "2099-01-01T00:01:00Z"),
        attempt("an end before its beginning", "says that it", |_, record| {
            let (started, finished) = (record["finished"].clone(), record["started"].clone());
            record["started"] = started;
            record["finished"] = finished;
        }),
        attempt("no version", "names", |_, record| {
            record["rebuilder"] = json!("the best");
        }),
    ])
}

pub(super) fn other_names(ground: &Ground) -> Result<(), String> {
    let office = Office::open(ground, &[]);
    office.refuses(vec![
        attempt(
            "another file name",
            "which was released as hello",
            |plan, record| {
                let sha256 = plan["expected"][0]["file"]["sha256"].as_str().unwrap().to_owned();
                let purl = json!(format!("pkg:generic/openssl?checksum=sha256:{sha256}"));
                plan["expected"][0]["file"]["name"] = json!("openssl");
                plan["expected"][0]["purl"] = purl.clone();
                plan["subject"] = purl.clone();
                plan["build"]["env"]["OUTPUTS"] = json!("openssl");
                record["subject"] = purl;
                record["outputs"][0]["name"] = json!("openssl");
            },
        ),
        attempt(
            "a package URL by which another rule counts",
            "but no signed document does",
            |plan, record| {
                let purl = json!("pkg:generic/trusted/openssl@3.0");
                plan["expected"][0]["purl"] = purl.clone();
                plan["subject"] = purl.clone();
                record["subject"] = purl;
            },
        ),
        attempt(
            "a subject of its own",
            "expects something else",
            |plan, record| {
                plan["subject"] = json!("pkg:generic/openssl");
                record["subject"] = json!("pkg:generic/openssl");
            },
        ),
    ])
}
