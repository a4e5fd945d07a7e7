//! Searching one file, as far as a reply has room.

use super::{Grep, LOOKED_AT, Match, Place};
use crate::api::stream::Reading;
use crate::core::{Error, Kind, Result, Text, error::fail};
use bytes::{Buf as _, Bytes};
use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{BinaryDetection, Searcher, SearcherBuilder, Sink, SinkMatch, sinks};
use std::io::{self, Read};

/// What a pattern may take when it is compiled, and while it matches.
const PATTERN_MAX: usize = 10 << 20;
/// The longest line that is searched, and what is shown of one.
const LINE_MAX: usize = 16 << 20;
const SHOWN_MAX: usize = 4096;

pub(super) struct Pattern {
    matcher: RegexMatcher,
    /// How many lines of a file are wanted.
    pub limit: u64,
    binary_lines: bool,
    /// Whether each byte of a hole, which is a line that has nothing in it, is wanted.
    holes_count: bool,
}

/// How much a reply has room for.
pub(super) struct Room {
    /// Bytes that are looked at.
    pub bytes: u64,
    pub matches: usize,
}

impl Pattern {
    pub(super) fn new(asked: &Grep) -> Result<Self> {
        let built = RegexMatcherBuilder::new()
            .multi_line(true)
            .line_terminator(Some(b'\n'))
            .case_insensitive(asked.ignore_case)
            .fixed_strings(asked.fixed)
            .size_limit(PATTERN_MAX)
            .dfa_size_limit(PATTERN_MAX)
            .build(&asked.pattern);
        let matcher = built.map_err(|e| {
            let message = format!("no regular expression (-F searches for a text): {e}");
            Error::new(Kind::Invalid, message)
        })?;
        Ok(Self {
            limit: asked.limit.unwrap_or(u64::MAX),
            binary_lines: asked.binary_lines,
            holes_count: asked.binary_lines && fits_nothing(&matcher)?,
            matcher,
        })
    }

    /// Searches a file from a place on, and moves that behind what was searched. False when there is more of it that is wanted,
    /// and no room. Of a binary file one match is told, or each; a NUL ends a line of it as grep(1) has it. Holes are passed by; fails
    /// with `TooLarge` on a large one whose every byte matches and is wanted.
    pub(super) fn search(
        &self,
        mut file: Reading,
        place: &mut Place,
        room: &mut Room,
        found: &mut Vec<Match>,
    ) -> Result<bool> {
        loop {
            file = file.range(place.offset, None);
            match self.stretch(&mut file, place, room, found)? {
                Cut::Hole if room.bytes > 0 => {}
                Cut::Hole | Cut::Room => return Ok(false),
                Cut::End => return Ok(true),
            }
        }
    }

    /// Searches on from a place to the next hole, or to where a search ends.
    fn stretch(
        &self,
        file: &mut Reading,
        place: &mut Place,
        room: &mut Room,
        found: &mut Vec<Match>,
    ) -> Result<Cut> {
        let begin = (place.offset, place.lines);
        let mut lines = Lines {
            at: place.offset,
            file,
            piece: Bytes::new(),
            passed: 0,
            left: &mut room.bytes,
            holes_count: self.holes_count,
            cut: Cut::End,
        };
        let mut finds = Finds {
            begin,
            place,
            found,
            left: &mut room.matches,
            limit: self.limit,
            binary_lines: self.binary_lines,
            is_done: false,
        };
        let mut searcher = SearcherBuilder::new()
            .line_number(true)
            .bom_sniffing(false)
            .heap_limit(Some(LINE_MAX))
            .binary_detection(BinaryDetection::convert(0))
            .build();
        let outcome = searcher.search_reader(&self.matcher, &mut lines, &mut finds);
        let is_done = finds.is_done;
        outcome.map_err(failure)?;
        if is_done {
            return Ok(Cut::End);
        }
        if *finds.left == 0 {
            return Ok(Cut::Room);
        }
        (place.offset, place.lines) = (lines.at, begin.1 + lines.passed);
        Ok(lines.cut)
    }
}

