//! What is not published, and that nothing happens to anything then.

use std::fs::FileTimes;
use std::time::Duration;

use super::*;
use crate::vfs::{Operation, VfsError, VfsFile, VfsRead};

/// Publishes after `meddle` had its way with the first source. If that is refused, everything
/// else must be as `meddle` left it.
fn publish_after(meddle: impl Fn(&Path)) -> Result<(), PublishError> {
    let dir = data_dir();
    let vfs = SimVfs::new(dir.path()).unwrap();
    let sources = fingerprints(dir.path());
    let block = temp_block(&vfs, dir.path()).unwrap();
    fill(&block, &vfs).unwrap();
    meddle(&dir.path().join(SOURCES[0]));
    let names = |tree: &Tree| -> Vec<PathBuf> {
        tree.paths()
            .filter(|path| !path.starts_with(temporary_name(id(CHILD))))
            .map(PathBuf::from)
            .collect()
    };
    let before = names(&Tree::of(dir.path()).unwrap());
    let outcome = block.publish(CHILD_META, &sources);
    if outcome.is_err() {
        let after: Vec<_> = Tree::of(dir.path()).unwrap().paths().map(PathBuf::from).collect();
        assert_eq!(after, before, "a refusal leaves nothing behind and takes nothing away");
    }
    outcome.map(|_| ())
}

/// The part whose change kept the block from being published.
fn changed_part(meddle: impl Fn(&Path)) -> SourcePart {
    match publish_after(meddle) {
        Err(PublishError::SourceChanged { block, part }) => {
            assert!(block.ends_with(SOURCES[0]));
            part
        }
        outcome => panic!("published beside a change: {outcome:?}"),
    }
}

/// Rewrites a file in place, same length, and puts its modification time back.
fn rewrite_in_secret(path: &Path) {
    let times = fs::metadata(path).unwrap().modified().unwrap();
    // Clocks of files tick coarsely.
    std::thread::sleep(Duration::from_millis(20));
    let bytes: Vec<u8> = fs::read(path).unwrap().iter().map(|byte| !byte).collect();
    fs::write(path, bytes).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_times(FileTimes::new().set_modified(times)).unwrap();
}

#[test]
fn an_untouched_source_is_no_obstacle() {
    publish_after(|_| ()).unwrap();
}

#[test]
fn new_or_other_tombstones_abort() {
    let part = changed_part(|block| fs::write(block.join("tombstones"), b"Stones").unwrap());
    assert_eq!(part, SourcePart::Tombstones);
    let part = changed_part(|block| fs::remove_file(block.join("tombstones")).unwrap());
    assert_eq!(part, SourcePart::Tombstones);
}

#[test]
fn another_meta_aborts_and_the_same_one_written_again_does_not() {
    let part = changed_part(|block| fs::write(block.join("meta.json"), b"{}").unwrap());
    assert_eq!(part, SourcePart::Meta);
    publish_after(|block| {
        let bytes = fs::read(block.join("meta.json")).unwrap();
        fs::write(block.join("new"), bytes).unwrap();
        fs::rename(block.join("new"), block.join("meta.json")).unwrap();
    })
    .unwrap();
}

#[test]
fn a_vanished_or_replaced_source_aborts() {
    let part = changed_part(|block| fs::remove_dir_all(block).unwrap());
    assert_eq!(part, SourcePart::Directory);
    let part = changed_part(|block| {
        let aside = block.with_extension("aside");
        let tree = Tree::of(block).unwrap();
        fs::rename(block, aside).unwrap();
        fs::create_dir(block).unwrap();
        tree.write_to(block).unwrap();
    });
    assert_eq!(part, SourcePart::Directory);
}

#[test]
fn other_chunks_or_another_index_abort_even_in_secret() {
    let part = changed_part(|block| rewrite_in_secret(&block.join("index")));
    assert_eq!(part, SourcePart::Index);
    let part = changed_part(|block| rewrite_in_secret(&block.join("chunks/000001")));
    assert_eq!(part, SourcePart::Chunks);
    let part = changed_part(|block| fs::write(block.join("chunks/000002"), b"").unwrap());
    assert_eq!(part, SourcePart::Chunks);
}

#[test]
fn an_upload_that_links_the_files_elsewhere_does_not_abort() {
    publish_after(|block| {
        std::thread::sleep(Duration::from_millis(20));
        let upload = block.with_extension("upload");
        fs::create_dir(&upload).unwrap();
        fs::hard_link(block.join("index"), upload.join("index")).unwrap();
        fs::hard_link(block.join("chunks/000001"), upload.join("000001")).unwrap();
    })
    .unwrap();
}

#[test]
fn a_mark_that_takes_the_block_out_aborts() {
    for mark in ["no-compact-mark.json", "deletion-mark.json"] {
        let part = changed_part(|block| fs::write(block.join(mark), b"{}").unwrap());
        assert_eq!(part, SourcePart::Mark);
    }
}

#[test]
fn a_source_that_changed_after_publishing_is_not_deleted() {
    let dir = data_dir();
    let vfs = SimVfs::new(dir.path()).unwrap();
    let sources = fingerprints(dir.path());
    let block = temp_block(&vfs, dir.path()).unwrap();
    fill(&block, &vfs).unwrap();
    let published = block.publish(CHILD_META, &sources).unwrap();
    fs::write(dir.path().join(SOURCES[0]).join("tombstones"), b"more stones").unwrap();
    let error = published.delete_sources(&sources).unwrap_err();
    assert!(matches!(error, PublishError::ChangedBeforeDeletion { .. }), "{error}");
    assert!(!error.to_string().contains("nothing was published"), "it was: {error}");
    assert!(dir.path().join(SOURCES[0]).join("index").exists());
    assert!(!dir.path().join(SOURCES[1]).exists(), "the other one goes all the same");
}

