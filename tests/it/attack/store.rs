//! What is kept between runs, and who else can reach it: another run, another user of the machine.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use rebuilder::artifact::Sha256;
use serde_json::json;

use super::Case;
use super::ground::{Ground, must};
use super::root::working;
use crate::common;

const fn case(name: &'static str, run: fn(&Ground) -> Result<(), String>) -> Case {
    Case {
        name,
        builds: false,
        run,
    }
}

pub const CASES: &[Case] = &[
    case("list what another user keeps", listed),
    case("open the data folder by what it was before", reopened),
    case("use a data folder of another user", foreign),
    case("overwrite a kept file through a second input of one place", twice),
    case(
        "overwrite a kept file through an input within an input",
        |ground| refuse_places(ground, "a", "a/b"),
    ),
    case(
        "overwrite a kept file through a place that names another",
        |ground| refuse_places(ground, "a", "./a"),
    ),
    case("name a kept file from inside", inode),
    case("lock a kept file from inside", locked),
    case("change a kept root between two runs", changed_root),
    case("add a file to a kept root between two runs", added),
    case("change a kept root and set its times back", |ground| {
        change(ground, |root| {
            let file = root.join("honest");
            let time = fs::metadata(&file).unwrap().modified().unwrap();
            fs::write(&file, "evil!!\n").unwrap();
            fs::File::options()
                .write(true)
                .open(&file)
                .unwrap()
                .set_modified(time)
                .unwrap();
        })
    }),
    case("put another file in the place of one in a kept root", |ground| {
        change(ground, |root| {
            fs::write(root.join("new"), "evil!!\n").unwrap();
            fs::rename(root.join("new"), root.join("honest")).unwrap();
        })
    }),
    case("own what another run's processes write", other_ids),
    case("have a folder of everyone's closed as a store", everyones),
    case("have builds see other modes by the mask of the caller", masks),
    case(
        "stop every command by an old layer that was never kept",
        old_layer,
    ),
];

/// As somebody else on this machine.
fn stranger(program: &str, arguments: &[&str]) -> String {
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--", program])
        .args(arguments)
        .output()
        .unwrap();
    common::text(&output)
}

fn listed(ground: &Ground) -> Result<(), String> {
    if !common::is_root() {
        return Ok(());
    }
    let store = ground.store();
    for folder in ["", "roots", "layers", "scratch", "store", "tmp"] {
        let said = stranger("ls", &["-d", store.join(folder).join(".").to_str().unwrap()]);
        must(said.contains("ermission denied"), format!("{folder}: {said}"))?;
    }
    Ok(())
}

fn reopened(ground: &Ground) -> Result<(), String> {
    let data = ground.folder().join("data");
    let doctor = || {
        let mut command = ground.command(ground.program());
        command.arg("--store").arg(&data).arg("doctor").output().unwrap()
    };
    doctor();
    Command::new("chmod")
        .args(["-R", "777"])
        .arg(&data)
        .status()
        .unwrap();
    doctor();
    let mode = fs::metadata(&data).unwrap().permissions().mode();
    must(mode & 0o077 == 0, format!("the data folder has mode {mode:o}"))
}

fn foreign(ground: &Ground) -> Result<(), String> {
    if !common::is_root() {
        return Ok(());
    }
    let data = ground.folder().join("theirs");
    fs::create_dir(&data).unwrap();
    std::os::unix::fs::chown(&data, Some(65_534), Some(65_534)).unwrap();
    let mut command = ground.command(ground.program());
    let output = command.arg("--store").arg(&data).arg("doctor").output().unwrap();
    must(!output.status.success(), common::text(&output))
}

/// A plan with two inputs at these places, the second of which is the attacker's.
fn two_inputs(ground: &Ground, first: &str, second: &str) -> (PathBuf, std::process::Output) {
    let (kept, evil) = (
        ground.blob(b"kept for everyone\n"),
        ground.blob(b"the attacker's\n"),
    );
    let mut plan = ground.plan();
    let input = |place: &str, digest: Sha256, size: usize| {
        json!({"role": "source", "place": place,
               "file": {"name": "x", "urls": [], "sha256": digest.to_hex(), "size": size}})
    };
    plan["setup"]["steps"] = json!([]);
    plan["inputs"] = json!([input(first, kept, 18), input(second, evil, 15)]);
    let output = ground.rebuild(&plan, "cat /inputs/a; true");
    let hex = kept.to_hex();
    (
        ground.store().join("store/sha256").join(&hex[..2]).join(&hex),
        output,
    )
}

fn refuse_places(ground: &Ground, first: &str, second: &str) -> Result<(), String> {
    let (kept, output) = two_inputs(ground, first, second);
    must(
        fs::read(&kept).unwrap() == b"kept for everyone\n",
        "the kept file was changed",
    )?;
    let code = common::code(&output);
    must(
        [2, 3, 4].contains(&code),
        format!("exit {code}: {}", common::text(&output)),
    )
}

