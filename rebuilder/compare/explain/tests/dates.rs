//! Dates and times, in all forms that people and tools write.

use super::{causes, check};
use crate::compare::cause::{Cause, Confidence};

// One long table.
#[test]
fn dates_of_all_forms_are_times() {
    use Cause::{Locale, Timestamp, Timezone};
    check(&[
        (
            "built 2026-11-25 03:39:45",
            "built 2026-11-26 07:12:01",
            Timestamp,
            "built 2026-13-25 03:39:45",
        ),
        ("Nov 25 2026", "Nov 26 2026", Timestamp, "Nov 26 1926"),
        (
            "Wed Nov 25 03:39:45 UTC 2026",
            "Thu Nov 26 13:12:01 UTC 2026",
            Timestamp,
            "Mon Nov 26 13:12:01 UTC 2026",
        ),
        ("03:39:45", "07:12:01", Timestamp, "07:72:01"),
        ("at 20261125", "at 20261126", Timestamp, "at 20261326"),
        (
            "built at 03:39:45",
            "built at 07:12:01",
            Timestamp,
            "built at 07:72:01",
        ),
        (
            ".TH X 1 20241125",
            ".TH X 1 20241126",
            Timestamp,
            ".TH X 1 20241326",
        ),
        ("x 1.0~20241125", "x 1.0~20241126", Timestamp, "x 1.0~20241326"),
        (
            "nightly-20241125",
            "nightly-20241126",
            Timestamp,
            "nightly-20241326",
        ),
        (
            "Built 11/25/2026",
            "Built 11/26/2026",
            Timestamp,
            "Built 26.11.2026 ",
        ),
        (
            "Built 25.11.2026",
            "Built 26.11.2026",
            Timestamp,
            "Built 36.11.2026",
        ),
        (
            "2026112517434100",
            "2026112517434200",
            Timestamp,
            "2026112577434200",
        ),
        (
            "D:20261125174341+01'00'",
            "D:20261126174341+01'00'",
            Timestamp,
            "D:20261126174341+01'00'x",
        ),
        (
            "Stand: 25. November 2026",
            "Stand: 3. Dezember 2026",
            Timestamp,
            "Stand: 3. Dezember 2066",
        ),
        (
            "25 de noviembre de 2026",
            "26 de noviembre de 2026",
            Timestamp,
            "26 de noviembre de 2926",
        ),
        (
            "mer. 25 nov. 2026 03:39:45",
            "jeu. 26 nov. 2026 03:39:45",
            Timestamp,
            "jeu. 25 nov. 2026 03:39:45",
        ),
        (
            "Wed, 25 Nov 2026 03:39:45 +0000",
            "Thu, 26 Nov 2026 03:39:45 +0000",
            Timestamp,
            "Thu, 26 Nov 2026 03:39:45 +0000x",
        ),
        (
            "25 Nov 2026 10:15 PM",
            "26 Nov 2026 1:02 AM",
            Timestamp,
            "26 Nov 2026 13:02 AM",
        ),
        ("November 2026", "October 2026", Timestamp, "Smarch 2026"),
        (
            "Copyright (c) 2019-2023 X",
            "Copyright (c) 2019-2024 X",
            Timestamp,
            "Copyright (c) 2018-2024 X",
        ),
        ("© 2023 Ada", "© 2024 Ada", Timestamp, "© 2024 Eve"),
        (
            "Copyright 2023 Ada",
            "Copyright 2023-2024 Ada",
            Timestamp,
            "Copyright 2023-1066 Ada",
        ),
        (
            "epoch=1764000000",
            "epoch=1764099999",
            Timestamp,
            "epoch=4764099999",
        ),
        ("1764000000", "1764099999", Timestamp, "17640999990"),
        (
            "1795628520761643685",
            "1795628521761643000",
            Timestamp,
            "9095628521761643000",
        ),
        (
            "\"mtime\": 1764000000123",
            "\"mtime\": 1764099999123",
            Timestamp,
            "\"limit\": 1764099999123",
        ),
        (
            "<created>1764000000</created>",
            "<created>1764099999</created>",
            Timestamp,
            "<created>1764099999</created >",
        ),
        (
            "2026-11-25T03:39:45+00:00",
            "2026-11-25T05:39:45+02:00",
            Timezone,
            "2026-11-25T05:39:45+42:00",
        ),
        (
            "2026-11-25T03:39:45+00:00",
            "2026-11-25T03:39:45+02:00",
            Timezone,
            "2026-11-25T03:39:45+02",
        ),
        (
            "Wed Nov 25 03:39:45 UTC 2026",
            "Tue Nov 24 22:39:45 EST 2026",
            Timezone,
            "Tue Nov 25 22:39:45 EST 2026",
        ),
        (
            "mer. 25 nov. 2026 03:39:45",
            "Wed 25 Nov 2026 03:39:45",
            Locale,
            "Wed 25 Nov 2026 03:39:46",
        ),
        (
            "Mon Nov 24 16:00:00 UTC 2025",
            "Mo 24. Nov 16:00:00 UTC 2025",
            Locale,
            "Mo 23. Nov 16:00:00 UTC 2025",
        ),
    ]);
    for (released, rebuilt) in [
        ("max 1764000000", "max 1764000001"),
        ("port: 1764000000", "port: 1764000001"),
        ("Valid until 2026-11-25", "Valid until 2026-11-26"),
        ("expires=1764000000", "expires=1764099999"),
        ("The licence ends 2026-11-25", "The licence ends 2026-11-26"),
        ("https://a.org/2026/11/25/x", "https://a.org/2026/11/26/x"),
        ("released in 2023", "released in 2024"),
        ("built 2026-11-25 ok", "built 2026-11-26 not ok"),
        ("2026-11-25 03:39:45", "2026-11-25"),
        ("All times are UTC", "All times are PST"),
        ("version 1.2.3", "version 1.2.4"),
        ("x = 10", "x = 11"),
        ("Tel 20261125", "Tel 20261126"),
        ("Total 20241125 EUR", "Total 20241126 EUR"),
        ("open 20241125.log", "open 20241126.log"),
        ("Opens at 09:00:00", "Opens at 10:00:00"),
        ("copy 2024-11-25 to 2024-11-26", "copy 2024-11-26 to 2024-11-25"),
        ("FROM debian:2026-11-25", "FROM debian:2026-11-26"),
        ("cutoff=2026-11-25", "cutoff=2026-11-26"),
        ("where d < '2026-11-25'", "where d < '2026-11-26'"),
        ("get $base/2026-11-25/x", "get $base/2026-11-26/x"),
        ("[x](dl/2026-11-25/x.exe)", "[x](dl/2026-11-26/x.exe)"),
    ] {
        assert_eq!(
            causes(released, rebuilt, ""),
            Vec::new(),
            "{released:?} {rebuilt:?}"
        );
    }
}

#[test]
fn one_wall_clock_without_a_zone_is_a_time() {
    let found = causes("2026-11-25 03:39:45", "2026-11-25 08:39:45", "");
    assert_eq!(found.first().map(|(cause, _)| *cause), Some(Cause::Timestamp));
}

#[test]
fn a_number_that_is_assigned_to_another_name_has_the_form_of_a_date_by_chance() {
    use crate::compare::explain::{Context, explain};
    for (released, rebuilt, field, wanted) in [
        ("id=20261125", "id=20261126", "", false),
        ("\"price\": 20261125", "\"price\": 20261126", "", false),
        ("20261125", "20261126", "Price", false),
        ("20261125", "20261126", "Build-Date", true),
        ("version=20261125", "version=20261126", "", true),
        ("created: 20261125", "created: 20261126", "", true),
        ("20261125", "20261126", "", true),
    ] {
        let context = Context {
            field,
            ..Context::default()
        };
        let found = explain(released, rebuilt, context);
        let is_date = found
            .iter()
            .any(|reason| reason.cause == Cause::Timestamp && reason.confidence >= Confidence::Likely);
        assert_eq!(is_date, wanted, "{field} {released} {found:?}");
    }
}
