//! The handle for tokio: calls are bounded, come back, and are refused once it is closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::world::{open, options, os_vfs};
use crate::db::{AsyncDb, AsyncDbError, DbError};
use crate::query::TimeRange;
use crate::wal::SyncPolicy;

/// One thread for all tasks: a call that blocked it would be seen.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

fn handle(dir: &std::path::Path, calls_max: usize) -> AsyncDb {
    let db = open(&os_vfs(dir), dir, &options(SyncPolicy::None)).unwrap();
    AsyncDb::new(Arc::new(db), calls_max)
}

#[test]
fn no_more_calls_run_than_were_allowed_and_the_runtime_is_not_held_up() {
    let root = tempfile::tempdir().unwrap();
    let handle = handle(root.path(), 2);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    runtime().block_on(async {
        let mut calls = Vec::new();
        for _ in 0..10 {
            let (handle, running, most) = (handle.clone(), running.clone(), most.clone());
            calls.push(tokio::spawn(async move {
                let work = move |_: &crate::db::Db| {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(20));
                    running.fetch_sub(1, Ordering::SeqCst);
                };
                handle.call(work).await.unwrap();
            }));
        }
        // The timer goes on while calls block their threads.
        let ticks = async {
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        ticks.await;
        assert!(calls.iter().any(|call| !call.is_finished()), "calls have blocked the runtime");
        for call in calls {
            call.await.unwrap();
        }
    });
    assert_eq!(most.load(Ordering::SeqCst), 2);
}

#[test]
fn a_call_that_nobody_waits_for_keeps_its_place_until_it_is_done() {
    let root = tempfile::tempdir().unwrap();
    let handle = handle(root.path(), 1);
    let running = Arc::new(AtomicUsize::new(0));
    runtime().block_on(async {
        let counted = running.clone();
        let slow = handle.call(move |_| {
            counted.store(1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(50));
            counted.store(0, Ordering::SeqCst);
        });
        assert!(tokio::time::timeout(Duration::from_millis(5), slow).await.is_err());
        let counted = running.clone();
        let seen = handle.call(move |_| counted.load(Ordering::SeqCst)).await.unwrap();
        assert_eq!(seen, 0, "two calls ran at a time");
    });
}

#[test]
fn a_panic_is_an_error_and_a_closed_database_refuses() {
    let root = tempfile::tempdir().unwrap();
    let handle = handle(root.path(), 1);
    runtime().block_on(async {
        let panicked = handle.call(|_| panic!("on purpose")).await;
        assert!(matches!(panicked, Err::<(), _>(AsyncDbError::Join(_))));
        let blocks = handle.query(TimeRange::ALL, |querier| querier.blocks().len()).await;
        assert_eq!(blocks.unwrap(), 0);
        handle.append(|appender| appender.rollback().unwrap()).await.unwrap();
        handle.close().await.unwrap();
        let refused = handle.query(TimeRange::ALL, |_| ()).await;
        assert!(matches!(refused, Err(AsyncDbError::Db(DbError::Closed))));
        let refused = handle.append(|appender| drop(appender)).await;
        assert!(matches!(refused, Err(AsyncDbError::Db(DbError::Closed))));
    });
}
