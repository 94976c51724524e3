//! Documents of YAML files: how they are told apart, and where each field stands.

use super::*;
use crate::sources::field::FieldPath;
use serde_json::json;

fn one(text: &str) -> Document {
    let mut documents = parse(text).unwrap();
    assert_eq!(documents.len(), 1, "{text}");
    documents.remove(0)
}

fn fails(text: &str) -> (usize, usize, String) {
    let error = parse(text).unwrap_err();
    (error.position.line, error.position.column, error.message)
}

#[test]
fn every_field_has_a_place() {
    let document = one("a:\n  - b: 1\n    c: {d: [x, v]}\n# comment\n'e f':\n  g: >\n    text\n");
    assert_eq!(
        document.value,
        json!({"a": [{"b": 1, "c": {"d": ["x", "v"]}}], "e f": {"g": "text\n"}})
    );
    for (path, line, column) in [
        ("", 1, 1),
        ("a", 1, 1),
        ("a[0]", 2, 5),
        ("a[0].c", 3, 5),
        ("a[0].c.d[1]", 3, 16),
        ("e f.g", 6, 3),
        // What is missing is shown where it would stand.
        ("a[0].missing.below", 2, 5),
        ("a[7]", 1, 1),
    ] {
        let at = document.places.locate(&FieldPath::parse(path));
        assert_eq!((at.line, at.column), (line, column), "{path}");
    }
}

#[test]
fn documents_are_counted_and_empty_ones_skipped() {
    let documents = parse("---\n# nothing\n---\na: 1\n---\n---\nb: 2\n...\n").unwrap();
    let indices: Vec<_> = documents.iter().map(|d| (d.index, d.places.start().line)).collect();
    assert_eq!(indices, [(1, 4), (3, 7)]);
    assert_eq!(parse("").unwrap(), []);
    assert_eq!(parse("# only a comment\n").unwrap(), []);
    assert_eq!(one("\u{feff}a: 1").value, json!({"a": 1}));
}

#[test]
fn aliases_and_merges_are_written_out() {
    let text =
        "base: &b {x: 1, w: 2}\nuse: *b\nmerged:\n  <<: *b\n  w: 3\nmany:\n  <<: [*b, {z: 4}]\n";
    let document = one(text);
    assert_eq!(document.value["use"], json!({"x": 1, "w": 2}));
    assert_eq!(document.value["merged"], json!({"w": 3, "x": 1}));
    assert_eq!(document.value["many"], json!({"x": 1, "w": 2, "z": 4}));
    assert_eq!(document.places.locate(&FieldPath::parse("use")).line, 2);
    assert_eq!(fails("<<: 1\n").2, "\"<<\" takes maps only");
    // Quoted, it is a field like any other.
    assert_eq!(one("'<<': 1\n").value, json!({"<<": 1}));
}

#[test]
fn field_names_become_text() {
    assert_eq!(one("80: a\non: b\n1.5: c\n").value, json!({"80": "a", "true": "b", "1.5": "c"}));
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (text, line, column, message) in [
        ("a: 1\na: 2\n", 2, 1, "field \"a\" is given twice, first in line 1"),
        ("a:\n  b: 1\n  b: 2\n", 3, 3, "field \"b\" is given twice, first in line 2"),
        ("a: *nowhere\n", 1, 4, "not valid YAML: while parsing node, found unknown anchor"),
        ("{a: 1", 1, 1, "not valid YAML: "),
        ("a: b: c\n", 1, 5, "not valid YAML: mapping values are not allowed in this context"),
        ("a: .inf\n", 1, 4, ".inf is a number that JSON cannot hold"),
        ("? {a: 1}\n: 2\n", 1, 3, "a field name may not be a list or a map"),
        ("a: &x [*x]\n", 1, 8, "an alias inside of what it names"),
        ("~: 1\n", 1, 1, "a field name is missing before the colon"),
    ] {
        let found = fails(text);
        assert_eq!((found.0, found.1), (line, column), "{text:?}: {}", found.2);
        assert!(found.2.starts_with(message), "{text:?}: {}", found.2);
    }
}

#[test]
fn tabs_have_a_remedy() {
    let error = parse("a:\n\tb: 1\n").unwrap_err();
    assert_eq!(error.position.line, 2);
    assert_eq!(error.remedy.as_deref(), Some("indent with spaces, not with tabs"));
}

#[test]
fn bombs_are_refused() {
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..10 {
        let list = vec![format!("*a{}", level - 1); 9].join(", ");
        laughs += &format!("a{level}: &a{level} [{list}]\n");
    }
    let message = "the file's anchors and aliases expand to far more than is written";
    assert_eq!(fails(&laughs).2, message);

    let long = "x".repeat(10_000);
    let copies = "- *x\n".repeat(100_000);
    assert_eq!(fails(&format!("- &x {long}\n{copies}")).2, message);

    let nested: String = (0..90).map(|level| format!("[&a{level} ")).collect();
    let many = format!("{nested}{}{}", "[1, 2, 3], ".repeat(2000), "]".repeat(90));
    assert_eq!(fails(&many).2, message);
}

#[test]
fn depth_and_size_are_bounded() {
    assert!(fails(&"[".repeat(100_000)).2.contains("nested deeper than 100 levels"));
    assert!(fails(&"- ".repeat(100_000)).2.contains("nested deeper than 100 levels"));
    assert!(fails(&"{a: ".repeat(100_000)).2.contains("nested deeper than 100 levels"));
    let huge = format!("a: \"{}\"\n", "x".repeat(2 << 20));
    assert_eq!(fails(&huge).2, "a value of more than 1.5 MiB");
    assert_eq!(
        one(&format!("a: \"{}\"\n", "x".repeat(1 << 20))).value["a"].as_str().unwrap().len(),
        1 << 20
    );
}

#[test]
fn what_any_bytes_bring_is_no_panic() {
    // Every prefix of a document that has everything, and every document with one byte changed.
    let text = "a: &x {b: [1, 'two', \"th\\tree\"], c: |\n   text\n}\nd: *x\n--- \n<<: {e: !!str 1}\n? k\n: v\n";
    for end in 0..text.len() {
        drop(parse(text.get(..end).unwrap_or_default()));
    }
    for at in 0..text.len() {
        for byte in [b'\t', b'\0', b'[', b':', b'&', b'*', b'%', b'-', b'"', b'|'] {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] = byte;
            drop(String::from_utf8(bytes).map(|text| parse(&text)));
        }
    }
}
