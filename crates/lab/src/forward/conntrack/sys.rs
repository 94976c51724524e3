//! The kernel's table of flows, over netlink (linux/netfilter/nfnetlink_conntrack.h).
#![expect(unsafe_code, reason = "std opens no netlink sockets")]

use std::{
    fs::File,
    io::{Error, Read, Result, Write},
    net::Ipv4Addr,
    os::fd::{FromRawFd, OwnedFd},
};

const HEADER: usize = 16;
const FAMILY: [u8; 4] = [2, 0, 0, 0];
const GET: u16 = 0x0101;
const NEW: u16 = 0x0100;
const DELETE: u16 = 0x0102;
const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const DUMP: u16 = 0x300;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const UDP: u8 = 17;

/// Deletes each UDP flow whose answers come from an address and port that `gone` names.
pub(super) fn delete_udp_flows(gone: &dyn Fn(Ipv4Addr, u16) -> bool) -> Result<()> {
    let mut socket = open()?;
    let mut doomed = Vec::new();
    socket.write_all(&message(GET, REQUEST | DUMP, &[]))?;
    let mut buffer = vec![0; 65536];
    'dump: loop {
        let length = socket.read(&mut buffer)?;
        for (kind, body) in messages(buffer.get(..length).unwrap_or_default()) {
            match kind {
                DONE => break 'dump,
                ERROR => return Err(refusal(body)),
                NEW => doomed.extend(flow_to_delete(body, gone)),
                _ => {}
            }
        }
    }
    for original in doomed {
        socket.write_all(&message(
            DELETE,
            REQUEST | ACK,
            &attribute(0x8000 | ORIGINAL, &original),
        ))?;
        // The answer: done, or that the flow has ended by itself meanwhile, which is as good.
        let _answer = socket.read(&mut buffer)?;
    }
    Ok(())
}

fn open() -> Result<File> {
    // SAFETY: no memory is passed; the result is checked.
    let fd = unsafe {
        libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_NETFILTER)
    };
    if fd < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the descriptor is new and nobody else's.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

fn message(kind: u16, flags: u16, attributes: &[u8]) -> Vec<u8> {
    let length =
        u32::try_from(HEADER + FAMILY.len() + attributes.len()).expect("requests are small");
    let mut bytes = Vec::new();
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(FAMILY);
    bytes.extend(attributes);
    bytes
}

fn attribute(kind: u16, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(4 + content.len()).expect("attributes are small");
    let mut bytes = Vec::new();
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn refusal(body: &[u8]) -> Error {
    Error::from_raw_os_error(read4(body).map_or(0, i32::from_ne_bytes).saturating_neg())
}

fn read4(bytes: &[u8]) -> Option<[u8; 4]> {
    bytes.get(..4)?.try_into().ok()
}

fn read2(bytes: &[u8]) -> Option<[u8; 2]> {
    bytes.get(..2)?.try_into().ok()
}

/// The messages in one read: each one's kind and what follows its header.
fn messages(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let Some(length) =
        read4(bytes).and_then(|field| usize::try_from(u32::from_ne_bytes(field)).ok())
    {
        let (Some(kind), Some(body)) = (bytes.get(4..).and_then(read2), bytes.get(HEADER..length))
        else {
            break;
        };
        found.push((u16::from_ne_bytes(kind), body));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    found
}

fn find(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some(length) = read2(bytes).map(|field| usize::from(u16::from_ne_bytes(field))) {
        let kind = u16::from_ne_bytes(read2(bytes.get(2..)?)?) & 0x3fff;
        let content = bytes.get(4..length)?;
        if kind == wanted {
            return Some(content);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
    None
}

/// The flow's own key, when it is UDP and its answers come from an endpoint that is gone.
fn flow_to_delete(body: &[u8], gone: &dyn Fn(Ipv4Addr, u16) -> bool) -> Option<Vec<u8>> {
    let attributes = body.get(FAMILY.len()..)?;
    let reply = find(attributes, REPLY)?;
    let protocol = find(reply, 2)?;
    if find(protocol, 1)?.first() != Some(&UDP) {
        return None;
    }
    let address = Ipv4Addr::from(read4(find(find(reply, 1)?, 1)?)?);
    let port = u16::from_be_bytes(read2(find(protocol, 2)?)?);
    gone(address, port).then(|| find(attributes, ORIGINAL).map(<[u8]>::to_vec)).flatten()
}
