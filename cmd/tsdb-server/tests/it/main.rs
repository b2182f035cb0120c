//! The server from outside: started in this process on a port of its own, spoken to over sockets.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod api;
mod browser;
mod client;
mod compaction;
mod exchange;
mod frames;
mod hostile;
mod messages;
mod operations;
mod own_process;
mod page;
mod remote_read;
mod remote_write;
mod running;
mod server;
mod slow_files;
mod soak;
mod sockets;
mod web_config;
