//! Copies a file without leaving either one in the page cache.
//!
//! ```text
//! cargo run -p uncached-io --example copy -- SOURCE TARGET [off|prefer|required]
//! ```

use std::error::Error;
use std::path::{Path, PathBuf};

use uncached_io::{AlignedBuf, CreateOptions, Io, Policy, cached_pages_at};

/// How much is read at once.
const WINDOW_BYTES: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(source), Some(target)) = (args.next(), args.next()) else {
        return Err("usage: copy SOURCE TARGET [off|prefer|required]".into());
    };
    let policy = match args.next().as_ref().and_then(|arg| arg.to_str()) {
        Some("off") => Policy::Off,
        Some("required") => Policy::Required,
        Some("prefer") | None => Policy::Prefer,
        Some(_) => return Err("the policy is off, prefer or required".into()),
    };
    let target = PathBuf::from(target);
    let dir = target.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));

    let io = Io::probe(dir, policy)?;
    match io.mode().fallback_reason() {
        Some(reason) => eprintln!("buffered: {reason}"),
        None => eprintln!("{:?}", io.mode()),
    }
    let reader = io.open(Path::new(&source))?;
    let options = CreateOptions::default().replace(true).expected_len_bytes(reader.len());
    let mut writer = io.create(&target, options)?;
    let mut window = AlignedBuf::new();
    while writer.position() < reader.len() {
        let bytes = reader.read_at(writer.position(), WINDOW_BYTES, &mut window)?;
        if bytes.is_empty() {
            return Err("the source shrank while it was copied".into());
        }
        writer.write_all(bytes)?;
    }
    let finished = writer.finish()?;
    println!("{} bytes, {:?}", finished.len_bytes, finished.stats);
    println!("of the copy in the page cache: {:?}", cached_pages_at(&target)?);
    Ok(())
}
