//! Answers to readers. They have a tag from their digest, are compressed if the reader accepts that, and have headers
//! that only let a browser show them.

use axum::body::Body;
use axum::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use jiff::Timestamp;
use serde::Serialize;

use super::Running;
use super::api::ApiError;
use crate::artifact::Sha256;

pub(super) const JSON: &str = "application/json";
pub(super) const TEXT: &str = "text/plain; charset=utf-8";
pub(super) const HTML: &str = "text/html; charset=utf-8";

/// Larger files are sent as they are stored, part by part; smaller ones are checked and compressed.
const WHOLE: u64 = 16 << 20;
/// Shorter answers are not worth compressing.
const SHORT: usize = 512;
/// The permissions of a file of a run, or of an API answer, in a browser.
const NOTHING: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Sets the default headers of every answer that does not set its own.
pub(super) async fn harden(mut response: Response) -> Response {
    // The headers of such an answer replace those that the reader keeps with the page (RFC 9111, section 4.3.4).
    if response.status() == StatusCode::NOT_MODIFIED {
        return response;
    }
    let corp = HeaderName::from_static("cross-origin-resource-policy");
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CONTENT_SECURITY_POLICY, NOTHING),
        (corp, "same-origin"),
    ] {
        let headers = response.headers_mut();
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    response
}

/// Whether a reader names zstd among what it takes.
fn takes_zstd(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let refused = |part: &str| {
            part.starts_with("q=0") && !part.contains(['1', '2', '3', '4', '5', '6', '7', '8', '9'])
        };
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case("zstd")) && !parts.any(refused)
    })
}

/// Whether the reader already has the answer with this tag.
fn has(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let mut tags = values.flat_map(|value| value.split(',')).map(str::trim);
    tags.any(|known| known == "*" || known.trim_start_matches("W/") == tag)
}

fn header(value: &str) -> HeaderValue {
    // The values are digests, dates and words of ours.
    HeaderValue::from_str(value).unwrap_or(HeaderValue::from_static(""))
}

/// An answer of these bytes; `compressed` if it may be sent so.
pub(super) fn answer(headers: &HeaderMap, kind: &'static str, bytes: Vec<u8>, compressed: bool) -> Response {
    let digest = Sha256::of(&bytes);
    let coded = compressed && takes_zstd(headers) && bytes.len() > SHORT;
    // Each form of an answer has its own tag.
    let tag = format!("\"{}{}\"", digest.short(), if coded { "-zstd" } else { "" });
    if has(headers, &tag) {
        return (
            StatusCode::NOT_MODIFIED,
            [(ETAG, header(&tag)), (VARY, header("accept-encoding"))],
        )
            .into_response();
    }
    let coded = coded
        .then(|| zstd::encode_all(bytes.as_slice(), 3).ok())
        .flatten();
    let mut response = Response::new(Body::empty());
    let to = response.headers_mut();
    to.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    to.insert(ETAG, header(&tag));
    to.insert(VARY, HeaderValue::from_static("accept-encoding"));
    if coded.is_some() {
        to.insert(CONTENT_ENCODING, HeaderValue::from_static("zstd"));
    }
    *response.body_mut() = Body::from(coded.unwrap_or(bytes));
    response
}

/// A value of a document that may have none, which a row has as an empty text.
pub(super) fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// A document as JSON.
pub(super) fn document(headers: &HeaderMap, document: &impl Serialize) -> Result<Response, ApiError> {
    let bytes = serde_json::to_vec(document).map_err(|error| ApiError::Request(error.to_string()))?;
    Ok(answer(headers, JSON, bytes, false))
}

/// A date as HTTP writes it (RFC 9110, section 5.6.7), from milliseconds since 1970.
fn date(milliseconds: i64) -> Option<String> {
    let time = Timestamp::from_millisecond(milliseconds).ok()?;
    Some(time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// The time of the last change. `None` within two seconds of it: HTTP dates have whole seconds, so another change
/// within the same second would not be noticed.
pub(super) struct Changed(Option<i64>);

impl Changed {
    pub(super) async fn now(running: &Running) -> Result<Self, ApiError> {
        let (changed, now) = running.queue.changed().await?;
        Ok(Self(
            (changed > 0 && now.saturating_sub(changed) > 2000).then_some(changed),
        ))
    }

    /// Whether the reader already has it.
    pub(super) fn unchanged(&self, headers: &HeaderMap) -> Option<Response> {
        let since = headers.get(IF_MODIFIED_SINCE)?.to_str().ok()?;
        let since = jiff::fmt::rfc2822::parse(since).ok()?.timestamp().as_second();
        let changed = self.0?.div_euclid(1000);
        (changed <= since).then(|| StatusCode::NOT_MODIFIED.into_response())
    }

    pub(super) fn mark(&self, mut response: Response) -> Response {
        if let Some(date) = self.0.and_then(date) {
            response.headers_mut().insert(LAST_MODIFIED, header(&date));
        }
        response
    }
}

/// A file by its digest; 404 if there is none.
pub(super) async fn file(
    running: &Running,
    headers: &HeaderMap,
    kind: &'static str,
    sha256: Option<Sha256>,
) -> Result<Response, ApiError> {
    let sha256 = sha256.ok_or(ApiError::NotFound)?;
    let size = running.artifacts.size(sha256).await?.ok_or(ApiError::NotFound)?;
    if size <= WHOLE {
        let bytes = running.artifacts.bytes(sha256, WHOLE).await?;
        return Ok(answer(headers, kind, bytes.ok_or(ApiError::NotFound)?, true));
    }
    let stream = running.artifacts.stream(sha256).await?;
    let tag = format!("\"{}\"", sha256.short());
    if has(headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, header(&tag))]).into_response());
    }
    let mut response = Response::new(Body::from_stream(
        stream.map(|part| part.map_err(axum::Error::new)),
    ));
    let to = response.headers_mut();
    to.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    to.insert(CONTENT_LENGTH, HeaderValue::from(size));
    to.insert(ETAG, header(&tag));
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zstd_is_for_those_who_name_it() {
        for (value, takes) in [
            ("zstd", true),
            ("gzip, ZSTD;q=0.5", true),
            ("gzip, br", false),
            ("zstd;q=0", false),
            ("zstd; q=0.0, gzip", false),
            ("*", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, header(value))]);
            assert_eq!(takes_zstd(&headers), takes, "{value}");
        }
        assert!(!takes_zstd(&HeaderMap::new()));
    }

    #[test]
    fn dates_are_those_of_http() {
        assert_eq!(
            date(784_111_777_123).as_deref(),
            Some("Sun, 06 Nov 1994 08:49:37 GMT")
        );
        let since = |text: &str| HeaderMap::from_iter([(IF_MODIFIED_SINCE, header(text))]);
        let changed = Changed(Some(784_111_777_123));
        assert!(
            changed
                .unchanged(&since("Sun, 06 Nov 1994 08:49:37 GMT"))
                .is_some()
        );
        assert!(
            changed
                .unchanged(&since("Sun, 6 Nov 1994 08:49:37 +0000"))
                .is_some()
        );
        assert!(
            changed
                .unchanged(&since("Sun, 06 Nov 1994 08:49:36 GMT"))
                .is_none()
        );
        assert!(changed.unchanged(&since("yesterday")).is_none());
        assert!(
            Changed(None)
                .unchanged(&since("Sun, 06 Nov 1994 08:49:37 GMT"))
                .is_none()
        );
    }
}
