//! Answers of our own: errors, redirects, direct responses, preflights. Small, and whole at once.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use fairway_model::filter::DirectResponse;
use fairway_model::route::HttpDialect;
use tokio::time::Instant;

use super::date::stamp;
use super::exchange::{After, Exchange};
use super::wire::Incoming;
use crate::failure::Failure;
use crate::h1::{Frame, Framing};
use crate::message::{HeaderName, HeaderValue, Headers, Method, RequestHead, ResponseHead, Status};

/// How long a client may take to read one of these.
const TIME: Duration = Duration::from_secs(30);

/// An answer without a backend.
pub(crate) struct Own {
    pub(crate) head: ResponseHead,
    pub(crate) body: Bytes,
}

impl Own {
    /// Gives an answer without a body.
    pub(crate) fn new(status: u16) -> Self {
        let status = Status::new(status).unwrap_or(INTERNAL);
        Self { head: ResponseHead::new(status), body: Bytes::new() }
    }

    /// Tells the client of a failure, in gRPC's way if the rule speaks it and the client too (N30).
    pub(crate) fn failure(failure: Failure, dialect: HttpDialect, request: &Headers) -> Self {
        if dialect == HttpDialect::Grpc && speaks_grpc(request) {
            let mut own = Self::new(200);
            own.set("content-type", "application/grpc");
            let code = HeaderValue::from(u64::from(failure.grpc_code()));
            own.head.headers.append(HeaderName::from_static("grpc-status"), code);
            own.set("grpc-message", failure.word());
            return own;
        }
        Self::status(failure.status())
    }

    /// Gives a status with its name as text.
    pub(crate) fn status(status: u16) -> Self {
        let mut own = Self::new(status);
        let name = http::StatusCode::from_u16(status).ok().and_then(|it| it.canonical_reason());
        own.set("content-type", "text/plain; charset=utf-8");
        own.body = format!("{status} {}\n", name.unwrap_or("Error")).into();
        own
    }

    /// Gives what a rule says.
    pub(crate) fn direct(response: &DirectResponse) -> Self {
        let mut own = Self::new(response.status);
        if let Some(kind) = &response.content_type
            && let Ok(kind) = HeaderValue::parse(Bytes::copy_from_slice(kind.as_bytes()))
        {
            own.head.headers.append(HeaderName::from_static("content-type"), kind);
        }
        own.body = Bytes::copy_from_slice(response.body.as_bytes());
        own
    }

    fn set(&mut self, name: &'static str, value: &'static str) {
        let value = HeaderValue::from_static(value);
        self.head.headers.append(HeaderName::from_static(name), value);
    }

    /// Gives how its body is sent to a request, and says so in the head.
    pub(crate) fn frame(&mut self, request: &RequestHead) -> Framing {
        stamp(&mut self.head.headers);
        if self.head.status.is_bodiless() {
            self.body = Bytes::new();
            return Framing::Empty;
        }
        let length = u64::try_from(self.body.len()).unwrap_or_default();
        self.head.headers.set(HeaderName::from_static("content-length"), length.into());
        match request.method {
            Method::Head => Framing::Empty,
            _ => Framing::Length(length),
        }
    }

    /// Sends it.
    pub(crate) async fn send(mut self, exchange: &mut Exchange<'_>) -> After {
        if exchange.framing != Framing::Empty && !glance(&mut exchange.body).await {
            exchange.reply.abort();
            return After::Gone;
        }
        let framing = self.frame(&exchange.head);
        let deadline = Instant::now() + TIME;
        let sent = exchange.reply.whole(&self.head, framing, self.body);
        match exchange.clock.until(|| deadline, sent).await {
            Some(Ok(())) if exchange.reply.keeps_alive() => After::Next,
            Some(Ok(())) => After::Close,
            Some(Err(_)) | None => After::Abort,
        }
    }
}

/// Looks at what has come of a body in HTTP/2 that nobody wants, so that one whose length is a lie is
/// answered as such (RFC 9113 8.1.1); false when it is broken. In HTTP/1.1 it is read behind the answer.
async fn glance(body: &mut Incoming<'_>) -> bool {
    if !matches!(body, Incoming::H2 { .. }) {
        return true;
    }
    // Frames that came in one packet with the head are taken apart after it.
    tokio::task::yield_now().await;
    poll_fn(|task| {
        for _ in 0..GLANCE {
            match body.poll_frame(task) {
                Poll::Ready(Ok(Some(Frame::Data(_)))) => {}
                Poll::Ready(Ok(Some(Frame::Trailers(_)) | None)) | Poll::Pending => break,
                Poll::Ready(Err(_)) => return Poll::Ready(false),
            }
        }
        Poll::Ready(true)
    })
    .await
}

/// Frames that are looked at in one go.
const GLANCE: usize = 16;

const INTERNAL: Status = match Status::new(500) {
    Ok(status) => status,
    Err(_) => Status::OK,
};

fn speaks_grpc(request: &Headers) -> bool {
    request.first("content-type").is_some_and(|kind| {
        kind.strip_prefix(b"application/grpc")
            .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';' | b' ')))
    })
}
