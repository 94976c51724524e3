//! What a fleet's objects are called. A Gateway may have any name up to 253 characters, dots included; a
//! Service may not, nor may the value of a label.

use fairway_translate::{Kind, ObjectKey};

/// What both a Service's name and a label's value may be long.
const LONGEST: usize = 63;

/// Gives the name of every object of a fleet. Those of the two kinds of Gateway never meet.
#[must_use]
pub fn name(gateway: &ObjectKey) -> String {
    let prefix = if gateway.kind == Kind::FairwayGateway { "fgw" } else { "fairway" };
    let own = &gateway.name.name;
    let plain = format!("{prefix}-{own}");
    if plain.len() <= LONGEST && !own.contains('.') {
        return plain;
    }
    // What was cut or replaced is told apart by a digest of the whole.
    let digest = format!("{:016x}", digest(own));
    let room = LONGEST - digest.len() - 1;
    let cut: String = plain.chars().map(|c| if c == '.' { '-' } else { c }).take(room).collect();
    format!("{}-{digest}", cut.trim_end_matches('-'))
}

/// Gives the value of the label `gateway.networking.k8s.io/gateway-name` (GEP-1762).
#[must_use]
pub fn label(gateway: &ObjectKey) -> String {
    let own = gateway.name.name.as_ref();
    if own.len() <= LONGEST {
        return own.to_owned();
    }
    let digest = format!("{:016x}", digest(own));
    let cut: String = own.chars().take(LONGEST - digest.len() - 1).collect();
    format!("{}-{digest}", cut.trim_end_matches(['-', '.']))
}

/// FNV-1a: these names must be the same in every release, which no hasher of the library promises.
fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fairway_translate::Name;

    fn key(kind: Kind, name: &str) -> ObjectKey {
        ObjectKey { kind, name: Name::new("shop", name) }
    }

    #[test]
    fn names_are_short_and_distinct() {
        assert_eq!(name(&key(Kind::Gateway, "web")), "fairway-web");
        assert_eq!(name(&key(Kind::FairwayGateway, "web")), "fgw-web");
        let longest = "a".repeat(253);
        let other = format!("{}b", "a".repeat(252));
        let names = ["web", "w.eb", "w-eb", &longest, &other].map(|n| name(&key(Kind::Gateway, n)));
        for (index, one) in names.iter().enumerate() {
            assert!(one.len() <= 63 && !one.contains('.'), "{one}");
            assert!(!names[..index].contains(one), "{one}");
        }
        assert_eq!(names[3], format!("fairway-{}-{:016x}", "a".repeat(38), digest(&longest)));
        assert!(label(&key(Kind::Gateway, &longest)).len() <= 63);
        assert_eq!(label(&key(Kind::Gateway, "w.eb")), "w.eb");
    }
}
