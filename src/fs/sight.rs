//! Names that are seen by others than before: what a change notes of them for the kernels that keep them.

use super::commit::Change;
use super::events::Event;
use super::home::Home;
use super::namespace::{ABOVE_MAX, circle};
use crate::access::namespace::NAMESPACES;
use crate::core::{Ino, Name, Result};
use crate::meta::Node;
use crate::meta::cache::Place;
use std::collections::HashSet;

impl Change<'_> {
    /// Notes that a directory lists other names now, for somebody at least.
    pub(super) fn relisted(&mut self, dir: Ino) {
        self.closed.push(Event::Relisted(dir));
    }

    /// Notes that what lies below a directory is not for all any more for whom it was.
    pub(super) fn closed(&mut self, place: &Place) {
        self.closed.push(Event::Closed {
            parent: place.parent,
            name: place.name.clone(),
        });
    }

    /// The same of a directory that fewer may walk through.
    pub(super) fn shut(&mut self, place: &Place, dir: Ino) {
        self.closed(place);
        self.closed.push(Event::Shut(dir));
    }

    /// Every kernel forgets a node's names and what lies below, and the names that lead to it: who sees them has changed.
    pub(super) fn forget_below(&mut self, node: &Node) -> Result<()> {
        for place in self.engine.places(node)? {
            let mut next = Some(place);
            for _ in 0..ABOVE_MAX {
                let Some(place) = next.take() else { break };
                self.closed(&place);
                // The names that it lists for this or that user are others now.
                self.relisted(place.parent);
                next = self.engine.place(place.parent)?;
            }
            if next.is_some() {
                return circle(node.ino);
            }
        }
        Ok(())
    }

    /// The same for the whole tenant: who belongs to whom has changed, and with it rights by groups in modes, lists and
    /// grants alike.
    pub(super) fn forget_all(&mut self, home: &Home) -> Result<()> {
        for policy in &NAMESPACES {
            self.closed(&Place {
                parent: home.tenant.root,
                name: Name::new(policy.name.as_bytes())?,
            });
        }
        let mut seen = HashSet::new();
        for domain in self.engine.policy.domains(home.tenant.id) {
            let mut at = domain.on;
            while let Some(place) = self.engine.place(at)?
                && seen.insert(place.parent)
            {
                at = place.parent;
                self.relisted(at);
            }
        }
        Ok(())
    }

    /// Who sees which names, as it was noted. The kernel that asked for a change of names lets nobody list their directory before it
    /// is answered.
    pub(super) fn told_of_names(&mut self) -> Vec<Event> {
        let mut all = std::mem::take(&mut self.closed);
        if !all.is_empty() {
            let held: HashSet<Ino> = self.entries.iter().map(|(at, _)| at.parent).collect();
            for event in &mut all {
                match event {
                    Event::Relisted(dir) if held.contains(dir) => *event = Event::Shut(*dir),
                    _ => {}
                }
            }
        }
        all
    }
}
