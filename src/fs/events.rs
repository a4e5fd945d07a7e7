//! What changed, told to those who keep copies: the kernels behind mounts, and readers that follow the log.

use crate::core::{Ino, MountId, Name, Op, TenantId};
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

/// How long a change waits for a kernel to confirm that it forgot; a mount that is going away does not answer.
const CONFIRM_MAX: Duration = Duration::from_secs(5);

/// Something a copy may be wrong about now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A name stands for something else, or for nothing.
    Entry { parent: Ino, name: Name },
    /// Attributes of a node.
    Attr(Ino),
    /// Attributes and bytes of a node.
    Data(Ino),
}

/// A batch of events for one subscriber. Dropping it confirms it.
#[derive(Debug)]
pub struct Notice {
    pub events: Vec<Event>,
    _confirm: Option<SyncSender<()>>,
}

struct Subscriber {
    tenant: TenantId,
    mount: MountId,
    queue: Sender<Notice>,
}

/// The subscribers of one engine.
#[derive(Default)]
pub struct Events {
    subscribers: Mutex<Vec<Subscriber>>,
    heads: Mutex<HashMap<TenantId, Op>>,
    grew: Condvar,
}

impl Events {
    /// Starts telling a mount what others change in its tenant. Dropping the receiver ends it.
    pub fn subscribe(&self, tenant: TenantId, mount: MountId) -> Receiver<Notice> {
        let (queue, receiver) = channel();
        self.subscribers.lock().push(Subscriber {
            tenant,
            mount,
            queue,
        });
        receiver
    }

    /// Tells every mount of the tenant except `origin`; without an origin, returns when all have confirmed.
    pub(super) fn publish(&self, tenant: TenantId, origin: Option<MountId>, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let mut waits = Vec::new();
        self.subscribers.lock().retain(|s| {
            if s.tenant != tenant || Some(s.mount) == origin {
                return true;
            }
            let mut confirm = None;
            if origin.is_none() {
                let (sender, receiver) = sync_channel(1);
                waits.push(receiver);
                confirm = Some(sender);
            }
            s.queue
                .send(Notice {
                    events: events.to_vec(),
                    _confirm: confirm,
                })
                .is_ok()
        });
        for wait in waits {
            // Nothing is ever sent: the sender's drop is the confirmation.
            if wait.recv_timeout(CONFIRM_MAX) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                tracing::warn!(
                    "a mount did not confirm within {CONFIRM_MAX:?} that it forgot stale entries"
                );
            }
        }
    }

    pub(super) fn log_grew(&self, tenant: TenantId, op: Op) {
        self.heads.lock().insert(tenant, op);
        self.grew.notify_all();
    }

    /// Waits until the tenant's log has passed `after`, at most `patience`. Returns at once when it has already.
    pub fn wait_log(&self, tenant: TenantId, after: Op, patience: Duration) {
        let mut heads = self.heads.lock();
        self.grew.wait_while_for(
            &mut heads,
            |heads| heads.get(&tenant).is_none_or(|op| *op <= after),
            patience,
        );
    }
}