/// Whether a pattern matches a line that has nothing in it.
fn fits_nothing(matcher: &RegexMatcher) -> Result<bool> {
    let mut fits = false;
    let tell = sinks::Bytes(|_, _| {
        fits = true;
        Ok(false)
    });
    Searcher::new().search_slice(matcher, b"\n", tell)?;
    Ok(fits)
}

/// Where a search ends: with the file, where there is no more room, or behind a hole, where it goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    End,
    Room,
    Hole,
}

/// What is read of a file: whole lines only, where it ends before its end.
struct Lines<'a> {
    file: &'a mut Reading,
    piece: Bytes,
    /// Where the next piece begins, and how many lines came before it.
    at: u64,
    passed: u64,
    /// Bytes that may still be looked at.
    left: &'a mut u64,
    holes_count: bool,
    cut: Cut,
}

impl Lines<'_> {
    fn fill(&mut self) -> Result<()> {
        let Some(mut piece) = self.file.piece()? else {
            return Ok(());
        };
        *self.left = self.left.saturating_sub(piece.len() as u64);
        if *self.left == 0
            && self.file.left() > 0
            && let Some(end) = memchr::memrchr2(b'\n', 0, &piece)
        {
            piece.truncate(end + 1);
            self.cut = Cut::Room;
        }
        self.at += piece.len() as u64;
        if self.cut == Cut::End && piece.iter().all(|b| *b == 0) {
            self.pass_hole()?;
        }
        self.passed += memchr::memchr_iter(b'\n', &piece).count() as u64;
        self.piece = piece;
        Ok(())
    }

    /// Zeros that were read may be a hole, of which more need not be read.
    fn pass_hole(&mut self) -> Result<()> {
        let behind = self.file.pass_hole()?;
        if behind == self.at {
            return Ok(());
        }
        let len = behind - self.at;
        if self.holes_count && len > LOOKED_AT {
            let message = format!("it has a hole of {len} bytes, and each of them matches");
            return fail(Kind::TooLarge, message);
        }
        (self.at, self.cut) = (behind, Cut::Hole);
        Ok(())
    }
}

impl Read for Lines<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() && self.cut == Cut::End {
            self.fill().map_err(io::Error::other)?;
        }
        let len = out.len().min(self.piece.len());
        out[..len].copy_from_slice(&self.piece[..len]);
        self.piece.advance(len);
        Ok(len)
    }
}

/// Takes what is found.
struct Finds<'a> {
    /// Where the search began: bytes, and lines.
    begin: (u64, u64),
    place: &'a mut Place,
    found: &'a mut Vec<Match>,
    /// How many more there is room for.
    left: &'a mut usize,
    limit: u64,
    binary_lines: bool,
    /// Whether nothing more of the file is wanted.
    is_done: bool,
}

impl Sink for Finds<'_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        let line = self.begin.1 + found.line_number().unwrap_or_default();
        self.place.offset =
            self.begin.0 + found.absolute_byte_offset() + found.bytes().len() as u64;
        self.place.lines = line;
        self.place.found += 1;
        *self.left -= 1;
        let is_enough = self.place.is_binary && !self.binary_lines;
        self.is_done = is_enough || self.place.found >= self.limit;
        let path = self.place.path.clone();
        self.found.push(if self.place.is_binary {
            Match::binary(path)
        } else {
            let text = found.bytes();
            let text = text.strip_suffix(b"\n").unwrap_or(text);
            Match {
                path,
                line,
                text: Text(text[..text.len().min(SHOWN_MAX)].to_vec()),
                is_cut: text.len() > SHOWN_MAX,
            }
        });
        Ok(*self.left > 0 && !self.is_done)
    }

    fn binary_data(&mut self, _: &Searcher, _: u64) -> io::Result<bool> {
        self.place.is_binary = true;
        Ok(true)
    }
}

/// What went wrong: an error of ours on its way through the searcher, or what that says itself.
fn failure(e: io::Error) -> Error {
    match e.downcast::<Error>() {
        Ok(own) => own,
        Err(e) => Error::new(
            Kind::TooLarge,
            format!("it has a line that is too long: {e}"),
        ),
    }
}
