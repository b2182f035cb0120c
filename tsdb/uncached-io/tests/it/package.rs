//! What the crate needs to be published alone.

use std::path::Path;

#[test]
fn the_licence_and_the_address_of_the_documentation_are_there() {
    let crate_dir = Path::new(env!("CARGO_MANIFEST_DIR"));
    let licence = std::fs::read_to_string(crate_dir.join("LICENSE")).unwrap();
    assert!(licence.contains("Apache License"), "{licence}");
    let manifest = std::fs::read_to_string(crate_dir.join("Cargo.toml")).unwrap();
    assert!(manifest.contains("\ndocumentation = \"https://docs.rs/uncached-io\"\n"), "{manifest}");
}
