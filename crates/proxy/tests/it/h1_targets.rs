//! The canonical form of request targets (attack A14, topics N7 and N8), as a table.

use bytes::Bytes;
use fairway_proxy::message::{Malformed, Method, Path, Target};
use proptest::prelude::{any, prop, prop_assert, prop_assert_eq, proptest};

fn canonical(raw: &[u8]) -> Result<String, Malformed> {
    let target = Target::parse(Bytes::copy_from_slice(raw), &Method::Get)?;
    let query = target.query.map(|query| format!("?{query}")).unwrap_or_default();
    let authority = target.authority.map(|host| format!("{host} ")).unwrap_or_default();
    Ok(format!("{authority}{}{query}", target.path))
}

/// What came in, and what is matched and sent on.
const SERVED: &[(&str, &str)] = &[
    // Nothing to do.
    ("/", "/"),
    ("/a", "/a"),
    ("/a/", "/a/"),
    ("/a/b.c/d-e_f~g", "/a/b.c/d-e_f~g"),
    ("/a;v=1/b", "/a;v=1/b"),
    ("/!$&'()*+,;=:@", "/!$&'()*+,;=:@"),
    ("/.hidden", "/.hidden"),
    ("/..hidden", "/..hidden"),
    ("/hidden..", "/hidden.."),
    ("/a./b", "/a./b"),
    ("/...", "/..."),
    ("/....//", "/..../"),
    ("/%20", "/%20"),
    ("/%C3%A9", "/%C3%A9"),
    ("/%E9", "/%E9"),
    ("/%25", "/%25"),
    // Escapes.
    ("/%61", "/a"),
    ("/%41%42%43", "/ABC"),
    ("/%7e%2D%5f%2e", "/~-_."),
    ("/%c3%a9", "/%C3%A9"),
    ("/a%3ab", "/a%3Ab"),
    ("/a%3Bb", "/a%3Bb"),
    ("/%3f", "/%3F"),
    ("/%23", "/%23"),
    ("/%26%3D", "/%26%3D"),
    ("/%2a", "/%2A"),
    ("/%40", "/%40"),
    ("/|", "/%7C"),
    ("/{id}", "/%7Bid%7D"),
    ("/[x]", "/%5Bx%5D"),
    ("/^`", "/%5E%60"),
    ("/\"<>\"", "/%22%3C%3E%22"),
    ("/a%2Fb", "/a%2Fb"),
    ("/a%2fb", "/a%2Fb"),
    ("/a%2F%2Fb", "/a%2F%2Fb"),
    ("/%2F", "/%2F"),
    ("/%2Fa", "/%2Fa"),
    // Never twice.
    ("/%252e%252e/a", "/%252e%252e/a"),
    ("/%252f", "/%252f"),
    ("/%2541", "/%2541"),
    ("/%25%32%65", "/%252e"),
    ("/%25%2541", "/%25%2541"),
    // Dots.
    ("/.", "/"),
    ("/..", "/"),
    ("/./", "/"),
    ("/../", "/"),
    ("/a/.", "/a/"),
    ("/a/./", "/a/"),
    ("/a/..", "/"),
    ("/a/../", "/"),
    ("/a/./b", "/a/b"),
    ("/a/../b", "/b"),
    ("/a/b/../c", "/a/c"),
    ("/a/b/../../c", "/c"),
    ("/a/b/../../../c", "/c"),
    ("/../../../etc/passwd", "/etc/passwd"),
    ("/a/b/c/./../../g", "/a/g"),
    ("/a/b/..", "/a/"),
    ("/a/%2e/b", "/a/b"),
    ("/a/%2e%2e/b", "/b"),
    ("/a/%2E%2E/b", "/b"),
    ("/a/.%2e/b", "/b"),
    ("/a/%2e./b", "/b"),
    ("/a/%2e%2e", "/"),
    ("/%2e%2e/%2e%2e/a", "/a"),
    ("/a/%2e%2e%2e/b", "/a/.../b"),
    ("/a/..b/c", "/a/..b/c"),
    ("/admin/../public/../admin", "/admin"),
    // Slashes.
    ("//", "/"),
    ("///", "/"),
    ("//a", "/a"),
    ("/a//b", "/a/b"),
    ("/a///b//", "/a/b/"),
    ("//evil.example/a", "/evil.example/a"),
    ("/a//../b", "/b"),
    ("/a/..//b", "/b"),
    ("//..//..//a", "/a"),
    ("/.//a", "/a"),
    ("/a/.//", "/a/"),
    ("//%2e%2e//a", "/a"),
    // Queries stay as they are.
    ("/?", "/?"),
    ("/?a=b&c=d", "/?a=b&c=d"),
    ("/a?b/../c//d", "/a?b/../c//d"),
    ("/a?%2e%zz%", "/a?%2e%zz%"),
    ("/a?b?c", "/a?b?c"),
    ("/a?x=[1]{2}|^`\\", "/a?x=[1]{2}|^`\\"),
    ("/a?\"<>", "/a?%22%3C%3E"),
    ("/a/../b?../c", "/b?../c"),
    // The absolute form.
    ("http://a.example", "a.example /"),
    ("http://a.example/", "a.example /"),
    ("HTTP://A.Example:80/B", "a.example:80 /B"),
    ("https://a.example?x", "a.example /?x"),
    ("http://a.example/a/../b?c", "a.example /b?c"),
    ("http://[::1]:8080/x", "[::1]:8080 /x"),
    ("http://a.example.//x", "a.example /x"),
];

