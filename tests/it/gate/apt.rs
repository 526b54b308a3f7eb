//! Real apt, with a root of its own and an archive in a folder, and the gate as its hook.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::{APT, BIN, DPKG_DEB, SCANPACKAGES, Scene, packages, run};
use crate::common::{ROOT, code, needs, text};

/// A root for apt and dpkg with nothing installed, and an archive.
struct System<'a> {
    scene: &'a Scene,
    root: PathBuf,
}

impl<'a> System<'a> {
    fn new(scene: &'a Scene, options: &str) -> Self {
        let root = scene.path("root");
        for folder in [
            "var/lib/dpkg/info",
            "var/lib/dpkg/updates",
            "var/lib/apt/lists/partial",
            "var/cache/apt/archives/partial",
            "var/log/apt",
            "etc/apt/apt.conf.d",
            "etc/apt/preferences.d",
            "etc/apt/trusted.gpg.d",
            "etc/apt/sources.list.d",
        ] {
            fs::create_dir_all(root.join(folder)).unwrap();
        }
        fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
        fs::create_dir(scene.path("archive")).unwrap();
        // With "copy:", apt keeps the files under names of its own, as it does those from the network.
        let archive = format!(
            "deb [trusted=yes] copy:{}/archive ./\n",
            scene.folder.path().display()
        );
        fs::write(root.join("etc/apt/sources.list"), archive).unwrap();
        let (top, store, policy) = (root.display(), scene.path("store"), scene.path("policy.toml"));
        // The lines that are offered for apt.conf.d, with the paths of this test.
        let hook = include_str!("../../../examples/apt/90rebuilder-gate")
            .replace("/usr/bin/rebuilder", BIN)
            .replace("/etc/rebuilder/apt.toml", &policy.display().to_string())
            .replace("/var/lib/rebuilder", &format!("{} {options}", store.display()));
        let config = format!(
            "Dir \"{top}/\";\nDir::State::status \"{top}/var/lib/dpkg/status\";\nAPT::Sandbox::User \"root\";\n\
             APT::Architecture \"amd64\";\nAPT::Install-Recommends \"false\";\nDPkg::Options {{ \"--root={top}\"; }};\n{hook}",
        );
        fs::write(scene.path("apt.conf"), config).unwrap();
        Self { scene, root }
    }

    /// Puts a package into the archive.
    fn publish(&self, name: &str, epoch: &str) -> PathBuf {
        let file = packages::deb_with_epoch(&self.scene.path("archive"), name, "1", epoch);
        let index = run(Command::new("dpkg-scanpackages")
            .arg(".")
            .current_dir(self.scene.path("archive")));
        fs::write(self.scene.path("archive/Packages"), index.stdout).unwrap();
        self.apt(&["update"]);
        file
    }

    fn apt(&self, arguments: &[&str]) -> Output {
        Command::new("apt-get")
            .env("APT_CONFIG", self.scene.path("apt.conf"))
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-y", "-q"])
            .args(arguments)
            .output()
            .unwrap()
    }

    fn has(&self, name: &str) -> bool {
        self.root.join("usr/share").join(name).join("content").exists()
    }
}

#[apply(test)]
fn apt_installs_what_has_a_quorum_and_nothing_else() {
    needs(&[ROOT, APT, DPKG_DEB, SCANPACKAGES]);
    let scene = Scene::new();
    let system = System::new(&scene, "");
    let good = system.publish("good", "1:");
    system.publish("unknown", "");
    scene.vouch(&good);
    let output = system.apt(&["install", "good"]);
    assert!(output.status.success() && system.has("good"), "{}", text(&output));
    assert!(
        text(&output).contains("1 package may be installed"),
        "{}",
        text(&output)
    );
    let output = system.apt(&["install", "unknown"]);
    assert!(
        !output.status.success() && !system.has("unknown"),
        "{}",
        text(&output)
    );
    for word in [
        "pkg:deb/debian/unknown@1.0-1",
        "too few parties",
        "help:",
        "--allow-unknown",
    ] {
        assert!(text(&output).contains(word), "{word}: {}", text(&output));
    }
    // One that is refused stops all.
    let second = system.publish("second", "");
    scene.vouch(&second);
    let output = system.apt(&["install", "second", "unknown"]);
    assert!(
        !output.status.success() && !system.has("second"),
        "{}",
        text(&output)
    );
    // To remove a package nothing is asked.
    scene.forget();
    let output = system.apt(&["remove", "good"]);
    assert!(
        output.status.success() && !system.has("good"),
        "{}",
        text(&output)
    );
}

#[apply(test)]
fn apt_lets_unknown_packages_pass_only_if_it_is_told_to() {
    needs(&[ROOT, APT, DPKG_DEB, SCANPACKAGES]);
    let scene = Scene::new();
    let system = System::new(&scene, "--allow-unknown");
    system.publish("unknown", "");
    let output = system.apt(&["install", "unknown"]);
    assert!(
        output.status.success() && system.has("unknown"),
        "{}",
        text(&output)
    );
    let bad = system.publish("bad", "1:");
    let name = bad.file_name().unwrap().to_str().unwrap();
    scene.say(&scene.bob, name, b"what bob's build gave");
    let output = system.apt(&["install", "bad"]);
    assert!(
        !output.status.success() && !system.has("bad"),
        "{}",
        text(&output)
    );
    assert!(text(&output).contains("speaks against it"), "{}", text(&output));
}

#[apply(test)]
fn a_file_that_is_not_what_apt_takes_it_for_is_refused() {
    needs(&[DPKG_DEB]);
    let scene = Scene::new();
    let file = packages::deb(scene.folder.path(), "good", "1");
    scene.vouch(&file);
    let hook = |line: &str| {
        let mut gate = scene.gate("apt");
        let mut child = gate
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), line.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let line = |name: &str, version: &str, file: &Path| {
        let file = file.display();
        format!("VERSION 3\nAPT::Architecture=amd64\n\n{name} - - none < {version} all none {file}\n")
    };
    for (what, text_in, wanted) in [
        ("as it is", line("good", "1.0-1", &file), 0),
        ("another name", line("other", "1.0-1", &file), 3),
        ("another version", line("good", "2.0-1", &file), 3),
        (
            "no file",
            line("good", "1.0-1", Path::new("/nonexistent/good.deb")),
            2,
        ),
        ("nothing", String::new(), 2),
        ("only names of files", format!("{}\n", file.display()), 2),
    ] {
        let output = hook(&text_in);
        assert_eq!(code(&output), wanted, "{what}: {}", text(&output));
    }
}
