//! The data plane seen from outside: what is served, what is refused, byte by byte.

mod it {
    mod drain;
    mod h1_chunked;
    mod h1_h2;
    mod h1_requests;
    mod h1_targets;
    mod h1_wire;
    mod http_change;
    mod http_h1;
    mod http_h2;
    mod http_hostile;
    mod http_phases;
    mod http_rig;
    mod http_tls;
    mod http_upgrade;
    mod http_upstream;
    mod listen;
    mod listen_changes;
    mod rig;
    mod stream;
    mod stream_udp;
    mod tls;
    mod tls_backend;
}
