//! An embedder keeps these in shared state and hands them between threads.

use tsdb::block::leftovers::Swept;
use tsdb::block::lock::{DataDirLock, LockError};
use tsdb::block::publish::{PublishError, Published, SourceFingerprint, TempBlock};
use tsdb::block::verify::{BlockReport, Verifier, VerifyReport};
use tsdb::block::{Block, BlockChunk, BlockIndex, BlockList, LabelValues, OpenError, ReadError};
use tsdb::compact::planner::{ExcludeFilter, LeveledPlanner, Plan, PlanBlock, PlanError, Planner};
use tsdb::compact::{
    CancelToken, CompactError, CompactOptions, Compactor, DirectoryCompactor, DirectoryError,
    DirectoryReport, DryRun, Incompatibility, Ledger, Listing, Merged, Mismatch, Progress,
    ReencodeError, SourceError, SourceFault,
};
use tsdb::generate::{GenerateError, GenerateOptions, InvalidOptions};
use tsdb::query::{
    Matcher, PatternError, Querier, QueryError, RawChunks, Samples, SelectorError, SeriesSet,
};
use tsdb::vfs::{OsVfs, OutputDir, SpaceError, Vfs, VfsError, VfsFile, VfsLog, VfsRead};
use tsdb::wal::{Wal, WalError, WalReader};
use tsdb_format::chunkenc::{ChunkAppender, ChunkDecoder, ChunkIterator};
use tsdb_format::index::{PostingsIter, PostingsList, PostingsTable, SeriesEntry, SymbolTable};
use tsdb_format::{DecodeError, labels::Labels, meta::BlockMeta, tombstones::Tombstones};

fn shared<T: Send + Sync + ?Sized>() {}
fn sent<T: Send + ?Sized>() {}
fn error<T: std::error::Error + Send + Sync + 'static>() {}

#[test]
fn what_is_shared_between_threads_can_be() {
    shared::<(Block, BlockIndex, BlockChunk<'static>, LabelValues<'static>)>();
    shared::<(Compactor, CompactOptions, DirectoryCompactor, LeveledPlanner)>();
    shared::<(CancelToken, Progress, Ledger, Merged, DryRun, Listing, DirectoryReport)>();
    shared::<(Plan, PlanBlock, dyn Planner)>();
    shared::<dyn ExcludeFilter>();
    shared::<(Querier<'static>, Matcher, GenerateOptions)>();
    shared::<(OsVfs, dyn Vfs)>();
    shared::<(OutputDir, dyn VfsLog)>();
    shared::<dyn VfsRead>();
    shared::<(DataDirLock, TempBlock, Published, SourceFingerprint, Swept)>();
    shared::<(BlockList, BlockReport, VerifyReport, Wal)>();
    shared::<(BlockMeta, Labels, Tombstones, SeriesEntry, SymbolTable, PostingsTable)>();
    shared::<(PostingsList<'static>, PostingsIter<'static>)>();
    shared::<(uncached_io::Io, uncached_io::Reader, uncached_io::AlignedBuf)>();
}

#[test]
fn what_one_thread_works_with_can_be_handed_to_another() {
    sent::<(SeriesSet<'static>, Samples<'static>, RawChunks<'static>)>();
    sent::<(ChunkAppender, ChunkDecoder, ChunkIterator<'static>)>();
    sent::<(uncached_io::Writer, dyn VfsFile)>();
    sent::<(Verifier<'static>, WalReader)>();
}

#[test]
fn errors_can_be_boxed_and_handed_on() {
    error::<OpenError>();
    error::<ReadError>();
    error::<CompactError>();
    error::<DirectoryError>();
    error::<PlanError>();
    error::<ReencodeError>();
    error::<GenerateError>();
    error::<QueryError>();
    error::<SelectorError>();
    error::<VfsError>();
    error::<SpaceError>();
    error::<LockError>();
    error::<PublishError>();
    error::<SourceError>();
    error::<SourceFault>();
    error::<Incompatibility>();
    error::<Mismatch>();
    error::<InvalidOptions>();
    error::<PatternError>();
    error::<WalError>();
    error::<DecodeError>();
    error::<uncached_io::Error>();
}
