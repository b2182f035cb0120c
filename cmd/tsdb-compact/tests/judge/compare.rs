//! Compares two blocks byte by byte.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

/// Every difference between our block and Prometheus's: chunk files and index to the byte, and
/// what meta.json says apart from the block's own ULID.
pub(crate) fn differences(ours: &Path, theirs: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut files: BTreeSet<String> = names(&ours.join("chunks"));
    files.extend(names(&theirs.join("chunks")));
    let files = files.iter().map(|name| format!("chunks/{name}"));
    for file in files.chain(["index".to_owned(), "tombstones".to_owned()]) {
        match (fs::read(ours.join(&file)), fs::read(theirs.join(&file))) {
            (Ok(left), Ok(right)) if left == right => {}
            (Ok(left), Ok(right)) => found.push(describe(&file, &left, &right)),
            (left, right) => {
                found.push(format!("{file}: ours {:?}, theirs {:?}", left.err(), right.err()));
            }
        }
    }
    let (left, right) = (meta(ours), meta(theirs));
    if left != right {
        found.push(format!("meta.json: ours {left}, theirs {right}"));
    }
    let extra = names(ours).difference(&names(theirs)).cloned().collect::<Vec<_>>();
    if !extra.is_empty() {
        found.push(format!("only ours has {extra:?}"));
    }
    found
}

fn names(dir: &Path) -> BTreeSet<String> {
    let Ok(entries) = fs::read_dir(dir) else { return BTreeSet::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn describe(file: &str, ours: &[u8], theirs: &[u8]) -> String {
    let same = ours.iter().zip(theirs).take_while(|(a, b)| a == b).count();
    let around = |bytes: &[u8]| {
        let window = bytes.get(same.saturating_sub(4)..).unwrap_or_default();
        window.iter().take(24).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
    };
    format!(
        "{file}: {} bytes against {}, first difference at {same}\n    ours   {}\n    theirs {}",
        ours.len(),
        theirs.len(),
        around(ours),
        around(theirs),
    )
}

/// meta.json without the ULID, which differs from run to run.
fn meta(block: &Path) -> Value {
    let text = fs::read(block.join("meta.json")).unwrap();
    let mut meta: Value = serde_json::from_slice(&text).unwrap();
    meta.as_object_mut().unwrap().remove("ulid");
    meta
}

/// The keys of a JSON object in the order of the file, also those of objects in it.
pub(crate) fn key_order(block: &Path) -> Vec<String> {
    fn walk(value: &Value, keys: &mut Vec<String>) {
        if let Value::Object(map) = value {
            for (key, value) in map {
                keys.push(key.clone());
                walk(value, keys);
            }
        }
    }
    let text = fs::read(block.join("meta.json")).unwrap();
    let mut keys = Vec::new();
    walk(&serde_json::from_slice(&text).unwrap(), &mut keys);
    keys
}
