//! One list and the watch that follows it, for ever: every page, every event, and what is in the way. It knows
//! of no kinds; whoever hears makes sense of what is heard.
//!
//! A watch that ends goes on from where it was. A new list comes only when the cluster has forgotten that
//! place (410), when somebody asks for it, or when the cluster answers nonsense.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use kube::Client;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::core::Request;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Timing;
use super::pace::{Backoff, spread};

/// Objects in one page of a list.
const PAGE: u32 = 500;

/// How long beyond its announced end a silent watch is believed in.
const GRACE: Duration = Duration::from_secs(10);

/// Where to look.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// Path of the list.
    pub(super) path: String,
    /// Name of the only object that is asked for.
    pub(super) only: Option<String>,
    /// Whether metadata is enough.
    pub(super) metadata: bool,
}

/// What is heard.
#[derive(Debug)]
pub(super) enum Heard<T> {
    /// A list begins.
    Begun,
    /// A part of it.
    Page(Vec<T>),
    /// It is complete: what it lacked is gone.
    Listed,
    /// An object is new or changed.
    Put(T),
    /// An object was deleted.
    Gone(T),
    /// The cluster cannot be asked; said once, until it is another trouble.
    Trouble(Trouble),
    /// It can again.
    Well,
}

impl<T> Heard<T> {
    /// Makes sense of the objects; those without any are left out.
    pub(super) fn map<U>(self, read: impl Fn(T) -> Option<U>) -> Option<Heard<U>> {
        Some(match self {
            Self::Begun => Heard::Begun,
            Self::Page(items) => Heard::Page(items.into_iter().filter_map(read).collect()),
            Self::Listed => Heard::Listed,
            Self::Put(item) => Heard::Put(read(item)?),
            Self::Gone(item) => Heard::Gone(read(item)?),
            Self::Trouble(trouble) => Heard::Trouble(trouble),
            Self::Well => Heard::Well,
        })
    }
}

/// Why the cluster cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It does not answer.
    Away(String),
    /// We have no right to.
    Denied(String),
    /// It answers that there is no such thing, or that it cannot.
    Refused(String),
    /// The place in its history is forgotten: a new list follows. It is over with that, so it is said each time.
    Expired,
}

impl Trouble {
    fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl From<kube::Error> for Trouble {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of(&status),
            // The text of what is below says which address refused.
            other => Self::Away(chain(&other)),
        }
    }
}

