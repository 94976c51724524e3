//! The data plane: takes the model, serves HTTP, TLS, TCP and UDP. Knows nothing of Kubernetes.