/// Publishes a temporary block that `meddle` had its way with.
fn publish_meddled(meddle: impl Fn(&TempBlock)) -> PublishError {
    let dir = data_dir();
    let vfs = SimVfs::new(dir.path()).unwrap();
    let block = temp_block(&vfs, dir.path()).unwrap();
    fill(&block, &vfs).unwrap();
    meddle(&block);
    let error = block.publish(CHILD_META, &fingerprints(dir.path())).err().unwrap();
    assert!(!dir.path().join(CHILD).join("chunks").exists());
    error
}

#[test]
fn a_block_that_lacks_a_part_is_not_published() {
    let missing = |meddle: &dyn Fn(&TempBlock)| match publish_meddled(meddle) {
        PublishError::MissingPart { path } => path.file_name().unwrap().to_owned(),
        error => panic!("{error}"),
    };
    assert_eq!(missing(&|block| fs::remove_file(block.index_path()).unwrap()), "index");
    assert_eq!(missing(&|block| fs::remove_file(block.segment_path(1)).unwrap()), "000001");
    assert_eq!(
        missing(&|block| fs::rename(block.segment_path(2), block.segment_path(3)).unwrap()),
        "000002"
    );
    assert_eq!(
        missing(&|block| {
            fs::remove_file(block.segment_path(1)).unwrap();
            fs::remove_file(block.segment_path(2)).unwrap();
        }),
        "000001"
    );
}

#[test]
fn what_is_no_part_of_a_block_is_not_published() {
    let error = publish_meddled(|block| fs::write(block.path().join("stray"), b"").unwrap());
    assert!(matches!(&error, PublishError::StrangePart { path } if path.ends_with("stray")));
}

#[test]
fn a_temporary_block_that_someone_replaced_is_not_published() {
    let error = publish_meddled(|block| {
        let tree = Tree::of(block.path()).unwrap();
        let aside = block.path().with_extension("aside");
        fs::rename(block.path(), aside).unwrap();
        fs::create_dir(block.path()).unwrap();
        tree.write_to(block.path()).unwrap();
    });
    assert!(matches!(error, PublishError::TemporaryLost { .. }), "{error}");
}

#[test]
fn a_taken_name_is_refused() {
    let dir = data_dir();
    let vfs = SimVfs::new(dir.path()).unwrap();
    let block = temp_block(&vfs, dir.path()).unwrap();
    fill(&block, &vfs).unwrap();
    let second = temp_block(&vfs, dir.path()).err().unwrap();
    assert!(matches!(second, PublishError::Exists { .. }), "{second}");
    // A rename would replace an empty directory without a word.
    fs::create_dir(dir.path().join(CHILD)).unwrap();
    let error = block.publish(CHILD_META, &fingerprints(dir.path())).err().unwrap();
    assert!(matches!(&error, PublishError::Exists { path } if path.ends_with(CHILD)), "{error}");
    let error = temp_block(&vfs, dir.path()).err().unwrap();
    assert!(matches!(&error, PublishError::Exists { path } if path.ends_with(CHILD)), "{error}");
}

/// A process that may not give files away.
struct Unprivileged(SimVfs);

impl Vfs for Unprivileged {
    fn create(&self, path: &Path, options: &CreateOptions) -> Result<Box<dyn VfsFile>, VfsError> {
        if let Some(ownership) = options.ownership {
            let file = self.0.create(path, &CreateOptions { ownership: None, ..*options })?;
            return self.set_ownership(path, ownership).map(|()| file);
        }
        self.0.create(path, options)
    }

    fn open(&self, path: &Path) -> Result<Arc<dyn VfsRead>, VfsError> {
        self.0.open(path)
    }

    fn create_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.0.create_dir(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), VfsError> {
        self.0.rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.0.sync_dir(path)
    }

    fn remove_file(&self, path: &Path) -> Result<(), VfsError> {
        self.0.remove_file(path)
    }

    fn remove_dir_all(&self, path: &Path) -> Result<(), VfsError> {
        self.0.remove_dir_all(path)
    }

    fn remove_dir(&self, path: &Path) -> Result<(), VfsError> {
        self.0.remove_dir(path)
    }

    fn set_ownership(&self, path: &Path, ownership: Ownership) -> Result<(), VfsError> {
        if (ownership.uid, ownership.gid) != current_owner() {
            let source = io::Error::from(io::ErrorKind::PermissionDenied);
            return Err(VfsError::new(Operation::SetOwnership, path, source));
        }
        self.0.set_ownership(path, ownership)
    }
}

#[test]
fn an_owner_that_cannot_be_given_is_an_error_at_once_or_left_out() {
    let dir = data_dir();
    let sim = SimVfs::new(dir.path()).unwrap();
    let mut ownership = BlockOwnership::of_block(&dir.path().join(SOURCES[0])).unwrap();
    ownership = ownership.owned_by(Ownership { uid: 4321, gid: 4321, mode: 0 });
    ownership.index.mode = 0o604;
    let create = |rule| {
        TempBlock::create(
            Arc::new(Unprivileged(sim.clone())),
            dir.path(),
            id(CHILD),
            ownership,
            rule,
        )
    };
    let error = create(OwnershipRule::Required).err().unwrap();
    assert!(error.to_string().contains("set owner"), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), SOURCES.len(), "nothing is left");
    let block = create(OwnershipRule::IfAllowed).unwrap();
    assert!(!block.ownership_kept());
    fill(&block, &sim).unwrap();
    let published = block.publish(CHILD_META, &[]).unwrap();
    let index = Ownership::of_path(&published.path().join("index")).unwrap();
    assert_eq!((index.uid, index.gid), current_owner());
    assert_eq!(index.mode, 0o604);
}
