//! One container: started, looked after, restarted when it ends, and ended in order.

use std::{path::PathBuf, pin::pin, time::Duration};

use k8s_openapi::{
    api::core::v1::{Container, LifecycleHandler},
    jiff::Timestamp,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    environment::{self, Variables},
    ground::Near,
    launch::{self, Exit, Launch, Process},
    logs,
    pod::Home,
    privilege,
    probe::{self, Patient, Sign},
    root::{self, Bind, PROGRAMS, Root},
    status::{Ended, State, View},
    sys, volume,
};

/// The wait before the first restart; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LAST_WAIT: Duration = Duration::from_secs(10);

/// A container that ran for so long begins with the first wait again.
const PROVEN: Duration = Duration::from_secs(30);

/// Whether a container is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Restart {
    Always,
    OnFailure,
    Never,
}

/// One container's place in its pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Init(usize),
    Main(usize),
}

/// Runs a container until it has ended for good: stopped, or not to be started again.
#[derive(Debug)]
pub(super) struct Runner {
    pub(super) home: Home,
    pub(super) container: Container,
    pub(super) place: Place,
    pub(super) restart: Restart,
}

impl Runner {
    /// Its last end; nothing if it was stopped while it did not run.
    pub(super) async fn run(mut self) -> Option<Exit> {
        let mut wait = FIRST_WAIT;
        loop {
            let mut stopped = self.home.stop.clone();
            let launch = tokio::select! {
                launch = self.plan() => launch,
                _ = stopped.wait_for(Option::is_some) => return None,
            };
            let began = Instant::now();
            match self.start(launch).await {
                Ok(process) => {
                    let exit = self.attend(process).await;
                    let again = match self.restart {
                        Restart::Always => true,
                        Restart::OnFailure => exit.code != 0,
                        Restart::Never => false,
                    };
                    if !again || self.home.stop.borrow().is_some() {
                        return Some(exit);
                    }
                }
                Err(message) => self.wait_for("RunContainerError", message),
            }
            if began.elapsed() > PROVEN {
                wait = FIRST_WAIT;
            }
            tokio::select! {
                () = sleep(wait) => {}
                _ = stopped.wait_for(Option::is_some) => return None,
            }
            self.view(|view| view.restarts += 1);
            wait = (wait * 2).min(LAST_WAIT);
        }
    }

    fn view(&self, change: impl FnOnce(&mut View)) {
        self.home.report.send_modify(|report| {
            let view = match self.place {
                Place::Init(place) => report.init.get_mut(place),
                Place::Main(place) => report.main.get_mut(place),
            };
            change(view.expect("a report has a place for each container"));
        });
    }

    fn wait_for(&self, reason: &'static str, message: String) {
        self.view(|view| view.state = State::Waiting { reason, message });
    }

    fn log(&self) -> PathBuf {
        let pod = self.home.pod.borrow();
        logs::path(
            &self.home.ground.settings.directory,
            pod.metadata.namespace.as_deref().unwrap_or_default(),
            pod.metadata.name.as_deref().unwrap_or_default(),
            &self.container.name,
        )
    }

