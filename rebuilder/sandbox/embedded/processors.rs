//! Files of `/proc` that describe other processors than the machine's.

use std::fs;
use std::io;
use std::path::Path;

use super::super::Processors;

/// The files, by their names in `/proc`.
pub(super) const FILES: [&str; 2] = ["cpuinfo", "stat"];

/// Writes them into a folder: the machine's own, with the number and the name of the processors changed.
pub(super) fn write(shown: &Processors, folder: &Path) -> io::Result<()> {
    let text = |name: &str| fs::read_to_string(Path::new("/proc").join(name));
    for (name, text) in [
        ("cpuinfo", cpuinfo(&text("cpuinfo")?, shown)),
        ("stat", stat(&text("stat")?, shown)),
    ] {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

/// The first processor as often as there are some; what it can do stays, as builds may ask for that.
fn cpuinfo(own: &str, shown: &Processors) -> String {
    let first = own.split("\n\n").next().unwrap_or_default();
    let numbered = |index: usize| {
        let lines = first.lines().map(|line| {
            let key = line.split(':').next().unwrap_or_default();
            match key.trim() {
                "processor" | "apicid" | "initial apicid" | "core id" => format!("{key}: {index}\n"),
                "siblings" | "cpu cores" => format!("{key}: {}\n", shown.count),
                "model name" => format!("{key}: {}\n", shown.model),
                // It changes from one reading to the next.
                "cpu MHz" => format!("{key}: 2000.000\n"),
                _ => format!("{line}\n"),
            }
        });
        lines.collect::<String>() + "\n"
    };
    (0..shown.count).map(numbered).collect()
}

/// One line for each processor, all without any work done.
fn stat(own: &str, shown: &Processors) -> String {
    let line = |name: &str| format!("{name} 0 0 0 0 0 0 0 0 0 0\n");
    let mut text = line("cpu ");
    text.extend((0..shown.count).map(|index| line(&format!("cpu{index}"))));
    let is_processor = |line: &&str| line.starts_with("cpu");
    text.extend(
        own.lines()
            .filter(|line| !is_processor(line))
            .map(|line| format!("{line}\n")),
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_processors_are_described_in_the_same_form() {
        let shown = Processors {
            count: 3,
            model: "Another".into(),
        };
        let own = "processor\t: 0\nmodel name\t: Real\nflags\t\t: fpu avx2\n\nprocessor\t: 1\n\n";
        let text = cpuinfo(own, &shown);
        assert_eq!(text.matches("processor\t: ").count(), 3);
        assert!(text.contains("model name\t: Another\nflags\t\t: fpu avx2\n\nprocessor\t: 1\n"));
        let text = stat("cpu  1 2\ncpu0 1 2\ncpu1 0 0\nintr 5\nbtime 7\n", &shown);
        assert_eq!(text.matches("\ncpu").count(), 3);
        assert!(text.ends_with("intr 5\nbtime 7\n"));
    }
}
