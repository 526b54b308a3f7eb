//! Files of `/proc` that a build sees instead of the machine's own, as a [`MachineView`] says.
//!
//! A build with any view sees all of them, so that whatever is not varied is the same on every machine.

use std::fs;
use std::io;
use std::path::Path;

use super::super::{Clock, MachineView};
use super::processors;
use crate::plan::Limits;

/// Seconds since the machine's start that `uptime` shows.
const UPTIME: i64 = 1000;

/// The content of `boot_id`: every boot of a machine has such an id, so a build that reads it gets one of the right
/// form.
const BOOT: &str = "00000000-0000-4000-8000-000000000000\n";

/// Files that every view replaces: their names here, and their paths in `/proc`.
const FILES: [(&str, &str); 4] = [
    ("stat", "stat"),
    ("uptime", "uptime"),
    ("meminfo", "meminfo"),
    ("boot_id", "sys/kernel/random/boot_id"),
];

/// The files that a build with this view sees: their names here, and their paths in `/proc`.
pub(super) fn files(view: &MachineView) -> impl Iterator<Item = (&'static str, &'static str)> {
    let processors = view.processors.is_some().then_some(("cpuinfo", "cpuinfo"));
    let machine = if view.is_plain() { &[][..] } else { &FILES[..] };
    machine.iter().copied().chain(processors)
}

/// Writes these files into a folder.
pub(super) fn write(view: &MachineView, limits: &Limits, folder: &Path) -> io::Result<()> {
    let own = |name: &str| fs::read_to_string(Path::new("/proc").join(name));
    for (name, _) in files(view) {
        let text = match name {
            "cpuinfo" => match &view.processors {
                Some(shown) => processors::cpuinfo(&own(name)?, shown),
                None => own(name)?,
            },
            "stat" => stat(&own(name)?, view),
            "uptime" => format!("{UPTIME}.00 {UPTIME}.00\n"),
            "meminfo" => meminfo(&own(name)?, limits.memory),
            _ => BOOT.to_owned(),
        };
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}

/// One line for each processor, with all counters at zero.
fn stat(own: &str, view: &MachineView) -> String {
    let is_processor = |line: &&str| line.starts_with("cpu") && !line.starts_with("cpu ");
    let count = match &view.processors {
        Some(shown) => shown.count,
        None => own.lines().filter(is_processor).count(),
    };
    let line = |name: &str| format!("{name} 0 0 0 0 0 0 0 0 0 0\n");
    let mut text = line("cpu ");
    text.extend((0..count).map(|index| line(&format!("cpu{index}"))));
    let began = match view.clock {
        Some(Clock::Held(time) | Clock::From(time)) => Some(time.saturating_sub(UPTIME).to_string()),
        None => own
            .lines()
            .find_map(|line| line.strip_prefix("btime "))
            .map(str::to_owned),
    };
    let began = began.unwrap_or_default();
    text + &format!(
        "intr 0\nctxt 0\nbtime {began}\nprocesses 1\nprocs_running 1\nprocs_blocked 0\nsoftirq 0\n"
    )
}

/// As much memory as the build may use, all of it free.
fn meminfo(own: &str, memory: u64) -> String {
    let lines = own.lines().filter_map(|line| {
        let (key, value) = line.split_once(':')?;
        let unit = if value.ends_with("kB") { " kB" } else { "" };
        let shown = match key {
            "MemTotal" | "MemFree" | "MemAvailable" => memory / 1024,
            "Hugepagesize" => 2048,
            _ => 0,
        };
        Some(format!("{:<16}{shown:>8}{unit}\n", format!("{key}:")))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::Processors;
    use super::*;

    #[test]
    fn the_machine_does_not_show() {
        let view = MachineView {
            clock: Some(Clock::Held(5000)),
            processors: Some(Processors {
                count: 3,
                model: "Another".into(),
            }),
            ..MachineView::default()
        };
        let own = "cpu  1 2\ncpu0 1 2\ncpu1 0 0\nintr 5\nbtime 7\n";
        let text = stat(own, &view);
        assert_eq!(text.matches("\ncpu").count(), 3);
        assert!(text.contains("\nbtime 4000\n"));
        let text = stat(own, &MachineView::default());
        assert_eq!(text.matches("\ncpu").count(), 2);
        assert!(text.contains("\nbtime 7\n"));
        let text = meminfo(
            "MemTotal:       8034536 kB\nDirty: 12 kB\nHugePages_Total: 3\n",
            4 << 20,
        );
        assert_eq!(
            text,
            "MemTotal:           4096 kB\nDirty:                 0 kB\nHugePages_Total:       0\n"
        );
        assert_eq!(files(&MachineView::default()).count(), 0);
        assert_eq!(files(&view).count(), 5);
    }
}
