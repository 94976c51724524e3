//! `fairway wait` against a scripted API server: what it returns for, and what it says meanwhile.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::{binary, poll, text};

const ROUTES: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/";
const TRAFFIC_ROUTES: &str = "/apis/fairway.dev/v1alpha1/namespaces/shop/trafficroutes/";
const GATEWAYS: &str = "/apis/gateway.networking.k8s.io/v1/namespaces/shop/gateways/";

/// Objects by path; all else is 404. Counts what was asked.
#[derive(Clone, Default)]
struct Api {
    objects: Arc<Mutex<BTreeMap<String, Value>>>,
    asked: Arc<Mutex<usize>>,
}

impl Api {
    fn start() -> (Self, tempfile::TempDir) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let api = Self::default();
        let serving = api.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let api = serving.clone();
                std::thread::spawn(move || api.serve(&stream));
            }
        });
        let folder = tempfile::tempdir().expect("a folder");
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": format!("http://{address}")}}],
            "users": [{"name": "it", "user": {}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it", "namespace": "shop"}}],
        });
        std::fs::write(folder.path().join("config"), config.to_string()).expect("written");
        (api, folder)
    }

    fn serve(&self, stream: &std::net::TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        loop {
            let mut first = String::new();
            if reader.read_line(&mut first).unwrap_or(0) == 0 {
                return;
            }
            let mut header = String::new();
            while reader.read_line(&mut header).unwrap_or(0) > 2 {
                header.clear();
            }
            *self.asked.lock().expect("whole") += 1;
            let path = first.split(' ').nth(1).unwrap_or_default();
            let found = self.objects.lock().expect("whole").get(path).cloned();
            let (line, body) = match found {
                Some(object) => ("200 OK", object),
                None => (
                    "404 Not Found",
                    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404,
                           "reason": "NotFound", "message": "not found", "metadata": {}}),
                ),
            };
            let body = body.to_string();
            let answer = format!(
                "HTTP/1.1 {line}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            if (&mut &*stream).write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }

    fn put(&self, path: String, object: Value) {
        self.objects.lock().expect("whole").insert(path, object);
    }
}

fn route(conditions: &Value) -> Value {
    json!({"metadata": {"name": "cart", "namespace": "shop", "generation": 2}, "status": {"parents": [
        {"parentRef": {"name": "web"}, "controllerName": "fairway.dev/controller", "conditions": conditions},
    ]}})
}

fn live(generation: i64) -> Value {
    json!([{"type": "Live", "status": "True", "reason": "Acknowledged", "message": "live after 7 ms",
            "observedGeneration": generation}])
}

fn command(folder: &tempfile::TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.env("KUBECONFIG", folder.path().join("config")).arg("wait").args(arguments);
    command
}

fn run(folder: &tempfile::TempDir, arguments: &[&str]) -> Output {
    command(folder, arguments).output().expect("the binary runs")
}

#[test]
fn returns_when_the_current_generation_is_live() {
    let (api, folder) = Api::start();
    // Live, but of what was declared before.
    api.put(format!("{ROUTES}cart"), route(&live(1)));
    let mut waiting = command(&folder, &["route/cart", "--timeout", "30s"]);
    let waiting = waiting.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = waiting.spawn().expect("the binary runs");
    let before = *api.asked.lock().expect("whole");
    poll("three looks", || (*api.asked.lock().expect("whole") > before + 12).then_some(()));
    assert!(
        child.try_wait().expect("a child").is_none(),
        "an older generation was taken for this one"
    );
    api.put(format!("{ROUTES}cart"), route(&live(2)));
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "HTTPRoute shop/cart is Live: live after 7 ms\n");
    let said = text(&output.stderr);
    assert!(said.contains("older generation than 2"), "{said}");
}

#[test]
fn says_why_not_when_the_time_is_over() {
    let (api, folder) = Api::start();
    let refused = json!([{"type": "Accepted", "status": "False", "reason": "NotAllowedByListeners",
        "message": "no listener lets namespace shop in", "observedGeneration": 2}]);
    api.put(format!("{ROUTES}cart"), route(&refused));
    let began = Instant::now();
    let output = run(&folder, &["httproute/cart", "--timeout", "500ms"]);
    assert!(began.elapsed() >= Duration::from_millis(500));
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("HTTPRoute shop/cart is not Live after 500ms"), "{said}");
    assert!(
        said.contains("for Gateway web: Accepted: False NotAllowedByListeners (no listener lets"),
        "{said}"
    );
    assert_eq!(text(&output.stdout), "");
}

#[test]
fn a_name_that_several_have_is_refused_with_their_list() {
    let (api, folder) = Api::start();
    api.put(format!("{ROUTES}cart"), route(&live(2)));
    api.put(format!("{TRAFFIC_ROUTES}cart"), route(&live(2)));
    let output = run(&folder, &["route/cart"]);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("tr/cart, httproutes/cart"), "{said}");
    assert_eq!(run(&folder, &["tr/cart"]).status.code(), Some(0));
}

#[test]
fn a_gateway_is_waited_for_until_it_is_programmed_or_what_is_asked() {
    let (api, folder) = Api::start();
    let conditions = json!([
        {"type": "Accepted", "status": "True", "reason": "Accepted", "observedGeneration": 1},
        {"type": "Programmed", "status": "False", "reason": "AddressNotAssigned", "message": "no address is left",
         "observedGeneration": 1}]);
    let gateway = json!({"metadata": {"name": "web", "namespace": "shop", "generation": 1},
        "status": {"conditions": conditions}});
    api.put(format!("{GATEWAYS}web"), gateway);
    let output = run(&folder, &["gateway/web", "--timeout", "0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("AddressNotAssigned (no address is left)"));
    let output = run(&folder, &["gateway/web", "--for", "accepted"]);
    assert_eq!(text(&output.stdout), "Gateway shop/web is Accepted\n");
    let output = run(&folder, &["gateway/web", "--for", "Live"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("there are Programmed, Accepted"));
}

#[test]
fn what_is_not_there_and_an_api_server_that_is_away_are_told() {
    let (_api, folder) = Api::start();
    let output = run(&folder, &["route/nowhere", "-n", "other", "--timeout", "300ms"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(
        said.contains("route other/nowhere is not Live after 300ms:\n  there is none"),
        "{said}"
    );

    let gone = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    let config = folder.path().join("config");
    let away = std::fs::read_to_string(&config).expect("there");
    let mut away: Value = serde_json::from_str(&away).expect("JSON");
    away["clusters"][0]["cluster"]["server"] = json!(format!("http://{gone}"));
    std::fs::write(&config, away.to_string()).expect("written");
    let output = run(&folder, &["route/cart", "--timeout", "300ms"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("the API server"), "{}", text(&output.stderr));
}

#[test]
fn it_is_a_plugin_of_kubectl_by_its_name() {
    let (api, folder) = Api::start();
    api.put(format!("{ROUTES}cart"), route(&live(2)));
    let plugin = folder.path().join("kubectl-fairway");
    std::os::unix::fs::symlink(binary(), &plugin).expect("a link");
    let mut command = Command::new(plugin);
    command.env("KUBECONFIG", folder.path().join("config")).args(["wait", "route/cart"]);
    let output = command.output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}
