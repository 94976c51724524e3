//! GatewayClasses: which are ours, and what is said about them.

mod features;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fairway_api::gateway::GatewayClass;

use crate::object::{Kind, ObjectKey};
use crate::profile::class_fault;
use crate::settings::Settings;
use crate::snapshot::Snapshot;
use crate::verdict::{Facts, ObjectVerdicts, Reason, Verdicts};

/// A class that is ours.
#[derive(Clone, Debug, Default)]
pub(crate) struct Class {
    /// Why its Gateways cannot be served, if so.
    pub(crate) refused: Option<String>,
}

/// The classes that are ours.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    by_name: BTreeMap<Arc<str>, Class>,
}

impl Classes {
    pub(crate) fn find(&self, name: &str) -> Option<&Class> {
        self.by_name.get(name)
    }
}

/// Finds the classes that are ours and says what is to be said about them.
pub(crate) fn classes(
    snapshot: &Snapshot,
    settings: &Settings,
    verdicts: &mut Verdicts,
) -> Classes {
    let mut by_name = BTreeMap::new();
    for (name, class) in &*snapshot.gateway_classes {
        if *class.spec.controller_name != *settings.controller_name {
            continue;
        }
        let refused = class_fault(class, snapshot);
        let key = ObjectKey { kind: Kind::GatewayClass, name: name.clone() };
        verdicts.insert(key, Arc::new(judge(class, refused.as_deref(), settings)));
        by_name.insert(Arc::clone(&name.name), Class { refused });
    }
    let taken: BTreeSet<&str> = snapshot.gateway_classes.keys().map(|name| &*name.name).collect();
    for name in settings.default_classes.iter().filter(|name| !taken.contains(&***name)) {
        by_name.insert(Arc::clone(name), Class::default());
    }
    Classes { by_name }
}

fn judge(class: &GatewayClass, refused: Option<&str>, settings: &Settings) -> ObjectVerdicts {
    let mut said = ObjectVerdicts {
        generation: class.metadata.generation,
        facts: Facts {
            supported_features: features::supported(settings.bundle_version.as_deref()),
            ..Facts::default()
        },
        ..ObjectVerdicts::default()
    };
    match refused {
        Some(why) => said.conditions.say(Reason::InvalidParameters, why),
        None => said.conditions.say(Reason::Accepted, ""),
    }
    if let Some(version) = &settings.bundle_version {
        if ["v1.6.", "v1.7."].iter().any(|known| version.starts_with(known)) {
            said.conditions.say(Reason::SupportedVersion, "");
        } else {
            let message =
                format!("the installed CRDs are of version {version}; v1.6 and v1.7 are known");
            said.conditions.say(Reason::UnsupportedVersion, message);
        }
    }
    said
}
