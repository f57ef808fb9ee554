//! Makes sure that there is a page to embed: without the built dashboard, one that says how to build it.

use std::fs;
use std::path::Path;

const PAGE: &str = "<!doctype html><meta charset=utf-8><title>livemesh</title><p>This build has no dashboard: run \
                    <code>make dashboard</code> and build again. The node's state is at <a href=api/v1/state>api/v1/state</a>.\n";

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=dashboard/dist");
    let dist = Path::new("dashboard/dist");
    if !dist.join("index.html").exists() {
        fs::create_dir_all(dist)?;
        fs::write(dist.join("index.html"), PAGE)?;
    }
    Ok(())
}