impl Trouble {
    fn of(status: &kube::core::Status) -> Self {
        match status.code {
            410 => Self::Expired,
            403 => Self::Denied(status.message.clone()),
            // A cluster restored from a backup is behind what we have seen of it.
            504 if status.message.contains("Too large resource version") => Self::Expired,
            429 | 503 | 504 => Self::Away(status.message.clone()),
            _ => Self::Refused(status.message.clone()),
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

/// A task that follows a place, and ends when this is dropped.
#[derive(Debug)]
pub(super) struct Following {
    task: AbortHandle,
    relist: Arc<Notify>,
}

impl Following {
    /// Asks for a new list.
    pub(super) fn list_again(&self) {
        self.relist.notify_one();
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Nobody listens any more.
struct Stopped;

/// How a watch ended.
enum Ended {
    /// Everything has to be listed anew.
    List,
    /// It goes on from where it was.
    Over,
    /// It goes on after a pause.
    Trouble(Trouble),
}

struct Follow<M, W> {
    client: Client,
    place: Place,
    timing: Timing,
    relist: Arc<Notify>,
    sender: mpsc::Sender<M>,
    wrap: W,
    backoff: Backoff,
    ill: Option<Trouble>,
    answered: Option<Instant>,
}

/// Begins to follow a place. `wrap` makes a message of what is heard; with `None` it is passed over.
pub(super) fn follow<M, W>(
    client: Client,
    place: Place,
    timing: &Timing,
    sender: mpsc::Sender<M>,
    wrap: W,
) -> Following
where
    M: Send + 'static,
    W: Fn(Heard<Value>) -> Option<M> + Send + Sync + 'static,
{
    let relist = Arc::new(Notify::new());
    let mut follow = Follow {
        client,
        place,
        timing: timing.clone(),
        relist: Arc::clone(&relist),
        sender,
        wrap,
        backoff: Backoff::new(timing.retry, timing.longest_retry),
        ill: None,
        answered: None,
    };
    let task = tokio::spawn(async move {
        let Err(Stopped) = follow.forever().await;
    });
    Following { task: task.abort_handle(), relist }
}

/// A page of a list, its objects undecoded: one that makes no sense costs none of its neighbours.
#[derive(Deserialize)]
struct Page {
    metadata: PageMetadata,
    #[serde(default)]
    items: Option<Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMetadata {
    resource_version: String,
    #[serde(default, rename = "continue")]
    next: Option<String>,
}

impl<M, W> Follow<M, W>
where
    M: Send + 'static,
    W: Fn(Heard<Value>) -> Option<M> + Send + Sync + 'static,
{
    async fn forever(&mut self) -> Result<Infallible, Stopped> {
        loop {
            let version = self.list().await?;
            self.watch(version).await?;
        }
    }

    async fn say(&self, heard: Heard<Value>) -> Result<(), Stopped> {
        match (self.wrap)(heard) {
            Some(message) => self.sender.send(message).await.map_err(|_closed| Stopped),
            None => Ok(()),
        }
    }

    /// Says what is in the way, unless it was said already, and waits.
    async fn trouble(&mut self, trouble: Trouble) -> Result<(), Stopped> {
        let pause = match &trouble {
            Trouble::Expired => return self.say(Heard::Trouble(trouble)).await,
            Trouble::Denied(_) => spread(self.timing.denied_retry),
            Trouble::Away(_) | Trouble::Refused(_) => self.backoff.pause(),
        };
        if !self.ill.as_ref().is_some_and(|ill| ill.is_like(&trouble)) {
            self.ill = Some(trouble.clone());
            self.say(Heard::Trouble(trouble)).await?;
        }
        sleep(pause).await;
        Ok(())
    }

    async fn well(&mut self) -> Result<(), Stopped> {
        match self.ill.take() {
            Some(_) => self.say(Heard::Well).await,
            None => Ok(()),
        }
    }

    /// Lists until it succeeds; gives the place in history that the list stands for.
    async fn list(&mut self) -> Result<String, Stopped> {
        loop {
            if let Some(last) = self.answered {
                sleep_until(last + spread(self.timing.between_lists)).await;
            }
            match self.pages().await? {
                Ok(version) => {
                    self.backoff.reset();
                    self.well().await?;
                    self.say(Heard::Listed).await?;
                    return Ok(version);
                }
                Err(trouble) => self.trouble(trouble).await?,
            }
        }
    }

    async fn pages(&mut self) -> Result<Result<String, Trouble>, Stopped> {
        self.say(Heard::Begun).await?;
        let mut next = None;
        loop {
            let page = match self.page(next).await {
                Ok(page) => page,
                Err(trouble) => return Ok(Err(trouble)),
            };
            self.answered = Some(Instant::now());
            self.say(Heard::Page(page.items.unwrap_or_default())).await?;
            next = page.metadata.next.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(Ok(page.metadata.resource_version));
            }
        }
    }

    async fn page(&self, next: Option<String>) -> Result<Page, Trouble> {
        let params = ListParams {
            limit: Some(PAGE),
            continue_token: next,
            field_selector: self.selector(),
            ..ListParams::default()
        };
        let request = Request::new(self.place.path.as_str());
        let request = if self.place.metadata {
            request.list_metadata(&params)
        } else {
            request.list(&params)
        };
        let request = request.map_err(kube::Error::BuildRequest)?;
        match timeout(self.timing.answer, self.client.request::<Page>(request)).await {
            Ok(page) => Ok(page?),
            Err(_elapsed) => Err(self.silence()),
        }
    }

    fn selector(&self) -> Option<String> {
        self.place.only.as_ref().map(|name| format!("metadata.name={name}"))
    }

    fn silence(&self) -> Trouble {
        let (path, seconds) = (&self.place.path, self.timing.answer.as_secs());
        Trouble::Away(format!("no answer for {path} within {seconds} s"))
    }

    /// Watches until everything has to be listed anew.
    async fn watch(&mut self, mut version: String) -> Result<(), Stopped> {
        loop {
            let opened = Instant::now();
            let before = version.clone();
            match self.stream(&mut version).await? {
                Ended::List => return Ok(()),
                Ended::Over if version != before => self.backoff.reset(),
                // One that ends again and again as soon as it is open must not make us busy.
                Ended::Over if opened.elapsed() < self.timing.longest_retry => {
                    sleep(self.backoff.pause()).await;
                }
                Ended::Over => self.backoff.reset(),
                Ended::Trouble(trouble @ (Trouble::Refused(_) | Trouble::Expired)) => {
                    return self.trouble(trouble).await;
                }
                Ended::Trouble(trouble @ (Trouble::Away(_) | Trouble::Denied(_))) => {
                    self.trouble(trouble).await?;
                }
            }
        }
    }

    async fn stream(&mut self, version: &mut String) -> Result<Ended, Stopped> {
        let length = spread(self.timing.watch).max(Duration::from_secs(1));
        let params = WatchParams {
            timeout: u32::try_from(length.as_secs()).ok(),
            bookmarks: true,
            field_selector: self.selector(),
            ..WatchParams::default()
        };
        let request = Request::new(self.place.path.as_str());
        let request = if self.place.metadata {
            request.watch_metadata(&params, version)
        } else {
            request.watch(&params, version)
        };
        let request = match request {
            Ok(request) => request,
            Err(error) => return Ok(Ended::Trouble(Trouble::Refused(error.to_string()))),
        };
        let answer = timeout(self.timing.answer, self.client.request_events::<Value>(request));
        let events = match answer.await {
            Ok(Ok(events)) => events,
            Ok(Err(error)) => return Ok(Ended::Trouble(error.into())),
            Err(_elapsed) => return Ok(Ended::Trouble(self.silence())),
        };
        self.well().await?;
        let mut events = pin!(events);
        let end = Instant::now() + length + GRACE;
        let relist = Arc::clone(&self.relist);
        loop {
            let event = tokio::select! {
                event = events.try_next() => event,
                () = relist.notified() => return Ok(Ended::List),
                // A connection that died without a word is noticed here.
                () = sleep_until(end) => return Ok(Ended::Over),
            };
            let heard = match event {
                Ok(None) | Err(kube::Error::ReadEvents(_)) => return Ok(Ended::Over),
                Err(kube::Error::SerdeError(error)) => {
                    return Ok(Ended::Trouble(Trouble::Refused(error.to_string())));
                }
                Err(error) => return Ok(Ended::Trouble(error.into())),
                Ok(Some(WatchEvent::Bookmark(bookmark))) => {
                    *version = bookmark.metadata.resource_version;
                    continue;
                }
                Ok(Some(WatchEvent::Error(status))) => {
                    return Ok(Ended::Trouble(Trouble::of(&status)));
                }
                Ok(Some(WatchEvent::Added(object) | WatchEvent::Modified(object))) => {
                    Heard::Put(object)
                }
                Ok(Some(WatchEvent::Deleted(object))) => Heard::Gone(object),
            };
            if let Heard::Put(object) | Heard::Gone(object) = &heard {
                let found = object.pointer("/metadata/resourceVersion").and_then(Value::as_str);
                version.clone_from(&found.map_or_else(|| version.clone(), ToOwned::to_owned));
            }
            self.say(heard).await?;
        }
    }
}
