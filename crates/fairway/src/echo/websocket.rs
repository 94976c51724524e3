//! The echo's WebSocket side (RFC 6455): the handshake, a greeting, and every frame back. Only what
//! an echo needs: no extensions, frames up to 64 KiB.

use std::io;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::{Answer, Identity, text};

/// RFC 6455 section 1.3: what both sides append to the key.
const PROTOCOL_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const LARGEST_FRAME: usize = 64 << 10;
const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;

/// Answers a handshake and echoes frames until the client closes. A path that ends in `/hello` gets
/// the greeting and is closed, for clients such as curl that only want to see that it works.
pub(super) fn accept(mut request: Request<Incoming>, identity: &Identity) -> Answer {
    let Some(key) = request.headers().get(header::SEC_WEBSOCKET_KEY) else {
        return text(StatusCode::BAD_REQUEST, "no sec-websocket-key\n".to_owned());
    };
    let accept = accept_key(key.as_bytes());
    let only_greet = request.uri().path().ends_with("/hello");
    let greeting = format!("hello from {}\n", identity.service);
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let session = async {
            let stream = TokioIo::new(upgrade.await.map_err(io::Error::other)?);
            converse(stream, &greeting, only_greet).await
        };
        if let Err(error) = session.await {
            tracing::debug!(%error, "echo websocket");
        }
    });
    let mut answer = Response::new(Empty::<Bytes>::new().map_err(|never| match never {}).boxed());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    let accept = HeaderValue::try_from(accept).expect("base64 is visible text");
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    answer
}

fn accept_key(key: &[u8]) -> String {
    use aws_lc_rs::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key);
    hash.update(PROTOCOL_GUID.as_bytes());
    STANDARD.encode(hash.finish())
}

async fn converse<S>(mut stream: S, greeting: &str, only_greet: bool) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    write_frame(&mut stream, TEXT, greeting.as_bytes()).await?;
    if only_greet {
        write_frame(&mut stream, CLOSE, &1000_u16.to_be_bytes()).await?;
        return stream.shutdown().await;
    }
    loop {
        let (first, payload) = read_frame(&mut stream).await?;
        write_frame(&mut stream, first, &payload).await?;
        if first == CLOSE {
            return stream.shutdown().await;
        }
    }
}

/// Reads one frame; a client's frames are masked (RFC 6455 section 5.3).
async fn read_frame<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<(u8, Vec<u8>)> {
    let first = stream.read_u8().await?;
    let second = stream.read_u8().await?;
    let length = match second & 0x7f {
        126 => usize::from(stream.read_u16().await?),
        127 => return Err(io::Error::new(io::ErrorKind::InvalidData, "frame of over 64 KiB")),
        short => usize::from(short),
    };
    debug_assert!(length <= LARGEST_FRAME, "16 bits hold no more");
    let mut mask = [0; 4];
    if second & 0x80 != 0 {
        stream.read_exact(&mut mask).await?;
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok((first, payload))
}

async fn write_frame<S: AsyncWrite + Unpin>(
    stream: &mut S,
    first: u8,
    payload: &[u8],
) -> io::Result<()> {
    let mut frame = vec![first];
    match u8::try_from(payload.len()) {
        Ok(short) if short < 126 => frame.push(short),
        _ => {
            let length = u16::try_from(payload.len()).map_err(io::Error::other)?;
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend(payload);
    stream.write_all(&frame).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_of_rfc_6455() {
        assert_eq!(accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[tokio::test]
    async fn frames_come_back_unmasked() {
        let (mut client, server) = tokio::io::duplex(1024);
        let session = tokio::spawn(async move { converse(server, "hi", false).await });
        assert_eq!(read_frame(&mut client).await.expect("greeting"), (TEXT, b"hi".to_vec()));
        let masked = [TEXT, 0x83, 1, 2, 3, 4, b'a' ^ 1, b'b' ^ 2, b'c' ^ 3];
        client.write_all(&masked).await.expect("sent");
        assert_eq!(read_frame(&mut client).await.expect("echo"), (TEXT, b"abc".to_vec()));
        client.write_all(&[CLOSE, 0x80, 0, 0, 0, 0]).await.expect("sent");
        assert_eq!(read_frame(&mut client).await.expect("close").0, CLOSE);
        session.await.expect("no panic").expect("ends well");
    }
}
