//! The result as a page of the documentation.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::samples::is_sample;
use super::{Args, Outcome};

pub(super) fn text(args: &Args, outcome: &Outcome) -> String {
    let Outcome { rabbit, oslo, published, heard, golden, sequence, calls } = outcome;
    let (scenario, driver) = (&args.scenario, &args.driver);
    let same = sequence.trim_end() == golden.trim_end();
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{text}").expect("a String takes every write");
    line("# A real broker and real oslo.messaging".to_owned());
    line(String::new());
    line(format!(
        "The notifications of `{scenario}` (driver {driver}), published by the manager's own AMQP client to RabbitMQ {rabbit} on \
         loopback\nand taken by a listener of oslo.messaging {oslo}. Written by\n\
         `cargo run -p clinker-live --bin broker -- --write docs/real-broker.md`."
    ));
    line(String::new());
    line("| what | result |\n| --- | --- |".to_owned());
    line(format!("| notifications published and confirmed | {} |", published.len()));
    line(format!("| events the listener was given | {} |", heard.len()));
    line(format!("| of the published ones changed on the way or missing | {} |", outcome.changed()));
    line(format!("| the sequence is the accepted golden | {} |", if same { "yes" } else { "**no**" }));
    line(format!("| keys of the context in each event | {} |", keys(outcome)));
    line(String::new());
    line("What the listener was given, as goldens are written:\n\n```".to_owned());
    line(sequence.trim_end().to_owned());
    line("```\n\n## What Ceilometer makes of it\n".to_owned());
    line(
        "Its meter `backup.size` takes one sample of each event whose type begins as one of its patterns says: \
         `backup.exists`,\n`backup.create.*`, `backup.delete.*`, `backup.restore.*`. The dots are regular expressions': \
         `backup.createprogress` matches, and so do\nthe error events, which the original service does not send. Whoever \
         counts samples to know how often backups are made counts\nprogress notes and failures too; the size in each is \
         right."
            .to_owned(),
    );
    line(String::new());
    line("| event type | events | samples |\n| --- | --- | --- |".to_owned());
    let mut types: BTreeMap<&str, usize> = BTreeMap::new();
    for event in heard {
        *types.entry(event["event_type"].as_str().unwrap_or_default()).or_default() += 1;
    }
    let samples = |event_type: &str, count: usize| if is_sample(event_type) { count } else { 0 };
    for (event_type, count) in &types {
        line(format!("| `{event_type}` | {count} | {} |", samples(event_type, *count)));
    }
    let sum: usize = types.iter().map(|(event_type, count)| samples(event_type, *count)).sum();
    line(format!("| all | {} | {sum} |", heard.len()));
    line("\n## Calls\n".to_owned());
    line(
        "Through the same RabbitMQ. \"Our manager\" is the whole service with the POSIX driver, which imports a record of \
         the original's first (a cast); \"oslo's client\" and\n\"oslo's server\" are `scripts/broker/call.py` and \
         `scripts/broker/serve.py`: what they are told and what they answer goes through oslo.messaging alone."
            .to_owned(),
    );
    line("\n| who asks whom | what comes back | |\n| --- | --- | --- |".to_owned());
    for call in calls {
        let right = if call.is_right() { "as it should" } else { "**not as it should**" };
        line(format!("| {} | `{}` | {right} |", call.what, call.got));
    }
    out
}

/// How many keys the context had; each event has as many, or the numbers differ.
fn keys(outcome: &Outcome) -> String {
    let mut counts: Vec<usize> =
        outcome.heard.iter().map(|event| event["context"].as_array().map_or(0, Vec::len)).collect();
    counts.sort_unstable();
    counts.dedup();
    counts.iter().map(usize::to_string).collect::<Vec<_>>().join(", ")
}
