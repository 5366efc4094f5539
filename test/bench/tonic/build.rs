// SPDX-License-Identifier: MIT
fn main() -> Result<(), Box<dyn std::error::Error>> {
    tonic_prost_build::configure()
        .build_client(false)
        .bytes(".bench.Msg.payload")
        .compile_protos(&["../bench.proto"], &[".."])?;
    Ok(())
}
