//! Where a listener's port is bound by a data plane that may not bind those below 1024.

/// The first port that a process without privileges may bind.
const FIRST_UNPRIVILEGED: u16 = 1024;

/// Added to ports below it.
const OFFSET: u16 = 10_000;

/// Gives the port that an unprivileged data plane binds for a listener's port: the port itself from 1024
/// on, else 10000 more. What forwards clients to such a data plane aims at this port.
///
/// Ports below 1024 and those from 10001 to 11023 share their images (80 and 10080), so a gateway that
/// declares both has one of the two listeners refused by its data plane, which says so.
#[must_use]
pub const fn container_port(port: u16) -> u16 {
    if port < FIRST_UNPRIVILEGED { port + OFFSET } else { port }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_port_needs_a_privilege() {
        assert_eq!(
            [80, 443, 1023, 1024, 8080].map(container_port),
            [10080, 10443, 11023, 1024, 8080]
        );
        assert!((0..=u16::MAX).all(|port| container_port(port) >= FIRST_UNPRIVILEGED));
        assert_eq!(container_port(u16::MAX), u16::MAX);
    }
}
