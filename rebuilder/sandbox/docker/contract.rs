//! The settings that a container is requested with, and the check that the engine applied them.
//!
//! Engines silently leave out what they cannot do: rootless Podman, for example, sets no limits at all with version 1
//! of control groups. So the container is read back before it starts. A missing limit is reported; if a setting that
//! isolates is missing, the container is not started.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum,
    HostConfigLogConfig, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};

use super::super::{Bound, Job, OPEN_FILES, SandboxError};
use super::engine::{EngineInfo, EngineKind};
use super::refused;
use crate::plan::{Limits, shell_command};
use crate::sandbox::embedded::CAPABILITIES;

/// Paths of the kernel that are hidden: those that engines hide by default, and all of `/sys`.
const MASKED: [&str; 11] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys",
];

/// Paths that are read-only; the last one is a file of the engine's, which does not count in the container's size.
const READ_ONLY: [&str; 6] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
    "/etc/hostname",
];

/// What Podman adds to a container beside its root: files in its own, often small, folder for running containers, and
/// on some distributions the machine's credentials.
const MASKED_IN_PODMAN: [&str; 4] = [
    "/etc/hostname",
    "/etc/hosts",
    "/run/.containerenv",
    "/run/secrets",
];

/// Bytes of shared memory, the same as in the embedded backend.
const SHARED_MEMORY: i64 = 64 << 20;

/// The job as a request for a container.
pub(super) fn container(
    job: &Job<'_>,
    image: &str,
    about: &EngineInfo,
    seccomp: &str,
    labels: HashMap<String, String>,
    disk_quota: bool,
) -> ContainerCreateBody {
    ContainerCreateBody {
        image: Some(image.to_owned()),
        hostname: Some(job.hostname.clone()),
        user: Some("0:0".into()),
        working_dir: Some("/".into()),
        entrypoint: Some(Vec::new()),
        cmd: Some(vec!["/bin/sh".into(), "-eu".into(), "-c".into(), wrapped(job)]),
        env: Some(vec!["PATH=/usr/sbin:/usr/bin:/sbin:/bin".into()]),
        network_disabled: Some(true),
        tty: Some(false),
        open_stdin: Some(false),
        attach_stdin: Some(false),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        stop_timeout: Some(0),
        healthcheck: Some(HealthConfig {
            test: Some(vec!["NONE".into()]),
            ..HealthConfig::default()
        }),
        labels: Some(labels),
        host_config: Some(host_config(&job.limits, about, seccomp, disk_quota)),
        ..ContainerCreateBody::default()
    }
}

/// What the container may do on the machine.
fn host_config(limits: &Limits, about: &EngineInfo, seccomp: &str, disk_quota: bool) -> HostConfig {
    let ulimit = |name: &str, soft: u64, hard: u64| ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(number(soft)),
        hard: Some(number(hard)),
    };
    let mut ulimits = vec![
        ulimit("core", 0, 0),
        ulimit("nofile", OPEN_FILES.0, OPEN_FILES.1),
        ulimit("fsize", limits.disk, limits.disk),
    ];
    let mut security = vec!["no-new-privileges".to_owned(), format!("seccomp={seccomp}")];
    let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    if about.kind == EngineKind::Podman {
        security.push(format!(
            "mask={}:{}",
            MASKED.join(":"),
            MASKED_IN_PODMAN.join(":")
        ));
        // Without this, Podman asks for more than root may have on some machines, and the container does not start.
        ulimits.push(ulimit("nproc", limits.pids, limits.pids));
    }
    HostConfig {
        network_mode: Some("none".into()),
        privileged: Some(false),
        cap_drop: Some(vec!["ALL".into()]),
        cap_add: Some(capabilities()),
        security_opt: Some(security),
        masked_paths: (about.kind == EngineKind::Docker).then(|| strings(&MASKED)),
        readonly_paths: (about.kind == EngineKind::Docker).then(|| strings(&READ_ONLY)),
        ipc_mode: Some("private".into()),
        cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
        // The engine's own first process reaps dead processes, and the build cannot replace it. Podman may lack
        // the program for it.
        init: (about.kind == EngineKind::Docker).then_some(true),
        shm_size: Some(SHARED_MEMORY),
        memory: Some(number(limits.memory)),
        memory_swap: Some(number(limits.memory)),
        pids_limit: Some(number(limits.pids)),
        cpuset_cpus: Some(format!(
            "0-{}",
            limits.cpus.clamp(1, about.processors).saturating_sub(1)
        )),
        ulimits: Some(ulimits),
        oom_kill_disable: Some(false),
        // The log goes only to us: the output of a build must not fill the engine's disk.
        log_config: Some(HostConfigLogConfig {
            typ: Some("none".into()),
            config: None,
        }),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        storage_opt: disk_quota.then(|| HashMap::from([("size".to_owned(), limits.disk.to_string())])),
        ..HostConfig::default()
    }
}

/// The job as a single script for the container's shell.
///
/// Engines set HOSTNAME, HOME and more by themselves, but the job's environment must be complete. If an engine leaves
/// out the limits of a process, the shell sets them, before anything of the build runs.
fn wrapped(job: &Job<'_>) -> String {
    format!(
        "umask {:03o}\n{{ ulimit -c 0 || :; ulimit -S -n {} || :; ulimit -H -n {} || :; ulimit -f {} || :; }} 2>/dev/null\nexec {}",
        job.umask,
        OPEN_FILES.0,
        OPEN_FILES.1,
        job.limits.disk.div_ceil(512),
        shell_command(&job.env, &job.script)
    )
}

