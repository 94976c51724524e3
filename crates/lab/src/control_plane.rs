//! etcd, kube-apiserver and kube-controller-manager: built, started, stopped.
