//! `fairway wait`: until an object in a cluster is served, or the time is over.

mod judge;
pub(crate) mod target;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use fairway_translate::Kind;
use kube::Client;
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;

use crate::cli::WaitArgs;
use crate::output;
use judge::{Standing, conditions, judge};
use target::{Target, is_name, word};

/// Between two looks at the object.
const PAUSE: Duration = Duration::from_millis(200);

/// How long the API server may take to answer once.
const ANSWER: Duration = Duration::from_secs(10);

/// Exits with 0 when it is so, with 1 when the time is over.
///
/// # Errors
/// There is no cluster to ask, it does not let us, or several objects have the name.
pub(crate) fn wait(args: &WaitArgs) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting to wait")?;
    runtime.block_on(until_there(args))
}

async fn until_there(args: &WaitArgs) -> anyhow::Result<ExitCode> {
    check_condition(args)?;
    let (client, namespace) = connect(args).await?;
    if !is_name(&namespace) {
        bail!("{namespace:?} is not the name of a namespace");
    }
    let deadline = Instant::now() + args.timeout.0;
    let mut watch = Watch { client, namespace, args, kind: None };
    let mut told = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now()).min(ANSWER);
        let looked = tokio::time::timeout(left.max(PAUSE), watch.look()).await;
        let lines = match looked {
            Ok(Ok(Standing::There(message))) => {
                let more = if message.is_empty() { message } else { format!(": {message}") };
                output::print(&format!("{} is {}{more}\n", watch.name(), watch.wanted()))?;
                return Ok(ExitCode::SUCCESS);
            }
            Ok(Ok(Standing::NotYet(lines))) => lines,
            Ok(Err(Trouble::Passing(error))) => vec![format!("asking the API server: {error:#}")],
            Ok(Err(Trouble::Lasting(error))) => return Err(error),
            Err(_elapsed) => vec!["the API server does not answer".to_owned()],
        };
        if Instant::now() >= deadline {
            let words =
                format!("{} is not {} after {:?}", watch.name(), watch.wanted(), args.timeout.0);
            output::remark(&format!("{words}:\n  {}", lines.join("\n  ")));
            return Ok(ExitCode::FAILURE);
        }
        if lines != told {
            let words = format!("waiting for {} to be {}", watch.name(), watch.wanted());
            output::remark(&format!("{words}: {}", lines.join("; ")));
            told = lines;
        }
        let pause = PAUSE.min(deadline.saturating_duration_since(Instant::now()));
        tokio::time::sleep(pause).await;
    }
}

/// A slip in the condition's name would be waited for in vain.
fn check_condition(args: &WaitArgs) -> anyhow::Result<()> {
    let Some(wanted) = &args.condition else { return Ok(()) };
    let known: Vec<&str> =
        args.target.kinds.iter().flat_map(|kind| conditions(*kind)).copied().collect();
    if known.iter().any(|known| known.eq_ignore_ascii_case(wanted)) {
        return Ok(());
    }
    let all = conditions(args.target.kinds.first().copied().unwrap_or(Kind::HttpRoute)).join(", ");
    bail!("{}: {wanted:?} is no condition to wait for; there are {all}", args.target.word)
}

async fn connect(args: &WaitArgs) -> anyhow::Result<(Client, String)> {
    let options =
        KubeConfigOptions { context: args.context.clone(), ..KubeConfigOptions::default() };
    let config = match &args.kubeconfig {
        Some(path) => {
            let read = Kubeconfig::read_from(path).context("reading --kubeconfig")?;
            kube::Config::from_custom_kubeconfig(read, &options).await?
        }
        None if args.context.is_some() => kube::Config::from_kubeconfig(&options).await?,
        None => kube::Config::infer().await.context(
            "finding the cluster: there is neither a kubeconfig nor a ServiceAccount; try --kubeconfig",
        )?,
    };
    let namespace = args.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    Ok((Client::try_from(config).context("preparing to ask the API server")?, namespace))
}

/// Why there was no answer.
enum Trouble {
    /// It may be better in a moment.
    Passing(anyhow::Error),
    /// It stays so.
    Lasting(anyhow::Error),
}

struct Watch<'a> {
    client: Client,
    namespace: String,
    args: &'a WaitArgs,
    /// Of which kind the object is, once it was found.
    kind: Option<Kind>,
}

impl Watch<'_> {
    fn name(&self) -> String {
        let Target { word, name, .. } = &self.args.target;
        let word: &str = self.kind.map_or(word.as_str(), |kind| kind.name());
        let kind = self.kind.or_else(|| self.args.target.kinds.first().copied());
        if kind.is_some_and(Kind::is_namespaced) {
            format!("{word} {}/{name}", self.namespace)
        } else {
            format!("{word} {name}")
        }
    }

    fn wanted(&self) -> &'static str {
        let kind = self.kind.or_else(|| self.args.target.kinds.first().copied());
        let known = kind.map_or(&["Accepted"][..], conditions);
        let asked = self.args.condition.as_deref();
        let found =
            asked.and_then(|asked| known.iter().find(|known| known.eq_ignore_ascii_case(asked)));
        found.or(known.first()).copied().unwrap_or("Accepted")
    }

    async fn look(&mut self) -> Result<Standing, Trouble> {
        let kinds = match self.kind {
            Some(kind) => vec![kind],
            None => self.args.target.kinds.to_vec(),
        };
        let mut found = Vec::new();
        for kind in kinds {
            if let Some(object) = self.get(kind).await? {
                found.push((kind, object));
            }
        }
        if found.len() > 1 {
            let name = &self.args.target.name;
            let all: Vec<String> =
                found.iter().map(|(kind, _)| format!("{}/{name}", word(*kind))).collect();
            let said = format!("several have this name; say which: {}", all.join(", "));
            return Err(Trouble::Lasting(anyhow::anyhow!(said)));
        }
        let Some((kind, object)) = found.first() else {
            self.kind = None;
            return Ok(Standing::NotYet(vec!["there is none".to_owned()]));
        };
        self.kind = Some(*kind);
        Ok(judge(*kind, object, self.wanted()))
    }

    /// Asks for the object in each version until one is there: older releases of a kind are served too.
    async fn get(&self, kind: Kind) -> Result<Option<Value>, Trouble> {
        for version in kind.versions() {
            let inside = if kind.is_namespaced() {
                format!("/namespaces/{}", self.namespace)
            } else {
                String::new()
            };
            let name = &self.args.target.name;
            let path = format!("/apis/{}/{version}{inside}/{}/{name}", kind.group(), kind.plural());
            let request = http::Request::get(&path)
                .body(Vec::new())
                .map_err(|error| Trouble::Lasting(error.into()))?;
            match self.client.request::<Value>(request).await {
                Ok(object) => return Ok(Some(object)),
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(kube::Error::Api(status)) if [401, 403].contains(&status.code) => {
                    let refused = anyhow::anyhow!("the API server refuses: {}", status.message);
                    return Err(Trouble::Lasting(refused));
                }
                Err(error) => return Err(Trouble::Passing(error.into())),
            }
        }
        Ok(None)
    }
}
