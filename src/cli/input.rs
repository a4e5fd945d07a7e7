//! What a command reads: a file, or standard input for `-`.

use crate::core::{Error, Result};
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

pub(super) fn is_standard(file: &Path) -> bool {
    file.as_os_str() == "-"
}

/// Reads a text whole.
pub(super) fn text(file: &Path) -> Result<String> {
    if is_standard(file) {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text)?;
        return Ok(text);
    }
    fs::read_to_string(file).map_err(|e| Error::from(e).context(file.display()))
}
