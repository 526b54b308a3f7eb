//! What a registry of images, or a plan, may have opened.

use std::time::{Duration, Instant};

use crate::attack::ground::{Ground, must};
use rebuilder::artifact::Sha256;
use serde_json::json;

use super::{
    Server, answer, endless, image, ok, plan, private_file, redirect, refused, registry, stored, unheld,
    within,
};

pub(super) fn image_registry(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    for host in ["127.0.0.1", "localhost", "2130706433", "0x7f.1"] {
        let repository = format!("{host}:{}/o/i", service.port);
        let output = image(ground, &repository, &unheld(ground), &[]);
        service.untouched(&repository)?;
        refused(&output)?;
    }
    Ok(())
}

pub(super) fn token_place(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    let (path, ..) = private_file(ground, "secret");
    for realm in [
        format!("http://{}/token", service.host()),
        format!("https://localhost:{}/token", service.port),
        format!("https://2130706433:{}/token", service.port),
        format!("file://{path}"),
    ] {
        let header = format!("www-authenticate: Bearer realm=\"{realm}\",service=\"s\"\r\n");
        let server = Server::new(move |_| answer("401 Unauthorized", &header, b""));
        let output = registry(ground, &unheld(ground), &server)?;
        service.untouched(&realm)?;
        refused(&output)?;
    }
    Ok(())
}

pub(super) fn image_redirects(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    let layer = json!({
        "mediaType": "application/vnd.oci.image.layer.v1.tar",
        "digest": format!("sha256:{}", unheld(ground)), "size": 8
    });
    let config = json!({
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": format!("sha256:{}", Sha256::of("{}")), "size": 2
    });
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config, "layers": [layer]
    })
    .to_string();
    let digest = Sha256::of(&manifest);
    let to = format!("http://{}/layer", service.host());
    let server = Server::new(move |path| {
        if path.contains("/manifests/") {
            ok(manifest.as_bytes())
        } else {
            redirect(307, &to)
        }
    });
    let output = registry(ground, &digest, &server)?;
    service.untouched("a layer")?;
    refused(&output)
}

pub(super) fn endless_manifest(ground: &Ground) -> Result<(), String> {
    let server = Server::new(|_| endless());
    let begun = Instant::now();
    let output = registry(ground, &unheld(ground), &server)?;
    refused(&output)?;
    must(begun.elapsed() < Duration::from_secs(15), "it was read on and on")
}

pub(super) fn plan_inputs(ground: &Ground) -> Result<(), String> {
    let service = Server::private();
    let (path, content, digest) = private_file(ground, "secret");
    for (url, digest, size) in [
        (format!("http://{}/x", service.host()), unheld(ground), 8),
        (format!("https://localhost:{}/x", service.port), unheld(ground), 8),
        (format!("file://{path}"), digest, content.len()),
    ] {
        let mut plan = plan();
        plan["inputs"] = json!([{"role": "source", "place": "source/x", "file": {
            "name": "x", "urls": [url], "sha256": digest.to_hex(), "size": size
        }}]);
        let written = ground.write("plan.json", plan.to_string());
        let mut command = ground.rebuilder();
        command.args(["rebuild", "--plan"]).arg(written);
        let output = within(command, Duration::from_mins(1));
        service.untouched(&url)?;
        refused(&output)?;
        must(!stored(ground, &digest), format!("{url} lies in the store"))?;
    }
    Ok(())
}
