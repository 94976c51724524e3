//! As whom a container runs: user, groups and capabilities, from its security context.

use k8s_openapi::api::core::v1::{Container, Pod};

use super::sys::Step;

/// Capabilities that containers may ask for by name, by their number (linux/capability.h).
const NAMES: [(&str, u32); 14] = [
    ("CHOWN", 0),
    ("DAC_OVERRIDE", 1),
    ("FOWNER", 3),
    ("FSETID", 4),
    ("KILL", 5),
    ("SETGID", 6),
    ("SETUID", 7),
    ("SETPCAP", 8),
    ("NET_BIND_SERVICE", 10),
    ("NET_ADMIN", 12),
    ("NET_RAW", 13),
    ("SYS_CHROOT", 18),
    ("SYS_ADMIN", 21),
    ("SETFCAP", 31),
];

/// What a container runtime gives root when nobody says otherwise.
const USUAL: [&str; 11] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "SETFCAP",
];

/// The steps to a container's user; `image` is the user that the image names.
pub(super) fn steps(
    pod: &Pod,
    container: &Container,
    image: Option<u32>,
) -> Result<Vec<Step>, String> {
    let pod = pod.spec.as_ref().and_then(|spec| spec.security_context.clone()).unwrap_or_default();
    let own = container.security_context.clone().unwrap_or_default();
    let user = own
        .run_as_user
        .or(pod.run_as_user)
        .map_or(Ok(image.unwrap_or(0)), |user| number("runAsUser", user))?;
    let group =
        own.run_as_group.or(pod.run_as_group).map_or(Ok(0), |group| number("runAsGroup", group))?;
    if own.run_as_non_root.or(pod.run_as_non_root).unwrap_or(false) && user == 0 {
        return Err(
            "container has runAsNonRoot and image will run as root: set runAsUser".to_owned()
        );
    }
    let mut groups = vec![group];
    for further in pod.fs_group.into_iter().chain(pod.supplemental_groups.into_iter().flatten()) {
        groups.push(number("fsGroup or supplementalGroups", further)?);
    }
    let mut steps = vec![Step::Groups(groups), Step::Group(group)];
    if user != 0 {
        // Leaving root takes all capabilities away (capabilities(7)).
        steps.push(Step::User(user));
    } else if !own.privileged.unwrap_or(false) {
        let capabilities = own.capabilities.unwrap_or_default();
        steps.push(Step::Capabilities(kept(
            capabilities.add.as_deref(),
            capabilities.drop.as_deref(),
        )));
    }
    // Without the capability to do so, nobody gets more by running a program either.
    if own.allow_privilege_escalation == Some(false) {
        steps.push(Step::NoNewPrivileges);
    }
    Ok(steps)
}

fn number(field: &str, value: i64) -> Result<u32, String> {
    u32::try_from(value).map_err(|_range| format!("{field} {value} is no user or group"))
}

fn kept(add: Option<&[String]>, drop: Option<&[String]>) -> u64 {
    let bit = |name: &str| {
        NAMES.iter().find(|(known, _)| *known == name).map_or(0, |(_, number)| 1_u64 << number)
    };
    let bits =
        |names: &[String]| names.iter().map(|name| bit(name)).fold(0, |bits, bit| bits | bit);
    let all = |names: Option<&[String]>| names.unwrap_or_default().iter().any(|name| name == "ALL");
    let usual = USUAL.iter().map(|name| bit(name)).fold(0, |bits, bit| bits | bit);
    let base = if all(drop) { 0 } else { usual & !bits(drop.unwrap_or_default()) };
    if all(add) { u64::MAX >> 23 } else { base | bits(add.unwrap_or_default()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "`json!` makes values")]
    fn plan(pod: serde_json::Value, container: serde_json::Value) -> Result<String, String> {
        let pod =
            serde_json::from_value(json!({"spec": {"containers": [], "securityContext": pod}}))
                .unwrap();
        let container =
            serde_json::from_value(json!({"name": "c", "securityContext": container})).unwrap();
        steps(&pod, &container, None).map(|steps| format!("{steps:?}"))
    }

    #[test]
    fn the_containers_user_goes_before_the_pods() {
        let steps = plan(
            json!({"runAsUser": 1, "fsGroup": 7}),
            json!({"runAsUser": 65532, "runAsGroup": 2}),
        )
        .unwrap();
        assert_eq!(steps, "[Groups([2, 7]), Group(2), User(65532)]");
    }

    #[test]
    fn who_must_not_be_root_is_not() {
        assert!(plan(json!({"runAsNonRoot": true}), json!({})).is_err());
        assert!(plan(json!({"runAsNonRoot": true}), json!({"runAsUser": 65532})).is_ok());
    }

    #[test]
    fn root_keeps_what_it_asks_for() {
        let context = json!({"capabilities": {"drop": ["ALL"], "add": ["NET_ADMIN"]}});
        assert!(plan(json!({}), context).unwrap().ends_with("Capabilities(4096)]"));
    }
}
