//! A container's root: the machine's programs and libraries under a root of its own, in which the
//! pod's volumes stand where it wants them.

use std::{
    collections::BTreeSet,
    ffi::CString,
    fs::{self, File},
    io,
    path::{Component, Path, PathBuf},
};

use super::sys::Step;

/// Where the program stands in the pod's root.
pub(super) const PROGRAMS: &str = "/.image";

/// Directory that holds the hosts file; the file is replaced, so it is the directory that is mounted.
const NAMES: &str = "/.names";

/// Directories of the machine whose content a pod sees and can write over for itself.
const LAYERED: [&str; 2] = ["usr", "etc"];

/// Names in `/` that lead into `/usr` on a merged system, and are directories on others.
const MERGED: [&str; 5] = ["bin", "sbin", "lib", "lib32", "lib64"];

/// Directories that are there and empty.
const EMPTY: [(&str, u32); 8] = [
    ("run", 0o755),
    ("root", 0o700),
    ("home", 0o755),
    ("var", 0o755),
    ("var/lib", 0o755),
    ("var/log", 0o755),
    ("tmp", 0o1777),
    ("var/tmp", 0o1777),
];

/// A directory or file of the node that a container sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Bind {
    pub(super) from: PathBuf,
    pub(super) to: PathBuf,
    pub(super) read_only: bool,
}

/// What a container's root is made of.
#[derive(Debug)]
pub(super) struct Root {
    /// An empty directory of the node.
    pub(super) at: PathBuf,
    pub(super) host_name: String,
    /// The directory with the hosts file.
    pub(super) names: PathBuf,
    pub(super) binds: Vec<Bind>,
    /// `sysctls` of the pod's network.
    pub(super) sysctls: Vec<(String, String)>,
    pub(super) working_directory: PathBuf,
    pub(super) read_only: bool,
}

/// The steps to this root, inside this network.
pub(super) fn steps(root: &Root, network: File) -> io::Result<Vec<Step>> {
    let mut plan = Plan {
        root: root.at.clone(),
        read_only: root.read_only,
        steps: Vec::new(),
        made: BTreeSet::new(),
    };
    plan.steps.push(Step::EnterNetwork(network));
    plan.steps.push(Step::OwnMounts(text(&root.host_name)?));
    for (name, value) in &root.sysctls {
        let path = format!("/proc/sys/{}", name.replace('.', "/"));
        plan.steps.push(Step::Write(text(&path)?, value.clone().into_bytes()));
    }
    plan.mount("tmpfs", Path::new("/"), "tmpfs", 0, "mode=755,size=1g")?;
    plan.system()?;
    plan.names(&root.names)?;
    let mut binds = root.binds.clone();
    // What is mounted inside another mount comes after it.
    binds.sort_by_key(|bind| bind.to.components().count());
    for bind in &binds {
        plan.bind(bind)?;
    }
    plan.steps.push(Step::Root(c_path(&root.at)?));
    if root.read_only {
        let flags = libc::MS_REMOUNT | libc::MS_BIND | libc::MS_RDONLY;
        plan.steps.push(mount_step("none", Path::new("/"), "none", flags, "")?);
    }
    plan.steps.push(Step::Enter(c_path(&root.working_directory)?));
    Ok(plan.steps)
}

struct Plan {
    root: PathBuf,
    read_only: bool,
    steps: Vec<Step>,
    made: BTreeSet<PathBuf>,
}

impl Plan {
    /// A path of the pod as the node sees it before the root is entered. `..` would lead out.
    fn inside(&self, path: &Path) -> PathBuf {
        let normal = path.components().filter(|part| matches!(part, Component::Normal(_)));
        normal.fold(self.root.clone(), |path, part| path.join(part))
    }

    fn directory(&mut self, path: &Path, mode: u32) -> io::Result<()> {
        if let Some(parent) = path.parent().filter(|parent| parent.parent().is_some()) {
            self.directory(parent, 0o755)?;
        }
        if self.made.insert(path.to_path_buf()) {
            self.steps.push(Step::Directory(c_path(&self.inside(path))?, mode));
        }
        Ok(())
    }

