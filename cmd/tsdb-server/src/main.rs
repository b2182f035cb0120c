//! `tsdb-server`: parses flags, resolves them once, runs until a signal comes.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tsdb_server::{Args, Config, LogLevel, Server};

/// How long work on blocking threads may outlast the server.
const LEFT_BEHIND_WAIT: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let args = Args::of_process();
    init_logging(args.log_level);
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let config = Config::resolve(args)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(config.blocking_threads_max())
        .build()
        .context("cannot start the runtime")?;
    let outcome = runtime.block_on(serve(config));
    runtime.shutdown_timeout(LEFT_BEHIND_WAIT);
    outcome
}

/// Serves until SIGTERM or SIGINT comes, or the server ends by itself.
async fn serve(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let server = Server::start(config).await?;
    let stop = server.stopper();
    let finished = server.finished();
    tokio::pin!(finished);
    tokio::select! {
        outcome = &mut finished => return Ok(outcome?),
        _ = terminate.recv() => tracing::info!("SIGTERM: stopping"),
        _ = interrupt.recv() => tracing::info!("SIGINT: stopping"),
    }
    stop.stop();
    Ok(finished.await?)
}

fn init_logging(level: LogLevel) {
    let level = match level {
        LogLevel::Debug => tracing::Level::DEBUG,
        LogLevel::Info => tracing::Level::INFO,
        LogLevel::Warn => tracing::Level::WARN,
        LogLevel::Error => tracing::Level::ERROR,
    };
    let is_terminal = std::io::stderr().is_terminal();
    let log = tracing_subscriber::fmt().with_max_level(level).with_ansi(is_terminal);
    log.with_writer(std::io::stderr).init();
}
