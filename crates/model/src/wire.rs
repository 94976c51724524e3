//! The one serialised form of models and deltas, with its version: what is kept on disk and what
//! travels in process. Each release still reads what earlier ones wrote (`tests/data`).

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::Model;
use crate::delta::Delta;
use crate::integrity::Dangling;

/// The version that is written. It is raised when an older reader would misunderstand what it reads;
/// new optional fields alone make such a reader refuse, which is enough.
pub const VERSION: u64 = 1;

/// Why bytes are not a model or a delta that we can use.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// They are not JSON, or not JSON of the expected form.
    #[error("reading a {what}: {source}")]
    Malformed {
        /// `model` or `delta`.
        what: &'static str,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
    /// Another version wrote them.
    #[error("the {what} has version {found}, and only version {VERSION} is understood")]
    UnknownVersion {
        /// `model` or `delta`.
        what: &'static str,
        /// The version found.
        found: u64,
    },
    /// An entry names one that is not there.
    #[error(transparent)]
    Dangling(#[from] Dangling),
}

/// The version alone, whatever else there is.
#[derive(Deserialize)]
struct Head {
    #[serde(alias = "fairwayModel", alias = "fairwayDelta")]
    version: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelFile<'a> {
    #[serde(rename = "fairwayModel")]
    version: u64,
    model: Cow<'a, Model>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeltaFile<'a> {
    #[serde(rename = "fairwayDelta")]
    version: u64,
    delta: Cow<'a, Delta>,
}

/// Writes a model. Equal models give equal bytes.
///
/// # Panics
/// Never: no part of a model can fail to be written.
#[must_use]
pub fn encode(model: &Model) -> Vec<u8> {
    let file = ModelFile { version: VERSION, model: Cow::Borrowed(model) };
    serde_json::to_vec(&file).expect("all map keys are strings and no serializer of ours fails")
}

/// Gives a model as JSON for people to read: private keys are not in it.
///
/// # Panics
/// Never; see [`encode`].
#[must_use]
pub fn redacted(model: &Model) -> serde_json::Value {
    let mut shown = serde_json::to_value(model).expect("see `encode`");
    let secrets = shown.get_mut("secrets").and_then(serde_json::Value::as_object_mut);
    for secret in secrets.into_iter().flat_map(serde_json::Map::values_mut) {
        if let Some(key) = secret.pointer_mut("/certificate/key") {
            *key = "[redacted]".into();
        }
    }
    shown
}

/// Reads a model and checks that every Id in it points somewhere.
///
/// # Errors
/// When the bytes are of an unknown version, malformed, or name what is not there.
pub fn decode(bytes: &[u8]) -> Result<Model, WireError> {
    check_version(bytes, "model")?;
    let file: ModelFile<'_> = serde_json::from_slice(bytes)
        .map_err(|source| WireError::Malformed { what: "model", source })?;
    let model = file.model.into_owned();
    model.check()?;
    Ok(model)
}

/// Writes a delta. Equal deltas give equal bytes.
///
/// # Panics
/// Never: no part of a delta can fail to be written.
#[must_use]
pub fn encode_delta(delta: &Delta) -> Vec<u8> {
    let file = DeltaFile { version: VERSION, delta: Cow::Borrowed(delta) };
    serde_json::to_vec(&file).expect("all map keys are strings and no serializer of ours fails")
}

/// Reads a delta. Whether its Ids point somewhere shows only once it is applied:
/// [`Model::check`].
///
/// # Errors
/// When the bytes are of an unknown version or malformed.
pub fn decode_delta(bytes: &[u8]) -> Result<Delta, WireError> {
    check_version(bytes, "delta")?;
    let file: DeltaFile<'_> = serde_json::from_slice(bytes)
        .map_err(|source| WireError::Malformed { what: "delta", source })?;
    Ok(file.delta.into_owned())
}

/// Looks at the head first: of another version the rest need not be readable to us.
fn check_version(bytes: &[u8], what: &'static str) -> Result<(), WireError> {
    let head: Head =
        serde_json::from_slice(bytes).map_err(|source| WireError::Malformed { what, source })?;
    if head.version == VERSION {
        Ok(())
    } else {
        Err(WireError::UnknownVersion { what, found: head.version })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SecretId;
    use crate::secret::{PrivateKey, Secret};
    use std::sync::Arc;

    #[test]
    fn the_version_is_looked_at_first() {
        let text = br#"{"fairwayModel":7,"model":{"unheardOf":true}}"#;
        let error = decode(text).expect_err("version 7").to_string();
        assert_eq!(error, "the model has version 7, and only version 1 is understood");
        let text = br#"{"fairwayModel":1,"model":{"unheardOf":true}}"#;
        let error = decode(text).expect_err("an unknown field").to_string();
        assert!(error.contains("unheardOf"), "{error}");
    }

    #[test]
    fn a_model_is_no_delta() {
        let model = encode(&Model::default());
        assert_eq!(model, br#"{"fairwayModel":1,"model":{}}"#);
        assert!(decode_delta(&model).is_err());
        assert!(decode(&encode_delta(&Delta::default())).is_err());
        assert!(decode(b"").is_err());
    }

    #[test]
    fn keys_are_not_shown() {
        let secret = Secret::Certificate { chain: "chain".into(), key: PrivateKey::new("private") };
        let mut model = Model::default();
        model.secrets.insert(SecretId::new("secret/shop/tls"), Arc::new(secret));
        let shown = redacted(&model).to_string();
        assert!(shown.contains("chain") && !shown.contains("private"), "{shown}");
    }
}