/// Compares the container with the request; returns the limits that the engine left out.
pub(super) fn kept(
    made: &ContainerInspectResponse,
    asked: &ContainerCreateBody,
    image: &str,
) -> Result<Vec<Bound>, SandboxError> {
    let (Some(host), Some(wanted)) = (made.host_config.as_ref(), asked.host_config.as_ref()) else {
        return Err(not_so("its settings"));
    };
    let settings = isolation(made, host, wanted, image);
    if let Some((setting, _)) = settings.iter().find(|(_, holds)| !holds) {
        return Err(not_so(setting));
    }
    let mut missing = Vec::new();
    if host.memory != wanted.memory || host.memory_swap != wanted.memory_swap {
        missing.push(Bound::Memory);
    }
    if host.pids_limit != wanted.pids_limit {
        missing.push(Bound::Pids);
    }
    if wanted.storage_opt.is_none() || host.storage_opt != wanted.storage_opt {
        missing.push(Bound::Disk);
    }
    Ok(missing)
}

/// Each setting that isolates, and whether the container has it.
fn isolation(
    made: &ContainerInspectResponse,
    host: &HostConfig,
    wanted: &HostConfig,
    image: &str,
) -> [(&'static str, bool); 13] {
    [
        (
            "the root's image",
            made.image.as_deref().is_some_and(|id| bare(id) == bare(image)),
        ),
        ("no network", host.network_mode.as_deref() == Some("none")),
        ("no privileges over the machine", host.privileged != Some(true)),
        (
            "no new privileges",
            has_no_new_privileges(host.security_opt.as_deref()),
        ),
        (
            "the filter of system calls",
            keeps_filter(host.security_opt.as_deref(), wanted),
        ),
        ("its capabilities", keeps_capabilities(host)),
        (
            "a log that is kept nowhere",
            host.log_config.as_ref().and_then(|log| log.typ.as_deref()) == Some("none"),
        ),
        (
            "namespaces of its own",
            [&host.pid_mode, &host.ipc_mode, &host.uts_mode]
                .iter()
                .all(|mode| is_own(mode.as_deref())),
        ),
        (
            "no folders of the machine",
            nothing(host.binds.as_deref())
                && nothing(made.mounts.as_deref())
                && nothing(host.volumes_from.as_deref()),
        ),
        (
            "no devices",
            nothing(host.devices.as_deref()) && nothing(host.device_requests.as_deref()),
        ),
        ("no restarts", !restarts(host)),
        (
            "the hidden places",
            wanted
                .masked_paths
                .as_ref()
                .is_none_or(|paths| host.masked_paths.as_ref() == Some(paths)),
        ),
        (
            "the places that cannot be changed",
            wanted
                .readonly_paths
                .as_ref()
                .is_none_or(|paths| host.readonly_paths.as_ref() == Some(paths)),
        ),
    ]
}

fn restarts(host: &HostConfig) -> bool {
    let name = host.restart_policy.as_ref().and_then(|policy| policy.name);
    matches!(
        name,
        Some(
            RestartPolicyNameEnum::ALWAYS
                | RestartPolicyNameEnum::ON_FAILURE
                | RestartPolicyNameEnum::UNLESS_STOPPED
        )
    )
}

fn not_so(setting: &str) -> SandboxError {
    refused(
        &format!("the engine made a container without what was asked for: {setting}"),
        "check the engine's configuration, or use --backend embedded",
    )
}

fn has_no_new_privileges(options: Option<&[String]>) -> bool {
    let words = [
        "no-new-privileges",
        "no-new-privileges:true",
        "no-new-privileges=true",
    ];
    options.is_some_and(|options| options.iter().any(|option| words.contains(&option.as_str())))
}

fn keeps_filter(found: Option<&[String]>, wanted: &HostConfig) -> bool {
    let filters = |options: Option<&[String]>| {
        let options = options.unwrap_or_default().iter();
        options
            .filter(|option| option.starts_with("seccomp"))
            .cloned()
            .collect::<Vec<_>>()
    };
    filters(found) == filters(wanted.security_opt.as_deref())
}

/// Docker repeats the request. Podman reports the difference to its own default, so all that can be checked there is
/// that nothing was added and something was dropped.
fn keeps_capabilities(host: &HostConfig) -> bool {
    let name = |name: &String| name.trim_start_matches("CAP_").to_ascii_uppercase();
    let allowed = capabilities();
    host.cap_add
        .iter()
        .flatten()
        .all(|added| allowed.contains(&name(added)))
        && host.cap_drop.as_ref().is_some_and(|dropped| {
            let dropped: Vec<_> = dropped.iter().map(name).collect();
            ["ALL", "SETPCAP"]
                .iter()
                .any(|one| dropped.iter().any(|found| found == one))
        })
}

fn capabilities() -> Vec<String> {
    CAPABILITIES
        .iter()
        .map(|name| name.trim_start_matches("CAP_").to_owned())
        .collect()
}

fn is_own(mode: Option<&str>) -> bool {
    matches!(mode, None | Some("" | "private" | "shareable"))
}

fn nothing<T>(list: Option<&[T]>) -> bool {
    list.is_none_or(<[T]>::is_empty)
}

fn bare(id: &str) -> &str {
    id.strip_prefix("sha256:").unwrap_or(id)
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
