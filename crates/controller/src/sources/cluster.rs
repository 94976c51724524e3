//! The cluster as a source of objects.
