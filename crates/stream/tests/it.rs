//! The stream over real sockets with real certificates, and what earlier releases said on it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says by a panic that it failed")]

mod it {
    mod rig;

    mod grpc;
    mod trust;
}
