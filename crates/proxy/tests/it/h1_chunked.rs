//! Chunked bodies: what is read, what is refused, cut in any way; and what is written.

use bytes::BytesMut;
use fairway_proxy::h1::chunked::{Decoder, Piece, write_end, write_size};
use fairway_proxy::h1::{Refusal, decode_chunked};
use fairway_proxy::message::{HeaderName, HeaderValue, Headers, Limits, Malformed};
use proptest::prelude::{any, prop, prop_assert_eq, proptest};

type Decoded = Result<Option<(Vec<u8>, Headers, usize)>, Refusal>;

fn decode(bytes: &[u8]) -> Decoded {
    decode_chunked(bytes, &Limits::default())
}

/// Decodes pieces of the given sizes, over and over.
fn decode_cut(bytes: &[u8], sizes: &[usize]) -> Decoded {
    let mut decoder = Decoder::new(Limits::default());
    let mut body = Vec::new();
    let mut sizes = sizes.iter().copied().cycle();
    let mut rest = bytes;
    let mut taken = 0;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(sizes.next().unwrap_or(1).clamp(1, rest.len()));
        rest = later;
        let mut buffer = BytesMut::from(now);
        while let Some(piece) = decoder.next(&mut buffer)? {
            match piece {
                Piece::Data(data) => body.extend_from_slice(&data),
                Piece::End(trailers) => {
                    taken += now.len() - buffer.len();
                    return Ok(Some((body, trailers, taken)));
                }
            }
        }
        taken += now.len();
    }
    Ok(None)
}

