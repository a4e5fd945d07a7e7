//! What changed, told to those who keep copies: the kernels behind mounts, and readers that follow the log.

use crate::core::{Ino, MountId, Name, Op, TenantId};
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::time::Duration;

/// How long a change waits for a kernel to confirm that it forgot; a mount that is going away does not answer.
const CONFIRM_MAX: Duration = Duration::from_secs(5);
/// The same for a change that came through a mount. Two mounts that change one directory at the same time wait for each
/// other's directory lock in the kernel; this is how long until they stop waiting, and are told a moment later.
const CONFIRM_MAX_MOUNT: Duration = Duration::from_millis(100);

/// Something a copy may be wrong about now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A name stands for something else, or for nothing.
    Entry { parent: Ino, name: Name },
    /// Who may see a name, or walk below it, is another matter now: every kernel asks for names again, that of who changed it,
    /// too.
    Closed { parent: Ino, name: Name },
    /// A directory lists other names for some: every kernel forgets the list, that of who changed it, too.
    Relisted(Ino),
    /// Attributes of a node.
    Attr(Ino),
    /// Attributes of a node and the bytes of a file, or the list of a directory's names. What changes a list is told after
    /// the names themselves: a kernel forgets a name only when no listing of the directory is under way.
    Data(Ino),
}

impl Event {
    /// Whether the kernel through which the change came does not know of it by itself.
    fn is_for_all(&self) -> bool {
        matches!(self, Self::Closed { .. } | Self::Relisted(_))
    }
}

/// A batch of events for one subscriber. Dropping it confirms it.
#[derive(Debug)]
pub struct Notice {
    pub events: Vec<Event>,
    _confirm: SyncSender<()>,
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

    /// Tells every mount of the tenant, `origin` only what its kernel does not know, and returns when all have confirmed.
    pub(super) fn publish(&self, tenant: TenantId, origin: Option<MountId>, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let mut waits = Vec::new();
        self.subscribers.lock().retain(|s| {
            let own = Some(s.mount) == origin;
            let is_news = |e: &&Event| !own || e.is_for_all();
            let news: Vec<_> = events.iter().filter(is_news).cloned().collect();
            if s.tenant != tenant || news.is_empty() {
                return true;
            }
            let (confirm, confirmed) = sync_channel(1);
            let notice = Notice {
                events: news,
                _confirm: confirm,
            };
            let told = s.queue.send(notice).is_ok();
            if told {
                waits.push(confirmed);
            }
            told
        });
        let patience = if origin.is_some() {
            CONFIRM_MAX_MOUNT
        } else {
            CONFIRM_MAX
        };
        for wait in waits {
            // Nothing is ever sent: the sender's drop is the confirmation.
            if wait.recv_timeout(patience) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                tracing::warn!(
                    "a mount did not confirm within {patience:?} that it forgot stale entries"
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
