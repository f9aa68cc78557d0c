//! How RabbitMQ refuses: reply code, text, and whether it costs the channel or the connection.

use amq_protocol::protocol::{AMQPClass, channel, connection};

/// A refused method.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub code: u16,
    pub text: String,
    /// The connection is closed, not only the channel.
    pub hard: bool,
}

impl Refusal {
    fn soft(code: u16, name: &str, what: String) -> Refusal {
        Refusal { code, text: format!("{name} - {what}"), hard: false }
    }

    fn hard(code: u16, name: &str, what: impl Into<String>) -> Refusal {
        Refusal { code, text: format!("{name} - {}", what.into()), hard: true }
    }

    pub fn access(what: String) -> Refusal {
        Refusal::soft(403, "ACCESS_REFUSED", what)
    }

    pub fn not_found(kind: &str, name: &str, vhost: &str) -> Refusal {
        Refusal::soft(404, "NOT_FOUND", format!("no {kind} '{name}' in vhost '{vhost}'"))
    }

    pub fn locked(queue: &str, vhost: &str) -> Refusal {
        let what = format!(
            "cannot obtain exclusive access to locked queue '{queue}' in vhost '{vhost}'. It could be originally \
             declared on another connection or the exclusive property value does not match that of the original \
             declaration."
        );
        Refusal::soft(405, "RESOURCE_LOCKED", what)
    }

    pub fn precondition(what: String) -> Refusal {
        Refusal::soft(406, "PRECONDITION_FAILED", what)
    }

    /// A second declaration that differs from the first.
    pub fn inequivalent(argument: &str, kind: &str, name: &str, vhost: &str, received: &str, current: &str) -> Refusal {
        Refusal::precondition(format!(
            "inequivalent arg '{argument}' for {kind} '{name}' in vhost '{vhost}': received '{received}' but current \
             is '{current}'"
        ))
    }

    pub fn login() -> Refusal {
        let what = "Login was refused using authentication mechanism PLAIN. For details see the broker logfile.";
        Refusal::hard(403, "ACCESS_REFUSED", what)
    }

    pub fn frame() -> Refusal {
        Refusal::hard(501, "FRAME_ERROR", "cannot decode frame")
    }

    pub fn command(what: impl Into<String>) -> Refusal {
        Refusal::hard(503, "COMMAND_INVALID", what)
    }

    pub fn channel(what: &str) -> Refusal {
        Refusal::hard(504, "CHANNEL_ERROR", what)
    }

    pub fn unexpected(what: &str) -> Refusal {
        Refusal::hard(505, "UNEXPECTED_FRAME", what)
    }

    pub fn not_allowed(what: impl Into<String>) -> Refusal {
        Refusal::hard(530, "NOT_ALLOWED", what)
    }

    pub fn not_implemented(what: &str) -> Refusal {
        Refusal::hard(540, "NOT_IMPLEMENTED", what)
    }

    /// The method that tells the client, in answer to `class.method`.
    pub fn close(&self, class_id: u16, method_id: u16) -> AMQPClass {
        // The protocol's texts end after 255 bytes.
        let end = (0..=self.text.len().min(255)).rev().find(|end| self.text.is_char_boundary(*end)).unwrap_or(0);
        let (reply_code, reply_text) = (self.code, self.text[..end].into());
        if self.hard {
            let close = connection::Close { reply_code, reply_text, class_id, method_id };
            AMQPClass::Connection(connection::AMQPMethod::Close(close))
        } else {
            let close = channel::Close { reply_code, reply_text, class_id, method_id };
            AMQPClass::Channel(channel::AMQPMethod::Close(close))
        }
    }
}
