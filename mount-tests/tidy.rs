//! The house rules that no lint checks: floors, sizes, empty lobbies.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, failing loudly is the point"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
/// What a `mod.rs` may hold beside comments: module lines, re-exports and small traits.
const LOBBY_LINES_MAX: usize = 150;

#[test]
fn the_house_is_tidy() {
    let found = inspect(Path::new(env!("CARGO_MANIFEST_DIR")));
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

#[test]
fn every_kind_of_mess_is_found() {
    let house = tempfile::tempdir().unwrap();
    let long = format!(
        "fn long() {{\n{}}}\n",
        "    call();\n".repeat(FUNCTION_LINES_MAX)
    );
    let fits = format!(
        "fn fits() {{\n{}}}\n",
        "    call();\n".repeat(FUNCTION_LINES_MAX - 2)
    );
    let files = [
        ("src/lib.rs", "pub mod ground;\npub mod roof;\n".to_owned()),
        (
            "src/ground/mod.rs",
            "use crate::{ground::x, roof::y};\n".to_owned(),
        ),
        (
            "src/ground/fine.rs",
            "// crate::roof is above\nuse crate::ground;\n".to_owned(),
        ),
        ("src/roof.rs", format!("use crate::ground;\n{fits}")),
        (
            "src/roof/long.rs",
            format!("    {}", long.replace('\n', "\n    ")),
        ),
        ("src/roof/mod.rs", "fn f() {}\n".repeat(LOBBY_LINES_MAX + 1)),
        ("mount-tests/big.rs", "// line\n".repeat(FILE_LINES_MAX + 1)),
    ];
    for (path, text) in files {
        let path = house.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let found = inspect(house.path());
    let expected = [
        "mount-tests/big.rs: 501 lines",
        "src/ground/mod.rs:1: uses roof, which stands above ground",
        "src/roof/long.rs:1: function of 72 lines",
        "src/roof/mod.rs: a lobby of 151 lines",
    ];
    assert_eq!(found, expected);
}

/// Lists everything untidy below a project's directory, sorted.
fn inspect(root: &Path) -> Vec<String> {
    let floors = floors(&fs::read_to_string(root.join("src/lib.rs")).unwrap());
    let mut files = Vec::new();
    for dir in ["src", "mount-tests"] {
        rust_files(&root.join(dir), &mut files);
    }
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let name = file
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        let text = fs::read_to_string(&file).unwrap();
        let mess = [
            sizes(&name, &text),
            functions(&text),
            climbs(&name, &text, &floors),
        ];
        found.extend(
            mess.concat()
                .into_iter()
                .map(|mess| format!("{name}{mess}")),
        );
    }
    found
}

fn rust_files(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// The modules of `lib.rs`, from the ground up.
fn floors(lib: &str) -> Vec<String> {
    let name = |line: &str| {
        line.strip_prefix("pub mod ")?
            .strip_suffix(';')
            .map(str::to_owned)
    };
    lib.lines().filter_map(name).collect()
}

fn sizes(name: &str, text: &str) -> Vec<String> {
    let lines = text.lines().count();
    let code = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with("//"));
    if lines > FILE_LINES_MAX {
        vec![format!(": {lines} lines")]
    } else if name.ends_with("/mod.rs") && code.clone().count() > LOBBY_LINES_MAX {
        vec![format!(": a lobby of {} lines", code.count())]
    } else {
        Vec::new()
    }
}

/// Finds long functions. The code is formatted: a body ends at the first brace as deep as its `fn`.
fn functions(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (i, line) in lines.iter().enumerate() {
        if !opens_function(line) || line.ends_with(['}', ';']) {
            continue;
        }
        let depth = line.len() - line.trim_start().len();
        let end = |l: &&str| l.starts_with(&format!("{:depth$}}}", ""));
        let semicolon = |l: &&str| l.starts_with(&format!("{:depth$})", "")) && l.ends_with(';');
        let length = lines[i..]
            .iter()
            .position(|l| end(l) || semicolon(l))
            .map_or(0, |n| n + 1);
        if length > FUNCTION_LINES_MAX {
            found.push(format!(":{}: function of {length} lines", i + 1));
        }
    }
    found
}

fn opens_function(line: &str) -> bool {
    let before = line.trim_start().split("fn ").next().unwrap_or_default();
    let words = [
        "pub",
        "pub(crate)",
        "pub(super)",
        "const",
        "async",
        "unsafe",
        "extern",
        "\"C\"",
    ];
    line.contains("fn ") && before.split_whitespace().all(|word| words.contains(&word))
}

/// Finds uses of a floor above one's own.
fn climbs(name: &str, text: &str, floors: &[String]) -> Vec<String> {
    let room = name
        .strip_prefix("src/")
        .and_then(|n| n.split(['/', '.']).next());
    let Some(own) = room.and_then(|room| floors.iter().position(|floor| floor == room)) else {
        return Vec::new();
    };
    let above: BTreeSet<&str> = floors[own + 1..].iter().map(String::as_str).collect();
    let mut found = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for used in used_floors(code)
            .into_iter()
            .filter(|used| above.contains(used))
        {
            let own = &floors[own];
            found.push(format!(":{}: uses {used}, which stands above {own}", i + 1));
        }
    }
    found
}

/// The first segments after `crate::` in a line, braces included.
fn used_floors(code: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for rest in code.split("crate::").skip(1) {
        let group = rest
            .strip_prefix('{')
            .map_or(rest, |rest| rest.split('}').next().unwrap_or(rest));
        let parts = if rest.starts_with('{') {
            group.split(',').collect()
        } else {
            vec![group]
        };
        let word = |part: &&str| {
            part.trim()
                .split(|c: char| !c.is_alphanumeric() && c != '_')
                .next()
                .map(str::len)
        };
        for part in parts {
            let part = part.trim();
            found.extend(word(&part).map(|len| &part[..len]));
        }
    }
    found
}
