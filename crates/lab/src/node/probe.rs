//! Whether a container is well: its probes, and for one without any, whether it has bound a port.

mod tls;

use std::{convert::Infallible, net::Ipv4Addr, process::Stdio, time::Duration};

use k8s_openapi::{
    api::core::v1::{Container, ExecAction, HTTPGetAction, Probe},
    apimachinery::pkg::util::intstr::IntOrString,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::{Instant, interval, sleep, timeout},
};

use super::sockets;

/// How often a container that is not yet well is looked at, whatever its period.
const EAGER: Duration = Duration::from_millis(100);

/// How long a container without probes may take to bind a port; one that never does is ready then.
const BIND: Duration = Duration::from_secs(3);

/// The ports must stay as they are for so long: a program binds several one after another.
const SETTLED: Duration = Duration::from_millis(50);

/// The container whose health is asked for.
#[derive(Debug)]
pub(super) struct Patient<'a> {
    pub(super) container: &'a Container,
    pub(super) address: Ipv4Addr,
    pub(super) process: u32,
}

/// What its health is, told as it changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It has started up.
    Started,
    /// It is ready, or not any more.
    Ready(bool),
}

/// Looks after a container; ends with a sentence when it has to be restarted.
pub(super) async fn attend(patient: &Patient<'_>, tell: impl Fn(Sign)) -> String {
    if let Some(probe) = &patient.container.startup_probe {
        let limit = period(probe) * threshold(probe.failure_threshold, 3)
            + seconds(probe.initial_delay_seconds, 0);
        let deadline = Instant::now() + limit;
        while let Err(message) = check(patient, probe).await {
            if Instant::now() > deadline {
                return format!("startup probe failed: {message}");
            }
            sleep(EAGER.min(period(probe))).await;
        }
    }
    tell(Sign::Started);
    tokio::select! {
        never = follow_readiness(patient, &tell) => match never {},
        message = fail_alive(patient) => message,
    }
}

async fn follow_readiness(patient: &Patient<'_>, tell: &impl Fn(Sign)) -> Infallible {
    let Some(probe) = &patient.container.readiness_probe else {
        bound(patient).await;
        tell(Sign::Ready(true));
        return std::future::pending().await;
    };
    sleep(seconds(probe.initial_delay_seconds, 0)).await;
    let (mut ready, mut successes, mut failures) = (false, 0, 0);
    loop {
        match check(patient, probe).await {
            Ok(()) => (successes, failures) = (successes + 1, 0),
            Err(message) => {
                tracing::debug!("{}: readiness probe failed: {message}", patient.container.name);
                (successes, failures) = (0, failures + 1);
            }
        }
        if !ready && successes >= threshold(probe.success_threshold, 1) {
            ready = true;
            tell(Sign::Ready(true));
        } else if ready && failures >= threshold(probe.failure_threshold, 3) {
            ready = false;
            tell(Sign::Ready(false));
        }
        sleep(if ready { period(probe) } else { EAGER.min(period(probe)) }).await;
    }
}

async fn fail_alive(patient: &Patient<'_>) -> String {
    let Some(probe) = &patient.container.liveness_probe else {
        return std::future::pending().await;
    };
    sleep(seconds(probe.initial_delay_seconds, 0)).await;
    let mut failures = 0;
    let mut ticks = interval(period(probe));
    loop {
        ticks.tick().await;
        match check(patient, probe).await {
            Ok(()) => failures = 0,
            Err(message) => {
                failures += 1;
                if failures >= threshold(probe.failure_threshold, 3) {
                    return format!("liveness probe failed: {message}");
                }
            }
        }
    }
}

/// Waits until the container's declared ports are bound, or, if it declares none, any is.
async fn bound(patient: &Patient<'_>) {
    let declared = patient.container.ports.iter().flatten();
    let declared: Vec<u16> =
        declared.filter_map(|port| u16::try_from(port.container_port).ok()).collect();
    let deadline = Instant::now() + BIND;
    let mut before = sockets::open_ports(patient.process);
    while Instant::now() < deadline {
        sleep(SETTLED / 2).await;
        let middle = sockets::open_ports(patient.process);
        sleep(SETTLED / 2).await;
        let now = sockets::open_ports(patient.process);
        let settled = before == middle && middle == now && !now.is_empty();
        if settled && declared.iter().all(|port| now.contains(port)) {
            return;
        }
        before = now;
    }
}

