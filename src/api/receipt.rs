//! Receipts of the log.

use super::Command;
use super::context::Context;
use crate::core::{Error, Kind, Op, Result, TenantId, Time};
use crate::fs;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What the log was: to be kept where nobody who can write to the store can change it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    pub tenant: String,
    /// The tenant's number; receipts of earlier versions have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<u32>,
    pub op: u64,
    /// RFC 3339, UTC, nanoseconds.
    pub time: String,
    /// SHA-256 in hex: over the operation, all before it, and the sum of the tree's rows.
    pub hash: String,
    /// That sum, 16 hex digits.
    pub state: String,
}

impl Receipt {
    fn of(receipt: fs::Receipt) -> Self {
        Self {
            tenant: receipt.tenant,
            tenant_id: receipt.id.map(|id| id.0),
            op: receipt.op.0,
            time: receipt.time.to_string(),
            hash: receipt.hash.to_string(),
            state: format!("{:016x}", receipt.state),
        }
    }

    /// Reads what somebody has kept; fails with `Invalid` on what is no receipt.
    pub(super) fn read(&self) -> Result<fs::Receipt> {
        let wrong = |what: &str| format!("receipt of operation {}: {what}", self.op);
        let time: Timestamp = self
            .time
            .parse()
            .map_err(|e| Error::new(Kind::Invalid, wrong("its time is none")).caused_by(e))?;
        let state = u64::from_str_radix(&self.state, 16)
            .map_err(|e| Error::new(Kind::Invalid, wrong("its state is no number")).caused_by(e))?;
        Ok(fs::Receipt {
            tenant: self.tenant.clone(),
            id: self.tenant_id.map(TenantId),
            op: Op(self.op),
            time: Time::from_system(time.into()),
            hash: self.hash.parse()?,
            state: state.cast_signed(),
        })
    }
}

/// Tells what the log is now, so that a later `verify` can tell whether it has lost or changed anything.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogHead {}

impl Command for LogHead {
    const NAME: &'static str = "log-head";
    type Reply = Receipt;

    fn run(self, cx: &mut Context<'_>) -> Result<Receipt> {
        cx.engine().receipt(cx.caller).map(Receipt::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::Hash;

    #[test]
    fn a_receipt_is_read_as_it_was_written() {
        let receipt = fs::Receipt {
            tenant: "default".to_owned(),
            id: Some(TenantId(1)),
            op: Op(7),
            time: Time(1_700_000_000_123_456_789),
            hash: Hash::of(b"x"),
            state: -9,
        };
        let told = Receipt::of(receipt.clone());
        assert_eq!(told.read().unwrap(), receipt);
        let mut old = serde_json::to_value(&told).unwrap();
        old.as_object_mut().unwrap().remove("tenant_id");
        let old: Receipt = serde_json::from_value(old).unwrap();
        assert_eq!(
            old.read().unwrap(),
            fs::Receipt {
                id: None,
                ..receipt
            }
        );
        for broken in [
            Receipt {
                hash: "ab".to_owned(),
                ..told.clone()
            },
            Receipt {
                time: "soon".to_owned(),
                ..told.clone()
            },
            Receipt {
                state: "-".to_owned(),
                ..told.clone()
            },
        ] {
            assert_eq!(broken.read().unwrap_err().kind(), Kind::Invalid);
        }
    }
}
