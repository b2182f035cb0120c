//! A damaged source gives an error that names the file, or the answer that the healthy one gives:
//! each byte flipped, each file cut off at each length.

use super::*;
use crate::vfs::sim::{SimVfs, Tree};

/// Blocks in a directory of their own, to be damaged, and what they give when they are healthy.
struct Scene {
    dir: tempfile::TempDir,
    sources: Vec<PathBuf>,
    healthy: Option<Tree>,
    /// How often the damage was met with an error, and how often it made no difference.
    refused: usize,
    equal: usize,
}

impl Scene {
    fn new(case: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut copies = Vec::new();
        for source in sources(case) {
            let copy = dir.path().join(source.file_name().unwrap());
            fs::create_dir(&copy).unwrap();
            Tree::of(&source).unwrap().write_to(&copy).unwrap();
            copies.push(copy);
        }
        fs::create_dir(dir.path().join("out")).unwrap();
        let mut scene = Self { dir, sources: copies, healthy: None, refused: 0, equal: 0 };
        scene.healthy = scene.merge().unwrap();
        scene
    }

    /// Merges the blocks; index and chunks of the result, if there is one.
    fn merge(&self) -> Result<Option<Tree>, CompactError> {
        let out = self.dir.path().join("out");
        let options = CompactOptions { threads: 1, ..options(false) };
        let vfs = Arc::new(SimVfs::new(&out).unwrap());
        // Sources lie outside of what the recording filesystem records; it only reads them.
        let merged = Compactor::new(vfs, options).merge(&self.sources, &out);
        let tree = merged.as_ref().ok().and_then(|merged| {
            let block = merged.block.as_ref()?.path();
            fs::remove_file(block.join("meta.json")).unwrap();
            let tree = Tree::of(block).unwrap();
            fs::remove_dir_all(block).unwrap();
            Some(tree)
        });
        assert_eq!(list(&out), Vec::<PathBuf>::new(), "nothing is left");
        merged.map(|_| tree)
    }

    /// Merges with `bytes` in place of the file's own.
    fn try_bytes(&mut self, file: &Path, bytes: &[u8], what: &dyn Fn() -> String) {
        let own = fs::read(file).unwrap();
        fs::write(file, bytes).unwrap();
        match self.merge() {
            Ok(tree) => {
                assert!(tree == self.healthy, "{}: published something else", what());
                self.equal += 1;
            }
            Err(error) => {
                let text = error.to_string();
                let named = text.contains(file.to_str().unwrap());
                assert!(named, "{}: the file is not named: {text}", what());
                self.refused += 1;
            }
        }
        fs::write(file, own).unwrap();
    }

    fn flip_each(&mut self, file: &str, step: usize) {
        let path = self.sources[0].join(file);
        let own = fs::read(&path).unwrap();
        for at in (0..own.len()).step_by(step) {
            // Each bit has its turn; the highest one, which makes varints longer, twice.
            let bit = [0, 7, 1, 2, 3, 7, 4, 5, 6][at % 9];
            let mut bytes = own.clone();
            bytes[at] ^= 1 << bit;
            self.try_bytes(&path, &bytes, &|| format!("{file}: bit {bit} of byte {at}"));
        }
    }

    fn cut_each(&mut self, file: &str, step: usize) {
        let path = self.sources[0].join(file);
        let own = fs::read(&path).unwrap();
        for len in (0..own.len()).step_by(step) {
            self.try_bytes(&path, &own[..len], &|| format!("{file}: cut off at {len}"));
        }
    }
}

#[test]
fn flipped_bytes_of_an_index() {
    let mut scene = Scene::new("out-of-order");
    scene.flip_each("index", 1);
    // What a merge does not need: padding, all postings lists but the first.
    assert!(
        scene.refused * 3 > scene.equal * 2,
        "{} refused, {} equal",
        scene.refused,
        scene.equal
    );
}

#[test]
fn flipped_bytes_of_chunks() {
    let mut scene = Scene::new("out-of-order");
    scene.flip_each("chunks/000001", 1);
    assert!(scene.equal <= 8, "only a segment's header: {}", scene.equal);
}

#[test]
fn flipped_bytes_of_tombstones() {
    let mut scene = Scene::new("all-deleted");
    scene.flip_each("tombstones", 1);
    assert_eq!(scene.equal, 0);
}

#[test]
fn flipped_bytes_where_all_passes_through() {
    let mut scene = Scene::new("one-series");
    scene.flip_each("index", 1);
    scene.flip_each("chunks/000001", 3);
}

#[test]
fn files_cut_off_anywhere() {
    let mut scene = Scene::new("one-sample");
    for file in ["index", "chunks/000001", "tombstones", "meta.json"] {
        scene.cut_each(file, 1);
    }
    assert_eq!(scene.equal, 0);
    let mut scene = Scene::new("all-deleted");
    scene.cut_each("tombstones", 1);
    scene.cut_each("index", 7);
    scene.cut_each("chunks/000001", 7);
    assert_eq!(scene.equal, 0);
    let mut scene = Scene::new("out-of-order");
    scene.cut_each("index", 13);
    scene.cut_each("chunks/000001", 17);
    assert_eq!(scene.equal, 0);
}
