//! Which objects count while files change, break, move and vanish.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use super::source_directory::{Directory, keys, link, route, written};
use fairway_controller::sources::Scan;

/// The arrangement of the objects that files hold, by pointer.
fn pointers(scan: &Scan) -> Vec<usize> {
    written(scan).map(|placed| Arc::as_ptr(&placed.object).addr()).collect()
}

fn paths(scan: &Scan) -> Vec<String> {
    let path = |value: serde_json::Value| {
        value.pointer("/spec/rules/0/matches/0/path/value").unwrap().as_str().unwrap().to_owned()
    };
    written(scan).map(|placed| path(placed.object.to_value())).collect()
}

#[test]
fn files_are_read_in_order_and_others_ignored() {
    let mut directory = Directory::with(&[
        ("b.yaml", &route("b", "/b")),
        ("a.yml", &format!("{}---\n{}", route("a2", "/a2"), route("a1", "/a1"))),
        (
            "sub/deep/c.json",
            r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}"#,
        ),
        (".hidden.yaml", "broken: ["),
        ("#emacs#.yaml", "broken: ["),
        ("b.yaml~", "broken: ["),
        (".b.yaml.swp", "broken: ["),
        (".git/x.yaml", "broken: ["),
        ("README.md", "broken: ["),
    ]);
    let scan = directory.scan();
    assert_eq!(directory.lines(&scan), [""; 0]);
    assert_eq!(
        keys(&scan),
        [
            "HTTPRoute default/a2@1",
            "HTTPRoute default/a1@1",
            "HTTPRoute default/b@1",
            "ConfigMap default/c@1"
        ]
    );
    let origins: Vec<_> =
        written(&scan).map(|p| (p.origin.document, p.origin.position.line)).collect();
    assert_eq!(origins, [(0, 1), (1, 11), (0, 1), (0, 1)]);
}

#[test]
fn lists_are_expanded() {
    let mut directory = Directory::with(&[(
        "a.yaml",
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n\
         - apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: B}\n---\n\
         apiVersion: v1\nkind: ConfigMapList\nitems: [{metadata: {name: c}}]\n",
    )]);
    let scan = directory.scan();
    assert_eq!(keys(&scan), ["ConfigMap default/a@1", "ConfigMap default/c@1"]);
    assert!(
        directory.lines(&scan)[0].starts_with("a.yaml:9:14: ConfigMap default/B: metadata.name: ")
    );
}

#[test]
fn what_did_not_change_is_the_same_object() {
    let two = |path: &str| format!("{}---\n{}", route("a", path), route("b", "/b"));
    let mut directory = Directory::with(&[("x.yaml", &two("/1")), ("y.yaml", &route("c", "/c"))]);
    let first = directory.scan();
    assert!(first.changed);

    let same = directory.scan();
    assert!(!same.changed);
    assert!(Arc::ptr_eq(&first.objects, &same.objects));

    // Comments, order and layout are no change; lines are kept up to date.
    directory.write("x.yaml", format!("# moved\n\n{}", two("\"/1\"")));
    let moved = directory.scan();
    assert!(!moved.changed);
    assert_eq!(pointers(&first), pointers(&moved));
    assert_eq!(written(&moved).next().unwrap().origin.position.line, 3);

    directory.write("x.yaml", two("/2"));
    let changed = directory.scan();
    assert!(changed.changed);
    assert_eq!(
        keys(&changed),
        ["HTTPRoute default/a@2", "HTTPRoute default/b@1", "HTTPRoute default/c@1"]
    );
    assert_ne!(pointers(&first)[0], pointers(&changed)[0]);
    assert_eq!(pointers(&first)[1..], pointers(&changed)[1..]);
}

