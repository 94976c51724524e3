//! Pods without containers, on a real API server: they run, wait, end, and leave nothing.

use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use fairway_lab::{Lab, Options, node::Program};

/// A lab with a node.
pub(super) struct Cluster {
    pub(super) lab: Lab,
}

impl Cluster {
    pub(super) fn start(name: &str) -> Self {
        let mut lab = Lab::start(&Options { name: name.to_owned() }).unwrap();
        let mut images = lab.images();
        images.insert("sh".to_owned(), Program::new("/bin/sh"));
        lab.start_node(images).unwrap();
        Self { lab }
    }

    pub(super) fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.lab.kubectl().args(arguments).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(super) fn get(&self, object: &str, path: &str) -> String {
        self.kubectl(&["get", object, &format!("--output=jsonpath={path}")])
    }

    /// What an HTTP server answers, asked from inside the lab.
    pub(super) fn ask(&self, url: &str) -> Option<String> {
        let mut curl = self.lab.namespace().command("curl");
        let output = curl
            .args(["--silent", "--fail", "--max-time", "2", url])
            .stderr(Stdio::null())
            .output()
            .unwrap();
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Asks until the answer is as it should be.
pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} has not come in 30 s");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn pod(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: default}}\nspec: {spec}\n"
    )
}

fn shell(script: &str) -> String {
    format!("{{name: main, image: sh, args: [-c, '{script}']}}")
}

fn namespaces(lab: &str) -> Vec<String> {
    let list = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    let names = list.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(&format!("flpod-{lab}-"))).collect()
}

#[test]
fn a_deployment_answers_through_its_service_logs_and_leaves_nothing() {
    let cluster = Cluster::start("test-node");
    cluster.kubectl(&[
        "create",
        "deployment",
        "echo",
        "--image=registry.example/echo-basic:v1",
        "--replicas=2",
    ]);
    cluster.kubectl(&["expose", "deployment", "echo", "--port=80", "--target-port=3000"]);
    let address = cluster.get("service/echo", "{.spec.clusterIP}");
    until("two ready pods", || cluster.get("deployment/echo", "{.status.readyReplicas}") == "2");
    until("an answer of the service", || cluster.ask(&format!("http://{address}/seen")).is_some());
    let pods = cluster.kubectl(&["get", "pods", "--output=name"]);
    until("the request in a log", || {
        pods.lines().any(|pod| cluster.kubectl(&["logs", pod, "--since=1h"]).contains("/seen"))
    });
    assert_eq!(namespaces("test-node").len(), 2);
    cluster.kubectl(&["delete", "deployment", "echo", "--cascade=foreground", "--wait"]);
    until("the end of the pods", || cluster.kubectl(&["get", "pods", "--output=name"]).is_empty());
    until("the end of their namespaces", || namespaces("test-node").is_empty());
    assert_eq!(fs::read_dir(cluster.lab.folder().join("node/pods")).unwrap().count(), 0);
}

