//! Processes of the real binary, each on loopback addresses of its own, ended with the test.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long is waited for what surely comes.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Added to declared ports: nobody else listens there.
pub(crate) const OFFSET: u16 = 18_000;

pub(crate) fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_fairway")
}

/// The shop example.
pub(crate) fn shop() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop");
    path.canonicalize().expect("the example is part of the project")
}

/// Runs a verb to its end.
pub(crate) fn fairway(arguments: &[&str]) -> Output {
    Command::new(binary()).args(arguments).output().expect("the binary runs")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Asks again and again until there is an answer.
pub(crate) fn poll<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A part of loopback that no other test uses, nor another process of this test.
pub(crate) struct Loopback([u8; 3]);

impl Loopback {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let process = std::process::id();
        let second = 100 + u8::try_from(process % 150).expect("less than 150");
        Self([127, second, NEXT.fetch_add(1, Ordering::Relaxed)])
    }

    pub(crate) fn address(&self, last: u8) -> IpAddr {
        let [a, b, c] = self.0;
        Ipv4Addr::new(a, b, c, last).into()
    }

    pub(crate) fn pool(&self) -> String {
        format!("{}/24", self.address(0))
    }

    /// Where the admin endpoint is.
    pub(crate) fn admin(&self) -> SocketAddr {
        SocketAddr::new(self.address(250), 9900)
    }

    /// Where a declared port of the first Gateway is bound.
    pub(crate) fn bound(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.address(1), OFFSET + port)
    }
}

/// A running process and what it has printed.
pub(crate) struct Process {
    child: Child,
    printed: Arc<(Mutex<Printed>, Condvar)>,
}

#[derive(Default)]
struct Printed {
    lines: Vec<String>,
    ended: u8,
}

impl Process {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .args(arguments)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let printed = Arc::default();
        follow(child.stdout.take().expect("piped"), &printed);
        follow(child.stderr.take().expect("piped"), &printed);
        Self { child, printed }
    }

    /// Starts `fairway run` on a directory.
    pub(crate) fn run(directory: &Path, at: &Loopback, state: &Path, more: &[&str]) -> Self {
        let (directory, state) = (directory.display().to_string(), state.display().to_string());
        let (pool, admin, offset) = (at.pool(), at.admin().to_string(), OFFSET.to_string());
        let mut arguments = vec!["run", &directory, "--state", &state, "--pool", &pool];
        arguments.extend(["--admin", &admin, "--port-offset", &offset]);
        arguments.extend(more);
        Self::start(&arguments)
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for a line, from the first on, and gives it.
    pub(crate) fn line(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.line_after(0, what, wanted).1
    }

    /// Waits for a line behind the first `skipped` ones; gives how many to skip to look on behind it.
    pub(crate) fn line_after(
        &self,
        skipped: usize,
        what: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> (usize, String) {
        let deadline = Instant::now() + PATIENCE;
        let (lock, changed) = &*self.printed;
        let mut printed = lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let mut later = printed.lines.iter().enumerate().skip(skipped);
            if let Some((at, line)) = later.find(|(_, line)| wanted(line)) {
                return (at + 1, line.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let over = left.is_zero() || printed.ended == 2;
            assert!(!over, "no line says {what}:\n{}", printed.lines.join("\n"));
            let waited = changed.wait_timeout(printed, left);
            printed = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How many lines there are by now.
    pub(crate) fn lines(&self) -> usize {
        self.printed.0.lock().unwrap_or_else(PoisonError::into_inner).lines.len()
    }

    pub(crate) fn printed(&self) -> String {
        self.printed.0.lock().unwrap_or_else(PoisonError::into_inner).lines.join("\n")
    }

    /// Waits until the process has ended by itself.
    pub(crate) fn ended(&mut self) -> std::process::ExitStatus {
        poll("the end of the process", || self.child.try_wait().expect("a child of ours"))
    }

    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("a child of ours").is_none()
    }

    /// As `kill -9` would.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a child of ours");
        self.child.wait().expect("a child of ours");
    }

    /// Asks it to end in good order.
    pub(crate) fn terminate(&self) {
        let id = self.id().to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
        assert!(told.success(), "the process is there");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

fn follow(stream: impl std::io::Read + Send + 'static, printed: &Arc<(Mutex<Printed>, Condvar)>) {
    let printed = Arc::clone(printed);
    std::thread::spawn(move || {
        let (lock, changed) = &*printed;
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            lock.lock().unwrap_or_else(PoisonError::into_inner).lines.push(line);
            changed.notify_all();
        }
        lock.lock().unwrap_or_else(PoisonError::into_inner).ended += 1;
        changed.notify_all();
    });
}

/// An echo backend of its own.
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    _process: Process,
}

impl Backend {
    pub(crate) fn start(service: &str) -> Self {
        let process = Process::start(&["echo", "--listen", "127.0.0.1:0", "--service", service]);
        let line = process.line("where it listens", |line| line.starts_with("listening on "));
        let address = line.strip_prefix("listening on ").and_then(|text| text.parse().ok());
        Self { address: address.expect("an address"), _process: process }
    }
}