#[test]
fn the_last_good_version_of_a_broken_file_counts() {
    let both = format!("{}---\n{}", route("a", "/a"), route("b", "/b"));
    let mut directory = Directory::with(&[("x.yaml", &both), ("y.yaml", &route("c", "/c"))]);
    let good = directory.scan();

    directory.write("x.yaml", "kind: [\n");
    directory.write("y.yaml", route("c", "/new"));
    let broken = directory.scan();
    assert_eq!(paths(&broken), ["/a", "/b", "/new"]);
    assert_eq!(pointers(&good)[..2], pointers(&broken)[..2]);
    let lines = directory.lines(&broken);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("x.yaml:1:7: not valid YAML: "), "{lines:?}");
    assert!(lines[0].ends_with("(the last good version keeps counting)"), "{lines:?}");

    directory.write("x.yaml", "");
    assert_eq!(
        directory.problems(),
        ["x.yaml:1:1: the file is empty; delete the file to remove its objects \
          (the last good version keeps counting)"]
    );

    directory.write("x.yaml", &both);
    let mended = directory.scan();
    assert_eq!(directory.lines(&mended), [""; 0]);
    assert_eq!(pointers(&good)[..2], pointers(&mended)[..2]);
}

#[test]
fn a_file_that_never_was_good_has_nothing_to_keep() {
    let mut directory = Directory::with(&[("x.yaml", "kind: [\n"), ("y.yaml", &route("c", "c"))]);
    let scan = directory.scan();
    assert!(scan.objects.is_empty());
    assert_eq!(scan.problems.len(), 2);
    assert!(scan.problems.iter().all(|problem| !problem.last_good_counts));
}

#[test]
fn the_last_good_version_of_an_invalid_object_counts_and_its_neighbours_change() {
    let two = |a: &str, b: &str| format!("{}---\n{}", route("a", a), route("b", b));
    let mut directory = Directory::with(&[("x.yaml", &two("/a", "/b"))]);
    directory.scan();
    directory.write("x.yaml", two("nonsense", "/b2"));
    let scan = directory.scan();
    assert_eq!(paths(&scan), ["/a", "/b2"]);
    assert_eq!(
        directory.lines(&scan),
        [
            "x.yaml:9:9: HTTPRoute default/a: spec.rules[0].matches[0].path.value: must start with \"/\"; \
          write \"/nonsense\" (the last good version keeps counting)"
        ]
    );
    // Told again with every scan, with the line it has then.
    directory.write("x.yaml", format!("\n{}", two("nonsense", "/b3")));
    let scan = directory.scan();
    assert!(directory.lines(&scan)[0].starts_with("x.yaml:10:9: "));
    assert_eq!(paths(&scan), ["/a", "/b3"]);
    directory.write("x.yaml", two("/a3", "/b3"));
    let scan = directory.scan();
    assert_eq!(keys(&scan), ["HTTPRoute default/a@2", "HTTPRoute default/b@3"]);
    assert_eq!(directory.lines(&scan), [""; 0]);
}

#[test]
fn nothing_is_removed_by_a_file_that_cannot_be_made_out() {
    let both = format!("{}---\n{}", route("a", "/a"), route("b", "/b"));
    let mut directory = Directory::with(&[("x.yaml", &both)]);
    directory.scan();
    // Which of the two lost its name?
    let nameless = both.replacen("name: a", "nmae: a", 1);
    directory.write("x.yaml", &nameless);
    let scan = directory.scan();
    assert_eq!(keys(&scan), ["HTTPRoute default/b@1", "HTTPRoute default/a@1"]);
    assert!(directory.lines(&scan)[0].starts_with("x.yaml:3:1: metadata.name: is required"));
    // A new object that is invalid from the start may be a renamed one.
    directory.write("x.yaml", both.replacen("name: a", "name: A", 1));
    let scan = directory.scan();
    assert_eq!(keys(&scan), ["HTTPRoute default/b@1", "HTTPRoute default/a@1"]);
    // Once all is plain, what is gone is gone.
    directory.write("x.yaml", route("b", "/b"));
    assert_eq!(keys(&directory.scan()), ["HTTPRoute default/b@1"]);
}

