//! A lab with Fairway in it, for tests and benchmarks: started, asked, stopped.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use fairway_api::vendor::{Channel, Version, gateway_api};
use fairway_lab::node::Program;
use fairway_lab::{Lab, Options};

/// The program under test, of the same profile as this one.
const BINARY: &str = env!("CARGO_BIN_EXE_fairway");

/// One at a time: each is several programs, and the machine is small.
static ONE: Mutex<()> = Mutex::new(());

/// A Gateway, and a backend for routes to lead to; more documents may follow.
pub(crate) const WORLD: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web, namespace: shop}
spec:
  gatewayClassName: fairway
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo, namespace: shop}
spec:
  replicas: 1
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      containers:
      - name: echo
        image: fairway
        args: [echo, --listen, '0.0.0.0:8080']
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: shop}
spec:
  selector: {app: echo}
  ports: [{port: 80, targetPort: 8080}]
---
";

/// How long is waited for what surely comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A lab with Fairway in it.
pub(crate) struct Cluster {
    controller: Option<Child>,
    pub(crate) lab: Lab,
    name: &'static str,
    _one: MutexGuard<'static, ()>,
}

impl Cluster {
    pub(crate) fn start(name: &'static str) -> Self {
        Self::with(name, Version::V1_6_3)
    }

    pub(crate) fn with(name: &'static str, version: Version) -> Self {
        let one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        let mut lab = Lab::start(&Options { name: name.to_owned() }).expect("a lab");
        let mut images = lab.images();
        images.insert("fairway".to_owned(), Program::new(BINARY));
        lab.start_node(images).expect("a node");
        let upstream = gateway_api(version, Channel::Experimental).iter();
        let upstream = upstream.map(|&(_, yaml)| yaml.to_owned());
        let ours = fairway_api::crd::files().into_iter().map(|(_, yaml)| yaml);
        let all: Vec<String> = upstream.chain(ours).collect();
        lab.apply(&all.join("\n---\n")).expect("CRDs");
        lab.apply("{apiVersion: v1, kind: Namespace, metadata: {name: fairway-system}}")
            .expect("a namespace");
        let class = "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\n\
            metadata: {name: fairway}\nspec: {controllerName: fairway.dev/controller}\n";
        let mut cluster = Self { controller: None, lab, name, _one: one };
        // Kinds are served a moment after their CRDs are taken.
        cluster.until("the class", |cluster| cluster.lab.apply(class).is_ok());
        cluster.start_controller();
        cluster
    }

    pub(crate) fn start_controller(&mut self) {
        self.start_controller_with(&[]);
    }

    pub(crate) fn start_controller_with(&mut self, arguments: &[&str]) {
        let log = File::options().create(true).append(true).open(self.log()).expect("a log");
        let mut command = self.lab.namespace().command(BINARY);
        command
            .args(["controller", "--address-pool", "10.245.0.0/16"])
            .args(["--advertise", "10.244.0.1:7443", "--stream", "10.244.0.1:7443"])
            .args(["--health", "10.244.0.1:8081", "--image", "fairway"])
            .args(arguments)
            .env("KUBECONFIG", self.lab.kubeconfig())
            .env("RUST_LOG", "info,kube_client=off")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        self.controller = Some(command.spawn().expect("a controller"));
    }

    /// Gives the controller's process, if it runs.
    pub(crate) fn controller(&self) -> Option<u32> {
        // `ip netns exec` becomes the program itself.
        self.controller.as_ref().map(Child::id)
    }

    /// Says whether the controller that was started last has not ended.
    pub(crate) fn controller_runs(&mut self) -> bool {
        self.controller.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Kills the controller, as a lost node does.
    pub(crate) fn kill_controller(&mut self) {
        if let Some(mut controller) = self.controller.take() {
            controller.kill().expect("it ran");
            controller.wait().expect("it has ended");
        }
    }

    /// What the controller has said, all of them one after another.
    pub(crate) fn log(&self) -> PathBuf {
        std::env::temp_dir().join(format!("fairway-{}-controller.log", self.name))
    }

    pub(crate) fn apply(&self, yaml: &str) {
        self.until("the API server to take it", |cluster| match cluster.lab.apply(yaml) {
            Ok(_) => true,
            Err(error) => {
                // A kind that is not served yet is; anything else is a mistake of the test.
                let error = error.to_string();
                assert!(error.contains("no matches for kind"), "{error}");
                false
            }
        });
    }

    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.lab.kubectl().args(arguments).output().expect("kubectl");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn get(&self, object: &str, path: &str) -> String {
        self.kubectl(&["--namespace=shop", "get", object, &format!("--output=jsonpath={path}")])
    }

    /// Gives a command that runs inside the lab.
    pub(crate) fn command(&self, program: &str) -> Command {
        self.lab.namespace().command(program)
    }

    /// Asks until the answer is as it should be.
    pub(crate) fn until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            let log = std::fs::read_to_string(self.log()).unwrap_or_default();
            assert!(Instant::now() < deadline, "waited in vain for {what}; controller:\n{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(mut controller) = self.controller.take() {
            // The lab's end would kill it too.
            drop(controller.kill().and_then(|()| controller.wait()));
        }
    }
}
