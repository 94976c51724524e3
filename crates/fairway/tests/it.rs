//! Black-box tests of the real binary: its verbs on files, and real traffic over sockets.
#![expect(clippy::panic, reason = "that is how a test says what is wrong")]

#[path = "it/rig.rs"]
mod rig;
#[path = "it/wire.rs"]
mod wire;

#[path = "it/certificate.rs"]
mod certificate;
#[path = "it/change.rs"]
mod change;
#[path = "it/check.rs"]
mod check;
#[path = "it/demo.rs"]
mod demo;
#[path = "it/docs.rs"]
mod docs;
#[path = "it/echo.rs"]
mod echo;
#[path = "it/explain.rs"]
mod explain;
#[path = "it/hostile.rs"]
mod hostile;
#[path = "it/recover.rs"]
mod recover;
#[path = "it/serve.rs"]
mod serve;
#[path = "it/stream.rs"]
mod stream;
#[path = "it/translate.rs"]
mod translate;
#[path = "it/wait.rs"]
mod wait;