#[test]
fn the_first_of_two_counts() {
    let mut directory =
        Directory::with(&[("a.yaml", &route("r", "/a")), ("b.yaml", &route("r", "/b"))]);
    let scan = directory.scan();
    assert_eq!(paths(&scan), ["/a"]);
    assert_eq!(
        directory.lines(&scan),
        ["b.yaml:1:1: HTTPRoute default/r: is defined twice; the first, in a.yaml:1:1, counts; \
          remove or rename one of the two"]
    );
    // Breaking the first does not hand its object to the second.
    directory.write("a.yaml", route("r", "broken"));
    assert_eq!(paths(&directory.scan()), ["/a"]);
    directory.remove("a.yaml");
    let scan = directory.scan();
    assert_eq!(
        (paths(&scan), keys(&scan)),
        (vec!["/b".into()], vec!["HTTPRoute default/r@2".into()])
    );
    assert_eq!(directory.lines(&scan), [""; 0]);
    // The same again, in one file.
    directory.write("b.yaml", format!("{}---\n{}", route("r", "/1"), route("r", "/2")));
    let scan = directory.scan();
    assert_eq!(paths(&scan), ["/1"]);
    assert!(
        directory.lines(&scan)[0].starts_with("b.yaml:11:1: HTTPRoute default/r: is defined twice")
    );
}

#[test]
fn versions_of_one_object_are_one_object() {
    let old = route("r", "/b").replace("/v1\n", "/v1beta1\n");
    let mut directory = Directory::with(&[("a.yaml", &route("r", "/a")), ("b.yaml", &old)]);
    assert_eq!(directory.problems().len(), 1);
}

#[test]
fn mounted_config_maps_are_followed() {
    let mut directory = Directory::with(&[("..1/r.yaml", &route("a", "/1"))]);
    link("..1", &directory.path("..data"));
    link("..data/r.yaml", &directory.path("r.yaml"));
    assert_eq!(paths(&directory.scan()), ["/1"]);
    // As the kubelet does it: a new directory, and one rename.
    directory.write("..2/r.yaml", route("a", "/2"));
    link("..2", &directory.path("..new"));
    fs::rename(directory.path("..new"), directory.path("..data")).unwrap();
    let scan = directory.scan();
    assert_eq!((paths(&scan), scan.problems.len()), (vec!["/2".to_owned()], 0));
}

#[test]
fn links_in_circles_end() {
    let mut directory = Directory::with(&[("sub/a.yaml", &route("a", "/a"))]);
    link("..", &directory.path("sub/up"));
    link("nowhere", &directory.path("dangling.yaml"));
    let scan = directory.scan();
    assert_eq!((keys(&scan).len(), scan.problems.len()), (1, 0));
}

#[test]
fn a_single_file_is_a_source_too() {
    let directory = Directory::with(&[("a.yaml", &route("a", "/a")), ("b.yaml", "broken: [")]);
    let schemas = Arc::new(fairway_controller::sources::admission::Schemas::bundled());
    let mut source =
        fairway_controller::sources::FileSource::new(directory.path("a.yaml"), &schemas);
    let scan = source.scan(jiff::Timestamp::UNIX_EPOCH);
    assert_eq!((keys(&scan).len(), scan.problems.len()), (1, 0));
}

fn many(count: usize) -> Directory {
    let mut directory = Directory::new();
    for n in 0..count {
        directory.write(&format!("{n:02}.yaml"), route(&format!("r{n}"), "/"));
    }
    assert_eq!(keys(&directory.scan()).len(), count);
    directory
}

#[test]
fn a_deleted_file_is_obeyed_at_once() {
    let mut directory = many(2);
    directory.remove("00.yaml");
    let scan = directory.scan();
    assert_eq!((keys(&scan), scan.held), (vec!["HTTPRoute default/r1@1".to_owned()], 0));
    // One file, though it held more than half of all.
    let all: Vec<_> = (0..40).map(|n| route(&format!("x{n}"), "/")).collect();
    directory.write("all.yaml", all.join("---\n"));
    assert_eq!(keys(&directory.scan()).len(), 41);
    directory.remove("all.yaml");
    assert_eq!(keys(&directory.scan()).len(), 1);
}