fn seconds(value: Option<i32>, default: u64) -> Duration {
    Duration::from_secs(value.map_or(default, |value| u64::try_from(value).unwrap_or(default)))
}

fn period(probe: &Probe) -> Duration {
    seconds(probe.period_seconds, 10).max(Duration::from_secs(1))
}

fn threshold(value: Option<i32>, default: u32) -> u32 {
    value.and_then(|value| u32::try_from(value).ok()).unwrap_or(default).max(1)
}

/// One try. A gRPC probe only connects: what the server would answer is not asked.
async fn check(patient: &Patient<'_>, probe: &Probe) -> Result<(), String> {
    let limit = seconds(probe.timeout_seconds, 1).max(Duration::from_secs(1));
    let tried = async {
        if let Some(action) = &probe.exec {
            exec(patient.process, action).await
        } else if let Some(action) = &probe.http_get {
            get(patient, action).await
        } else if let Some(action) = &probe.tcp_socket {
            let port = port(patient.container, &action.port)?;
            connect(action.host.as_deref(), patient.address, port).await.map(drop)
        } else if let Some(action) = &probe.grpc {
            let port = u16::try_from(action.port).map_err(|_range| "no such port".to_owned())?;
            connect(None, patient.address, port).await.map(drop)
        } else {
            Ok(())
        }
    };
    timeout(limit, tried)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {} s", limit.as_secs())))
}

fn port(container: &Container, port: &IntOrString) -> Result<u16, String> {
    match port {
        IntOrString::Int(number) => {
            u16::try_from(*number).map_err(|_range| format!("{number} is no port"))
        }
        IntOrString::String(name) => container
            .ports
            .iter()
            .flatten()
            .find(|port| port.name.as_deref() == Some(name))
            .and_then(|port| u16::try_from(port.container_port).ok())
            .ok_or_else(|| format!("the container has no port named {name}")),
    }
}

async fn connect(host: Option<&str>, address: Ipv4Addr, port: u16) -> Result<TcpStream, String> {
    let host = host.map_or_else(|| address.to_string(), str::to_owned);
    TcpStream::connect((host.as_str(), port))
        .await
        .map_err(|error| format!("connect to {host}:{port}: {error}"))
}

/// A GET of a probe or a hook.
pub(super) async fn get(patient: &Patient<'_>, action: &HTTPGetAction) -> Result<(), String> {
    let port = port(patient.container, &action.port)?;
    let mut stream = connect(action.host.as_deref(), patient.address, port).await?;
    let path = action.path.as_deref().unwrap_or("/");
    let mut request =
        format!("GET {path} HTTP/1.1\r\nUser-Agent: kube-probe/1.36\r\nAccept: */*\r\n");
    let headers = || action.http_headers.iter().flatten();
    if !headers().any(|header| header.name.eq_ignore_ascii_case("host")) {
        request.push_str(&format!("Host: {}:{port}\r\n", patient.address));
    }
    for header in headers() {
        request.push_str(&format!("{}: {}\r\n", header.name, header.value));
    }
    request.push_str("Connection: close\r\n\r\n");
    let status = if action.scheme.as_deref() == Some("HTTPS") {
        let mut stream =
            tls::wrap(stream, patient.address).await.map_err(|error| error.to_string())?;
        exchange(&mut stream, &request).await
    } else {
        exchange(&mut stream, &request).await
    };
    match status {
        Ok(200..=399) => Ok(()),
        Ok(status) => Err(format!("HTTP probe failed with statuscode: {status}")),
        Err(error) => Err(error.to_string()),
    }
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    request: &str,
) -> std::io::Result<u16> {
    stream.write_all(request.as_bytes()).await?;
    let mut line = Vec::new();
    while line.len() < 256 && !line.contains(&b'\n') {
        if stream.read_buf(&mut line).await? == 0 {
            break;
        }
    }
    let text = String::from_utf8_lossy(&line);
    let status = text.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| std::io::Error::other("the answer is no HTTP"))
}

/// Runs a command beside a container's process: in its network, mounts and root.
pub(super) async fn exec(process: u32, action: &ExecAction) -> Result<(), String> {
    let output = Command::new("nsenter")
        .args(["-t", &process.to_string(), "-m", "-n", "-u", "--"])
        .args(action.command.iter().flatten())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| format!("start nsenter: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}
