// SPDX-License-Identifier: Apache-2.0
//! Connections: accepts them, speaks HTTP/1.1 on them, and breaks them where a fault says so.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::gateway::{self, Answer, Delivery};
use crate::opensearch::OpenSearch;
use crate::world::World;

type Body = UnsyncBoxBody<Bytes, std::io::Error>;

/// Serves until it is dropped; every connection ends with it.
///
/// Without `search` it is all of AWS that is served.
pub(crate) async fn serve(listener: std::net::TcpListener, world: Arc<World>, search: Option<OpenSearch>) {
    let Ok(listener) = TcpListener::from_std(listener) else {
        return;
    };
    let mut connections = JoinSet::new();
    loop {
        // An accept error (too many open files) passes; spinning on it would not help.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        connections.spawn(converse(stream, world.clone(), search.clone()));
    }
}

async fn converse(stream: TcpStream, world: Arc<World>, search: Option<OpenSearch>) {
    let _ = stream.set_nodelay(true);
    let line = Arc::new(Line::default());
    let connection = Connection { stream, line: line.clone() };
    let service = service_fn(move |request: Request<Incoming>| {
        let (world, search, line) = (world.clone(), search.clone(), line.clone());
        async move {
            match gateway::answer(&world, search, request, &line).await {
                Answer::Reply(reply, delivery) => return Ok(deliver(reply, delivery)),
                Answer::Lost(fault) => fault.stopped().await,
                Answer::Reset => {}
            }
            line.reset.store(true, Ordering::Relaxed);
            Err(std::io::Error::other("reset by a fault"))
        }
    });
    // A client that goes away in mid-request is no error here.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(connection), service)
        .await;
}

fn deliver(reply: Response<Bytes>, delivery: Delivery) -> Response<Body> {
    let (mut parts, body) = reply.into_parts();
    let body = match delivery {
        Delivery::Whole => Full::new(body).map_err(|never: Infallible| match never {}).boxed_unsync(),
        Delivery::Trickle(bytes_per_second) => {
            parts.headers.insert(hyper::header::CONTENT_LENGTH, body.len().into());
            trickle(body, bytes_per_second)
        }
        Delivery::Truncated => {
            parts.headers.insert(hyper::header::CONTENT_LENGTH, body.len().into());
            truncated(&body)
        }
    };
    Response::from_parts(parts, body)
}

/// The body a tenth of a second's worth of bytes at a time.
fn trickle(body: Bytes, bytes_per_second: usize) -> Body {
    let step = (bytes_per_second / 10).max(1);
    let pause =
        Duration::from_secs_f64(f64::from(u32::try_from(step).unwrap_or(u32::MAX)) / rate(bytes_per_second));
    let pieces = stream::unfold(body, move |mut rest| async move {
        if rest.is_empty() {
            return None;
        }
        tokio::time::sleep(pause).await;
        let piece = rest.split_to(step.min(rest.len()));
        Some((Ok(Frame::data(piece)), rest))
    });
    StreamBody::new(pieces).boxed_unsync()
}

fn rate(bytes_per_second: usize) -> f64 {
    f64::from(u32::try_from(bytes_per_second.max(1)).unwrap_or(u32::MAX))
}

/// Half of the body under the whole body's length, and then the connection ends.
fn truncated(body: &Bytes) -> Body {
    let half = stream::iter([Ok(Frame::data(body.slice(..body.len() / 2)))]);
    let end = stream::once(async {
        // An error at once would take the head and the half along, which are still to be written.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(std::io::Error::other("truncated by a fault"))
    });
    StreamBody::new(half.chain(end)).boxed_unsync()
}

/// What faults do to a connection itself.
#[derive(Default)]
pub(crate) struct Line {
    reset: AtomicBool,
    stalled: AtomicBool,
}

impl Line {
    /// Reads nothing more from the connection, and returns when the client is gone.
    pub(crate) async fn stall(&self, body: &mut Incoming) {
        self.stalled.store(true, Ordering::Relaxed);
        let mut whole = false;
        loop {
            tokio::select! {
                frame = body.frame(), if !whole => match frame {
                    // What was read before the stall is still given.
                    Some(Ok(_)) => {}
                    Some(Err(_)) => return,
                    // Nothing is left to be withheld, and still it is not answered.
                    None => whole = true,
                },
                // With bytes in its buffer a socket does not wake anybody for its end.
                () = tokio::time::sleep(Duration::from_millis(50)) => {}
            }
        }
    }
}

/// A TCP stream that can be made to close with RST instead of FIN, and to read no more.
struct Connection {
    stream: TcpStream,
    line: Arc<Line>,
}

impl Connection {
    /// Shows only the end of the stream. It wakes no task: [`Line::stall`] polls again.
    fn poll_end(&self, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match pin!(self.stream.ready(Interest::READABLE)).poll(context) {
            Poll::Ready(Ok(ready)) if !ready.is_read_closed() => Poll::Pending,
            end => end.map_ok(|_| ()),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if self.line.reset.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.line.stalled.load(Ordering::Relaxed) {
            return self.poll_end(context);
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
