//! Which replica writes: leader election on a Lease.
