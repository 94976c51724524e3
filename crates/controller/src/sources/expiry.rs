//! Certificates that have expired, or soon will: the one thing about files that time alone makes wrong.
//! They are served all the same, since clients may differ in what they accept; so each is a warning.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fairway_api::AnyObject;
use fairway_api::core::Secret;
use jiff::{SignedDuration, Timestamp};
use x509_parser::pem::Pem;

use super::{FileSource, Placed, Problem, Severity};

/// Whoever is warned has this long to renew.
const SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// Where a TLS Secret holds its certificates.
const CHAIN: &str = "tls.crt";

/// Lists the certificates among these objects that are out of date at `now`, or will be within 14 days.
#[must_use]
pub fn expiring(source: &FileSource, objects: &[Placed], now: Timestamp) -> Vec<Problem> {
    let mut problems = Vec::new();
    for placed in objects {
        let AnyObject::Secret(secret) = &placed.object.object else { continue };
        let Some(message) = complaint(secret, now) else { continue };
        let field = format!("data[{CHAIN}]");
        problems.push(Problem {
            file: placed.origin.file.clone(),
            position: source.locate(placed, &field),
            severity: Severity::Warning,
            object: Some(placed.object.key.clone()),
            field,
            message,
            remedy: Some("put a renewed certificate in its place".to_owned()),
            last_good_counts: false,
        });
    }
    problems
}

/// What is wrong with the worst certificate of a Secret; what is no certificate is `translate`'s matter.
fn complaint(secret: &Secret, now: Timestamp) -> Option<String> {
    let pem = STANDARD.decode(secret.data.get(CHAIN)?).ok()?;
    let (mut begins, mut ends) = (Timestamp::MIN, Timestamp::MAX);
    for block in Pem::iter_from_buffer(&pem) {
        let block = block.ok()?;
        let certificate = block.parse_x509().ok()?;
        let validity = certificate.validity();
        begins = begins.max(Timestamp::from_second(validity.not_before.timestamp()).ok()?);
        ends = ends.min(Timestamp::from_second(validity.not_after.timestamp()).ok()?);
    }
    if ends <= now {
        Some(format!("the certificate has expired at {ends}: clients refuse it"))
    } else if begins > now {
        Some(format!("the certificate is not valid before {begins}: clients refuse it"))
    } else if ends.duration_since(now) < SOON {
        Some(format!("the certificate expires at {ends}"))
    } else {
        None
    }
}
