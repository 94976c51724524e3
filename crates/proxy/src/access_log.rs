//! One line for each request, in the combined log format or as JSON. When it is off it costs one
//! comparison; when it is on, data threads format lines and never wait for who writes them.

use std::fmt::Write as _;
use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, SystemTime};

use fairway_model::RouteId;

use crate::downstream::Client;
use crate::http::Told;
use crate::http::date::Date;
use crate::message::{RequestHead, Version};
use crate::settings::{AccessLog, LogFormat};

/// Lines that may wait for the writer; more are dropped.
const WAITING: usize = 8192;

impl AccessLog {
    /// Gives a log whose lines a thread of its own writes. Lines that the writer is too slow for are
    /// dropped. The thread ends when the last data plane that logs there has ended.
    pub fn to_writer(format: LogFormat, mut writer: impl Write + Send + 'static) -> Self {
        let (lines, waiting) = sync_channel::<String>(WAITING);
        let write = move || {
            while let Ok(mut line) = waiting.recv() {
                line.push('\n');
                let mut written = writer.write_all(line.as_bytes());
                while let (Ok(()), Ok(mut line)) = (&written, waiting.try_recv()) {
                    line.push('\n');
                    written = writer.write_all(line.as_bytes());
                }
                if let Err(error) = written.and_then(|()| writer.flush()) {
                    tracing::warn!(%error, "the access log cannot be written");
                    return;
                }
            }
        };
        match std::thread::Builder::new().name("fairway-log".to_owned()).spawn(write) {
            // What does not fit is dropped: requests matter more than their lines.
            Ok(_) => Self::Lines(
                format,
                Arc::new(move |line| lines.try_send(line.to_owned()).unwrap_or_default()),
            ),
            Err(error) => {
                tracing::warn!(%error, "no thread for the access log");
                Self::Off
            }
        }
    }
}

/// What will be told of a request; nothing when the log is off.
pub(crate) struct Entry(Option<Box<Noted>>);

/// What a request was before rules changed it.
struct Noted {
    time: SystemTime,
    client: IpAddr,
    method: String,
    host: String,
    target: String,
    version: Version,
    referer: String,
    agent: String,
    server_name: Option<Arc<str>>,
    rule: Option<RouteId>,
}

impl Entry {
    /// Notes a request before anything is done to it.
    pub(crate) fn new(head: &RequestHead, client: &Client) -> Self {
        match client.worker.settings().access_log {
            AccessLog::Off => Self(None),
            AccessLog::Lines(..) => Self(Some(Box::new(Noted::new(head, client)))),
        }
    }

    /// Notes which rule it has met.
    pub(crate) fn rule(&mut self, id: &RouteId) {
        if let Some(noted) = &mut self.0 {
            noted.rule = Some(id.clone());
        }
    }

    /// Writes the line. `status` is 0 if no answer had begun.
    pub(crate) fn end(self, client: &Client, status: u16, took: Duration, told: &Told) {
        let Some(noted) = self.0 else { return };
        match &client.worker.settings().access_log {
            AccessLog::Off => {}
            AccessLog::Lines(LogFormat::Combined, write) => {
                write(&noted.combined(status, took, told));
            }
            AccessLog::Lines(LogFormat::Json, write) => write(&noted.json(status, took, told)),
        }
    }
}

/// Writes the line of what was no request: nobody knows what it asked for.
pub(crate) fn refused(client: &Client, status: u16) {
    let AccessLog::Lines(format, write) = &client.worker.settings().access_log else { return };
    let noted = Noted::unknown(client);
    let told = Told::default();
    match format {
        LogFormat::Combined => write(&noted.combined(status, Duration::ZERO, &told)),
        LogFormat::Json => write(&noted.json(status, Duration::ZERO, &told)),
    }
}

impl Noted {
    fn unknown(client: &Client) -> Self {
        Self {
            time: SystemTime::now(),
            client: client.address(),
            method: "-".to_owned(),
            host: String::new(),
            target: "-".to_owned(),
            version: Version::Http11,
            referer: String::new(),
            agent: String::new(),
            server_name: client.connection.server_name.clone(),
            rule: None,
        }
    }

