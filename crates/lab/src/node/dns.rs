//! A DNS server that knows one answer: whoever asks is told its own address, as CoreDNS' `whoami`
//! does. It stands in for the image `coredns`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::UdpSocket;

const HEADER: usize = 12;

/// Answers on this address until an error of the socket.
///
/// # Errors
///
/// When the address cannot be bound, or the socket fails.
pub async fn serve(address: SocketAddr) -> std::io::Result<()> {
    let socket = UdpSocket::bind(address).await?;
    let mut buffer = [0; 1500];
    loop {
        let (length, client) = socket.recv_from(&mut buffer).await?;
        let address = match client.ip() {
            IpAddr::V4(address) => address,
            IpAddr::V6(address) => address.to_ipv4_mapped().unwrap_or(Ipv4Addr::UNSPECIFIED),
        };
        if let Some(answer) = buffer.get(..length).and_then(|query| answer(query, address)) {
            // A client that is gone is no reason to stop.
            if let Err(error) = socket.send_to(&answer, client).await {
                tracing::debug!("answer {client}: {error}");
            }
        }
    }
}

/// RFC 1035, section 4: the question again, and an A record that points back to its name.
fn answer(query: &[u8], address: Ipv4Addr) -> Option<Vec<u8>> {
    let header = query.get(..HEADER)?;
    let mut end = HEADER;
    loop {
        let label = usize::from(*query.get(end)?);
        end += label + 1;
        if label == 0 {
            break;
        }
    }
    let question = query.get(HEADER..end + 4)?;
    let kind = question.get(question.len() - 4..question.len() - 2)?;
    let is_address = kind == [0, 1];
    let mut answer = header.get(..2)?.to_vec();
    // QR, AA, and the client's RD; no error. One question, an answer or none.
    answer.extend([0x84 | (header.get(2)? & 1), 0, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0]);
    answer.extend(question);
    if is_address {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUERY: &[u8] =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03foo\x03bar\x00\x00\x01\x00\x01";

    #[test]
    fn an_answer_has_the_id_and_the_question_of_the_query() {
        let answer = answer(QUERY, Ipv4Addr::new(10, 244, 0, 9)).unwrap();
        assert_eq!(answer.get(..2), Some(&b"\x12\x34"[..]));
        assert_eq!(answer.get(12..QUERY.len()), QUERY.get(12..));
        assert!(answer.ends_with(&[10, 244, 0, 9]));
    }

    #[test]
    fn half_a_query_gets_none() {
        for length in 0..QUERY.len() {
            assert_eq!(answer(&QUERY[..length], Ipv4Addr::LOCALHOST), None);
        }
    }
}
