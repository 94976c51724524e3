//! What a scan touches: the work of a change is that of the change. Times are printed, not judged.

use std::sync::Arc;
use std::time::Instant;

use super::source_directory::{Directory, route, written};

#[test]
fn one_change_among_two_thousand_files_touches_one_object() {
    const FILES: usize = 2000;
    let mut directory = Directory::new();
    for n in 0..FILES {
        directory.write(&format!("{}/{n}.yaml", n % 20), route(&format!("r{n}"), &format!("/{n}")));
    }
    let start = Instant::now();
    let first = directory.scan();
    println!("first scan of {FILES} files: {:?}", start.elapsed());
    assert_eq!(written(&first).count(), FILES);
    assert!(first.problems.is_empty());

    let start = Instant::now();
    let idle = directory.scan();
    println!("idle scan: {:?}", start.elapsed());
    assert!(Arc::ptr_eq(&first.objects, &idle.objects));

    directory.write("7/7.yaml", route("r7", "/changed"));
    let start = Instant::now();
    let changed = directory.scan();
    println!("scan of one change: {:?}", start.elapsed());
    let pairs = first.objects.iter().zip(changed.objects.iter());
    let differing: Vec<_> = pairs.filter(|(a, b)| !Arc::ptr_eq(&a.object, &b.object)).collect();
    assert_eq!(differing.len(), 1);
    assert_eq!(differing[0].1.object.key.name, "r7");
}
