//! The loop and all I/O around the pure functions: sources, drivers, status, admin.

pub mod sources;
