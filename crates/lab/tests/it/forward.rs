//! The Service forwarder loses nothing while what is behind a Service changes.

use std::{
    net::{SocketAddr, TcpStream, UdpSocket},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use std::io::{Read, Write};

use super::node::{Cluster, until};

const ECHO: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: echo}}
  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      containers:
      - {name: echo, image: echo-basic, lifecycle: {preStop: {sleep: {seconds: 3}}}}
---
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: default}
spec:
  selector: {app: echo}
  externalIPs: [10.245.7.7]
  ports: [{port: 80, targetPort: 3000}]
";

fn request(address: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: echo\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.1 200") { Ok(()) } else { Err(std::io::Error::other(answer)) }
}

#[test]
fn a_rolling_update_loses_no_request() {
    let cluster = Cluster::start("test-roll");
    cluster.lab.apply(ECHO).unwrap();
    until("two ready pods", || cluster.get("deployment/echo", "{.status.readyReplicas}") == "2");
    let cluster_ip = cluster.get("service/echo", "{.spec.clusterIP}");
    let fronts: Vec<SocketAddr> = [&cluster_ip, "10.245.7.7"]
        .iter()
        .map(|address| format!("{address}:80").parse().unwrap())
        .collect();
    let namespace = cluster.lab.namespace().clone();
    for front in &fronts {
        until("an answer", || namespace.run(|| request(*front).is_ok()).unwrap());
    }
    let (stop, sent) = (AtomicBool::new(false), AtomicUsize::new(0));
    let failures: Vec<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = fronts
            .iter()
            .map(|front| {
                let (stop, sent, namespace) = (&stop, &sent, &namespace);
                scope.spawn(move || {
                    let work = || {
                        let mut failures = Vec::new();
                        while !stop.load(Ordering::Relaxed) {
                            sent.fetch_add(1, Ordering::Relaxed);
                            failures.extend(
                                request(*front).err().map(|error| format!("{front}: {error}")),
                            );
                            std::thread::sleep(Duration::from_millis(2));
                        }
                        failures
                    };
                    namespace.run(work).unwrap()
                })
            })
            .collect();
        cluster.kubectl(&["rollout", "restart", "deployment/echo"]);
        cluster.kubectl(&["rollout", "status", "deployment/echo", "--timeout=60s"]);
        until("the end of the old pods", || {
            cluster.kubectl(&["get", "pods", "--output=name"]).lines().count() == 2
        });
        stop.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent > 20, "only {sent} requests were sent");
    assert_eq!(failures, Vec::<String>::new(), "of {sent}");

    // Without endpoints, and where nobody forwards, the refusal comes at once.
    cluster.kubectl(&["scale", "deployment/echo", "--replicas=0"]);
    let refused = |address: SocketAddr| {
        let began = Instant::now();
        let error = namespace.run(|| request(address)).unwrap().err();
        error.is_some_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused)
            && began.elapsed() < Duration::from_secs(1)
    };
    for front in fronts {
        until("a refusal", || refused(front));
    }
    assert!(refused("10.245.7.7:81".parse().unwrap()));
    assert!(refused("10.96.200.200:80".parse().unwrap()));
}

const DNS: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: dns, namespace: default}
spec:
  selector: {matchLabels: {app: dns}}
  template:
    metadata: {labels: {app: dns}}
    spec:
      containers: [{name: dns, image: registry.example/coredns:v1, args: [-conf, /etc/Corefile]}]
---
apiVersion: v1
kind: Service
metadata: {name: dns, namespace: default}
spec:
  selector: {app: dns}
  ports: [{port: 53, protocol: UDP}]
";

#[test]
fn a_udp_client_finds_the_next_endpoint_when_its_own_goes() {
    let cluster = Cluster::start("test-udp");
    cluster.lab.apply(DNS).unwrap();
    let address = cluster.get("service/dns", "{.spec.clusterIP}");
    let namespace = cluster.lab.namespace().clone();
    let socket = namespace.run(|| UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    let server: SocketAddr = format!("{address}:53").parse().unwrap();
    let query =
        b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03foo\x03bar\x00\x00\x01\x00\x01";
    let answered = || {
        let mut buffer = [0; 512];
        socket.send_to(query, server).is_ok()
            && socket.recv_from(&mut buffer).is_ok_and(|(_, from)| from == server)
    };
    until("an answer", answered);
    let old = cluster.kubectl(&["get", "pods", "--output=name"]);
    cluster.kubectl(&["delete", old.trim(), "--wait"]);
    until("an answer of the next pod, to the same socket", answered);
}
