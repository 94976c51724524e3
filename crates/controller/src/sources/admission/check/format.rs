//! The `format`s that an API server checks; others are notes to the reader.

/// What is wrong with a text of that format.
pub(super) fn text(format: &str, text: &str) -> Option<String> {
    let fits = match format {
        "date-time" => text.parse::<jiff::Timestamp>().is_ok(),
        "ipv4" => text.parse::<std::net::Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<std::net::Ipv6Addr>().is_ok(),
        "ip" => text.parse::<std::net::IpAddr>().is_ok(),
        "cidr" => cidr(text),
        _ => true,
    };
    let example = match format {
        "date-time" => "a time such as 2026-01-31T12:00:00Z",
        "ipv4" => "an IPv4 address such as 192.0.2.1",
        "ipv6" => "an IPv6 address such as 2001:db8::1",
        "ip" => "an IP address such as 192.0.2.1",
        _ => "an address range such as 192.0.2.0/24",
    };
    (!fits).then(|| format!("{text:?} is not {example}"))
}

fn cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let most = match address.parse() {
        Ok(std::net::IpAddr::V4(_)) => 32,
        Ok(std::net::IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    length.parse::<u8>().is_ok_and(|length| length <= most)
}

/// The least and the most number of a format.
pub(super) fn range(format: &str) -> Option<(Option<f64>, Option<f64>)> {
    match format {
        "int32" => Some((Some(f64::from(i32::MIN)), Some(f64::from(i32::MAX)))),
        "uint8" => Some((Some(0.0), Some(f64::from(u8::MAX)))),
        "uint16" => Some((Some(0.0), Some(f64::from(u16::MAX)))),
        "uint32" => Some((Some(0.0), Some(f64::from(u32::MAX)))),
        "uint" | "uint64" => Some((Some(0.0), None)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        for (format, good, bad) in [
            ("date-time", "2026-01-31T12:00:00Z", "yesterday"),
            ("ipv4", "192.0.2.1", "192.0.2.256"),
            ("ipv6", "2001:db8::1", "192.0.2.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
        ] {
            assert_eq!(text(format, good), None);
            assert!(text(format, bad).is_some(), "{format}");
        }
        assert_eq!(text("password", "x"), None);
    }
}
