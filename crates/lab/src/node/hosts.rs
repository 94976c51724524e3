//! The host names that pods know: no DNS here, but a file with every Service in it.

use std::{collections::BTreeMap, fmt::Write, io, net::IpAddr, path::Path, sync::Arc};

use k8s_openapi::api::core::v1::Service;

/// The file's content.
pub(super) fn render(services: &[Arc<Service>]) -> String {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
    let mut names = BTreeMap::new();
    for service in services {
        let (Some(namespace), Some(name)) = (&service.metadata.namespace, &service.metadata.name)
        else {
            continue;
        };
        let addresses = service.spec.iter().flat_map(|spec| spec.cluster_ips.iter().flatten());
        // "None" of a headless Service is no address.
        let addresses: Vec<IpAddr> = addresses.filter_map(|address| address.parse().ok()).collect();
        names.insert((namespace, name), addresses);
    }
    for ((namespace, name), addresses) in names {
        for address in addresses {
            writeln!(text, "{address} {name}.{namespace}.svc {name}.{namespace}.svc.cluster.local {name}.{namespace}")
                .expect("writing into a String never fails");
        }
    }
    text
}

/// Replaces the file in one step: whoever reads it sees the old one or the new one.
pub(super) fn write(directory: &Path, text: &str) -> io::Result<()> {
    let new = directory.join("hosts.new");
    std::fs::write(&new, text)?;
    std::fs::rename(new, directory.join("hosts"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_service_with_an_address_is_named() {
        let service = |name: &str, address: &str| {
            let value = json!({"metadata": {"namespace": "shop", "name": name}, "spec": {"clusterIPs": [address]}});
            Arc::new(serde_json::from_value(value).unwrap())
        };
        let text = render(&[service("cart", "10.96.0.7"), service("headless", "None")]);
        assert!(
            text.ends_with("10.96.0.7 cart.shop.svc cart.shop.svc.cluster.local cart.shop\n"),
            "{text}"
        );
    }
}
