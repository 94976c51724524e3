//! What the simulated API server keeps: objects by list and name, their history, and the rules of writing them.
//! It knows the rules that all kinds share (versions, generations, uids, preconditions), and validates nothing.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// Path of its list without a namespace, its namespace (or nothing), its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) list: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// One line of every watch of a list.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) version: u64,
    pub(super) list: String,
    pub(super) word: &'static str,
    pub(super) object: Value,
}

/// An answer: a code, and the object or what is wrong.
pub(super) type Answer = (u16, Value);

#[derive(Default)]
pub(super) struct Store {
    pub(super) version: u64,
    pub(super) objects: BTreeMap<Place, Value>,
    pub(super) events: Vec<Event>,
    /// Watches from before this version have expired.
    pub(super) forgotten: u64,
    uids: u64,
    /// What was applied last, by place.
    applied: BTreeMap<Place, Value>,
}

pub(super) fn failure(code: u16, message: &str) -> Answer {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        _ => "InternalError",
    };
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
        "message": message, "reason": reason, "metadata": {}});
    (code, status)
}

impl Store {
    fn tell(&mut self, place: &Place, word: &'static str, object: Value) {
        let list = place.list.clone();
        self.events.push(Event { version: self.version, list, word, object });
    }

    /// Keeps an object as it is now, unless nothing is new.
    fn keep(&mut self, place: &Place, mut object: Value) -> Answer {
        seal(&mut object);
        let before = self.objects.get(place);
        if before == Some(&object) {
            return (200, object);
        }
        let (word, code) = if before.is_some() { ("MODIFIED", 200) } else { ("ADDED", 201) };
        let same_spec = before.is_some_and(|before| before.get("spec") == object.get("spec"));
        let generation = object["metadata"]["generation"].as_u64().unwrap_or(0);
        self.version += 1;
        let metadata = &mut object["metadata"];
        if !same_spec {
            metadata["generation"] = json!(generation + 1);
        }
        metadata["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(place.clone(), object.clone());
        self.tell(place, word, object.clone());
        (code, object)
    }

    pub(super) fn create(&mut self, place: &Place, mut object: Value) -> Answer {
        if self.objects.contains_key(place) {
            return failure(409, "it exists already");
        }
        self.uids += 1;
        let seconds = self.uids % 60;
        let metadata = &mut object["metadata"];
        metadata["name"] = json!(place.name);
        if !place.namespace.is_empty() {
            metadata["namespace"] = json!(place.namespace);
        }
        metadata["uid"] = json!(format!("uid-{}", self.uids));
        metadata["creationTimestamp"] = json!(format!("2026-01-01T00:00:{seconds:02}Z"));
        metadata["generation"] = json!(0);
        if let Some(metadata) = metadata.as_object_mut() {
            metadata.remove("resourceVersion");
        }
        self.keep(place, object)
    }

    /// Replaces an object, or its status alone. The version that the writer has read counts, if it says one.
    pub(super) fn replace(&mut self, place: &Place, object: &Value, status: bool) -> Answer {
        let Some(live) = self.objects.get(place) else { return failure(404, "not found") };
        let read = &object["metadata"]["resourceVersion"];
        if !read.is_null() && *read != live["metadata"]["resourceVersion"] {
            return failure(409, "the object has been modified");
        }
        let mut next = if status { live.clone() } else { object.clone() };
        if status {
            next["status"] = object["status"].clone();
        } else {
            for field in ["uid", "creationTimestamp", "generation", "resourceVersion"] {
                next["metadata"][field] = live["metadata"][field].clone();
            }
            if let Some(status) = live.get("status") {
                next["status"] = status.clone();
            }
        }
        self.keep(place, next)
    }

    /// RFC 7386.
    pub(super) fn merge(&mut self, place: &Place, patch: &Value, status: bool) -> Answer {
        let Some(live) = self.objects.get(place) else { return failure(404, "not found") };
        let mut next = live.clone();
        if status {
            merge(&mut next["status"], &patch["status"]);
        } else {
            merge(&mut next, patch);
        }
        self.keep(place, next)
    }

    /// Applies on the server's side, as the only manager that applies: lists are taken whole.
    pub(super) fn apply(&mut self, place: &Place, wanted: Value) -> Answer {
        let before = self.applied.insert(place.clone(), wanted.clone());
        let Some(live) = self.objects.get(place) else { return self.create(place, wanted) };
        let mut next = live.clone();
        if let Some(before) = before {
            take_back(&mut next, &before, &wanted);
        }
        merge(&mut next, &wanted);
        self.keep(place, next)
    }

    pub(super) fn delete(&mut self, place: &Place, options: &Value) -> Answer {
        let Some(live) = self.objects.get(place) else { return failure(404, "not found") };
        let wanted = options.pointer("/preconditions/uid").filter(|uid| !uid.is_null());
        if wanted.is_some_and(|uid| *uid != live["metadata"]["uid"]) {
            return failure(409, "it is another one by now");
        }
        let mut gone = live.clone();
        self.objects.remove(place);
        self.applied.remove(place);
        self.version += 1;
        gone["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.tell(place, "DELETED", gone.clone());
        (200, gone)
    }

    /// Deletes what has an owner that is gone, as the garbage collector does some time.
    pub(super) fn collect_garbage(&mut self) {
        loop {
            let uids: Vec<&Value> = self.objects.values().map(|o| &o["metadata"]["uid"]).collect();
            let is_orphan = |object: &Value| {
                let owners = object["metadata"]["ownerReferences"].as_array();
                let mut owners = owners.into_iter().flatten().peekable();
                owners.peek().is_some() && owners.all(|owner| !uids.contains(&&owner["uid"]))
            };
            let orphan = self.objects.iter().find(|(_, object)| is_orphan(object));
            let Some(place) = orphan.map(|(place, _)| place.clone()) else { return };
            self.delete(&place, &Value::Null);
        }
    }
}

/// What is written as text is kept as bytes.
fn seal(object: &mut Value) {
    let Some(Value::Object(text)) = object.as_object_mut().and_then(|o| o.remove("stringData"))
    else {
        return;
    };
    for (name, value) in text {
        let bytes = STANDARD.encode(value.as_str().unwrap_or_default());
        object["data"][name] = json!(bytes);
    }
}

fn merge(live: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *live = patch.clone();
        return;
    };
    if !live.is_object() {
        *live = Value::Object(Map::new());
    }
    let Value::Object(live) = live else { return };
    for (field, value) in patch {
        if value.is_null() {
            live.remove(field);
        } else {
            merge(live.entry(field).or_insert(Value::Null), value);
        }
    }
}

/// Takes away what was applied before and is not any more.
fn take_back(live: &mut Value, before: &Value, wanted: &Value) {
    let (Value::Object(live), Value::Object(before)) = (live, before) else { return };
    for (field, value) in before {
        match (live.get_mut(field), wanted.get(field)) {
            (Some(live), Some(wanted)) => take_back(live, value, wanted),
            (Some(_), None) => drop(live.remove(field)),
            (None, _) => {}
        }
    }
}