const REFUSED: &[(&[u8], Malformed)] = &[
    // Forms.
    (b"", Malformed::TargetForm),
    (b"*", Malformed::TargetForm),
    (b"**", Malformed::TargetForm),
    (b"a", Malformed::TargetForm),
    (b"a/b", Malformed::TargetForm),
    (b"?a", Malformed::TargetForm),
    (b"../a", Malformed::TargetForm),
    (b"example.com:443", Malformed::TargetForm),
    (b"ftp://a/b", Malformed::TargetForm),
    (b"file:///etc/passwd", Malformed::TargetForm),
    (b"http:/a/b", Malformed::TargetForm),
    (b"http:a", Malformed::TargetForm),
    (b"%2Fa", Malformed::TargetForm),
    (b"\\a", Malformed::TargetForm),
    (b"http://", Malformed::Host),
    (b"http:///a", Malformed::Host),
    (b"http://user@a/", Malformed::Host),
    (b"http://user:pass@a/", Malformed::Port),
    (b"http://a b/", Malformed::Host),
    (b"http://a:b/", Malformed::Port),
    (b"http://a%2e/", Malformed::Host),
    (b"http://a\\b/", Malformed::Host),
    // Fragments.
    (b"#a", Malformed::TargetForm),
    (b"/#", Malformed::Fragment),
    (b"/a#b", Malformed::Fragment),
    (b"/a?b#c", Malformed::Fragment),
    (b"http://a#b", Malformed::Fragment),
    // Characters.
    (b"/a b", Malformed::TargetCharacter),
    (b"/a\tb", Malformed::TargetCharacter),
    (b"/a\0b", Malformed::TargetCharacter),
    (b"/a\rb", Malformed::TargetCharacter),
    (b"/a\nb", Malformed::TargetCharacter),
    (b"/a\x1fb", Malformed::TargetCharacter),
    (b"/a\x7fb", Malformed::TargetCharacter),
    (b"/\xc3\xa9", Malformed::TargetCharacter),
    (b"/\xe9", Malformed::TargetCharacter),
    (b"/\xc0\xaf", Malformed::TargetCharacter),
    (b"/a?\xc3\xa9", Malformed::TargetCharacter),
    (b"/a?b c", Malformed::TargetCharacter),
    (b"/a?\0", Malformed::TargetCharacter),
    (b"/a\\b", Malformed::TargetCharacter),
    (b"/a/..\\b", Malformed::TargetCharacter),
    (b"/a%5Cb", Malformed::TargetCharacter),
    (b"/a%5cb", Malformed::TargetCharacter),
    (b"/..%5c", Malformed::TargetCharacter),
    (b"/%00", Malformed::TargetCharacter),
    (b"/a%00.html", Malformed::TargetCharacter),
    (b"/%0d%0aSet-Cookie:x", Malformed::TargetCharacter),
    (b"/%0A", Malformed::TargetCharacter),
    (b"/%09", Malformed::TargetCharacter),
    (b"/%1f", Malformed::TargetCharacter),
    (b"/%7F", Malformed::TargetCharacter),
    // Escapes.
    (b"/%", Malformed::Escape),
    (b"/%a", Malformed::Escape),
    (b"/%zz", Malformed::Escape),
    (b"/%2", Malformed::Escape),
    (b"/%2g", Malformed::Escape),
    (b"/%%32%65", Malformed::Escape),
    (b"/%u002e", Malformed::Escape),
    (b"/%+2e", Malformed::Escape),
    (b"/a%2/b", Malformed::Escape),
    // Overlong UTF-8.
    (b"/%c0%af", Malformed::Overlong),
    (b"/%C0%AE%C0%AE/", Malformed::Overlong),
    (b"/%c1%9c", Malformed::Overlong),
    (b"/%e0%80%af", Malformed::Overlong),
    (b"/%f0%80%80%af", Malformed::Overlong),
    // Dots that are a parent folder to some.
    (b"/a/..%2Fb", Malformed::AmbiguousDots),
    (b"/a/..%2f..%2fb", Malformed::AmbiguousDots),
    (b"/a/%2e%2e%2fb", Malformed::AmbiguousDots),
    (b"/%2F..", Malformed::AmbiguousDots),
    (b"/a%2F..", Malformed::AmbiguousDots),
    (b"/a%2F../b", Malformed::AmbiguousDots),
    (b"/a%2F.%2Fb", Malformed::AmbiguousDots),
    (b"/.%2Fb", Malformed::AmbiguousDots),
    (b"/a/..;/b", Malformed::AmbiguousDots),
    (b"/a/..;x=y/b", Malformed::AmbiguousDots),
    (b"/a/.;/b", Malformed::AmbiguousDots),
    (b"/a/%2e%2e;/b", Malformed::AmbiguousDots),
    (b"/..;", Malformed::AmbiguousDots),
    (b"/a%2F..;x", Malformed::AmbiguousDots),
    (b"/a;x%2F../b", Malformed::AmbiguousDots),
];