    /// What to start, once everything that it needs is there.
    async fn plan(&mut self) -> Launch {
        let mut changed = self.home.ground.changed.clone();
        loop {
            changed.mark_unchanged();
            match self.try_plan() {
                Ok(launch) => return launch,
                Err((reason, message)) => self.wait_for(reason, message),
            }
            // When the watches have ended, so does the node: nothing more comes.
            if changed.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    fn try_plan(&self) -> Result<Launch, (&'static str, String)> {
        let config = |message| ("CreateContainerConfigError", message);
        let ground = &self.home.ground;
        let pod = self.home.pod_with_address();
        let image = self.container.image.as_deref().unwrap_or_default();
        let (name, program) = ground.program(image).map_err(|message| ("ErrImagePull", message))?;
        let tokens = self.home.tokens();
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        let near = Near { ground, namespace, tokens: &tokens };
        let variables =
            environment::variables(&self.container, &pod, &near, self.home.given_variables())
                .map_err(config)?;
        let expand = |list: &Option<Vec<String>>| {
            let list = list.clone().filter(|list| !list.is_empty());
            list.map(|list| {
                list.iter().map(|text| environment::expand(text, &variables)).collect::<Vec<_>>()
            })
        };
        let (command, arguments) = (expand(&self.container.command), expand(&self.container.args));
        let inside = format!("{PROGRAMS}/{name}");
        let (program_inside, arguments) = match command {
            None => {
                let rest = arguments.unwrap_or_else(|| program.args.clone());
                (inside.clone(), [program.entrypoint.clone(), rest].concat())
            }
            Some(mut command) => {
                let first = command.remove(0);
                // The program of the image is where this lab put it, wherever the image has it.
                let own = first.rsplit('/').next() == Some(name);
                (
                    if own { inside.clone() } else { first },
                    [command, arguments.unwrap_or_default()].concat(),
                )
            }
        };
        let privilege = privilege::steps(&pod, &self.container, program.user).map_err(config)?;
        let network =
            self.home.network().map_err(|error| ("RunContainerError", error.to_string()))?;
        let root =
            self.root(Bind { from: program.path.clone(), to: inside.into(), read_only: true });
        let mut steps = root::steps(&root, network)
            .map_err(|error| ("RunContainerError", error.to_string()))?;
        steps.extend(privilege);
        steps.extend([sys::Step::Session, sys::Step::DieWithParent]);
        let environment = Variables::into_iter(variables).collect();
        Ok(Launch { program: program_inside, arguments, environment, steps, log: self.log() })
    }

    fn root(&self, program: Bind) -> Root {
        let pod = self.home.pod.borrow().clone();
        let mut binds = vec![program];
        for mount in self.container.volume_mounts.iter().flatten() {
            let mut from = volume::directory(&self.home.directory, &mount.name);
            if let Some(path) = mount.sub_path.as_deref().filter(|path| !path.is_empty()) {
                from = from.join(path);
            }
            // Through the links, as a bind mount of what stands behind them now (as kubelet does).
            let from = from.canonicalize().unwrap_or(from);
            let scratch = self.home.is_scratch(&mount.name);
            let read_only = mount.read_only.unwrap_or(false) || !scratch;
            binds.push(Bind { from, to: mount.mount_path.clone().into(), read_only });
        }
        let spec = pod.spec.as_ref();
        let security = spec.and_then(|spec| spec.security_context.as_ref());
        let sysctls = security.iter().flat_map(|security| security.sysctls.iter().flatten());
        let own = self.container.security_context.as_ref();
        Root {
            at: self.home.directory.join("root"),
            host_name: pod.metadata.name.clone().unwrap_or_default().chars().take(63).collect(),
            names: self.home.ground.names(),
            binds,
            sysctls: sysctls.map(|sysctl| (sysctl.name.clone(), sysctl.value.clone())).collect(),
            working_directory: self
                .container
                .working_dir
                .clone()
                .unwrap_or_else(|| "/".to_owned())
                .into(),
            read_only: own.and_then(|own| own.read_only_root_filesystem).unwrap_or(false),
        }
    }

    async fn start(&self, launch: Launch) -> Result<Process, String> {
        let _permit = self.home.ground.starting.acquire().await;
        let program = launch.program.clone();
        let started = launch::launch(launch).await;
        started.map_err(|error| {
            format!("start {program}: {error}\n{}", logs::last_lines(&self.log(), 3))
        })
    }

    /// Looks after a process until it has ended, whoever ended it.
    async fn attend(&self, process: Process) -> Exit {
        let since = Timestamp::now();
        self.view(|view| view.state = State::Running { since });
        let mut exit = process.exit;
        let patient =
            Patient { container: &self.container, address: self.home.address, process: process.id };
        let health = probe::attend(&patient, |sign| {
            self.view(|view| match sign {
                Sign::Started => view.started = true,
                Sign::Ready(ready) => view.ready = ready,
            });
        });
        let mut health = pin!(health);
        let mut stop = self.home.stop.clone();
        let mut ill = None;
        let ended = tokio::select! {
            ended = &mut exit => Some(ended),
            message = &mut health => { ill = Some(message); None }
            _ = stop.wait_for(Option::is_some) => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None if ill.is_some() => self.end(process.id, &patient, &mut exit).await,
            // While it ends, its readiness still counts: what it serves until then is served.
            None => tokio::select! {
                ended = self.end(process.id, &patient, &mut exit) => ended,
                never = async { health.await; std::future::pending().await } => never,
            },
        };
        let exit = ended.unwrap_or(Exit { code: 255, signal: None });
        let log = if exit.code == 0 { String::new() } else { logs::last_lines(&self.log(), 5) };
        let message = ill.map_or(log.clone(), |ill| format!("{ill}\n{log}"));
        self.ended(exit, since, message);
        exit
    }

    fn ended(&self, exit: Exit, since: Timestamp, message: String) {
        let end = Ended { exit, since, until: Timestamp::now(), message };
        let stopped = self.home.stop.borrow().is_some();
        let again = match self.restart {
            Restart::Always => !stopped,
            Restart::OnFailure => !stopped && exit.code != 0,
            Restart::Never => false,
        };
        self.view(|view| {
            view.ready = false;
            view.started = false;
            if again {
                let message = "back-off restarting failed container".to_owned();
                view.state = State::Waiting { reason: "CrashLoopBackOff", message };
                view.last = Some(end);
            } else {
                view.state = State::Ended(end);
            }
        });
    }

    /// Ends a process: its hook, SIGTERM, and SIGKILL when its time is over.
    async fn end(
        &self,
        process: u32,
        patient: &Patient<'_>,
        exit: &mut tokio::sync::oneshot::Receiver<Exit>,
    ) -> Result<Exit, tokio::sync::oneshot::error::RecvError> {
        let mut stop = self.home.stop.clone();
        let grace = stop.borrow_and_update().unwrap_or_else(|| self.home.grace());
        let deadline = Instant::now() + grace;
        let hook =
            self.container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref());
        if let Some(hook) = hook {
            tokio::select! {
                ended = &mut *exit => return ended,
                () = until(deadline, stop.clone()) => {}
                result = timeout(grace, run_hook(hook, patient)) => {
                    if let Ok(Err(message)) = result {
                        tracing::warn!("preStop hook of {}: {message}", self.container.name);
                    }
                }
            }
        }
        sys::signal(process, libc::SIGTERM);
        tokio::select! {
            ended = &mut *exit => return ended,
            () = until(deadline, stop) => sys::signal_session(process, libc::SIGKILL),
        }
        exit.await
    }
}

/// Waits for the deadline, which comes earlier when the grace period is cut short.
async fn until(mut deadline: Instant, mut stop: watch::Receiver<Option<Duration>>) {
    loop {
        tokio::select! {
            () = sleep_until(deadline) => return,
            changed = stop.changed() => {
                if changed.is_err() {
                    return sleep_until(deadline).await;
                }
                let grace = stop.borrow_and_update().unwrap_or_default();
                deadline = deadline.min(Instant::now() + grace);
            }
        }
    }
}

async fn run_hook(hook: &LifecycleHandler, patient: &Patient<'_>) -> Result<(), String> {
    if let Some(action) = &hook.exec {
        probe::exec(patient.process, action).await
    } else if let Some(action) = &hook.http_get {
        probe::get(patient, action).await
    } else {
        let seconds =
            hook.sleep.as_ref().map_or(0, |sleep| u64::try_from(sleep.seconds).unwrap_or(0));
        sleep(Duration::from_secs(seconds)).await;
        Ok(())
    }
}