const SERVED: &[(&[u8], &[u8])] = &[
    (b"0\r\n\r\n", b""),
    (b"00000\r\n\r\n", b""),
    (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"05\r\nhello\r\n0\r\n\r\n", b"hello"),
    (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    (b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    (b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", b"abc"),
    (b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
    (b"1;a\r\nx\r\n0\r\n\r\n", b"x"),
    (b"1;a=b\r\nx\r\n0;c\r\n\r\n", b"x"),
    (b"1;a=\"b;c\\\"\";d=e\r\nx\r\n0\r\n\r\n", b"x"),
    (b"1\r\nx\r\n0\r\nA: b\r\n\r\n", b"x"),
];

const REFUSED: &[(&[u8], Refusal)] = &[
    (b"\r\n", Refusal::ChunkSize),
    (b" 1\r\nx\r\n", Refusal::ChunkSize),
    (b"1 \r\nx\r\n", Refusal::ChunkSize),
    (b"1\t\r\nx\r\n", Refusal::ChunkSize),
    (b"0x1\r\nx\r\n", Refusal::ChunkSize),
    (b"+1\r\nx\r\n", Refusal::ChunkSize),
    (b"-1\r\nx\r\n", Refusal::ChunkSize),
    (b"g\r\n", Refusal::ChunkSize),
    (b";a\r\n", Refusal::ChunkSize),
    (b"1_0\r\n", Refusal::ChunkSize),
    (b"1,\r\nx", Refusal::ChunkSize),
    (b"10000000000000000\r\n", Refusal::ChunkSize),
    (b"00000000000000001\r\n", Refusal::ChunkSize),
    (b"8000000000000000\r\n", Refusal::ChunkSize),
    (b"ffffffffffffffff\r\n", Refusal::ChunkSize),
    (b"1\nx\r\n", Refusal::LineEnd),
    (b"1\rx\r\n", Refusal::LineEnd),
    (b"1\r\r\nx", Refusal::LineEnd),
    (b"1\r\nx\n", Refusal::ChunkEnd),
    (b"1\r\nx\r0", Refusal::ChunkEnd),
    (b"1\r\nxy\r\n", Refusal::ChunkEnd),
    (b"1\r\nx0\r\n", Refusal::ChunkEnd),
    (b"5\r\nhell\r\n0\r\n\r\n", Refusal::ChunkEnd),
    (b"1;\r\nx\r\n", Refusal::ChunkSize),
    (b"1;;\r\nx\r\n", Refusal::ChunkSize),
    (b"1;a=\r\nx\r\n", Refusal::ChunkSize),
    (b"1; a\r\nx\r\n", Refusal::ChunkSize),
    (b"1;a =b\r\nx\r\n", Refusal::ChunkSize),
    (b"1;a\nx\r\n", Refusal::LineEnd),
    (b"1;a=\"\n\"\r\nx\r\n", Refusal::LineEnd),
    (b"1;a\rx\r\n", Refusal::LineEnd),
    (b"1;a=\"b\rc\"\r\nx\r\n", Refusal::ChunkSize),
    (b"1;a\0\r\nx\r\n", Refusal::ChunkSize),
    (b"1;a=\"b\0\"\r\nx\r\n", Refusal::ChunkSize),
    (b"1;a=\"b\"c\r\nx\r\n", Refusal::ChunkSize),
    (b"0\n\n", Refusal::LineEnd),
    (b"0\r\n\n", Refusal::LineEnd),
    (b"0\r\nA: b\n\r\n", Refusal::LineEnd),
    (b"0\r\nA: b\r\n\n", Refusal::LineEnd),
    (b"0\r\nA: b\r\r\n\r\n", Refusal::LineEnd),
    (b"0\r\n A: b\r\n\r\n", Refusal::Folded),
    (b"0\r\nA: b\r\n c\r\n\r\n", Refusal::Folded),
    (b"0\r\nA : b\r\n\r\n", Refusal::Malformed(Malformed::FieldName)),
    (b"0\r\nA\r\n\r\n", Refusal::Malformed(Malformed::FieldName)),
    (b"0\r\nA: \0\r\n\r\n", Refusal::ControlCharacter),
    (b"0\r\nA_B: c\r\n\r\n", Refusal::Malformed(Malformed::Underscore)),
];

#[test]
fn good_bodies() {
    for (bytes, body) in SERVED {
        let shown = String::from_utf8_lossy(bytes);
        let follow = [bytes, &b"GET / HTTP/1.1"[..]].concat();
        let (found, _, taken) = decode(&follow).expect(&shown).expect(&shown);
        assert_eq!((&found[..], taken), (*body, bytes.len()), "{shown:?}");
    }
}

#[test]
fn bad_bodies() {
    for (bytes, expected) in REFUSED {
        assert_eq!(decode(bytes), Err(*expected), "{:?}", String::from_utf8_lossy(bytes));
    }
    for cut in [&b""[..], b"5", b"5\r", b"5\r\nhell", b"5\r\nhello\r\n0\r\n", b"0\r\nA: b\r\n"] {
        assert_eq!(decode(cut), Ok(None));
    }
}

#[test]
fn trailers_are_checked_and_sifted() {
    let body =
        b"0\r\nGrpc-Status: 0\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\nHost: x\r\n\
        Authorization: y\r\nX-Forwarded-For: z\r\nX-Sum: \xff\r\n\r\n";
    let (_, trailers, _) = decode(body).expect("served").expect("whole");
    let found: Vec<_> = trailers.iter().collect();
    assert_eq!(found, [("grpc-status", &b"0"[..]), ("x-sum", b"\xff")]);
}

#[test]
fn floods_are_cut() {
    let trailers = |size: usize| {
        decode(format!("0\r\nA: {}\r\n\r\n", "b".repeat(size - 7)).as_bytes()).map(drop)
    };
    assert_eq!(trailers(8 << 10), Ok(()));
    assert_eq!(trailers((8 << 10) + 1), Err(Refusal::TrailersTooLarge));
    let many = format!("0\r\n{}\r\n", "A: b\r\n".repeat(129));
    assert_eq!(decode(many.as_bytes()), Err(Refusal::TooManyFields));
    let chunk = format!("1;{}\r\nx\r\n", "a".repeat(1000));
    assert_eq!(decode(chunk.repeat(4).as_bytes()), Ok(None));
    assert_eq!(decode(chunk.repeat(5).as_bytes()), Err(Refusal::ChunkExtensions));
    let endless = format!("1;{}", "a".repeat(5000));
    assert_eq!(decode(endless.as_bytes()), Err(Refusal::ChunkExtensions));
}

#[test]
fn pieces_make_no_difference() {
    let all = SERVED.iter().map(|(bytes, _)| *bytes).chain(REFUSED.iter().map(|(bytes, _)| *bytes));
    for bytes in all {
        for sizes in [&[1][..], &[2], &[3, 1], &[100]] {
            assert_eq!(
                decode_cut(bytes, sizes),
                decode(bytes),
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
    }
}

fn encode(chunks: &[Vec<u8>], trailers: &Headers) -> BytesMut {
    let mut out = BytesMut::new();
    for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
        write_size(&mut out, chunk.len());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\r\n");
    }
    write_end(&mut out, Some(trailers));
    out
}

proptest! {
    #[test]
    fn round_trip(
        chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70), 0..8),
        fields in prop::collection::vec(("x-[a-z0-9!#$&'*+.^`|~-]{0,8}", "[!-~\u{a0}-\u{ff}]{0,12}"), 0..4),
        sizes in prop::collection::vec(1usize..40, 1..6),
    ) {
        let trailers: Headers = fields
            .into_iter()
            .map(|(name, value)| {
                let value = HeaderValue::parse(value).expect("a value");
                (HeaderName::parse(name).expect("a name"), value)
            })
            .collect();
        let wire = encode(&chunks, &trailers);
        let expected = Ok(Some((chunks.concat(), trailers, wire.len())));
        prop_assert_eq!(decode_cut(&wire, &sizes), expected);
    }

    #[test]
    fn nonsense_is_the_same_in_pieces(text in "([0-3a;=\"\\\\ x]|\r\n|\r|\n|0\r\n){0,24}", size in 1usize..5) {
        prop_assert_eq!(decode_cut(text.as_bytes(), &[size]), decode(text.as_bytes()));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        drop(decode(&bytes));
    }
}
