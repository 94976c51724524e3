//! How a model reaches a data plane: the in-process transport and the last-good store.