    fn new(head: &RequestHead, client: &Client) -> Self {
        let field = |name| {
            let value = head.headers.first(name).unwrap_or_default();
            String::from_utf8_lossy(value).into_owned()
        };
        Self {
            time: SystemTime::now(),
            client: client.address(),
            method: head.method.as_str().to_owned(),
            host: head.authority.to_string(),
            target: head.path_and_query(),
            version: head.version,
            referer: field("referer"),
            agent: field("user-agent"),
            server_name: client.connection.server_name.clone(),
            rule: None,
        }
    }

    fn combined(&self, status: u16, took: Duration, told: &Told) -> String {
        let when = Date::of(self.time);
        let mut line = format!("{} - - [{}] \"", self.client, when.common());
        escape(&mut line, &self.method);
        line.push(' ');
        escape(&mut line, &self.target);
        put(&mut line, format_args!(" {}\" {status} {} \"", version(self.version), told.sent));
        escape(&mut line, dash(&self.referer));
        line.push_str("\" \"");
        escape(&mut line, dash(&self.agent));
        line.push_str("\" host=");
        escape(&mut line, dash(&self.host));
        put(&mut line, format_args!(" ms={:.3} received={}", millis(took), told.received));
        line.push_str(" route=");
        escape(&mut line, self.rule.as_ref().map_or("-", |rule| rule.as_str()));
        match told.endpoint {
            Some(endpoint) => put(&mut line, format_args!(" endpoint={endpoint}")),
            None => line.push_str(" endpoint=-"),
        }
        let word = told.failure.map_or("-", crate::failure::Failure::word);
        put(&mut line, format_args!(" tries={} failure={word}", told.tries));
        line
    }

    fn json(&self, status: u16, took: Duration, told: &Told) -> String {
        let when = Date::of(self.time);
        let mut line = format!("{{\"time\":\"{}\",\"client\":\"{}\"", when.rfc3339(), self.client);
        for (name, value) in [
            ("method", self.method.as_str()),
            ("host", &self.host),
            ("target", &self.target),
            ("version", version(self.version)),
            ("referer", &self.referer),
            ("userAgent", &self.agent),
            ("serverName", self.server_name.as_deref().unwrap_or_default()),
            ("route", self.rule.as_ref().map_or("", |rule| rule.as_str())),
            ("failure", told.failure.map_or("", crate::failure::Failure::word)),
        ] {
            if !value.is_empty() {
                put(&mut line, format_args!(",\"{name}\":\""));
                escape_json(&mut line, value);
                line.push('"');
            }
        }
        if let Some(endpoint) = told.endpoint {
            put(&mut line, format_args!(",\"endpoint\":\"{endpoint}\""));
        }
        let (received, sent, tries) = (told.received, told.sent, told.tries);
        put(
            &mut line,
            format_args!(
                ",\"status\":{status},\"received\":{received},\"sent\":{sent},\"tries\":{tries}"
            ),
        );
        put(&mut line, format_args!(",\"ms\":{:.3}}}", millis(took)));
        line
    }
}

fn put(line: &mut String, text: std::fmt::Arguments<'_>) {
    line.write_fmt(text).expect("a string takes every write");
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}

fn dash(text: &str) -> &str {
    if text.is_empty() { "-" } else { text }
}

const fn version(version: Version) -> &'static str {
    match version {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
        Version::Http2 => "HTTP/2.0",
    }
}

/// As nginx does it: quotes, backslashes and what is not plain ASCII become `\xHH`.
fn escape(line: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' | ..=0x1f | 0x7f.. => put(line, format_args!("\\x{byte:02X}")),
            plain => line.push(char::from(plain)),
        }
    }
}

fn escape_json(line: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '"' | '\\' => line.extend(['\\', character]),
            '\0'..='\x1f' => put(line, format_args!("\\u{:04x}", u32::from(character))),
            plain => line.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_its_field() {
        let mut line = String::new();
        escape(&mut line, "a\"b\\c\nd\u{e9}");
        assert_eq!(line, "a\\x22b\\x5Cc\\x0Ad\\xC3\\xA9");
        let mut line = String::new();
        escape_json(&mut line, "a\"b\\c\nd\u{e9}");
        assert_eq!(line, "a\\\"b\\\\c\\u000ad\u{e9}");
    }
}
