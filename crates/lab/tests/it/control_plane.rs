//! A real API server with its controllers comes, answers, and goes without a trace.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use fairway_api::vendor::{Channel, Version, gateway_api};
use fairway_lab::namespace::Namespace;
use fairway_lab::{Lab, Options};

fn lab(name: &str) -> Lab {
    Lab::start(&Options { name: name.to_owned() }).unwrap()
}

fn kubectl(lab: &Lab, arguments: &[&str]) -> String {
    let output = lab.kubectl().args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kubectl {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Asks until the answer is as it should be.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "{what} has not come in 30 s");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_real_api_server_takes_all_our_crds_and_its_controllers_work() {
    let mut lab = lab("test-plane");
    for (version, channel) in
        [(Version::V1_6_3, Channel::Experimental), (Version::V1_7_0, Channel::Experimental)]
    {
        let crds = gateway_api(version, channel).iter().map(|&(_, yaml)| yaml);
        lab.apply(&crds.collect::<Vec<_>>().join("\n---\n")).unwrap();
    }
    for (_, yaml) in fairway_api::crd::files() {
        lab.apply(&yaml).unwrap();
    }
    until("the kind TrafficRoute", || {
        let output = lab.kubectl().args(["get", "trafficroutes.fairway.dev"]).output().unwrap();
        output.status.success()
    });
    kubectl(&lab, &["create", "deployment", "echo", "--image=echo-basic", "--replicas=2"]);
    until("a pod for each replica", || {
        kubectl(&lab, &["get", "pods", "--output=name"]).lines().count() == 2
    });
    kubectl(&lab, &["delete", "deployment", "echo", "--cascade=foreground"]);
    until("the end of the pods", || {
        let pods = kubectl(
            &lab,
            &["get", "pods", "--output=jsonpath={.items[*].metadata.deletionTimestamp}"],
        );
        let all = kubectl(&lab, &["get", "pods", "--output=name"]);
        pods.split_whitespace().count() == all.lines().count()
    });
    // What is written survives a crash of the API server.
    kubectl(&lab, &["create", "namespace", "kept"]);
    let plane = lab.control_plane().unwrap();
    plane.stop_api_server();
    plane.start_api_server().unwrap();
    kubectl(&lab, &["get", "namespace", "kept"]);
}

#[test]
fn a_killed_lab_leaves_nothing_after_the_next_start() {
    let name = "test-killed";
    let mut killed = Command::new(env!("CARGO_BIN_EXE_fairway-lab"))
        .args(["up", "--name", name, "--gateway-api", "none"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_mins(15);
    while !Lab::find(name).is_ok_and(|found| found.folder.join("ready").is_file()) {
        assert!(killed.try_wait().unwrap().is_none(), "the lab has ended");
        assert!(Instant::now() < deadline, "the lab is not up after 15 minutes");
        std::thread::sleep(Duration::from_millis(100));
    }
    let mut kubectl = Lab::find(name).unwrap().kubectl().unwrap();
    let made =
        kubectl.args(["create", "deployment", "echo", "--image=echo-basic"]).output().unwrap();
    assert!(made.status.success());
    let pods = || {
        let names = fs::read_dir("/run/netns").unwrap().flatten().map(|entry| entry.file_name());
        names.filter(|file| file.to_string_lossy().starts_with("flpod-test-killed-")).count()
    };
    until("its pod", || pods() == 1);
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(Namespace::labs().unwrap().iter().any(|lab| lab == name), "it is left");

    drop(lab("test-next"));
    let left = Namespace::labs().unwrap();
    assert!(
        !left.iter().any(|lab| lab.starts_with("test-killed") || lab == "test-next"),
        "{left:?}"
    );
    assert_eq!(pods(), 0);
    assert!(!fs::exists("/run/fairway-lab/test-killed").unwrap());
}