fn twice(ground: &Ground) -> Result<(), String> {
    refuse_places(ground, "a", "a")
}

fn inode(ground: &Ground) -> Result<(), String> {
    let file = ground.write("input", "an input");
    let said = common::text(&ground.container(&[&file], "stat -c 'links %h' /inputs/input"));
    must(said.contains("links 1"), said)
}

fn locked(ground: &Ground) -> Result<(), String> {
    let file = ground.write("input", "an input");
    let said = ground.container(
        &[&file],
        "stat -c %i /inputs/input; flock -x /inputs/input echo locked",
    );
    let own = fs::metadata(&file).unwrap().ino().to_string();
    must(
        !common::text(&said).lines().any(|line| line == own),
        "it is the very file",
    )
}

/// Two runs on one small image in a store of its own, and a change of the kept root between them.
fn change(ground: &Ground, change: fn(&Path)) -> Result<(), String> {
    let ground = ground.apart();
    let script = "/bin/busybox cat /honest; /bin/busybox cat /added 2>/dev/null";
    let image = [working().file("honest", 0o644, b"honest\n").end()];
    ground.on_image(&image, script);
    must(ground.log().contains("honest"), ground.log())?;
    for entry in fs::read_dir(ground.store().join("roots")).unwrap().flatten() {
        change(&entry.path().join("root"));
    }
    fs::remove_dir_all(ground.folder().join("run")).unwrap();
    let said = common::text(&ground.on_image(&image, script));
    let log = ground.log();
    if !common::is_root() {
        common::remove_store(&ground.store());
    }
    must(
        log.contains("honest") && !log.contains("evil!"),
        format!("the next run used it: {log} {said}"),
    )
}

fn changed_root(ground: &Ground) -> Result<(), String> {
    change(ground, |root| {
        fs::write(root.join("honest"), "evil!!!!\n").unwrap();
    })
}

fn added(ground: &Ground) -> Result<(), String> {
    change(ground, |root| fs::write(root.join("added"), "evil!\n").unwrap())
}

fn other_ids(ground: &Ground) -> Result<(), String> {
    if ground.who != super::Who::Root {
        return Ok(());
    }
    let said = common::text(&ground.container(&[], "cat /proc/self/uid_map"));
    let outer: u64 = said
        .split_whitespace()
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(0);
    let owner = fs::read_dir(ground.store().join("roots"))
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::metadata(entry.path().join("root/usr")).ok())
        .map(|meta| u64::from(meta.uid()))
        .next()
        .unwrap_or(0);
    must(
        outer != 0 && (outer + 65_536 <= owner || owner + 65_536 <= outer),
        format!("a run has ids from {outer} on; kept trees belong to {owner}"),
    )
}

fn everyones(ground: &Ground) -> Result<(), String> {
    let shared = ground.folder().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).unwrap();
    ground.own(&shared);
    let mut command = ground.command(ground.program());
    command
        .arg("--store")
        .arg(&shared)
        .args(["store", "path"])
        .output()
        .unwrap();
    let mode = fs::metadata(&shared).unwrap().permissions().mode() & 0o7777;
    must(mode == 0o1777, format!("its mode is {mode:o} now"))
}

fn masks(ground: &Ground) -> Result<(), String> {
    for mask in ["077", "027", "000"] {
        let mut command = ground.command("sh");
        command
            .arg("-c")
            .arg(format!("umask {mask}; exec \"$@\""))
            .arg("sh")
            .arg(ground.program())
            .arg("--store")
            .arg(ground.store())
            .args([
                "--quiet",
                "container",
                "run",
                "bookworm-build",
                "--",
                "stat",
                "-c",
                "%a",
                "/",
                "/out",
                "/inputs",
            ]);
        let said = common::text(&command.output().unwrap());
        must(said == "755\n755\n755\n", format!("{mask}: {said}"))?;
    }
    Ok(())
}

fn old_layer(ground: &Ground) -> Result<(), String> {
    let data = ground.folder().join("data");
    let script = format!(
        "mkdir -p {0}/layers/.new-dead/upper && perl -e 'chdir shift; for(1..1800){{mkdir \"d\"; chdir \"d\"}}' {0}/layers/.new-dead/upper && touch -d '2 days ago' {0}/layers/.new-dead",
        data.display()
    );
    let made = ground.command("sh").args(["-c", &script]).output().unwrap();
    must(made.status.success(), common::text(&made))?;
    let mut command = ground.command("sh");
    command
        .args(["-c", "ulimit -Sn 1024; exec \"$@\"", "sh"])
        .arg(ground.program())
        .arg("--store")
        .arg(&data)
        .arg("doctor");
    let said = common::text(&command.output().unwrap());
    must(said.contains("embedded: works"), said)?;
    must(!data.join("layers/.new-dead").exists(), "it is still there")
}
