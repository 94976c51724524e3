//! A node without containers: pods as processes in network namespaces.
