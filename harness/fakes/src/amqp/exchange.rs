//! Exchanges and bindings: which queues a message goes to.

use std::collections::BTreeSet;

use amq_protocol::types::FieldTable;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExchangeKind {
    Direct,
    Fanout,
    Topic,
}

impl ExchangeKind {
    pub fn parse(word: &str) -> Option<ExchangeKind> {
        match word {
            "direct" => Some(ExchangeKind::Direct),
            "fanout" => Some(ExchangeKind::Fanout),
            "topic" => Some(ExchangeKind::Topic),
            _ => None,
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            ExchangeKind::Direct => "direct",
            ExchangeKind::Fanout => "fanout",
            ExchangeKind::Topic => "topic",
        }
    }
}

pub(crate) struct Exchange {
    pub kind: ExchangeKind,
    pub durable: bool,
    pub auto_delete: bool,
    pub internal: bool,
    pub arguments: FieldTable,
    /// Routing key and queue.
    pub bindings: BTreeSet<(String, String)>,
}

impl Exchange {
    /// The queues that a message with this key goes to, each once.
    pub fn route(&self, key: &str) -> BTreeSet<String> {
        let hit = |bound: &str| match self.kind {
            ExchangeKind::Fanout => true,
            ExchangeKind::Direct => bound == key,
            ExchangeKind::Topic => matches(bound, key),
        };
        self.bindings.iter().filter(|(bound, _)| hit(bound)).map(|(_, queue)| queue.clone()).collect()
    }
}

/// Whether a topic's pattern takes the key: `*` is one word, `#` any number of them.
fn matches(pattern: &str, key: &str) -> bool {
    fn words(pattern: &[&str], key: &[&str]) -> bool {
        match (pattern.split_first(), key.split_first()) {
            (None, None) => true,
            (Some((&"#", rest)), _) if words(rest, key) => true,
            (Some((&"#", _)), Some((_, key))) => words(pattern, key),
            (Some((word, rest)), Some((own, key))) => (*word == "*" || word == own) && words(rest, key),
            _ => false,
        }
    }
    words(&pattern.split('.').collect::<Vec<_>>(), &key.split('.').collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_matches_word_by_word() {
        let rows = [
            ("notifications.info", "notifications.info", true),
            ("notifications.info", "notifications.error", false),
            ("notifications.*", "notifications.error", true),
            ("notifications.*", "notifications", false),
            ("notifications.*", "notifications.a.b", false),
            ("#", "a.b.c", true),
            ("a.#", "a", true),
            ("a.#.d", "a.b.c.d", true),
            ("a.#.d", "a.b.c", false),
            ("*.b", "a.b", true),
        ];
        for (pattern, key, expected) in rows {
            assert_eq!(matches(pattern, key), expected, "{pattern} {key}");
        }
    }
}
