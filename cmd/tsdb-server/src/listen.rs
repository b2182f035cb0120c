//! Sockets: how many, how long, and when they end.
//!
//! A connection takes one of a fixed number of places; when there is none, an idle one makes room, and
//! as long as all have requests under way, the others wait in the kernel. It loses its place when the
//! head of a request takes too long, when it is idle for as long, and when nothing of an answer can be
//! sent for as long as a request may take to arrive.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::places::{Place, Places};
use crate::stall::StallTimeout;
use crate::web_config::WebConfig;

/// What a request's head may take, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Connections that wait in the kernel.
const BACKLOG: u32 = 4096;
/// After a failed `accept`, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all sockets of a server share.
pub(crate) struct Serving {
    pub(crate) router: Router,
    /// Places for connections.
    pub(crate) places: Arc<Places>,
    pub(crate) header_timeout: Duration,
    pub(crate) stall_timeout: Duration,
    /// How TLS is spoken, if it is.
    pub(crate) web_config: Option<Arc<WebConfig>>,
}

/// Listens on an address.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Also just after another server has ended that listened there.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Returns when a server is told to stop.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error: who could tell is gone, which tells as much.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Accepts and serves until told to stop; returns when the last connection has ended.
pub(crate) async fn serve(
    listener: TcpListener,
    serving: Arc<Serving>,
    mut stop: watch::Receiver<bool>,
) {
    let mut running = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &serving) => accepted,
            () = stopped(&mut stop) => break,
        };
        if let Some((stream, place)) = accepted {
            running.spawn(connection(stream, place, Arc::clone(&serving), stop.clone()));
        }
        while running.try_join_next().is_some() {}
    }
    drop(listener);
    while running.join_next().await.is_some() {}
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, serving: &Serving) -> Option<(TcpStream, Place)> {
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, Arc::clone(&serving.places).take().await?)),
        Err(error) => {
            tracing::warn!("cannot accept a connection: {error}");
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Serves one connection to its end. The place is given back with it.
async fn connection(
    stream: TcpStream,
    place: Place,
    serving: Arc<Serving>,
    stop: watch::Receiver<bool>,
) {
    // Answers are written whole; waiting for more to come would only hold them up.
    let _ = stream.set_nodelay(true);
    let stream = StallTimeout::new(stream, serving.stall_timeout);
    let tls = serving.web_config.as_ref().and_then(|config| config.tls());
    let Some(tls) = tls else { return speak_http(stream, &place.into(), &serving, stop).await };
    let shaken = timeout(serving.header_timeout, TlsAcceptor::from(tls).accept(stream));
    let shaken = tokio::select! {
        shaken = shaken => shaken,
        () = place.wanted() => return,
    };
    match shaken {
        Ok(Ok(stream)) => speak_http(stream, &place.into(), &serving, stop).await,
        Ok(Err(error)) => tracing::debug!("a connection does not speak TLS: {error}"),
        Err(_) => tracing::debug!("a connection does not come to speak TLS in time"),
    }
}

async fn speak_http<S>(
    stream: S,
    place: &Arc<Place>,
    serving: &Serving,
    mut stop: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let router = TowerToHyperService::new(serving.router.clone());
    let service = service_fn(|request: Request<Incoming>| {
        place.set_busy();
        let (answered, place) = (router.call(request), Arc::clone(place));
        async move {
            let response = answered.await;
            place.set_idle();
            response
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(serving.header_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = place.wanted() => {
            if !place.was_used() {
                return;
            }
            // An answer may be on its way still: what is sent is sent whole.
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended: {error}");
    }
}
