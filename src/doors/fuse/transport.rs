//! Which way requests come: through fuser, or through rings of our own where the kernel allows them.

use super::door::Door;
use super::options::Transport;
use super::uring::{Rings, is_enabled};
use crate::core::{Error, Kind, Result, error::fail};
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// Makes rings ready where they are wanted and allowed; what was asked for by name and cannot be is an error.
pub(super) fn rings(transport: Transport) -> Result<Option<Rings>> {
    let is_enabled = is_enabled();
    match transport {
        Transport::Fuser => Ok(None),
        Transport::Auto if !is_enabled => Ok(None),
        Transport::IoUring if !is_enabled => fail(
            Kind::Unavailable,
            "transport=io_uring: this kernel does not allow it; Linux 6.14 or newer does after \
             `echo Y > /sys/module/fuse/parameters/enable_uring`",
        ),
        Transport::Auto => Ok(Rings::prepare().map_err(|e| told(&e)).ok()),
        Transport::IoUring => Rings::prepare().map(Some).map_err(refused),
    }
}

/// Lets rings answer what the kernel asks on a connection.
pub(super) fn take_over(
    rings: Rings,
    device: &Arc<OwnedFd>,
    door: &Arc<Door>,
    transport: Transport,
) -> Result<()> {
    match rings.start(device, door) {
        Ok(()) => {
            tracing::debug!("requests come through io_uring");
            Ok(())
        }
        Err(e) if transport == Transport::IoUring => Err(refused(e)),
        Err(e) => {
            told(&e);
            Ok(())
        }
    }
}

fn told(e: &io::Error) {
    tracing::warn!("requests come through fuser: io_uring is not to be had: {e}");
}

fn refused(e: io::Error) -> Error {
    Error::new(Kind::Unavailable, "transport=io_uring").caused_by(e)
}
