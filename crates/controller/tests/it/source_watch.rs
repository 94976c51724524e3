//! That changes of all sorts are heard, soon and not too often.

use std::fs;
use std::time::{Duration, Instant};

use super::source_directory::{Directory, link, route};
use fairway_controller::sources::{Timing, Watch};
use tokio::time::timeout;

/// Polls that never come in a test: what is heard was told by the kernel.
const KERNEL_ONLY: Timing = Timing {
    settle: Duration::from_millis(5),
    bound: Duration::from_millis(25),
    poll: Duration::from_secs(3600),
    poll_unwatched: Duration::from_secs(3600),
};

async fn heard(watch: &mut Watch) -> bool {
    timeout(Duration::from_secs(5), watch.changed()).await.is_ok()
}

/// Lets the ticks of what has happened pass.
async fn settle(watch: &mut Watch) {
    while timeout(Duration::from_millis(100), watch.changed()).await.is_ok() {}
}

#[tokio::test]
async fn every_way_to_change_a_directory_is_heard() {
    let mut directory = Directory::with(&[("a.yaml", &route("a", "/"))]);
    let mut watch = Watch::start(directory.root(), KERNEL_ONLY);
    assert!(watch.is_watched());
    settle(&mut watch).await;

    let root = directory.root();
    directory.write("a.yaml", "x");
    assert!(heard(&mut watch).await, "an atomic rename");
    settle(&mut watch).await;
    fs::write(root.join("a.yaml"), "y").unwrap();
    assert!(heard(&mut watch).await, "a write in place");
    settle(&mut watch).await;
    fs::create_dir_all(root.join("sub/deeper")).unwrap();
    assert!(heard(&mut watch).await, "a new directory");
    settle(&mut watch).await;
    fs::write(root.join("sub/deeper/b.yaml"), "z").unwrap();
    assert!(heard(&mut watch).await, "a file in a new directory");
    settle(&mut watch).await;
    link("one", &root.join("..new"));
    settle(&mut watch).await;
    fs::rename(root.join("..new"), root.join("..data")).unwrap();
    assert!(heard(&mut watch).await, "a swap of links");
    settle(&mut watch).await;
    fs::remove_file(root.join("a.yaml")).unwrap();
    assert!(heard(&mut watch).await, "a removal");
}

#[tokio::test]
async fn reading_is_no_change() {
    let directory = Directory::with(&[("a.yaml", &route("a", "/"))]);
    let mut watch = Watch::start(directory.root(), KERNEL_ONLY);
    settle(&mut watch).await;
    fs::read(directory.path("a.yaml")).unwrap();
    fs::read_dir(directory.root()).unwrap().for_each(|entry| drop(entry.unwrap()));
    // Nor is what happens beside the directory.
    fs::write(directory.root().with_file_name("beside"), "x").unwrap();
    assert!(timeout(Duration::from_millis(200), watch.changed()).await.is_err());
}

#[tokio::test]
async fn a_directory_that_is_replaced_is_watched_anew() {
    let directory = Directory::with(&[("a.yaml", "x")]);
    let root = directory.root();
    let mut watch = Watch::start(&root, KERNEL_ONLY);
    settle(&mut watch).await;
    fs::rename(&root, root.with_file_name("aside")).unwrap();
    assert!(heard(&mut watch).await, "it is gone");
    settle(&mut watch).await;
    assert!(!watch.is_watched());
    fs::create_dir(&root).unwrap();
    assert!(heard(&mut watch).await, "it is back");
    settle(&mut watch).await;
    assert!(watch.is_watched());
    fs::write(root.join("b.yaml"), "y").unwrap();
    assert!(heard(&mut watch).await, "a file in it");
}

#[tokio::test]
async fn a_single_file_is_watched_through_its_replacements() {
    let mut directory = Directory::with(&[("a.yaml", "x"), ("b.yaml", "x")]);
    let mut watch = Watch::start(directory.path("a.yaml"), KERNEL_ONLY);
    settle(&mut watch).await;
    for text in ["1", "2", "3"] {
        directory.write("a.yaml", text);
        assert!(heard(&mut watch).await, "{text}");
        settle(&mut watch).await;
    }
    directory.write("b.yaml", "y");
    assert!(timeout(Duration::from_millis(200), watch.changed()).await.is_err());
}

#[tokio::test]
async fn a_burst_is_few_ticks_and_a_lasting_one_is_not_waited_for() {
    let directory = Directory::new();
    let mut watch = Watch::start(directory.root(), KERNEL_ONLY);
    settle(&mut watch).await;
    let root = directory.root();
    let writer = tokio::task::spawn_blocking(move || {
        let start = Instant::now();
        let mut writes = 0;
        while start.elapsed() < Duration::from_millis(300) {
            fs::write(root.join("a.yaml"), "x").unwrap();
            writes += 1;
        }
        writes
    });
    let mut ticks = 0;
    while !writer.is_finished() && heard(&mut watch).await {
        ticks += 1;
    }
    let writes = writer.await.unwrap();
    assert!(ticks >= 2, "{ticks} ticks: waited for the end of the burst");
    assert!(ticks <= 30 && writes > 100, "{ticks} ticks for {writes} writes");
}

#[tokio::test]
async fn dropping_the_wait_loses_nothing() {
    let mut directory = Directory::new();
    let mut watch = Watch::start(directory.root(), KERNEL_ONLY);
    settle(&mut watch).await;
    directory.write("a.yaml", "x");
    // Long enough to hear of it, too short to settle.
    while timeout(Duration::from_millis(1), watch.changed()).await.is_err() {
        if directory.path("a.yaml").exists() {
            break;
        }
    }
    drop(timeout(Duration::from_millis(2), watch.changed()).await);
    directory.write("b.yaml", "x");
    assert!(heard(&mut watch).await);
}

#[tokio::test]
async fn what_the_kernel_does_not_tell_is_found_by_polls() {
    let directory = Directory::new();
    let timing = Timing { poll: Duration::from_millis(20), ..KERNEL_ONLY };
    let mut watch = Watch::start(directory.root(), timing);
    for _ in 0..3 {
        assert!(heard(&mut watch).await);
    }
}