    fn mount(
        &mut self,
        source: &str,
        target: &Path,
        kind: &str,
        flags: u64,
        data: &str,
    ) -> io::Result<()> {
        let target = self.inside(target);
        self.steps.push(mount_step(source, &target, kind, flags, data)?);
        Ok(())
    }

    fn system(&mut self) -> io::Result<()> {
        for name in LAYERED {
            let (upper, work) = (format!("/.layers/{name}"), format!("/.layers/{name}.work"));
            let target = Path::new("/").join(name);
            for path in [Path::new(&upper), Path::new(&work), &target] {
                self.directory(path, 0o755)?;
            }
            let (upper, work) = (self.inside(Path::new(&upper)), self.inside(Path::new(&work)));
            let data =
                format!("lowerdir=/{name},upperdir={},workdir={}", upper.display(), work.display());
            self.mount("overlay", &target, "overlay", 0, &data)?;
        }
        for name in MERGED {
            let place = Path::new("/").join(name);
            if let Ok(to) = fs::read_link(&place) {
                self.steps.push(Step::Link { to: c_path(&to)?, at: c_path(&self.inside(&place))? });
            } else if place.is_dir() {
                self.bind(&Bind { from: place.clone(), to: place, read_only: true })?;
            }
        }
        for (name, mode) in EMPTY {
            self.directory(&Path::new("/").join(name), mode)?;
            // The mask of whoever started the lab does not count for directories that all may write.
            if mode == 0o1777 && !self.read_only {
                self.mount("tmpfs", &Path::new("/").join(name), "tmpfs", 0, "mode=1777")?;
            }
        }
        for name in ["/dev", "/proc"] {
            let place = Path::new(name);
            self.directory(place, 0o755)?;
            self.mount(name, place, "none", libc::MS_BIND | libc::MS_REC, "")?;
        }
        // A fresh one, as what it shows depends on the network namespace it is mounted from.
        self.directory(Path::new("/sys"), 0o755)?;
        self.mount("sysfs", Path::new("/sys"), "sysfs", libc::MS_RDONLY, "")
    }

    /// The hosts file, and no name server: a question to one would only wait for its time to pass.
    fn names(&mut self, names: &Path) -> io::Result<()> {
        self.bind(&Bind { from: names.to_path_buf(), to: PathBuf::from(NAMES), read_only: true })?;
        for (name, to) in
            [("/etc/hosts", format!("{NAMES}/hosts")), ("/etc/resolv.conf", "/dev/null".to_owned())]
        {
            let place = c_path(&self.inside(Path::new(name)))?;
            self.steps.push(Step::Remove(place.clone()));
            self.steps.push(Step::Link { to: text(&to)?, at: place });
        }
        Ok(())
    }

    fn bind(&mut self, bind: &Bind) -> io::Result<()> {
        let metadata = fs::metadata(&bind.from).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", bind.from.display()))
        })?;
        if metadata.is_dir() {
            self.directory(&bind.to, 0o755)?;
        } else {
            if let Some(parent) = bind.to.parent() {
                self.directory(parent, 0o755)?;
            }
            self.steps.push(Step::Write(c_path(&self.inside(&bind.to))?, Vec::new()));
        }
        let from = bind.from.display().to_string();
        self.mount(&from, &bind.to, "none", libc::MS_BIND | libc::MS_REC, "")?;
        if bind.read_only {
            self.mount(
                "none",
                &bind.to,
                "none",
                libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY,
                "",
            )?;
        }
        Ok(())
    }
}

fn mount_step(source: &str, target: &Path, kind: &str, flags: u64, data: &str) -> io::Result<Step> {
    Ok(Step::Mount {
        source: text(source)?,
        target: c_path(target)?,
        kind: text(kind)?,
        flags,
        data: text(data)?,
    })
}

fn c_path(path: &Path) -> io::Result<CString> {
    text(&path.display().to_string())
}

fn text(text: &str) -> io::Result<CString> {
    Ok(CString::new(text)?)
}
