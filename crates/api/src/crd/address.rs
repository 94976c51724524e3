//! The CRDs AddressPool and AddressClaim.

use serde_json::{Map, Value, json};

use super::schema::{Rule, add_rules, at, described, schema_of, strings};
use super::{Column, Names, definition, upstream};
use crate::kind::Kind;
use crate::own::address::AddressClaimSpec;
use crate::vendor::Version;

pub(super) fn pool() -> Value {
    let mut ranges = strings(RANGES_HELP, 64, 91);
    ranges.insert("minItems".into(), 1.into());
    add_rules(&mut ranges, &RANGE_RULES);
    // Selectors and conditions are what they are everywhere: upstream's schema has them.
    let mut gateway = upstream::schema(Version::V1_6_3, "gateways");
    let selector = "spec.listeners.items.allowedRoutes.namespaces.selector";
    let selector = at(&mut gateway, selector).clone();
    let mut conditions = at(&mut gateway, "status.conditions").clone();
    conditions.shift_remove("default");
    let count = |text: &str| json!({"type": "integer", "format": "int64", "description": text});
    let auto = "Whether those get an address who ask for none in particular; true when absent.";
    let priority = "Of several pools the one with the highest is drawn from first; 0 when absent.";
    let schema = json!({
        "description": POOL_HELP,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {
                "description": "What may be given, and to whom.",
                "type": "object",
                "required": ["ranges"],
                "properties": {
                    "ranges": ranges,
                    "autoAssign": {"type": "boolean", "description": auto},
                    "priority": {
                        "type": "integer", "format": "int32", "description": priority,
                        "minimum": -1_000_000, "maximum": 1_000_000,
                    },
                    "namespaces": strings("Namespaces that may use it.", 256, 63),
                    "namespaceSelector": described(selector, SELECTOR_HELP),
                },
            },
            "status": {
                "description": "How it is.",
                "type": "object",
                "properties": {
                    "total": count("How many addresses it has; at most 2^63 - 1 are counted."),
                    "assigned": count("How many of them are somebody's."),
                    "available": count("How many are left."),
                    "conditions": described(conditions, "What holds of it."),
                },
            },
        },
    });
    let names = Names { short: "fap", singular: "addresspool", list: "AddressPoolList" };
    definition(Kind::AddressPool, &names, &object(schema), &POOL_COLUMNS)
}

pub(super) fn claim() -> Value {
    let mut spec = schema_of::<AddressClaimSpec>();
    add_rules(&mut spec, &CLAIM_RULES);
    let schema = json!({
        "description": CLAIM_HELP,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": described(spec, "Which address, and whose it is."),
        },
    });
    let mut schema = object(schema);
    add_rules(&mut schema, &NAME_RULES);
    let names = Names { short: "fac", singular: "addressclaim", list: "AddressClaimList" };
    let mut definition = definition(Kind::AddressClaim, &names, &schema, &CLAIM_COLUMNS);
    // Nothing is said of a claim: that it is there says all.
    if let Some(Value::Object(version)) = definition.pointer_mut("/spec/versions/0") {
        version.shift_remove("subresources");
    }
    definition
}

fn object(schema: Value) -> Map<String, Value> {
    match schema {
        Value::Object(schema) => schema,
        other => unreachable!("an object is written above, not {other}"),
    }
}

const POOL_HELP: &str = "Addresses that Gateways may have, and who may have them. A pool that is deleted takes \
    no address away: who has one keeps it.";

const RANGES_HELP: &str = "The addresses: `10.0.0.0/24`, `10.0.0.10-10.0.0.20`, or `10.0.0.7`; IPv4 or IPv6. \
    Of a network its first and (IPv4) last address are not given; write them as a range to have them given.";

const SELECTOR_HELP: &str = "Labels of further namespaces that may use it. Without this and without `namespaces`, \
    all may.";

const CLAIM_HELP: &str = "One address is somebody's. The controller makes it before it serves the address, and \
    deletes it when the owner is gone and nothing carries the address any more. One that you make keeps the \
    address from being given. Its name is the address; an IPv6 address is written in full, with dashes for \
    colons: fd00-0000-0000-0000-0000-0000-0000-0007.";

const RANGE_RULES: [Rule; 1] = [(
    "self.all(range, isCIDR(range) || isIP(range) || (range.split('-').size() == 2 && \
     range.split('-').all(end, isIP(end))))",
    "write 10.0.0.0/24, 10.0.0.10-10.0.0.20, or 10.0.0.7",
)];

const CLAIM_RULES: [Rule; 1] =
    [("self == oldSelf", "a claim is not changed: delete it, and make another one")];

const NAME_RULES: [Rule; 1] = [(
    "self.metadata.name == self.spec.address || \
     (self.metadata.name.matches('^[0-9a-f]{4}(-[0-9a-f]{4}){7}$') && \
     ip(self.metadata.name.replace('-', ':')) == ip(self.spec.address))",
    "metadata.name must be the address; an IPv6 address in full, with dashes for colons",
)];

const POOL_COLUMNS: [Column; 10] = [
    ("Ranges", "string", ".spec.ranges"),
    ("Assigned", "integer", ".status.assigned"),
    ("Available", "integer", ".status.available"),
    ("Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status"),
    ("Age", "date", ".metadata.creationTimestamp"),
    ("+Total", "integer", ".status.total"),
    ("+Auto-assign", "boolean", ".spec.autoAssign"),
    ("+Priority", "integer", ".spec.priority"),
    ("+Reason", "string", ".status.conditions[?(@.type==\"Ready\")].reason"),
    ("+Message", "string", ".status.conditions[?(@.type==\"Ready\")].message"),
];

const CLAIM_COLUMNS: [Column; 7] = [
    ("Address", "string", ".spec.address"),
    ("Pool", "string", ".spec.pool"),
    ("Kind", "string", ".spec.owner.kind"),
    ("Namespace", "string", ".spec.owner.namespace"),
    ("Owner", "string", ".spec.owner.name"),
    ("Age", "date", ".metadata.creationTimestamp"),
    ("+Group", "string", ".spec.owner.group"),
];
