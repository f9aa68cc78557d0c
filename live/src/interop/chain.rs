//! One chain: written by one side, restored at every link by both, then deleted.

use std::fmt;

use clinker_drivers::Backup;

use super::cinder::Cinder;
use super::clinker::Clinker;
use super::stores::{OptionMap, Store};
use super::table::{Cell, Row};
use super::volume::State;

/// Who writes or reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Clinker,
    Cinder,
}

impl Side {
    pub const BOTH: [Side; 2] = [Side::Clinker, Side::Cinder];
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Side::Clinker { "clinker" } else { "cinder" })
    }
}

/// Who writes each link of a chain.
#[derive(Debug)]
pub struct Writer {
    pub name: &'static str,
    links: [Side; 3],
}

impl Writer {
    pub const ALL: [Writer; 3] = [
        Writer { name: "clinker", links: [Side::Clinker; 3] },
        Writer { name: "cinder", links: [Side::Cinder; 3] },
        // Increments on the other's backups: each reads the other's hash lists.
        Writer { name: "in-turn", links: [Side::Clinker, Side::Cinder, Side::Clinker] },
    ];
}

/// A backup as both sides know it.
pub type Link = Backup;

/// What is to be written, by whom and where.
pub struct Chain<'a> {
    pub store: &'a Store,
    pub compressor: &'static str,
    pub writer: &'static Writer,
    pub volume_id: &'a str,
    pub states: &'a [State],
}

impl Chain<'_> {
    /// A row for each reader.
    pub async fn play(&self, cinder: &mut Cinder, clinker: &Clinker) -> Vec<Row> {
        let options = self.store.options(self.compressor, self.writer.name);
        let (links, broken) = self.write(&options, cinder, clinker).await;
        let mut rows = Vec::new();
        for reader in Side::BOTH {
            let mut cells = Vec::new();
            for (index, state) in self.states.iter().enumerate() {
                cells.push(match (links.get(..=index), &broken) {
                    (Some(links), _) => read(reader, &options, links, state, cinder, clinker).await,
                    (None, Some(why)) => Cell::Failed(format!("not written: {why}")),
                    (None, None) => Cell::Failed("not written".into()),
                });
            }
            let (store, compressor, writer) = (self.store.name(), self.compressor, self.writer.name);
            rows.push(Row { store, compressor, writer, reader, cells, left: None });
        }
        let left = clinker.delete(&options, &links).await.err();
        rows.iter_mut().for_each(|row| row.left = left.clone());
        rows
    }

    /// The links, and why there are no more.
    async fn write(&self, options: &OptionMap, cinder: &mut Cinder, clinker: &Clinker) -> (Vec<Link>, Option<String>) {
        let mut links: Vec<Link> = Vec::new();
        for (state, side) in self.states.iter().zip(self.writer.links) {
            let made = match side {
                Side::Clinker => clinker.backup(options, &links, self.volume_id, state).await,
                Side::Cinder => cinder.backup(options, &links, self.volume_id, state).await,
            };
            match made {
                Ok(link) => links.push(link),
                Err(why) => return (links, Some(why)),
            }
        }
        let broken = clinker.check_compression(options, &links, self.compressor).await.err();
        match broken {
            // The cells would not show what they say.
            Some(why) => (Vec::new(), Some(why)),
            None => (links, None),
        }
    }
}

/// Restores the last of the links to a new volume and over an old one.
async fn read(
    reader: Side,
    options: &OptionMap,
    links: &[Link],
    state: &State,
    cinder: &mut Cinder,
    clinker: &Clinker,
) -> Cell {
    for volume_is_new in [true, false] {
        let restored = match reader {
            Side::Clinker => clinker.restore(options, links, volume_is_new).await,
            Side::Cinder => cinder.restore(options, links, volume_is_new).await,
        };
        match restored {
            Ok(bytes) if bytes == state.data => {}
            Ok(bytes) => return Cell::differing(&bytes, &state.data),
            Err(why) => return Cell::Failed(why),
        }
    }
    Cell::Exact
}
