//! The lab itself, with real programs. Needs root, Go, and Debian's iproute2.
#![expect(clippy::unwrap_used, reason = "a test says by a panic that it failed")]

mod it {
    mod chart;
    mod control_plane;
    mod forward;
    mod node;
}
