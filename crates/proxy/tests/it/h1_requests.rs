//! Request heads: what is read, and every known way to make servers disagree (attack A11), whole and
//! byte by byte.

use fairway_proxy::h1::{Framing, Refusal, Request, parse_request, scan::Scan};
use fairway_proxy::message::{Limits, Malformed, Method, Underscores, Version};
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

/// Heads without `Host` get one, so that the table says only what it is about.
fn parse(head: &[u8]) -> Result<Option<(Request, usize)>, Refusal> {
    parse_request(head, &Limits::default())
}

fn read(fields: &str) -> Result<Request, Refusal> {
    let head = format!("POST /a HTTP/1.1\r\nHost: a.example\r\n{fields}\r\n");
    parse(head.as_bytes()).map(|found| found.expect("a whole head").0)
}

#[test]
fn a_plain_request() {
    let head = b"GET /a/../b?c=d HTTP/1.1\r\nHoSt:  Shop.Example:8080 \r\nX-A:\t1\t2 \r\nx-a: \r\n\r\nrest";
    let (request, length) = parse(head).expect("served").expect("whole");
    assert_eq!(&head[length..], b"rest");
    assert_eq!(request.head.method, Method::Get);
    assert_eq!(request.head.authority.to_string(), "shop.example:8080");
    assert_eq!(request.head.path_and_query(), "/b?c=d");
    assert_eq!(request.head.version, Version::Http11);
    let fields: Vec<_> = request.head.headers.iter().collect();
    assert_eq!(fields, [("x-a", &b"1\t2"[..]), ("x-a", b"")]);
    assert_eq!(request.framing, Framing::Empty);
    assert!(request.keep_alive && !request.expects_continue);
    assert_eq!(request.head.upgrade, None);
}