#[test]
fn most_files_gone_at_once_are_held() {
    let mut directory = many(20);
    for n in 0..11 {
        directory.remove(&format!("{n:02}.yaml"));
    }
    let scan = directory.scan();
    assert_eq!((keys(&scan).len(), scan.held), (20, 11));
    assert!(!scan.changed || written(&scan).count() == 20);
    assert_eq!(
        directory.lines(&scan),
        [
            "DIR:1:1: 11 objects vanished at once, with 11 files (00.yaml, 01.yaml, 02.yaml, …), and are \
          held; bring the files back, or release the held objects if this is meant"
        ]
    );
    // One comes back changed, one is defined elsewhere.
    directory.write("00.yaml", route("r0", "/new"));
    directory.write("11.yaml", format!("{}---\n{}", route("r11", "/"), route("r1", "/")));
    assert_eq!(directory.scan().held, 9);
    assert_eq!(keys(&directory.scan()).len(), 20);
    directory.source.release_held();
    let scan = directory.scan();
    assert_eq!((keys(&scan).len(), scan.held, scan.problems.len()), (11, 0, 0));
}

#[test]
fn half_of_the_files_and_few_files_are_obeyed() {
    let mut directory = many(20);
    for n in 0..10 {
        directory.remove(&format!("{n:02}.yaml"));
    }
    assert_eq!(keys(&directory.scan()).len(), 10);
    for n in 10..20 {
        directory.remove(&format!("{n:02}.yaml"));
    }
    assert_eq!(keys(&directory.scan()).len(), 0);
}

#[test]
fn renamed_files_take_nothing_away() {
    let mut directory = many(20);
    let before = pointers(&directory.scan());
    fs::create_dir(directory.path("sub")).unwrap();
    for n in 0..20 {
        let name = format!("{n:02}.yaml");
        fs::rename(directory.path(&name), directory.path(&format!("sub/{name}"))).unwrap();
    }
    let scan = directory.scan();
    assert_eq!((keys(&scan).len(), scan.held, scan.problems.len()), (20, 0, 0));
    assert_eq!(before.len(), 20);
    assert!(keys(&scan).iter().all(|key| key.ends_with("@1")));
}

#[test]
fn a_vanished_directory_takes_nothing_away() {
    let mut directory = many(3);
    let aside = directory.root().with_file_name("aside");
    fs::rename(directory.root(), &aside).unwrap();
    let scan = directory.scan();
    assert_eq!(keys(&scan).len(), 3);
    assert_eq!(
        directory.lines(&scan),
        ["DIR:1:1: cannot be read: No such file or directory (os error 2) \
          (the last good version keeps counting)"]
    );
    fs::rename(aside, directory.root()).unwrap();
    let scan = directory.scan();
    assert_eq!((keys(&scan).len(), scan.problems.len()), (3, 0));
}

#[test]
fn what_cannot_be_read_keeps_counting() {
    let mut directory = many(2);
    let path = directory.path("00.yaml");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::remove_dir(&path).unwrap();
    // A link to itself exists, and cannot be looked at, even for root.
    link("00.yaml", &path);
    let scan = directory.scan();
    assert_eq!(keys(&scan).len(), 2);
    let lines = directory.lines(&scan);
    assert!(lines[0].starts_with("00.yaml:1:1: cannot be read: "), "{lines:?}");
    assert!(lines[0].ends_with("keeps counting)"), "{lines:?}");

    let path = directory.path("01.yaml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    let root = fs::read(&path).is_ok();
    let scan = directory.scan();
    assert_eq!(keys(&scan).len(), 2);
    assert_eq!(scan.problems.len(), if root { 1 } else { 2 });
}

#[test]
fn fields_are_located_later_too() {
    let text = format!("# first\n{}---\n{}", route("a", "/a"), route("b", "/b"));
    let mut directory = Directory::with(&[("x.yaml", &text)]);
    let scan = directory.scan();
    let objects: Vec<_> = written(&scan).collect();
    let at = |nth: usize, field: &str| {
        let position = directory.source.locate(objects[nth], field);
        (position.line, position.column)
    };
    assert_eq!(at(1, "spec.rules[0].matches[0].path.value"), (20, 9));
    assert_eq!(at(1, "spec.rules[0].backendRefs[0]"), (18, 5));
    assert_eq!(at(0, "metadata.name"), (5, 3));
    assert_eq!(at(0, ""), (2, 1));
}
