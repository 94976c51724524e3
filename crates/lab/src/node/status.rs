//! A pod's status, from what is known of its containers: a pure function.

use std::net::Ipv4Addr;

use k8s_openapi::{
    api::core::v1::{
        Container, ContainerState, ContainerStateRunning, ContainerStateTerminated,
        ContainerStateWaiting, ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodStatus,
    },
    apimachinery::pkg::apis::meta::v1::Time,
    jiff::Timestamp,
};

use super::launch::Exit;

/// What a container does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// It does not run, and why.
    Waiting { reason: &'static str, message: String },
    /// It runs.
    Running { since: Timestamp },
    /// It has ended.
    Ended(Ended),
}

/// How a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) exit: Exit,
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
    pub(super) message: String,
}

/// All that is known of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub(super) state: State,
    pub(super) last: Option<Ended>,
    pub(super) restarts: i32,
    pub(super) started: bool,
    pub(super) ready: bool,
}

impl View {
    pub(super) const fn new() -> Self {
        let state = State::Waiting { reason: "ContainerCreating", message: String::new() };
        Self { state, last: None, restarts: 0, started: false, ready: false }
    }
}

/// All that is known of one pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) since: Timestamp,
    pub(super) address: Option<Ipv4Addr>,
    pub(super) host: Ipv4Addr,
    pub(super) init: Vec<View>,
    pub(super) main: Vec<View>,
    /// All init containers have done their work.
    pub(super) initialized: bool,
    /// No container will start again.
    pub(super) finished: bool,
}

impl Report {
    pub(super) fn new(pod: &Pod, host: Ipv4Addr, since: Timestamp) -> Self {
        let spec = pod.spec.as_ref();
        let init = spec.and_then(|spec| spec.init_containers.as_ref()).map_or(0, Vec::len);
        let main = spec.map_or(0, |spec| spec.containers.len());
        Self {
            since,
            address: None,
            host,
            init: vec![View::new(); init],
            main: vec![View::new(); main],
            initialized: false,
            finished: false,
        }
    }
}

/// The status to write. A condition keeps its time while its status stays as it was in `before`.
pub(super) fn render(
    pod: &Pod,
    report: &Report,
    before: Option<&PodStatus>,
    now: Timestamp,
) -> PodStatus {
    let spec = pod.spec.clone().unwrap_or_default();
    let main = container_statuses(&spec.containers, &report.main);
    let init =
        container_statuses(spec.init_containers.as_deref().unwrap_or_default(), &report.init);
    let unready: Vec<&str> =
        main.iter().filter(|status| !status.ready).map(|status| status.name.as_str()).collect();
    let unready_message = format!("containers with unready status: [{}]", unready.join(" "));
    let containers = Truth::of(unready.is_empty(), "ContainersNotReady", &unready_message);
    let initialized =
        Truth::of(report.initialized, "ContainersNotInitialized", "init containers have not ended");
    let closed = closed_gate(pod);
    let ready = match closed {
        Some(gate) if unready.is_empty() => {
            Truth::of(false, "ReadinessGatesNotReady", &format!("condition {gate} is not True"))
        }
        _ => containers.clone(),
    };
    let conditions = [
        ("PodScheduled", Truth::of(true, "", "")),
        ("PodReadyToStartContainers", Truth::of(report.address.is_some(), "", "")),
        ("Initialized", initialized),
        ("ContainersReady", containers),
        ("Ready", ready),
    ];
    let old = |kind: &str| {
        before.iter().flat_map(|it| it.conditions.iter().flatten()).find(|it| it.type_ == kind)
    };
    let conditions =
        conditions.into_iter().map(|(kind, truth)| truth.condition(kind, old(kind), now)).collect();
    PodStatus {
        phase: Some(phase(report).to_owned()),
        conditions: Some(conditions),
        container_statuses: Some(main),
        init_container_statuses: (!init.is_empty()).then_some(init),
        host_ip: Some(report.host.to_string()),
        host_ips: Some(vec![HostIP { ip: report.host.to_string() }]),
        pod_ip: report.address.map(|address| address.to_string()),
        pod_ips: report.address.map(|address| vec![PodIP { ip: address.to_string() }]),
        start_time: Some(Time(report.since)),
        observed_generation: pod.metadata.generation,
        ..PodStatus::default()
    }
}

fn phase(report: &Report) -> &'static str {
    let ends = report.init.iter().chain(&report.main).filter_map(|view| match &view.state {
        State::Ended(ended) => Some(ended.exit.code),
        State::Waiting { .. } | State::Running { .. } => None,
    });
    if report.finished {
        return if ends.into_iter().all(|code| code == 0) { "Succeeded" } else { "Failed" };
    }
    let has_run = |view: &View| view.last.is_some() || !matches!(view.state, State::Waiting { .. });
    if report.main.iter().any(has_run) { "Running" } else { "Pending" }
}

