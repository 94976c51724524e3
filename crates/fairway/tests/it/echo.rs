//! The echo backend.

use serde_json::Value;

use crate::rig::Backend;
use crate::wire::{Connection, get};

#[test]
fn a_request_is_described() {
    let backend = Backend::start("cart");
    let mut connection = Connection::open(backend.address).expect("a connection");
    let request = "POST /a?b=c HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nContent-Length: 3\r\n\r\nabc";
    connection.send(request.as_bytes()).expect("sent");
    let answer = connection.answer().expect("an answer");
    let said: Value = serde_json::from_str(&answer.body).expect("JSON");
    assert_eq!((answer.status, &said["service"]), (200, &"cart".into()), "{said:#}");
    assert_eq!((&said["path"], &said["query"]), (&"/a".into(), &"b=c".into()));
    assert_eq!(said["headers"]["x-a"][0], "1");
    assert_eq!(said["body_bytes"], 3);
    // The connection is kept.
    assert_eq!(connection.get("h", "/status/418").expect("an answer").status, 418);
}

#[test]
fn delays_delay() {
    let backend = Backend::start("slow");
    let began = std::time::Instant::now();
    assert_eq!(get(backend.address, "h", "/?delay=120ms").expect("an answer").status, 200);
    assert!(began.elapsed().as_millis() >= 120);
}
