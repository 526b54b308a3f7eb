#![no_main]

use rebuilder::evidence::buildinfo::BuildInfo;
use rebuilder::evidence::json;
use rebuilder::evidence::workflow::Workflow;
use rebuilder::plan::Plan;

// Documents that registries, workers and strangers write: each is read by its one parser or refused.
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = json::parse(data);
    let _ = json::parse_evidence(data);
    let _ = BuildInfo::unsigned(data);
    if let Ok(plan) = Plan::parse(data) {
        let canonical = plan.canonical().expect("a plan that was read is written");
        assert_eq!(Plan::parse(&canonical).as_ref(), Ok(&plan));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = Workflow::parse(text);
    }
});
