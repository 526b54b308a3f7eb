//! A second worker that reports the outcome of an honest one, and says something else about how it came.

use rebuilder::plan::Plan;
use serde_json::json;

use super::claims::internal;
use super::{Office, input};
use crate::attack::ground::{Ground, Who, must};

pub(super) fn second_worker(ground: &Ground) -> Result<(), String> {
    if ground.who == Who::User {
        return Ok(());
    }
    let office = Office::open(ground, &["--agree", "2"]);
    let first = office.run("first", 0, |_, _| {});
    let waiting = office.ask(&first, 0).unwrap_err();
    must(
        waiting.contains("1 of 2 workers reported"),
        format!("a signature for one: {waiting}"),
    )?;
    let second = office.run("second", 1, |plan, record| {
        plan["inputs"] = json!([input("dependency", "dependencies/x")]);
        plan["assumptions"][0]["value"] = json!("SPOOFED");
        record["backend"] = json!("docker");
    });
    let Ok(statement) = office.ask(&second, 1) else {
        return Ok(());
    };
    let honest = serde_json::from_value::<Plan>(office.plan.clone())
        .unwrap()
        .digest()
        .unwrap();
    let agreement = &internal(&statement)["agreement"];
    must(
        agreement[0]["plan"] == json!(honest),
        format!("the other worker's plan is not named: {agreement}"),
    )?;
    let differing = agreement[0]["differing"].to_string();
    for what in ["input: dependencies/x", "assumption: ", "backend"] {
        must(
            differing.contains(what),
            format!("2 agree, and nothing says that they differ in {what}: {differing}"),
        )?;
    }
    must(
        agreement[0]["differing"].as_array().map(Vec::len) == Some(3),
        format!("more is said to differ than does: {differing}"),
    )
}
