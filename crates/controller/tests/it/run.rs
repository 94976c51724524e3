//! The whole loop in one process: files in, requests answered, statuses out.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fairway_controller::drivers::embedded;
use fairway_controller::run::{Options, Report, run};
use fairway_controller::view::{RunView, statuses_json};
use fairway_translate::Settings;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const GATEWAY: &str = r"
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: fairway}
spec: {controllerName: fairway.dev/controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {namespace: shop, name: web}
spec:
  gatewayClassName: fairway
  listeners: [{name: http, protocol: HTTP, port: 80}]
---
apiVersion: v1
kind: Service
metadata: {namespace: shop, name: cart}
spec: {ports: [{port: 80}]}
";

fn route(path: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{namespace: shop, name: cart}}
spec:
  parentRefs: [{{name: web}}]
  rules: [{{matches: [{{path: {{value: {path}}}}}], backendRefs: [{{name: cart, port: 80}}]}}]
"
    )
}

struct Run {
    views: Arc<Mutex<Vec<RunView>>>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Run {
    fn start(files: &Path, state: &Path, backend: SocketAddr) -> Self {
        let mut translate = Settings::for_files();
        let service = (fairway_translate::Name::new("shop", "cart"), 80);
        translate.service_backends.insert(service, vec![backend]);
        let options = Options {
            directory: files.to_owned(),
            translate,
            proxy: embedded::Settings {
                threads: 2,
                ephemeral_ports: true,
                ..embedded::Settings::default()
            },
            admin: None,
            state: state.to_owned(),
            status_dir: state.join("status"),
            generate_certificates: false,
            drain: Duration::from_secs(1),
        };
        let views = Arc::new(Mutex::new(Vec::new()));
        let report: Report = {
            let views = Arc::clone(&views);
            Arc::new(move |view: &RunView| views.lock().unwrap().push(view.clone()))
        };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let shutdown = async { drop(stopped.await) };
            run(options, report, shutdown).await.expect("the run begins");
        });
        Self { views, stop: Some(stop), task }
    }

    async fn view(&self, what: &str, wanted: impl Fn(&RunView) -> bool) -> RunView {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let last = self.views.lock().unwrap().last().cloned();
            if let Some(view) = last.as_ref().filter(|view| wanted(view)) {
                return view.clone();
            }
            assert!(Instant::now() < deadline, "waiting for {what}; last seen: {last:#?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn address(&self) -> SocketAddr {
        let bound = |view: &RunView| {
            let gateway = view.gateways.first()?;
            gateway.listeners.first()?.bound.first().copied()
        };
        let view = self.view("an open socket", |view| bound(view).is_some()).await;
        bound(&view).expect("seen above")
    }

    async fn stop(mut self) {
        drop(self.stop.take());
        self.task.await.expect("the run ends well");
    }
}

async fn backend() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    match stream.read_u8().await {
                        Ok(byte) => head.push(byte),
                        Err(_) => return,
                    }
                }
                let answer =
                    b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello";
                drop(stream.write_all(answer).await);
            });
        }
    });
    address
}

async fn status(address: SocketAddr, path: &str) -> u16 {
    let mut stream = TcpStream::connect(address).await.expect("connected");
    let request = format!("GET {path} HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("answered");
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status")
}

async fn becomes(address: SocketAddr, path: &str, wanted: u16) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let found = status(address, path).await;
        if found == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{path} answers {found} and not {wanted}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_become_answers_and_statuses_and_survive_a_broken_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let (files, state) = (folder.path().join("files"), folder.path().join("state"));
    fs::create_dir(&files).expect("made");
    fs::write(files.join("gateway.yaml"), GATEWAY).expect("written");
    fs::write(files.join("route.yaml"), route("/cart")).expect("written");
    let backend = backend().await;

    let run = Run::start(&files, &state, backend);
    let address = run.address().await;
    becomes(address, "/cart", 200).await;
    assert_eq!(status(address, "/basket").await, 404);
    let live = |view: &RunView| statuses_json(&view.statuses).to_string().contains("Acknowledged");
    run.view("a live route", live).await;
    let written = fs::read_to_string(state.join("status/HTTPRoute.shop.cart.yaml"));
    assert!(written.expect("a status").contains("Accepted"));

    fs::write(files.join("route.yaml"), route("/basket")).expect("written");
    becomes(address, "/basket", 200).await;
    // The data threads take a change over one after another.
    becomes(address, "/cart", 404).await;

    fs::write(files.join("route.yaml"), "kind: [HTTPRoute").expect("written");
    let view = run.view("a problem", |view| !view.problems.is_empty()).await;
    assert!(view.problems[0].to_string().contains("route.yaml"), "{}", view.problems[0]);
    assert_eq!(status(address, "/basket").await, 200, "the last good state counts");
    run.stop().await;

    let run = Run::start(&files, &state, backend);
    run.view("the last good state", |view| view.last_good).await;
    let address = run.address().await;
    becomes(address, "/basket", 200).await;
    run.stop().await;

    fs::rename(&files, folder.path().join("away")).expect("moved");
    let run = Run::start(&files, &state, backend);
    let view = run.view("the last good state", |view| view.last_good).await;
    assert!(!view.problems.is_empty());
    let address = run.address().await;
    becomes(address, "/basket", 200).await;
    run.stop().await;
}