#[test]
fn connections_and_expectations() {
    let keep = |head: &str| parse(head.as_bytes()).expect("served").expect("whole").0.keep_alive;
    assert!(keep("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(!keep("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n"));
    assert!(!keep("GET / HTTP/1.0\r\n\r\n"));
    assert!(keep("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
    assert!(!keep("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n"));

    for (method, lives) in [("GET", false), ("HEAD", false), ("POST", true), ("DELETE", true)] {
        let found = keep(&format!("{method} / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n"));
        assert_eq!(found, lives, "{method} with a body");
    }

    let waiting = read("Expect: 100-Continue\r\nContent-Length: 3\r\n").expect("served");
    assert!(waiting.expects_continue && !waiting.head.headers.contains("expect"));
    for bad in [
        "Expect: 100-continue, x\r\n",
        "Expect: y\r\n",
        "Expect:\r\n",
        "Expect: 100-continue\r\nExpect: 100-continue\r\n",
    ] {
        assert_eq!(read(bad), Err(Refusal::Expectation), "{bad}");
    }

    let upgrade = |fields: &str| read(fields).expect("served").head.upgrade;
    let websocket = upgrade("Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n");
    assert_eq!(websocket.expect("an upgrade").as_bytes(), b"websocket");
    for none in [
        "Upgrade: websocket\r\n",
        "Connection: upgrade\r\n",
        "Connection: upgrade, http2-settings\r\nUpgrade: h2c\r\n",
        "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n",
        "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n",
    ] {
        assert_eq!(upgrade(none), None, "{none}");
    }
}

#[test]
fn hosts() {
    let host = |head: &str| {
        parse(head.as_bytes()).map(|found| found.expect("whole").0.head.authority.to_string())
    };
    assert_eq!(host("GET / HTTP/1.0\r\n\r\n").as_deref(), Ok(""));
    assert_eq!(host("GET http://B:80/ HTTP/1.1\r\nHost: b\r\n\r\n").as_deref(), Ok("b:80"));
    assert_eq!(host("OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n").as_deref(), Ok("b"));
    for (head, expected) in [
        ("GET / HTTP/1.1\r\n\r\n", Malformed::HostMissing),
        ("GET http://a/ HTTP/1.1\r\n\r\n", Malformed::HostMissing),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Malformed::Host),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Malformed::HostRepeated),
        ("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", Malformed::HostRepeated),
        ("GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n\r\n", Malformed::HostRepeated),
        ("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Malformed::Host),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", Malformed::Host),
        ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Malformed::Host),
        ("GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", Malformed::Port),
        ("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", Malformed::Host),
        ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", Malformed::Port),
        ("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", Malformed::HostDiffers),
        ("GET http://a:81/ HTTP/1.1\r\nHost: a\r\n\r\n", Malformed::HostDiffers),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", Malformed::Connect),
    ] {
        assert_eq!(host(head), Err(Refusal::Malformed(expected)), "{head}");
    }
}

/// Whole heads, and the status that each is to be answered with.
const REFUSED: &[(&[u8], u16)] = &[
    // Line ends.
    (b"GET / HTTP/1.1\nHost: a\n\n", 400),
    (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\n", 400),
    (b"GET / HTTP/1.1\rHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\rX: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\r\r\n", 400),
    (b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b" \r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    // The request line.
    (b" GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    (b"GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /\x0bHTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /\x0cHTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / a HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /\r\nHost: a\r\n\r\n", 400),
    (b"GET /\r\n\r\n", 400),
    (b"GET HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET\r\n\r\n", 400),
    (b"/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"G\"T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"G\xc3\x89T / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1a\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/01.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP /1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTPS/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1,1\r\nHost: a\r\n\r\n", 400),
    (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
    (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
    (b"PRI * HTTP/2.0\r\n\r\n", 505),
    (b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    // Field lines.
    (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n \r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX\0: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x01\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x7f\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: b\x0bc\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX\xe9: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\n\"X\": b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX_Y: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n", 400),
    // Lengths and encodings.
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", 400),
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\nContent-Length: 3\r\n\r\n",
        400,
    ),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\ncontent-length: 4\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -3\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x3\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3 4\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 03\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\x0b\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length : 3\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", 400),
    (
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n",
        400,
    ),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\x0c\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \"chunked\"\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: 'chunked'\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\n Transfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nX: y\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\r\n : chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
    (b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue-x\r\n\r\n", 417),
    (b"POST / HTTP/1.1\r\nHost: a\r\nExpect: y 100-continue\r\n\r\n", 417),
    (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer--Encoding: chunked\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\n-Content-Length: 5\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContentLength: 5\r\n\r\n", 400),
    // No HTTP at all, or of 1991: no empty line is waited for.
    (b"GET /\r\n", 400),
    (b"EHLO a\r\n", 400),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    (b"SSH-2.0-x\r\n\r\n", 400),
    (b"\0", 400),
];

#[test]
fn what_servers_disagree_on_is_refused() {
    for (head, status) in REFUSED {
        let shown = String::from_utf8_lossy(head);
        match parse(head) {
            Err(refusal) => assert_eq!(refusal.status(), *status, "{shown:?}: {refusal}"),
            Ok(found) => panic!("{shown:?} was read as {found:?}"),
        }
    }
}

#[test]
fn one_empty_line_in_front_is_forgiven() {
    let head = b"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(parse(head).expect("served").expect("whole").1, head.len());
}

#[test]
fn sizes_are_limited() {
    let line = |length: usize| {
        let target = "a".repeat(length - "GET / HTTP/1.1".len());
        parse(format!("GET /{target} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes())
    };
    assert!(line(8192).is_ok());
    assert_eq!(line(8193), Err(Refusal::FirstLineTooLong));
    assert_eq!(parse(&[b'a'; 9000]), Err(Refusal::FirstLineTooLong));
    let fields = |count: usize| read(&"X: y\r\n".repeat(count - 1)).map(|_| ());
    assert_eq!(fields(128), Ok(()));
    assert_eq!(fields(129), Err(Refusal::TooManyFields));
    let start = "POST /a HTTP/1.1\r\nHost: a.example\r\nX: \r\n\r\n".len();
    let size = |total: usize| read(&format!("X: {}\r\n", "y".repeat(total - start))).map(|_| ());
    assert_eq!(size(64 << 10), Ok(()));
    assert_eq!(size((64 << 10) + 1), Err(Refusal::HeadTooLarge));
    assert_eq!(Refusal::FirstLineTooLong.status(), 414);
    assert_eq!(Refusal::HeadTooLarge.status(), 431);
    assert_eq!(Refusal::TooManyFields.status(), 431);
    let method = format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "A".repeat(33));
    assert_eq!(parse(method.as_bytes()), Err(Refusal::Malformed(Malformed::Method)));
}

#[test]
fn underscores_by_rule() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nx_a: 1\r\nx-a: 2\r\n\r\n";
    let names = |underscores| {
        let limits = Limits { underscores, ..Limits::default() };
        parse_request(head, &limits).map(|found| {
            let headers = found.expect("whole").0.head.headers;
            headers.iter().map(|(name, _)| name.to_owned()).collect::<Vec<_>>().join(" ")
        })
    };
    assert_eq!(names(Underscores::Refuse), Err(Refusal::Malformed(Malformed::Underscore)));
    assert_eq!(names(Underscores::Drop).as_deref(), Ok("x-a"));
    assert_eq!(names(Underscores::Keep).as_deref(), Ok("x_a x-a"));
}

/// Feeds a head byte by byte, as the reader would.
fn crawl(bytes: &[u8]) -> Result<Option<(Request, usize)>, Refusal> {
    let limits = Limits::default();
    let mut scan = Scan::request();
    for end in 0..=bytes.len() {
        if let Some(range) = scan.advance(&bytes[..end], &limits)? {
            return parse_request(&bytes[..range.end], &limits);
        }
    }
    Ok(None)
}

#[test]
fn pieces_make_no_difference() {
    for (head, _) in REFUSED {
        assert_eq!(crawl(head), parse(head), "{:?}", String::from_utf8_lossy(head));
    }
    let long = [b"GET /".to_vec(), vec![b'a'; 8200], b"\r\n".to_vec()].concat();
    let large = [b"GET / HTTP/1.1\r\n".to_vec(), b"x: yyyyyyyyyyyy\r\n".repeat(200)].concat();
    let good = b"\r\nGET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\nGET /".to_vec();
    for head in [long, large, good] {
        assert_eq!(crawl(&head), parse(&head));
    }
}

const ALPHABET: &[&str] = &[
    "GET ",
    "/",
    " HTTP/1.1",
    "\r\n",
    "\r",
    "\n",
    "Host: a",
    "Content-Length: 3",
    ":",
    " ",
    "\t",
    "Transfer-Encoding: chunked",
    ",",
    "x",
    "\0",
    "\r\n\r\n",
    "POST ",
    "%2e",
    "..",
    "HTTP/1.0",
];

proptest! {
    #[test]
    fn pieces_make_no_difference_to_nonsense(words in prop::collection::vec(0..ALPHABET.len(), 0..24)) {
        let text: String = words.into_iter().map(|at| ALPHABET[at]).collect();
        prop_assert_eq!(crawl(text.as_bytes()), parse(text.as_bytes()));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(parse(&bytes));
        let whole = [b"GET / HTTP/1.1\r\nHost: a\r\nX: ", &bytes[..], b"\r\n\r\n"].concat();
        if let Ok(Some((request, _))) = parse(&whole) {
            for (name, value) in request.head.headers.iter() {
                prop_assert!(!name.contains(|byte: char| byte.is_ascii_uppercase() || byte == ' '));
                prop_assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
            }
        }
    }
}
