//! Writes statuses to the API server: only differences, and never over another writer.
