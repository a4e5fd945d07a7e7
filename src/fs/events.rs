//! What changed, told to those who keep copies: the kernels behind mounts, and readers that follow the log.

use super::looks::Looks;
use super::waits::{Errand, Waits};
use crate::core::{HandleId, Ino, MountId, Name, Op, TenantId};
use parking_lot::{Condvar, Mutex};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

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
    /// A directory may be walked through by fewer: names that listings of it under way bring are of before. The kernel that the change
    /// came through lets nobody list it meanwhile.
    Shut(Ino),
    /// What the mount itself moved here was kept for all where it was, and is not for all here. Its kernel takes that in only
    /// once the move has been answered, so nothing waits for it.
    Moved { parent: Ino, name: Name },
    /// Who may see what was of this node, or of newer ones, may be another matter now: every kernel that keeps names of the past
    /// forgets them, that of who changed it, too.
    Past(Ino),
    /// Attributes of a node.
    Attr(Ino),
    /// Attributes of a directory and the list of its names: told after the names themselves, for a kernel forgets a name only
    /// when no listing of the directory is under way.
    List(Ino),
    /// Attributes and bytes of a file.
    Data(Ino),
}

/// What of a tenant's log somebody waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Every operation.
    All,
    /// Operations on grants, boundaries, groups and types.
    Grants,
}

/// A batch of events for one subscriber. Dropping it confirms it.
#[derive(Debug)]
pub struct Notice {
    pub events: Vec<Event>,
    _errand: Errand,
}

impl Event {
    /// Whether a mount has to be told of what came through `origin`: its own kernel knows most of it.
    fn is_for(&self, s: &Subscriber, origin: Option<MountId>) -> bool {
        let is_own = Some(s.mount) == origin;
        match self {
            Self::Past(oldest) => s.looks.depend_on(*oldest),
            Self::Closed { .. } | Self::Relisted(_) => true,
            Self::Moved { .. } => is_own,
            Self::Entry { .. } | Self::List(_) | Self::Attr(_) | Self::Data(_) | Self::Shut(_) => {
                !is_own
            }
        }
    }
}

struct Subscriber {
    tenant: TenantId,
    mount: MountId,
    looks: Arc<Looks>,
    queue: Sender<Notice>,
}

/// Called once, on the thread that made the log grow: it must not wait.
pub type Wake = Box<dyn FnOnce() + Send>;

/// The subscribers of one engine.
#[derive(Default)]
pub struct Events {
    /// Who polls an open file, and behind which operation there may be something for him.
    polls: Mutex<HashMap<HandleId, (TenantId, Op, Wake)>>,
    subscribers: Mutex<Vec<Subscriber>>,
    waits: Arc<Waits>,
    heads: Mutex<HashMap<(TenantId, Stream), Op>>,
    grew: Condvar,
}

impl Events {
    /// Starts telling a mount what others change in its tenant; of who may see the past, what concerns its looks at that. Dropping
    /// the receiver ends it.
    pub fn subscribe(
        &self,
        tenant: TenantId,
        mount: MountId,
        looks: Arc<Looks>,
    ) -> Receiver<Notice> {
        let (queue, receiver) = channel();
        self.subscribers.lock().push(Subscriber {
            tenant,
            mount,
            looks,
            queue,
        });
        receiver
    }

    /// Tells every mount of the tenant, `origin` only what its kernel does not know, and returns when all have confirmed, as far as
    /// [`Waits`] can wait for that. Not to be called with a lock that requests of mounts wait for.
    pub(super) fn publish(&self, tenant: TenantId, origin: Option<MountId>, events: &[Event]) {
        if events.is_empty() {
            return;
        }
        let mut wanted = Vec::new();
        self.subscribers.lock().retain(|s| {
            let news: Vec<_> = events
                .iter()
                .filter(|e| e.is_for(s, origin))
                .cloned()
                .collect();
            if s.tenant != tenant || news.is_empty() {
                return true;
            }
            let waited_for = !news.iter().all(|e| matches!(e, Event::Moved { .. }));
            let errand = self.waits.errand(s.mount);
            let confirmed = errand.wanted();
            let notice = Notice {
                events: news,
                _errand: errand,
            };
            let told = s.queue.send(notice).is_ok();
            if !told {
                self.waits.forget(s.mount);
            } else if waited_for {
                wanted.push(confirmed);
            }
            told
        });
        self.waits.wait(origin, &wanted);
    }

    /// Notes that the log has a new end, which belongs to these streams.
    pub(super) fn log_grew(&self, tenant: TenantId, op: Op, streams: &[Stream]) {
        let mut heads = self.heads.lock();
        heads.extend(streams.iter().map(|stream| ((tenant, *stream), op)));
        self.grew.notify_all();
        drop(heads);
        let mut polls = self.polls.lock();
        let due = |_: &HandleId, poll: &mut (TenantId, Op, Wake)| poll.0 == tenant && poll.1 < op;
        let woken: Vec<_> = polls.extract_if(due).collect();
        drop(polls);
        for (_, (_, _, wake)) in woken {
            wake();
        }
    }

    /// The newest operation that has been told of, if any was.
    pub(super) fn told(&self, tenant: TenantId) -> Option<Op> {
        self.heads.lock().get(&(tenant, Stream::All)).copied()
    }

    /// Calls `wake` when the tenant's log has grown behind `after`, unless another call for the same handle comes first.
    pub(super) fn wake_behind(&self, tenant: TenantId, after: Op, id: HandleId, wake: Wake) {
        self.polls.lock().insert(id, (tenant, after, wake));
        // It may have grown since somebody looked.
        if self.told(tenant).is_some_and(|op| op > after)
            && let Some((_, _, wake)) = self.polls.lock().remove(&id)
        {
            wake();
        }
    }

    /// Wakes nobody for a handle any more.
    pub(super) fn forget(&self, id: HandleId) {
        self.polls.lock().remove(&id);
    }

    /// Waits until a stream of the tenant's log has passed `after`, at most `patience`. Returns at once when it has already.
    pub fn wait_log(&self, tenant: TenantId, stream: Stream, after: Op, patience: Duration) {
        let mut heads = self.heads.lock();
        let key = (tenant, stream);
        self.grew.wait_while_for(
            &mut heads,
            |heads| heads.get(&key).is_none_or(|op| *op <= after),
            patience,
        );
    }
}