#[test]
fn served_targets_have_one_form() {
    for (raw, expected) in SERVED {
        assert_eq!(canonical(raw.as_bytes()).as_deref(), Ok(*expected), "{raw}");
    }
}

#[test]
fn odd_targets_are_refused() {
    for (raw, expected) in REFUSED {
        let found = canonical(raw);
        assert_eq!(found, Err(*expected), "{}", String::from_utf8_lossy(raw));
    }
}

#[test]
fn the_table_is_large() {
    assert!(SERVED.len() + REFUSED.len() >= 150, "{}", SERVED.len() + REFUSED.len());
}

#[test]
fn asterisk_is_for_options_and_connect_for_nobody() {
    let target = Target::parse("*", &Method::Options).expect("a target");
    assert!(target.path.is_asterisk());
    assert_eq!(Target::parse("*", &Method::Get), Err(Malformed::TargetForm));
    for raw in ["a:443", "/", "*", "http://a/"] {
        assert_eq!(Target::parse(raw, &Method::Connect), Err(Malformed::Connect));
    }
}

#[test]
fn a_canonical_path_is_not_copied() {
    for text in ["/a/b-c/%2F/%C3%A9;x=1", "/", "/.a/..b/..."] {
        let raw = Bytes::from(text.to_owned());
        let path = Path::parse(raw.clone()).expect("a path");
        assert_eq!(path.bytes().as_ptr(), raw.as_ptr(), "{text}");
    }
}

/// Decodes once and resolves as a lax file server would, to see where a path leads.
fn leads_to(path: &str) -> Vec<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let digits: Vec<u8> = if byte == b'%' { bytes.by_ref().take(2).collect() } else { vec![] };
        let text = std::str::from_utf8(&digits).expect("digits");
        decoded.push(u8::from_str_radix(text, 16).unwrap_or(byte));
    }
    let mut stack = Vec::new();
    for segment in decoded.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => drop(stack.pop()),
            name => stack.push(name.to_vec()),
        }
    }
    stack
}

const ODD: &str = r"(/|\.|\.\.|%2[eEfF5]|%5[cC]|%00|;|a|%61|//|%|%c0|%ae|\\|[ -~]){0,12}";

proptest! {
    #[test]
    fn the_canonical_form_is_canonical(tail in ODD) {
        let raw = format!("/{tail}");
        if let Ok(path) = Path::parse(raw) {
            let again = Path::parse(path.bytes().clone()).expect("canonical paths are paths");
            prop_assert_eq!(again.bytes().as_ptr(), path.bytes().as_ptr(), "it was not copied");
            for segment in path.as_str().split('/') {
                prop_assert!(segment != "." && segment != "..");
            }
            prop_assert!(!path.as_str().contains("//"));
        }
    }

    /// Who decodes again behind us must not get to another folder than we have matched.
    #[test]
    fn a_lax_server_sees_the_same_folders(tail in ODD) {
        if let Ok(path) = Path::parse(format!("/{tail}")) {
            let lax = leads_to(path.as_str()).len();
            let dots = path.as_str().replace("%2F", "/");
            let plain = dots.split('/').filter(|segment| !segment.is_empty()).count();
            prop_assert_eq!(lax, plain, "{}", path);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(raw in prop::collection::vec(any::<u8>(), 0..64), slash: bool) {
        let raw = if slash { [&b"/"[..], &raw].concat() } else { raw };
        if let Ok(target) = Target::parse(raw, &Method::Get) {
            let sent = format!("{}", target.path);
            prop_assert!(sent.bytes().all(|byte| (b'!'..=b'~').contains(&byte)));
        }
    }
}
