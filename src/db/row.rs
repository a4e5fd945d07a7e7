//! Values on their way into and out of a statement.

use crate::core::{Error, Kind, Result};
use std::fmt;

/// A value bound to a placeholder.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Param<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// A value read from a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Int(n) => n.fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Bytes(bytes) => write!(f, "\"{}\"", bytes.escape_ascii()),
        }
    }
}

/// One row of an answer, read by position.
#[derive(Debug, Clone, PartialEq)]
pub struct Row(pub Vec<Value>);

impl Row {
    /// What people find the row by: the first `keys` of its columns.
    pub fn name(&self, keys: usize) -> String {
        let keys: Vec<_> = self.0.iter().take(keys).map(Value::to_string).collect();
        format!("row ({})", keys.join(", "))
    }

    /// The same, and its table.
    pub fn name_in(&self, table: &str, keys: usize) -> String {
        format!("{} of table {table}", self.name(keys))
    }

    fn at(&self, i: usize) -> Result<&Value> {
        self.0
            .get(i)
            .ok_or_else(|| Error::new(Kind::Corrupt, format!("row has no column {i}")))
    }

    fn wrong(i: usize, wanted: &str, found: &Value) -> Error {
        Error::new(
            Kind::Corrupt,
            format!("column {i} should be {wanted}, found {found:?}"),
        )
    }

    pub fn int(&self, i: usize) -> Result<i64> {
        match self.at(i)? {
            Value::Int(n) => Ok(*n),
            other => Err(Self::wrong(i, "a number", other)),
        }
    }

    /// A number that is stored signed and is never negative: counts, sizes, ids.
    pub fn uint(&self, i: usize) -> Result<u64> {
        let n = self.int(i)?;
        u64::try_from(n).map_err(|e| Self::wrong(i, "not negative", &Value::Int(n)).caused_by(e))
    }

    pub fn u32(&self, i: usize) -> Result<u32> {
        let n = self.int(i)?;
        u32::try_from(n).map_err(|e| Self::wrong(i, "32 bits wide", &Value::Int(n)).caused_by(e))
    }

    pub fn opt_uint(&self, i: usize) -> Result<Option<u64>> {
        match self.at(i)? {
            Value::Null => Ok(None),
            _ => self.uint(i).map(Some),
        }
    }

    pub fn opt_int(&self, i: usize) -> Result<Option<i64>> {
        match self.at(i)? {
            Value::Null => Ok(None),
            _ => self.int(i).map(Some),
        }
    }

    pub fn text(&self, i: usize) -> Result<&str> {
        match self.at(i)? {
            Value::Text(s) => Ok(s),
            other => Err(Self::wrong(i, "text", other)),
        }
    }

    /// Takes a text out of the row, which has an empty one then.
    pub fn take_text(&mut self, i: usize) -> Result<String> {
        match self.0.get_mut(i) {
            Some(Value::Text(s)) => Ok(std::mem::take(s)),
            _ => self.text(i).map(str::to_owned),
        }
    }

    pub fn opt_text(&self, i: usize) -> Result<Option<&str>> {
        match self.at(i)? {
            Value::Null => Ok(None),
            _ => self.text(i).map(Some),
        }
    }

    pub fn bytes(&self, i: usize) -> Result<&[u8]> {
        match self.at(i)? {
            Value::Bytes(b) => Ok(b),
            other => Err(Self::wrong(i, "bytes", other)),
        }
    }

    pub fn opt_bytes(&self, i: usize) -> Result<Option<&[u8]>> {
        match self.at(i)? {
            Value::Null => Ok(None),
            _ => self.bytes(i).map(Some),
        }
    }
}

impl From<i64> for Param<'_> {
    fn from(n: i64) -> Self {
        Self::Int(n)
    }
}

impl From<u32> for Param<'_> {
    fn from(n: u32) -> Self {
        Self::Int(i64::from(n))
    }
}

/// Ids, sizes and counts: SQL has no unsigned numbers, and none of ours passes 2^63.
impl From<u64> for Param<'_> {
    fn from(n: u64) -> Self {
        Self::Int(i64::try_from(n).unwrap_or(i64::MAX))
    }
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(s: &'a str) -> Self {
        Self::Text(s)
    }
}

impl<'a> From<&'a [u8]> for Param<'a> {
    fn from(b: &'a [u8]) -> Self {
        Self::Bytes(b)
    }
}

impl<'a> From<&'a crate::core::Name> for Param<'a> {
    fn from(n: &'a crate::core::Name) -> Self {
        Self::Bytes(n.as_bytes())
    }
}

impl<'a> From<&'a crate::core::Hash> for Param<'a> {
    fn from(h: &'a crate::core::Hash) -> Self {
        Self::Bytes(&h.0)
    }
}

impl From<crate::core::Ino> for Param<'_> {
    fn from(i: crate::core::Ino) -> Self {
        i.0.into()
    }
}

impl From<crate::core::Op> for Param<'_> {
    fn from(o: crate::core::Op) -> Self {
        o.0.into()
    }
}

impl From<crate::core::TenantId> for Param<'_> {
    fn from(t: crate::core::TenantId) -> Self {
        t.0.into()
    }
}

impl From<crate::core::PrincipalId> for Param<'_> {
    fn from(p: crate::core::PrincipalId) -> Self {
        p.0.into()
    }
}

impl From<crate::core::KeyId> for Param<'_> {
    fn from(k: crate::core::KeyId) -> Self {
        k.0.into()
    }
}

impl From<crate::core::Time> for Param<'_> {
    fn from(t: crate::core::Time) -> Self {
        t.0.into()
    }
}

impl<'a, T: Into<Param<'a>>> From<Option<T>> for Param<'a> {
    fn from(v: Option<T>) -> Self {
        v.map_or(Self::Null, Into::into)
    }
}
