//! Address lists: who may call. `deny` is asked first; a non-empty `allow` shuts all others out.

use std::net::IpAddr;

use fairway_model::policy::IpAccess;

/// Says whether this client may call. An IPv4 address inside of IPv6 counts as the IPv4 address.
pub(crate) fn allows(access: &IpAccess, client: IpAddr) -> bool {
    if access.is_empty() {
        return true;
    }
    let client = client.to_canonical();
    let within = |networks: &[ipnet::IpNet]| networks.iter().any(|net| net.contains(&client));
    !within(&access.deny) && (access.allow.is_empty() || within(&access.allow))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deny_comes_before_allow() {
        let net = |text: &str| text.parse().expect("a network");
        let access = IpAccess { allow: vec![net("10.0.0.0/8")], deny: vec![net("10.1.0.0/16")] };
        let allowed = |text: &str| allows(&access, text.parse().expect("an address"));
        assert!(allowed("10.2.0.1") && allowed("::ffff:10.2.0.1"));
        assert!(!allowed("10.1.0.1") && !allowed("::ffff:10.1.0.1") && !allowed("192.0.2.1"));
        let only_deny = IpAccess { allow: Vec::new(), ..access };
        assert!(allows(&only_deny, "192.0.2.1".parse().expect("an address")));
    }
}
