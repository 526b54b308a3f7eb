//! The first program of a root, which is a stranger's.

use super::{Ground, Layer, OnceLock, common, fs, must};

/// The programs that the attackers bring, linked statically.
pub(super) fn program(ground: &Ground, name: &'static str, source: &str) -> Vec<u8> {
    static MADE: OnceLock<std::sync::Mutex<std::collections::HashMap<&'static str, Vec<u8>>>> =
        OnceLock::new();
    let mut made = MADE.get_or_init(std::sync::Mutex::default).lock().unwrap();
    made.entry(name)
        .or_insert_with(|| fs::read(ground.compile(name, source, &["-static"])).unwrap())
        .clone()
}

/// Writes over whatever executable it was started as, and says what it sees.
pub(super) const INTRUDER: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <dirent.h>
#include <errno.h>
int main(void) {
  char path[300], target[300];
  for (int i = 3; i < 64; i++) {
    snprintf(path, sizeof path, "/proc/self/fd/%d", i);
    int n = readlink(path, target, sizeof target - 1);
    if (n > 0) { target[n] = 0; printf("handle %d is %s\n", i, target); }
  }
  const char *others[] = {"/proc/1/exe", "/proc/1/cwd", "/proc/1/root", "/proc/self/exe"};
  for (int i = 0; i < 4; i++) {
    int n = readlink(others[i], target, sizeof target - 1);
    if (n > 0) { target[n] = 0; if (strstr(target, "rebuilder") || strstr(target, "memfd")) printf("%s is %s\n", others[i], target); }
  }
  DIR *all = opendir("/proc"); struct dirent *e;
  while (all && (e = readdir(all))) {
    int pid = atoi(e->d_name); if (pid <= 0) continue;
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    int w = open(path, O_WRONLY);
    if (w >= 0) printf("could write %s\n", path);
  }
  printf("looked around\n"); fflush(stdout);
  return 3;
}
"#;

pub(super) fn first_program_looks_around(ground: &Ground) -> Result<(), String> {
    let intruder = program(ground, "intruder", INTRUDER);
    ground.victim();
    let layer = Layer::default()
        .folder("bin", 0o755)
        .file("bin/sh", 0o755, &intruder)
        .end();
    let output = ground.on_image(&[layer], "true");
    let log = ground.log();
    must(
        log.contains("looked around"),
        format!("it did not run: {log} {}", common::text(&output)),
    )?;
    must(!log.contains("handle"), format!("it found {log}"))?;
    must(!log.contains("could write"), format!("it found {log}"))?;
    must(!log.contains(" is "), format!("it found {log}"))?;
    ground.untouched()
}

/// What the C library loads to look for users and hosts, if `nsswitch.conf` says so.
const LOOKUP: &str = r#"
#include <stdio.h>
#include <unistd.h>
__attribute__((constructor)) static void loaded(void) {
  char path[64], target[300];
  int n = readlink("/proc/self/exe", target, sizeof target - 1);
  dprintf(1, "loaded into %.*s\n", n > 0 ? n : 0, target);
  for (int i = 3; i < 64; i++) {
    snprintf(path, sizeof path, "/proc/self/fd/%d", i);
    n = readlink(path, target, sizeof target - 1);
    if (n > 0) dprintf(1, "handle %d is %.*s\n", i, n, target);
  }
}
"#;

