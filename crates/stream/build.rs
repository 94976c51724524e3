//! Compiles the contract with proxies (`proto/`) without `protoc`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["fairway/v1/stream.proto"], ["proto"])?;
    tonic_prost_build::configure().bytes(".fairway.v1.Resource.body").compile_fds(descriptors)?;
    Ok(())
}
