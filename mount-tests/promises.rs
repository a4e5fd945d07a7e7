//! Every promise of docs/semantics.md is quoted by a test, and every quote is of a promise.
//!
//! A test quotes with a comment: the page's name, a section sign with the section's number, a colon, and the promise or a part of it
//! in double quotes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test, failing loudly is the point"
)]

use std::fs;
use std::path::{Path, PathBuf};

const MARK: &str = "semantics.md §";

/// A bullet of the page, or a test's quote of one: the section and the words.
#[derive(Debug, PartialEq)]
struct Sentence {
    section: String,
    words: String,
}

fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The bullets under numbered headings; what stands under other headings promises nothing.
fn promises(page: &str) -> Vec<Sentence> {
    let (mut all, mut section): (Vec<Sentence>, _) = (Vec::new(), None);
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix('#') {
            let title = heading.trim_start_matches('#').trim();
            section = title
                .split_once('.')
                .map(|(n, _)| n.to_owned())
                .filter(|n| n.parse::<u32>().is_ok());
        } else if let (Some(section), Some(words)) = (&section, line.strip_prefix("- ")) {
            all.push(Sentence {
                section: section.clone(),
                words: words.to_owned(),
            });
        } else if let (Some(last), true) = (all.last_mut(), line.starts_with("  ")) {
            last.words.push_str(line);
        }
    }
    for sentence in &mut all {
        sentence.words = squeeze(&sentence.words);
    }
    all
}

/// The quotes in a source file, comment signs taken out.
fn quotes(source: &str) -> Vec<Sentence> {
    let text: Vec<&str> = source
        .lines()
        .map(|l| l.trim().trim_start_matches(['/', '#', '!']))
        .collect();
    let text = squeeze(&text.join(" "));
    let found = text.split(MARK).skip(1).filter_map(|rest| {
        let (section, rest) = rest.split_once(": \"")?;
        let (words, _) = rest.split_once('"')?;
        section.parse::<u32>().ok()?;
        Some(Sentence {
            section: section.to_owned(),
            words: words.to_owned(),
        })
    });
    found.collect()
}

fn sources(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

fn covers(quote: &Sentence, promise: &Sentence) -> bool {
    quote.section == promise.section && promise.words.contains(&quote.words)
}

#[test]
fn every_promise_is_quoted_by_a_test_and_every_quote_is_of_a_promise() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let promises = promises(&fs::read_to_string(root.join("docs/semantics.md")).unwrap());
    assert!(
        promises.len() > 20,
        "only {} promises were read",
        promises.len()
    );
    let mut files = Vec::new();
    sources(&root.join("src"), &mut files);
    sources(&root.join("mount-tests"), &mut files);
    files.retain(|f| !f.ends_with("promises.rs"));
    let quotes: Vec<(PathBuf, Sentence)> = files
        .into_iter()
        .flat_map(|f| {
            quotes(&fs::read_to_string(&f).unwrap())
                .into_iter()
                .map(move |q| (f.clone(), q))
        })
        .collect();
    let unproved: Vec<_> = promises
        .iter()
        .filter(|p| !quotes.iter().any(|(_, q)| covers(q, p)))
        .collect();
    let strange: Vec<_> = quotes
        .iter()
        .filter(|(_, q)| !promises.iter().any(|p| covers(q, p)))
        .collect();
    assert!(unproved.is_empty(), "no test quotes: {unproved:#?}");
    assert!(
        strange.is_empty(),
        "quotes of nothing on the page: {strange:#?}"
    );
}

#[test]
fn a_promise_without_a_test_would_be_found() {
    let page =
        "# Page\n## 5. Durability\n- Nothing is\n  lost.\n- Nor found.\n# Appendix\n- no promise\n";
    let promises = promises(page);
    assert_eq!(promises.len(), 2);
    let quotes = quotes(&format!("/// {MARK}5: \"Nothing\n/// is lost.\"\n#[test]"));
    assert!(covers(&quotes[0], &promises[0]) && !covers(&quotes[0], &promises[1]));
}
