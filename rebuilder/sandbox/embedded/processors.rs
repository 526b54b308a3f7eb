//! A `/proc/cpuinfo` with other processors than the machine's.

use super::super::Processors;

/// Repeats the first processor; its features stay, as builds may test for them and use them.
pub(super) fn cpuinfo(own: &str, shown: &Processors) -> String {
    let first = own.split("\n\n").next().unwrap_or_default();
    let numbered = |index: usize| {
        let lines = first.lines().map(|line| {
            let key = line.split(':').next().unwrap_or_default();
            match key.trim() {
                "processor" | "apicid" | "initial apicid" | "core id" => format!("{key}: {index}\n"),
                "siblings" | "cpu cores" => format!("{key}: {}\n", shown.count),
                "model name" => format!("{key}: {}\n", shown.model),
                // The frequency differs from one reading to the next.
                "cpu MHz" => format!("{key}: 2000.000\n"),
                _ => format!("{line}\n"),
            }
        });
        lines.collect::<String>() + "\n"
    };
    (0..shown.count).map(numbered).collect()
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
    }
}
