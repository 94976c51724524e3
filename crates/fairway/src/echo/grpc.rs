//! The echo's gRPC side: a call's messages back as its answer, and then the trailer that says that all
//! went well.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};

use super::Answer;

pub(super) fn answer(request: Request<Incoming>) -> Answer {
    let messages = Messages { left: Some(request.into_body()) };
    let mut answer = Response::new(messages.boxed());
    let grpc_type = HeaderValue::from_static("application/grpc");
    answer.headers_mut().insert(header::CONTENT_TYPE, grpc_type);
    answer
}

/// A body of unknown size: one of known size would get a `content-length`, and its trailers be left out.
struct Messages {
    left: Option<Incoming>,
}

impl Body for Messages {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(messages) = &mut self.left else { return Poll::Ready(None) };
        match ready!(Pin::new(messages).poll_frame(task)) {
            Some(Ok(frame)) if frame.is_data() => Poll::Ready(Some(Ok(frame))),
            Some(Err(error)) => Poll::Ready(Some(Err(error))),
            Some(Ok(_)) | None => {
                self.left = None;
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                Poll::Ready(Some(Ok(Frame::trailers(trailers))))
            }
        }
    }
}
