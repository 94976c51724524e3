//! What the build makes of `proto/`: the messages, and both ends of the service.
#![expect(
    clippy::allow_attributes_without_reason,
    clippy::allow_attributes,
    clippy::excessive_nesting,
    clippy::large_enum_variant,
    clippy::trivially_copy_pass_by_ref,
    unreachable_pub,
    unused_qualifications,
    reason = "generated"
)]

tonic::include_proto!("fairway.v1");
