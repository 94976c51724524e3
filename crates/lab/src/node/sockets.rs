//! Which ports a pod's processes have bound, as the kernel lists them.

use std::{collections::BTreeSet, fs};

/// `st` of a TCP socket that listens, and of a UDP socket that is bound and not connected.
const OPEN: [&str; 2] = ["0A", "07"];

/// The ports that are open in the network namespace of this process, TCP and UDP together.
pub(super) fn open_ports(process: u32) -> BTreeSet<u16> {
    let mut ports = BTreeSet::new();
    for table in ["tcp", "tcp6", "udp", "udp6"] {
        if let Ok(text) = fs::read_to_string(format!("/proc/{process}/net/{table}")) {
            ports.extend(parse(&text));
        }
    }
    ports
}

fn parse(table: &str) -> impl Iterator<Item = u16> {
    table.lines().skip(1).filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let (_, port) = fields.next()?.rsplit_once(':')?;
        let state = fields.nth(1)?;
        OPEN.contains(&state).then(|| u16::from_str_radix(port, 16).ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sockets_that_take_connections_count() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue
   0: 00000000:0BB8 00000000:0000 0A 00000000:00000000
   1: 0100007F:1F90 0100007F:9C40 01 00000000:00000000
   2: 00000000:0035 00000000:0000 07 00000000:00000000
";
        assert_eq!(parse(table).collect::<Vec<_>>(), [3000, 53]);
    }

    #[test]
    fn our_own_listener_is_found() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(open_ports(std::process::id()).contains(&port));
    }
}
