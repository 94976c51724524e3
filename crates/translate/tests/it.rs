//! What translation gives for whole sets of objects: golden cases and laws.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says by a panic that it failed")]

mod it {
    pub(crate) mod case;
    pub(crate) mod print;
    pub(crate) mod statuses;
    pub(crate) mod world;

    mod coverage;
    mod golden;
    mod laws;
    mod memo;
    mod wanted;
}