#[test]
fn a_pod_waits_for_its_volumes_and_sees_them_change() {
    let cluster = Cluster::start("test-volumes");
    let spec = "
  containers: [{name: main, image: echo-basic, volumeMounts: [{name: tls, mountPath: /etc/secret-volume}]}]
  volumes: [{name: tls, secret: {secretName: late, items: [{key: tls.crt, path: crt}]}}]";
    cluster.lab.apply(&pod("web", spec)).unwrap();
    until("the reason", || {
        let waiting = cluster.get("pod/web", "{.status.containerStatuses[0].state.waiting}");
        waiting.contains("ContainerCreating") && waiting.contains("late")
    });
    assert_eq!(
        cluster.get("pod/web", "{.status.conditions[?(@.type==\"Ready\")].status}"),
        "False"
    );
    cluster.kubectl(&["create", "secret", "generic", "late", "--from-literal=tls.crt=one"]);
    cluster.kubectl(&["wait", "pod/web", "--for=condition=Ready", "--timeout=20s"]);
    let uid = cluster.get("pod/web", "{.metadata.uid}");
    let file = cluster.lab.folder().join(format!("node/pods/{uid}/volumes/tls/crt"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "one");
    cluster.kubectl(&[
        "patch",
        "secret",
        "late",
        "--patch={\"stringData\": {\"tls.crt\": \"two\"}}",
    ]);
    until("the new content", || fs::read_to_string(&file).is_ok_and(|text| text == "two"));

    // What a process sees of it, of itself, of the API server and of names.
    let script = "cat /etc/config/a; echo $NAME-$POD_IP; cut -c1-3 /var/run/secrets/kubernetes.io/serviceaccount/token; \
        grep kubernetes.default.svc /etc/hosts; id -u; touch /scratch/x && echo wrote; touch /etc/config/x; sleep 60";
    let spec = format!(
        "
  securityContext: {{runAsUser: 65532, runAsGroup: 7}}
  containers:
  - name: main
    image: sh
    args: [-c, '{script}']
    env:
    - {{name: NAME, valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}}}
    - {{name: POD_IP, valueFrom: {{fieldRef: {{fieldPath: status.podIP}}}}}}
    volumeMounts: [{{name: map, mountPath: /etc/config}}, {{name: scratch, mountPath: /scratch}}]
  volumes: [{{name: map, configMap: {{name: settings}}}}, {{name: scratch, emptyDir: {{}}}}]"
    );
    cluster.kubectl(&["create", "configmap", "settings", "--from-literal=a=from-the-map\n"]);
    cluster.lab.apply(&pod("inside", &spec)).unwrap();
    until("its output", || cluster.kubectl(&["logs", "inside"]).contains("wrote"));
    let address = cluster.get("pod/inside", "{.status.podIP}");
    until("its last word", || {
        cluster.kubectl(&["logs", "inside"]).contains("Read-only file system")
    });
    let log = cluster.kubectl(&["logs", "inside"]);
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.first(), Some(&"from-the-map"), "{log}");
    assert_eq!(lines.get(1), Some(&format!("inside-{address}").as_str()), "{log}");
    assert_eq!(lines.get(2), Some(&"eyJ"), "{log}");
    assert!(lines.get(3).is_some_and(|line| line.starts_with("10.96.0.1 ")), "{log}");
    assert_eq!(lines.get(4), Some(&"65532"), "{log}");
}

#[test]
fn what_ends_is_started_again_and_what_is_done_stays_done() {
    let cluster = Cluster::start("test-ends");
    cluster
        .lab
        .apply(&pod("crash", &format!("{{containers: [{}]}}", shell("echo oh no; exit 3"))))
        .unwrap();
    until("some restarts", || {
        cluster.get("pod/crash", "{.status.containerStatuses[0].restartCount}").parse().unwrap_or(0)
            >= 3
    });
    let last = "{.status.containerStatuses[0].lastState.terminated.exitCode}";
    assert_eq!(cluster.get("pod/crash", last), "3");
    assert_eq!(
        cluster.get("pod/crash", "{.status.conditions[?(@.type==\"Ready\")].status}"),
        "False"
    );

    let spec = format!("{{restartPolicy: Never, containers: [{}]}}", shell("true"));
    cluster.lab.apply(&pod("done", &spec)).unwrap();
    until("the end", || cluster.get("pod/done", "{.status.phase}") == "Succeeded");

    let spec = format!(
        "{{initContainers: [{{name: first, image: sh, args: [-c, 'sleep 0.3']}}], containers: [{}]}}",
        shell("trap \"\" TERM; while true; do sleep 0.1; done")
    );
    cluster.lab.apply(&pod("stubborn", &spec)).unwrap();
    cluster.kubectl(&["wait", "pod/stubborn", "--for=condition=Ready", "--timeout=20s"]);
    let began = Instant::now();
    cluster.kubectl(&["delete", "pod", "stubborn", "--grace-period=1"]);
    assert!(began.elapsed() >= Duration::from_millis(900), "it has its grace");
    assert!(began.elapsed() < Duration::from_secs(10), "and no more");

    let probe = "readinessProbe: {httpGet: {path: /health, port: 3000}, periodSeconds: 1}";
    let spec = format!("{{containers: [{{name: main, image: echo-basic, {probe}}}]}}");
    cluster.lab.apply(&pod("probed", &spec)).unwrap();
    cluster.kubectl(&["wait", "pod/probed", "--for=condition=Ready", "--timeout=20s"]);
    cluster.lab.apply(&pod("unknown", "{containers: [{name: main, image: postgres}]}")).unwrap();
    until("the reason", || {
        cluster.get("pod/unknown", "{.status.containerStatuses[0].state.waiting.reason}")
            == "ErrImagePull"
    });
    let directory = cluster.lab.folder().to_path_buf();
    drop(cluster);
    assert_eq!(namespaces("test-ends"), Vec::<String>::new());
    assert!(!Path::new(&directory).exists());
}

