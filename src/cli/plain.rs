//! Names of others' choosing, on their way to a person: a file may be called what a terminal takes for a command, or a log for
//! its next line.

/// A text that may have names of others' choosing in it, with nothing that commands a terminal, passes for another line or
/// turns the reading direction.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let turns = matches!(c, '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || turns {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The same of a text of several lines.
pub(super) fn plain_lines(text: &str) -> String {
    text.split('\n').map(plain).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_commands_no_terminal_and_passes_for_no_line() {
        let name = "a\n42 alice\u{1b}[2K\r\u{202e}ä";
        assert_eq!(plain(name), "a\\n42 alice\\u{1b}[2K\\r\\u{202e}ä");
        assert_eq!(plain_lines("two\nlines\t"), "two\nlines\\t");
    }
}
