//! What holds for every model: laws under random models, and what earlier releases wrote.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says by a panic that it failed")]

mod it {
    pub(crate) mod arbitrary;
    pub(crate) mod naive;
    pub(crate) mod routing;

    mod delta;
    mod explain;
    mod select;
    mod slice;
    mod update;
    mod wire;

    /// How often each law is tried. A case that fails is printed whole; it becomes a test of its own
    /// instead of a seed in a file.
    fn cases() -> proptest::prelude::ProptestConfig {
        proptest::prelude::ProptestConfig {
            cases: 256,
            failure_persistence: None,
            ..Default::default()
        }
    }
}