#[test]
fn a_restricted_pod_gets_what_it_may_and_no_more() {
    let cluster = Cluster::start("test-restricted");
    let script = "touch /data/x && touch /forbidden; grep NoNewPrivs /proc/self/status; id; hostname; \
        trap \"echo asked; exit 0\" TERM; touch /data/well; while true; do sleep 0.1; done";
    let spec = format!(
        "
  securityContext: {{runAsNonRoot: true, runAsUser: 65532, fsGroup: 77, seccompProfile: {{type: RuntimeDefault}},
    sysctls: [{{name: net.ipv4.ip_unprivileged_port_start, value: \"80\"}}]}}
  containers:
  - name: main
    image: sh
    args: [-c, 'cat /proc/sys/net/ipv4/ip_unprivileged_port_start; {script}']
    securityContext: {{allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
    readinessProbe: {{exec: {{command: [test, -e, /data/well]}}, periodSeconds: 1, failureThreshold: 1}}
    lifecycle: {{preStop: {{exec: {{command: [rm, /data/x]}}}}}}
    volumeMounts: [{{name: data, mountPath: /data}}]
  volumes: [{{name: data, emptyDir: {{}}}}]"
    );
    cluster.lab.apply(&pod("careful", &spec)).unwrap();
    cluster.kubectl(&["wait", "pod/careful", "--for=condition=Ready", "--timeout=20s"]);
    let log = cluster.kubectl(&["logs", "careful"]);
    assert_eq!(log.lines().next(), Some("80"), "{log}");
    assert!(log.contains("/forbidden': Read-only file system"), "{log}");
    assert!(log.contains("NoNewPrivs:\t1"), "{log}");
    assert!(log.contains("uid=65532 gid=0(root) groups=0(root),77"), "{log}");
    assert!(log.lines().any(|line| line == "careful"), "{log}");
    let uid = cluster.get("pod/careful", "{.metadata.uid}");
    fs::remove_file(cluster.lab.folder().join(format!("node/pods/{uid}/volumes/data/well")))
        .unwrap();
    cluster.kubectl(&["wait", "pod/careful", "--for=condition=Ready=false", "--timeout=20s"]);
    cluster.kubectl(&["delete", "pod", "careful", "--wait=false"]);
    let own = cluster.lab.folder().join("node/logs/default_careful_main.log");
    until("its last word", || fs::read_to_string(&own).is_ok_and(|log| log.contains("asked")));

    let root = "{securityContext: {runAsNonRoot: true}, containers: [{name: main, image: sh}]}";
    cluster.lab.apply(&pod("root", root)).unwrap();
    until("the reason", || {
        cluster.get("pod/root", "{.status.containerStatuses[0].state.waiting.reason}")
            == "CreateContainerConfigError"
    });
}
