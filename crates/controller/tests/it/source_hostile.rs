//! Files that mean harm: a clear problem each, never a panic, and the neighbours count.

use super::source_directory::{Directory, keys, route};

/// Checks that such a file gives one problem that begins so, and that the file beside it counts.
#[track_caller]
fn check(bytes: impl AsRef<[u8]>, expect: &str) {
    let mut directory = Directory::with(&[("z.yaml", &route("good", "/"))]);
    directory.write("a.yaml", bytes);
    let scan = directory.scan();
    assert_eq!(keys(&scan), ["HTTPRoute default/good@1"]);
    let lines = directory.lines(&scan);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].starts_with(&format!("a.yaml:{expect}")), "{lines:?}");
}

#[test]
fn bytes() {
    check(b"a: 1\nb: \xff\xfe\n", "2:4: not text in UTF-8; save the file as UTF-8");
    check("a: \u{0}\n", "1:4: not valid YAML: ");
    check("kind: x\nb:\n\tc: 1\n", "3:2: not valid YAML: tabs ");
}

#[test]
fn size_and_depth() {
    check("[".repeat(1 << 20), "1:101: nested deeper than 100 levels");
    let huge = format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{a: \"{}\"}}\n",
        "x".repeat(2 << 20)
    );
    check(huge, "4:11: a value of more than 1.5 MiB");
    let key = format!("{}: 1\n", "k".repeat(1 << 20));
    check(key, "1:");
}

#[test]
fn expansion() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let list = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("a{level}: &a{level} [{list}]\n");
    }
    check(text, "5:");
    check("a: &a\n  b: *a\n", "2:6: an alias inside of what it names");
}

#[test]
fn duplicate_fields() {
    let text = route("a", "/").replace("  name: a\n", "  name: a\n  name: b\n");
    check(text, "5:3: field \"name\" is given twice, first in line 4; remove one of the two");
}

#[test]
fn strange_objects() {
    let object =
        |rest: &str| format!("apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n{rest}");
    check(object("metadata: []\n"), "3:1: metadata.name: is required");
    check(object("metadata: {name: {a: b}}\n"), "3:12: metadata.name: is required");
    check(object("metadata: {name: [x]}\nspec: 1\n"), "3:12: metadata.name: is required");
    check(
        object("metadata: {name: a, namespace: 7}\nspec: {}\n"),
        "3:21: HTTPRoute default/a: metadata.namespace: must be text, not 7; put it in quotes: \"7\"",
    );
    check(
        object("metadata: {name: a}\nspec: [1]\n"),
        "4:1: HTTPRoute default/a: spec: must be a map, not a list",
    );
    check(
        object("metadata: {name: a}\nspec: {rules: [null]}\n"),
        "4:16: HTTPRoute default/a: spec.rules[0]: must be a map, not nothing",
    );
    check("apiVersion: 1\nkind: HTTPRoute\nmetadata: {name: a}\n", "1:1: apiVersion: is required");
    check("apiVersion: v1\nkind: {}\n", "2:1: kind: is required");
    let name = "a".repeat(100_000);
    check(
        object(&format!("metadata: {{name: {name}}}\nspec: {{}}\n")),
        "3:12: HTTPRoute default/aaa",
    );
}

#[test]
fn json_is_read_with_all_its_escapes() {
    let mut directory = Directory::with(&[(
        "a.json",
        "{\"apiVersion\": \"v1\",\n\t\"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"a\"},\n\t\"data\": \
         {\"k\": \"\\ud83d\\ude00 \\/\"}}",
    )]);
    let scan = directory.scan();
    assert_eq!(directory.lines(&scan), [""; 0]);
    assert_eq!(scan.objects[0].object.to_value()["data"]["k"], "\u{1f600} /");
    directory.write("a.json", "{\"a\": 1,}}");
    assert_eq!(directory.scan().problems.len(), 1);
}
