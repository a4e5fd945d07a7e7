//! Texts compared line by line.

use crate::blob::{Blobs, Content};
use crate::core::Result;
use bytes::Bytes;

/// Larger texts are not compared line by line, in bytes.
const BYTES_MAX: u64 = 4 << 20;
/// Nor are those that differ in more lines, between the first and the last that do: texts with nothing in common take the
/// product of their lengths.
const LINES_MAX: usize = 40_000;

/// What a line of a newer text is, beside the older one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The line of the older text with this index.
    Kept(usize),
    New,
}

/// The bytes of a content that is a text: not too many, and no NUL in them.
pub(super) fn text(blobs: &Blobs, content: &Content) -> Result<Option<Bytes>> {
    let size = content.size();
    if size > BYTES_MAX {
        return Ok(None);
    }
    let bytes = blobs.read(content, 0, usize::try_from(size).unwrap_or(0))?;
    Ok((!bytes.contains(&0)).then_some(bytes))
}

/// The lines of a text with their ends.
pub(super) fn lines(text: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    text.split_inclusive(|b| *b == b'\n')
}

/// The unified diff of two texts of one name, each with what it was then, empty where they are alike; `None` when they differ
/// too much.
pub(super) fn unified(name: &str, old: (&str, &[u8]), new: (&str, &[u8])) -> Option<Vec<u8>> {
    if old.1 == new.1 {
        return Some(Vec::new());
    }
    let mut options = diffy::DiffOptions::new();
    options.set_original_filename(name.to_owned());
    options.set_modified_filename(name.to_owned());
    let told = are_close(old.1, new.1).then(|| options.create_patch_bytes(old.1, new.1))?;
    Some(dated(&told.to_bytes(), [old.0, new.0]))
}

/// Puts behind the names in the first two lines when that was. diffy would take the tab that patch(1) looks for as part of the
/// name, and quote it.
fn dated(patch: &[u8], when: [&str; 2]) -> Vec<u8> {
    let mut parts = patch.splitn(3, |b| *b == b'\n');
    let mut out = Vec::with_capacity(patch.len() + when[0].len() + when[1].len() + 2);
    for (when, head) in when.iter().zip(parts.by_ref()) {
        out.extend_from_slice(head);
        out.push(b'\t');
        out.extend_from_slice(when.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(parts.next().unwrap_or_default());
    out
}

/// What each line of a newer text is; all new when the two differ too much.
pub(super) fn origins(old: &[u8], new: &[u8]) -> Vec<Origin> {
    let count = lines(new).count();
    if old.is_empty() || !are_close(old, new) {
        return vec![Origin::New; count];
    }
    let mut options = diffy::DiffOptions::new();
    let patch = options.set_context_len(0).create_patch_bytes(old, new);
    let mut found = Vec::with_capacity(count);
    let mut kept = 0..;
    for hunk in patch.hunks() {
        // Counted from 1; a range without lines names the line before it.
        let new = hunk.new_range();
        let begin = new.start() - usize::from(!new.is_empty());
        found.extend(kept.by_ref().take(begin - found.len()).map(Origin::Kept));
        for line in hunk.lines() {
            match line {
                diffy::Line::Context(_) => found.extend(kept.next().map(Origin::Kept)),
                diffy::Line::Delete(_) => drop(kept.next()),
                diffy::Line::Insert(_) => found.push(Origin::New),
            }
        }
    }
    let rest = count - found.len();
    found.extend(kept.take(rest).map(Origin::Kept));
    found
}

/// Whether what lies between the first and the last lines that differ is short enough to compare.
fn are_close(old: &[u8], new: &[u8]) -> bool {
    let same = |(a, b): &(&[u8], &[u8])| a == b;
    let head = lines(old).zip(lines(new)).take_while(same).count();
    let tail = lines(old)
        .rev()
        .zip(lines(new).rev())
        .take_while(same)
        .count();
    let between = |text: &[u8]| lines(text).count().saturating_sub(head + tail);
    between(old) + between(new) <= LINES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn kept(old: &str, new: &str) -> Vec<Option<usize>> {
        let index = |origin: &Origin| match origin {
            Origin::Kept(i) => Some(*i),
            Origin::New => None,
        };
        origins(old.as_bytes(), new.as_bytes())
            .iter()
            .map(index)
            .collect()
    }

    #[test]
    fn lines_are_told_from_new_ones() {
        assert_eq!(kept("a\nb\nc\n", "a\nx\nc\n"), [Some(0), None, Some(2)]);
        assert_eq!(kept("", "a\nb"), [None, None]);
        assert_eq!(kept("a\nb\nc\n", "c\n"), [Some(2)]);
        assert_eq!(
            kept("a\nb\n", "x\na\nb\ny\n"),
            [None, Some(0), Some(1), None]
        );
        assert_eq!(kept("a\n", ""), []);
    }

    #[test]
    fn texts_that_have_nothing_in_common_are_not_compared_for_hours() {
        let long = |letter: char| {
            let line = |i| format!("{letter}{i}\n");
            (0..30_000).map(line).collect::<String>()
        };
        let (old, new) = (long('a'), long('b'));
        assert!(unified("f", ("a", old.as_bytes()), ("b", new.as_bytes())).is_none());
        let new = format!("first\n{old}");
        let told = unified("f", ("a", old.as_bytes()), ("b", new.as_bytes())).unwrap();
        assert!(told.starts_with(b"--- f\ta\n+++ f\tb\n@@ ") && told.len() < 200);
        assert_eq!(kept(&old, &new)[..2], [None, Some(0)]);
    }

    proptest! {
        #[test]
        fn a_kept_line_is_the_line_it_was(old in "([abc]\n?){0,12}", new in "([abc]\n?){0,12}") {
            let (old, new) = (old.as_bytes(), new.as_bytes());
            let (before, after): (Vec<_>, Vec<_>) = (lines(old).collect(), lines(new).collect());
            let found = origins(old, new);
            prop_assert_eq!(found.len(), after.len());
            for (line, origin) in after.iter().zip(&found) {
                if let Origin::Kept(i) = origin {
                    prop_assert_eq!(*line, before[*i]);
                }
            }
        }
    }
}
