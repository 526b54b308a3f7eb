//! A proof as a badge, and in the endpoint format of a badge service (shields.io).

use serde_json::{Value, json};

use crate::prove::Proof;

/// Width of a character of the badge's font, in tenths of a pixel.
const CHARACTER: usize = 65;
/// Pixels beside a text.
const MARGIN: usize = 10;
const LABEL: &str = "reproducible";

fn message(proof: &Proof) -> (&'static str, &'static str, &'static str) {
    if proof.reproducible {
        ("yes", "brightgreen", "#4c1")
    } else {
        ("no", "red", "#e05d44")
    }
}

/// The badge as SVG; its texts do not come from outside.
pub fn badge(proof: &Proof) -> String {
    let (message, _, colour) = message(proof);
    draw(LABEL, message, colour)
}

/// A badge of two texts that need no escaping. The second one has the `colour`.
pub(in crate::report) fn draw(label: &str, message: &str, colour: &str) -> String {
    let width = |text: &str| (text.len().saturating_mul(CHARACTER) / 10).saturating_add(MARGIN);
    let (left, right) = (width(label), width(message));
    let whole = left.saturating_add(right);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{whole}\" height=\"20\" role=\"img\" aria-label=\"{label}: \
         {message}\">\n<title>{label}: {message}</title>\n<rect width=\"{left}\" height=\"20\" fill=\"#555\"/>\n\
         <rect x=\"{left}\" width=\"{right}\" height=\"20\" fill=\"{colour}\"/>\n\
         <g fill=\"#fff\" text-anchor=\"middle\" font-family=\"Verdana,sans-serif\" font-size=\"11\">\n\
         <text x=\"{}\" y=\"14\">{label}</text>\n<text x=\"{}\" y=\"14\">{message}</text>\n</g>\n</svg>\n",
        left / 2,
        left.saturating_add(right / 2)
    )
}

/// The badge as the answer of an endpoint.
pub fn endpoint(proof: &Proof) -> Value {
    let (message, colour, _) = message(proof);
    json!({"schemaVersion": 1, "label": LABEL, "message": message, "color": colour})
}