pub(super) fn user_lookup(ground: &Ground) -> Result<(), String> {
    let intruder = program(ground, "intruder", INTRUDER);
    let library = fs::read(ground.compile("lookup", LOOKUP, &["-shared", "-fPIC"])).unwrap();
    ground.victim();
    let mut layer = Layer::default()
        .folder("bin", 0o755)
        .file("bin/sh", 0o755, &intruder);
    let lookups = ["passwd", "group", "hosts", "initgroups", "shadow"];
    let switch: String = lookups.map(|name| [name, ": evil\n"].concat()).concat();
    layer = layer
        .folder("etc", 0o755)
        .file("etc/nsswitch.conf", 0o644, switch.as_bytes());
    for folder in [
        "lib",
        "lib64",
        "usr/lib",
        "usr/lib64",
        "lib/x86_64-linux-gnu",
        "usr/lib/x86_64-linux-gnu",
    ] {
        layer = layer.file(&format!("{folder}/libnss_evil.so.2"), 0o755, &library);
    }
    // With a home among them, nobody would have to look for it.
    let env = serde_json::json!({"PATH": "/usr/bin:/bin"});
    let output = ground.on_image_in(&[layer.end()], "true", Some(env));
    let log = ground.log();
    must(
        log.contains("looked around"),
        format!("it did not run: {log} {}", common::text(&output)),
    )?;
    must(!log.contains("loaded into"), format!("it was {log}"))?;
    ground.untouched()
}

/// A root whose shell is a link; whatever happens, nothing of the host runs or changes.
pub(super) fn shell(ground: &Ground, layer: Layer) -> Result<(), String> {
    ground.victim();
    let intruder = program(ground, "intruder", INTRUDER);
    let layer = layer.file("intruder", 0o755, &intruder).end();
    let output = ground.on_image(&[layer], "echo the build ran");
    let (text, log) = (common::text(&output), ground.log());
    // The root is made, and the build is over before it began.
    must(
        common::code(&output) == 4,
        format!("exit {}: {text}", common::code(&output)),
    )?;
    let begun = text.contains("inconclusive (build")
        || ground.backend != "embedded" && text.contains("unable to start container process");
    must(begun, format!("it did not come to the build: {text}"))?;
    must(!log.contains("the build ran"), format!("it ran: {log}"))?;
    ground.untouched()
}

pub(super) fn first_program(ground: &Ground, targets: &[&str]) -> Result<(), String> {
    for target in targets {
        let layer = Layer::default().folder("bin", 0o755).link("bin/sh", target);
        shell(ground, layer).map_err(|error| format!("{target}: {error}"))?;
        let _ = fs::remove_dir_all(ground.folder().join("run"));
    }
    Ok(())
}

pub(super) fn handles(ground: &Ground) -> Result<(), String> {
    let victim = ground.victim();
    let up = "../".repeat(12);
    let victim = victim.to_str().unwrap().trim_start_matches('/');
    let targets: Vec<_> = (3..10)
        .map(|handle| format!("/proc/self/fd/{handle}/{up}{victim}"))
        .collect();
    let targets: Vec<_> = targets
        .iter()
        .map(|target| &target[..target.len().min(100)])
        .collect();
    first_program(ground, &targets)
}

pub(super) fn linker(ground: &Ground) -> Result<(), String> {
    // A dynamic program whose linker is the helper, or a handle of its own.
    let shell_program = ground.compile("dynamic", "int main(void) { return 0; }", &[]);
    let shell_program = fs::read(shell_program).unwrap();
    for target in ["/proc/self/exe", "/proc/self/fd/3", "/proc/1/exe"] {
        let layer = Layer::default()
            .folder("bin", 0o755)
            .file("bin/sh", 0o755, &shell_program)
            .folder("lib64", 0o755)
            .link("lib64/ld-linux-x86-64.so.2", target);
        shell(ground, layer).map_err(|error| format!("{target}: {error}"))?;
        let _ = fs::remove_dir_all(ground.folder().join("run"));
    }
    Ok(())
}

pub(super) fn interpreter(ground: &Ground) -> Result<(), String> {
    for interpreter in ["/proc/self/exe", "/proc/self/fd/3", "/intruder-link"] {
        let script = format!("#!{interpreter}\n");
        let layer = Layer::default()
            .folder("bin", 0o755)
            .file("bin/sh", 0o755, script.as_bytes())
            .link("intruder-link", "/proc/self/exe");
        shell(ground, layer).map_err(|error| format!("{interpreter}: {error}"))?;
        let _ = fs::remove_dir_all(ground.folder().join("run"));
    }
    Ok(())
}
