//! Log lines of the service and the drivers, as records with virtual time and host.

use std::fmt::{Debug, Write};
use std::sync::Arc;

use clinker_model::{Entry, Journal};
use clinker_world::{SimJournal, current_host};
use tracing::field::{Field, Visit};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Records every log line of this thread until the guard is dropped.
pub(crate) fn record_into(journal: Arc<SimJournal>) -> DefaultGuard {
    tracing::subscriber::set_default(tracing_subscriber::registry().with(Recorder(journal)))
}

struct Recorder(Arc<SimJournal>);

impl<S: Subscriber> Layer<S> for Recorder {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target().starts_with("clinker")
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line::default();
        event.record(&mut line);
        let metadata = event.metadata();
        let host = current_host().unwrap_or_else(|| "world".into());
        let entry =
            Entry::Log { level: metadata.level().to_string(), target: metadata.target().to_owned(), message: line.0 };
        self.0.record(&host, entry);
    }
}

/// The message, then its fields.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let written = match field.name() {
            "message" => write!(self.0, "{value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
        written.expect("writing to a string does not fail");
    }
}
