//! Which policy holds for which target. Per Gateway API's policy attachment (GEP-713): of several for
//! the same target and section the oldest counts, then the first by `namespace/name`.

use std::collections::BTreeMap;

use crate::object::Name;

/// One target of one policy.
#[derive(Clone, Debug)]
pub(crate) struct Target<'a> {
    pub(crate) policy: &'a Name,
    /// Seconds since 1970.
    pub(crate) created: i64,
    pub(crate) group: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) name: Name,
    /// Empty for the whole object.
    pub(crate) section: &'a str,
}

impl<'a> Target<'a> {
    /// Gives what the policy is about.
    pub(crate) fn place(&self) -> (&'a str, &'a str, Name, &'a str) {
        (self.group, self.kind, self.name.clone(), self.section)
    }
}

/// Gives the policy that counts for each target.
pub(crate) fn winners<'a>(
    targets: &[Target<'a>],
) -> BTreeMap<(&'a str, &'a str, Name, &'a str), &'a Name> {
    let mut best: BTreeMap<_, (i64, &'a Name)> = BTreeMap::new();
    for target in targets {
        let own = (target.created, target.policy);
        let known = best.entry(target.place()).or_insert(own);
        *known = own.min(*known);
    }
    best.into_iter().map(|(place, (_, policy))| (place, policy)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_counts_then_the_first_by_name() {
        let names = [Name::new("a", "z"), Name::new("a", "b"), Name::new("a", "c")];
        let target = |policy, created| Target {
            policy,
            created,
            group: "",
            kind: "Service",
            name: Name::new("a", "s"),
            section: "",
        };
        let won = |created: [i64; 3]| {
            let targets: Vec<_> = names.iter().zip(created).map(|(n, c)| target(n, c)).collect();
            winners(&targets).values().next().map(ToString::to_string)
        };
        assert_eq!(won([1, 2, 3]).as_deref(), Some("a/z"));
        assert_eq!(won([2, 2, 2]).as_deref(), Some("a/b"));
    }
}
