//! Outputs must not depend on the user, the machine or the environment of the build.

use super::super::edit::{Kind, Rule};
use super::Remedy;
use crate::compare::Cause;
use crate::prove::Knob;

const SHELLS: &[Kind] = &[Kind::Make, Kind::Shell, Kind::PackageJson, Kind::Settings];
const PY: &[Kind] = &[Kind::Python];
const JS: &[Kind] = &[Kind::JavaScript];

pub(super) const REMEDY: Remedy = Remedy {
    name: "no-machine",
    title: "write no user, host, kernel, processor or environment to outputs",
    knobs: &[
        Knob::User,
        Knob::Ids,
        Knob::Hostname,
        Knob::Domain,
        Knob::Kernel,
        Knob::Processors,
        Knob::ProcessorModel,
        Knob::Environment,
        Knob::Parallelism,
        Knob::Shell,
        Knob::Load,
    ],
    causes: &[
        Cause::BuildHost,
        Cause::HostSystem,
        Cause::Parallelism,
        Cause::Ownership,
        Cause::Content,
    ],
    rules: &[
        Rule::new(SHELLS, r"CMD(?:hostname|whoami|logname|dnsdomainname|domainname|nodename|groups)(?:\s+-[a-zA-Z-]+)*END", "${1}echo unknown${2}"),
        Rule::new(SHELLS, r"CMDid(?:\s+-[a-zA-Z]+)*END", "${1}echo unknown${2}"),
        Rule::new(SHELLS, r"CMDuname(?:\s+(?:-[a-zA-Z]*[anrv][a-zA-Z]*|--(?:all|nodename|kernel-\w+)))+END", "${1}uname -s${2}"),
        Rule::new(SHELLS, r"CMDnproc(?:\s+--all)?END", "${1}echo 1${2}"),
        Rule::new(SHELLS, r"CMDgetconf\s+_NPROCESSORS_\w+", "${1}echo 1"),
        Rule::new(SHELLS, r"CMD(?:lscpu|(?:cat|grep|head|sed|awk)\s[^;|&)`]*/proc/(?:cpuinfo|version|loadavg|meminfo|uptime|sys/kernel/(?:hostname|domainname|osrelease|version))[^;|&)`>]*)", "${1}echo unknown "),
        Rule::new(SHELLS, r"CMD(?:env|printenv|set)\s*([|>])", "${1}env -i ${2}"),
        Rule::new(SHELLS, r"CMDprintenv\s+\w+", "${1}echo unknown"),
        Rule::new(&[Kind::Make], r"\$\$\{(?:USER|LOGNAME|HOSTNAME|HOST|EDITOR|TERM|SHELL|NOISE|CI_JOB_ID|XDG_SESSION_ID|SSH_CONNECTION):?-([^{}]*)\}", "${1}"),
        Rule::new(&[Kind::Shell, Kind::PackageJson, Kind::Settings], r"\$\{(?:USER|LOGNAME|HOSTNAME|HOST|EDITOR|TERM|SHELL|NOISE|CI_JOB_ID|XDG_SESSION_ID|SSH_CONNECTION):?-([^{}]*)\}", "${1}"),
        Rule::new(&[Kind::Make], r"\$[({](?:USER|LOGNAME|HOSTNAME|HOST|EDITOR|TERM|MAKEFLAGS|SHELL)[)}]|\$\$(?:USER|LOGNAME|HOSTNAME|HOST|EDITOR|TERM|MAKEFLAGS|SHELL|BASH_VERSION|NOISE|CI_JOB_ID)\b", "unknown"),
        Rule::new(&[Kind::Shell, Kind::PackageJson, Kind::Settings], r"\$(?:USER|LOGNAME|HOSTNAME|HOST|EDITOR|TERM|MAKEFLAGS|SHELL|BASH_VERSION|NOISE|CI_JOB_ID|XDG_SESSION_ID|SSH_CONNECTION)\b|\$\{(?:USER|LOGNAME|HOSTNAME|HOST|EDITOR|TERM|MAKEFLAGS|SHELL|BASH_VERSION|NOISE|CI_JOB_ID|XDG_SESSION_ID|SSH_CONNECTION)[^}]*\}", "unknown"),
        Rule::new(PY, r"\b(?:socket\.(?:gethostname|getfqdn)|platform\.(?:node|release|version|platform|processor)|getpass\.getuser|os\.getlogin)\(\)|\bos\.uname\(\)\.(?:nodename|release|version)|\bos\.uname\(\)\[[123]\]|\bplatform\.uname\(\)\.(?:node|release|version)", "\"unknown\""),
        Rule::new(PY, r"\b(?:os\.get[ug]id|os\.cpu_count|multiprocessing\.cpu_count|os\.getloadavg)\(\)|\blen\(os\.sched_getaffinity\(0\)\)", "1"),
        Rule::new(PY, r"\bpwd\.getpwuid\(ARGS\)\.\w+|\bpwd\.getpwuid\(ARGS\)\[\d\]|\bgrp\.getgrgid\(ARGS\)\.\w+", "\"unknown\""),
        Rule::new(PY, r#"\bos\.environ\[["'](?:USER|LOGNAME|HOSTNAME|EDITOR|TERM|SHELL|NOISE|CI_JOB_ID|MAKEFLAGS)["']\]|\bos\.(?:environ\.get|getenv)\(["'](?:USER|LOGNAME|HOSTNAME|EDITOR|TERM|SHELL|NOISE|CI_JOB_ID|MAKEFLAGS|XDG_SESSION_ID|SSH_CONNECTION)["'][^()]*\)"#, "\"unknown\""),
        Rule::new(PY, r"\b(?:dict|list|sorted)\(os\.environ(?:\.items\(\)|\.keys\(\))?\)|\bos\.environ\.(?:items|keys|copy)\(\)", "[]").unless("env="),
        Rule::new(PY, r#"open\(["']/proc/(?:cpuinfo|version|loadavg|meminfo)["'][^()]*\)\.read\(\)"#, "\"unknown\""),
        // Programs that a script starts.
        Rule::new(&[Kind::Python, Kind::JavaScript], r#"(\[\s*)(["'])(?:hostname|whoami|nproc|uname|dnsdomainname)["'](?:\s*,\s*["']-[a-z]+["'])?"#, "${1}${2}echo${2}, ${2}unknown${2}"),
        Rule::new(&[Kind::Python, Kind::JavaScript], r#"(\(\s*)(["'])(?:hostname|whoami|nproc|dnsdomainname|uname -\w+|id -\w+)["'](\s*[,)])"#, "${1}${2}echo unknown${2}${3}"),
        Rule::new(JS, r"(?:\bos|\brequire\(['\x22](?:node:)?os['\x22]\))\.(?:(?:hostname|release|version)\(\)|userInfo\(\)\.\w+)|\bprocess\.env\.(?:USER|LOGNAME|HOSTNAME|EDITOR|TERM|SHELL|NOISE|CI_JOB_ID)\b|\bos\.cpus\(\)\[0\]\.model", "'unknown'"),
        Rule::new(JS, r"(?:\bos|\brequire\(['\x22](?:node:)?os['\x22]\))\.(?:cpus\(\)\.length|availableParallelism\(\))|\bprocess\.getuid\(\)", "1"),
        Rule::new(JS, r"\bJSON\.stringify\(process\.env\b", "JSON.stringify({}"),
        Rule::new(&[Kind::Rust], r#"(?:std::)?env::var\("(?:USER|LOGNAME|HOSTNAME|EDITOR|NOISE|CI_JOB_ID|NUM_JOBS|SHELL|TERM)"\)"#, "Ok::<String, std::env::VarError>(String::from(\"unknown\"))"),
        Rule::new(&[Kind::Rust], r#"Command::new\("(?:hostname|whoami|uname|nproc|dnsdomainname)"\)"#, "Command::new(\"echo\").arg(\"unknown\")"),
        Rule::new(&[Kind::Rust], r"(?:std::)?thread::available_parallelism\(\)", "std::num::NonZeroUsize::new(1).ok_or(std::io::ErrorKind::Other)"),
        Rule::new(&[Kind::Go], r"\bos\.Hostname\(\)", "\"unknown\", error(nil)"),
        Rule::new(&[Kind::Go], r#"\bos\.Getenv\("(?:USER|LOGNAME|HOSTNAME|EDITOR|NOISE|CI_JOB_ID|SHELL|TERM)"\)"#, "\"unknown\""),
        Rule::new(&[Kind::Go], r"\buser\.Current\(\)", "&user.User{Username: \"unknown\", Name: \"unknown\", HomeDir: \"/nonexistent\", Uid: \"0\", Gid: \"0\"}, error(nil)"),
        Rule::new(&[Kind::Go], r"\bruntime\.NumCPU\(\)", "1"),
        Rule::new(&[Kind::Perl], r#"\bhostname\(\)|\$ENV\{["']?(?:USER|LOGNAME|HOSTNAME|EDITOR|NOISE|CI_JOB_ID|SHELL|TERM)["']?\}|\(?getpwuid\(\$[<>]\)\)?(?:\[0\])?"#, "'unknown'"),
        Rule::new(&[Kind::Ruby], r"\bSocket\.gethostname\b|\bEtc\.getlogin\b|\bEtc\.getpwuid(?:\(ARGS\))?\.(?:name|gecos|dir)", "\"unknown\""),
        Rule::new(&[Kind::Ruby], r#"\bENV(?:\.fetch\(|\[)["'](?:USER|LOGNAME|HOSTNAME|EDITOR|TERM|SHELL|NOISE|CI_JOB_ID|MAKEFLAGS)["'][^()\[\]]*[)\]]"#, "\"unknown\""),
        Rule::new(&[Kind::Ruby], r"\bEtc\.nprocessors\b", "1"),
        Rule::new(&[Kind::Ruby, Kind::Perl], r"`(?:hostname|whoami|logname|nproc|dnsdomainname|uname|id)(?:\s+-\w+)*`", "\"unknown\\n\""),
        // What a program in one of these languages has a shell run.
        Rule::new(&[Kind::C, Kind::Lua, Kind::Ruby, Kind::Perl], r#"(\b(?:popen|system|execute)\(\s*["'])(?:hostname|whoami|logname|nproc|dnsdomainname|(?:uname|id)\s+-\w+)(["'\s])"#, "${1}echo unknown${2}"),
        Rule::new(&[Kind::C], r"\bgethostname\s*\(\s*([^,()]+),\s*ARGS\)", "(snprintf(${1}, ${2}, \"unknown\") < 0 ? -1 : 0)").importing(&["stdio.h"]),
        Rule::new(&[Kind::C], r#"\bgetlogin\(\s*\)|\bgetpwuid\(ARGS\)->pw_\w+|\bgetenv\(\s*"(?:USER|LOGNAME|HOSTNAME|EDITOR|TERM|SHELL|NOISE|CI_JOB_ID)"\s*\)"#, "\"unknown\""),
        Rule::new(&[Kind::C], r"\bsysconf\(\s*_SC_NPROCESSORS_\w+\s*\)|\bget_nprocs(?:_conf)?\(\s*\)|\bstd::thread::hardware_concurrency\(\s*\)", "1"),
        Rule::new(&[Kind::C], r"\bgete?[ug]id\(\s*\)", "0"),
        Rule::new(&[Kind::C], r"\b(?:un|uts|utsname|name|info|buf|sys|kernel|machine|u)\.(?:nodename|release|version)\b", "\"unknown\""),
        Rule::new(&[Kind::CMake], r"\bsite_name\s*\(\s*(\w+)\s*\)", "set(${1} unknown)"),
        Rule::new(&[Kind::CMake], r"\bProcessorCount\s*\(\s*(\w+)\s*\)", "set(${1} 1)"),
        Rule::new(&[Kind::CMake], r"\$ENV\{(?:USER|LOGNAME|HOSTNAME|EDITOR|TERM|SHELL|NOISE|CI_JOB_ID)\}|\$\{CMAKE_HOST_SYSTEM(?:_VERSION)?\}", "unknown"),
        Rule::new(&[Kind::CMake], r"(\bCOMMAND\s+)(?:hostname|whoami|logname|nproc|(?:uname|id)\s+-\w+)", "${1}echo unknown"),
        Rule::new(&[Kind::Meson], r"(\brun_command\(\s*\[?\s*)'(?:hostname|whoami|logname|nproc|uname|id)'", "${1}'echo', 'unknown'"),
        Rule::new(&[Kind::CMake], r"cmake_host_system_information\(RESULT\s+(\w+)\s+QUERY\s+\w+\)", "set(${1} unknown)"),
    ],
    whole: None,
};