/// The first of the pod's readiness gates that is not open.
fn closed_gate(pod: &Pod) -> Option<&str> {
    let conditions = || pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let gates = pod.spec.iter().flat_map(|spec| spec.readiness_gates.iter().flatten());
    gates.map(|gate| gate.condition_type.as_str()).find(|gate| {
        !conditions().any(|condition| condition.type_ == *gate && condition.status == "True")
    })
}

#[derive(Debug, Clone)]
struct Truth {
    holds: bool,
    reason: Option<String>,
    message: Option<String>,
}

impl Truth {
    fn of(holds: bool, reason: &str, message: &str) -> Self {
        let text = |text: &str| (!holds && !text.is_empty()).then(|| text.to_owned());
        Self { holds, reason: text(reason), message: text(message) }
    }

    fn condition(self, kind: &str, old: Option<&PodCondition>, now: Timestamp) -> PodCondition {
        let status = if self.holds { "True" } else { "False" };
        let since =
            old.filter(|old| old.status == status).and_then(|old| old.last_transition_time.clone());
        PodCondition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: self.reason,
            message: self.message,
            last_transition_time: Some(since.unwrap_or(Time(now))),
            ..PodCondition::default()
        }
    }
}

fn container_statuses(containers: &[Container], views: &[View]) -> Vec<ContainerStatus> {
    containers
        .iter()
        .zip(views)
        .map(|(container, view)| {
            let image = container.image.clone().unwrap_or_default();
            ContainerStatus {
                name: container.name.clone(),
                image_id: image.clone(),
                image,
                ready: view.ready,
                started: Some(view.started),
                restart_count: view.restarts,
                state: Some(state(&view.state)),
                last_state: Some(view.last.clone().map(ended).unwrap_or_default()),
                ..ContainerStatus::default()
            }
        })
        .collect()
}

fn state(state: &State) -> ContainerState {
    match state {
        State::Waiting { reason, message } => ContainerState {
            waiting: Some(ContainerStateWaiting {
                reason: Some((*reason).to_owned()),
                message: (!message.is_empty()).then(|| message.clone()),
            }),
            ..ContainerState::default()
        },
        State::Running { since } => ContainerState {
            running: Some(ContainerStateRunning { started_at: Some(Time(*since)) }),
            ..ContainerState::default()
        },
        State::Ended(end) => ended(end.clone()),
    }
}

fn ended(end: Ended) -> ContainerState {
    let reason = if end.exit.code == 0 { "Completed" } else { "Error" };
    ContainerState {
        terminated: Some(ContainerStateTerminated {
            exit_code: end.exit.code,
            signal: end.exit.signal,
            reason: Some(reason.to_owned()),
            message: (!end.message.is_empty()).then_some(end.message),
            started_at: Some(Time(end.since)),
            finished_at: Some(Time(end.until)),
            container_id: None,
        }),
        ..ContainerState::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "`json!` makes values")]
    fn pod(gates: serde_json::Value, conditions: serde_json::Value) -> Pod {
        serde_json::from_value(json!({
            "spec": {"containers": [{"name": "cart", "image": "echo-basic"}], "readinessGates": gates},
            "status": {"conditions": conditions},
        }))
        .unwrap()
    }

    fn report(pod: &Pod, ready: bool) -> Report {
        let now = Timestamp::UNIX_EPOCH;
        let mut report = Report::new(pod, Ipv4Addr::new(10, 244, 0, 1), now);
        report.initialized = true;
        report.main[0].state = State::Running { since: now };
        report.main[0].ready = ready;
        report
    }

    fn ready(status: &PodStatus) -> &PodCondition {
        status.conditions.as_ref().unwrap().iter().find(|it| it.type_ == "Ready").unwrap()
    }

    #[test]
    fn a_pod_is_ready_with_its_containers_and_gates() {
        let now = Timestamp::UNIX_EPOCH;
        let plain = pod(json!([]), json!([]));
        assert_eq!(ready(&render(&plain, &report(&plain, true), None, now)).status, "True");
        let not = render(&plain, &report(&plain, false), None, now);
        assert_eq!(ready(&not).message.as_deref(), Some("containers with unready status: [cart]"));
        let gate = json!([{"conditionType": "example.com/ok"}]);
        let closed = pod(gate.clone(), json!([]));
        assert_eq!(ready(&render(&closed, &report(&closed, true), None, now)).status, "False");
        let open = pod(gate, json!([{"type": "example.com/ok", "status": "True"}]));
        assert_eq!(ready(&render(&open, &report(&open, true), None, now)).status, "True");
    }

    #[test]
    fn a_condition_keeps_its_time_while_it_stays_the_same() {
        let pod = pod(json!([]), json!([]));
        let (first, later) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(60).unwrap());
        let before = render(&pod, &report(&pod, true), None, first);
        let same = render(&pod, &report(&pod, true), Some(&before), later);
        assert_eq!(ready(&same).last_transition_time, Some(Time(first)));
        let other = render(&pod, &report(&pod, false), Some(&before), later);
        assert_eq!(ready(&other).last_transition_time, Some(Time(later)));
    }
}
