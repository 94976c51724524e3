//! A directory read once and translated: what `check`, `translate` and `explain` begin with.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use fairway_api::AnyObject;
use fairway_controller::certificates::Certificates;
use fairway_controller::sources::admission::Schemas;
use fairway_controller::sources::{FileSource, Scan};
use fairway_translate::{Held, Name, Plan, Settings, Snapshot, translate};

use crate::arguments::BackendArgument;
use crate::cli::SourceArgs;

/// A directory's objects and what they come to.
pub(crate) struct Directory {
    pub source: FileSource,
    pub scan: Scan,
    pub settings: Settings,
    pub snapshot: Snapshot,
    pub plan: Plan,
    /// TLS Secrets that the directory lacks and that are taken to be there.
    pub assumed: Vec<Name>,
}

/// Whether TLS Secrets that are named and missing are taken to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certified {
    /// What is missing is missing.
    AsWritten,
    /// A self-signed one stands in for each.
    Assumed,
}

impl Directory {
    /// Reads and translates.
    ///
    /// # Errors
    /// The directory is not there or cannot be read. What is wrong inside is in `scan`.
    pub(crate) fn read(args: &SourceArgs, certified: Certified) -> anyhow::Result<Self> {
        exists(&args.directory)?;
        let schemas = Arc::new(Schemas::bundled());
        let mut source = FileSource::new(&args.directory, &schemas);
        let scan = source.scan(jiff::Timestamp::now());
        let objects = scan.objects.iter().map(|placed| placed.object.object.clone());
        let mut snapshot = Snapshot::new(objects);
        let mut assumed = Vec::new();
        if certified == Certified::Assumed {
            let made = Certificates::default().missing(&snapshot).context("making certificates")?;
            assumed = made.iter().map(|object| Name::of(object.metadata())).collect();
            snapshot = snapshot.next(made, []);
        }
        let mut settings = Settings::for_files();
        settings.service_backends = service_backends(&args.backends);
        let plan = translate(&snapshot, &settings, &Held::new(), None);
        Ok(Self { source, scan, settings, snapshot, plan, assumed })
    }
}

/// Says early and clearly that a directory is not there.
///
/// # Errors
/// It is not, or it cannot be read.
pub(crate) fn exists(directory: &Path) -> anyhow::Result<()> {
    let metadata =
        fs::metadata(directory).with_context(|| format!("reading {}", directory.display()))?;
    if metadata.is_dir() {
        fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?;
    }
    Ok(())
}

/// Orders endpoints from the command line by the Service's port that they stand behind.
pub(crate) fn service_backends(
    arguments: &[BackendArgument],
) -> BTreeMap<(Name, u16), Vec<SocketAddr>> {
    let mut backends: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for argument in arguments {
        let service = &argument.service;
        let service = Name::new(service.namespace.as_str(), service.name.as_str());
        backends.entry((service, argument.port)).or_default().push(argument.address);
    }
    backends
}

/// Lists the ports of a directory's Services, for backends of our own.
///
/// # Errors
/// The directory is not there or cannot be read.
pub(crate) fn service_ports(directory: &Path) -> anyhow::Result<Vec<(Name, u16)>> {
    exists(directory)?;
    let schemas = Arc::new(Schemas::bundled());
    let scan = FileSource::new(directory, &schemas).scan(jiff::Timestamp::now());
    let mut ports = Vec::new();
    for placed in scan.objects.iter() {
        if let AnyObject::Service(service) = &placed.object.object {
            let name = Name::of(&service.metadata);
            let numbers = service.spec.ports.iter();
            let numbers = numbers.filter_map(|port| u16::try_from(port.port).ok());
            ports.extend(numbers.map(|number| (name.clone(), number)));
        }
    }
    Ok(ports)
}
