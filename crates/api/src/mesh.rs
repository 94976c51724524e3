//! XMesh (experimental): read so that nothing is lost, served by nobody here.

use serde::{Deserialize, Serialize};

use crate::meta::Object;
use crate::reference::ObjectReference;
use crate::status::ClassStatus;

/// An XMesh.
pub type XMesh = Object<MeshSpec, ClassStatus>;

/// A mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MeshSpec {
    /// The controller that answers for it.
    pub controller_name: String,
    /// What it is like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters_ref: Option<ObjectReference>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}
