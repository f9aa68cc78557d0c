//! Ends of streams, and readers that do not read.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::{Instant, sleep};

use super::Case;
use crate::formula::{RETRIES, Time};
use crate::lab::{Deed, Seen, Site, fill, read, seen, write};

pub const CASES: &[Case] = &[
    Case::new("half_close", "one ends writing; the peer answers and closes", Time::Trip, |site| {
        Box::pin(half_close(site))
    }),
    Case::new("half_closed", "the peer ends writing; one goes on writing", Time::Trip, |site| {
        Box::pin(half_closed(site))
    }),
    Case::new("close_delivers", "one writes 100 KB and closes", Time::Trip, |site| Box::pin(close_delivers(site))),
    Case::new("full_window", "the peer does not read: one's write waits", Time::Never, |site| {
        Box::pin(full_window(site, None))
    }),
    Case::new("paused_window", "the peer's process stands still: one's write waits", Time::Never, |site| {
        Box::pin(full_window(site, Some(Deed::Pause)))
    }),
    Case::new("window_opens", "a write waits for room; the peer reads on", Time::Trip, |site| {
        Box::pin(window_opens(site, None))
    }),
    Case::new("paused_resumes", "a write waits for room; the peer's process goes on and reads", Time::Trip, |site| {
        Box::pin(window_opens(site, Some((Deed::Pause, Deed::Resume))))
    }),
    Case::new(
        "window_unheard",
        "a write waits for room for 4 s; of what the peer reads then, word is lost",
        Time::Probe,
        |site| Box::pin(window_unheard(site)),
    ),
    Case::new("window_off", "a write waits for room; the peer's machine loses its power", Time::GivesUp, |site| {
        Box::pin(window_off(site))
    })
    .with(&[(RETRIES, 3)]),
];

async fn half_close(site: Site) -> Seen {
    let mut stream = site.connection().await;
    let start = Instant::now();
    write(&mut stream, 10).await;
    stream.shutdown().await.expect("the connection is sound");
    let peer = site.order("drain").await;
    site.order("write 10").await;
    let answer = read(&mut stream).await;
    site.order("close").await;
    let end = read(&mut stream).await;
    seen(format!("peer: {peer}; {answer}; {end}; {}", write(&mut stream, 1).await), start)
}

async fn half_closed(site: Site) -> Seen {
    let mut stream = site.connection().await;
    let start = Instant::now();
    site.order("shutdown").await;
    let end = read(&mut stream).await;
    let write = write(&mut stream, 10).await;
    seen(format!("{end}; {write}; peer: {}", site.order("read 10").await), start)
}

async fn close_delivers(site: Site) -> Seen {
    let mut stream = site.connection().await;
    let start = Instant::now();
    let what = write(&mut stream, 100_000).await;
    drop(stream);
    seen(format!("{what}; peer: {}", site.order("drain").await), start)
}

async fn full_window(site: Site, deed: Option<Deed>) -> Seen {
    let mut stream = site.connection().await;
    if let Some(deed) = deed {
        site.perform(deed).await;
    }
    let taken = fill(&mut stream).await;
    let start = Instant::now();
    let what = site.watch(write(&mut stream, 1)).await;
    let what = what.unwrap_or_else(|| "write: nothing".to_owned());
    seen(format!("{}; {what}", if taken > 0 { "write: ok" } else { "write: nothing taken" }), start)
}

async fn window_opens(site: Site, deeds: Option<(Deed, Deed)>) -> Seen {
    let mut stream = site.connection().await;
    if let Some((before, _)) = deeds {
        site.perform(before).await;
    }
    let taken = fill(&mut stream).await;
    let start = Instant::now();
    if let Some((_, after)) = deeds {
        site.perform(after).await;
    }
    let all = format!("read {}", taken + (1 << 20));
    let (what, peer) = tokio::join!(write(&mut stream, 1 << 20), site.order(&all));
    seen(format!("{what}; peer: {}", if peer == all { "read all" } else { &peer }), start)
}

async fn window_unheard(site: Site) -> Seen {
    let mut stream = site.connection().await;
    let taken = fill(&mut stream).await;
    sleep(Duration::from_millis(3500)).await;
    site.perform(Deed::BlockFrom).await;
    // What is in the sender's own buffer comes only when it hears of the room.
    let start = Instant::now();
    let all = format!("read {}", taken + 1);
    site.0.tell(&all).await;
    site.settle().await;
    site.perform(Deed::Heal).await;
    let (what, peer) = tokio::join!(write(&mut stream, 1), site.0.hear());
    seen(format!("{what}; peer: {}", if peer == all { "read all" } else { &peer }), start)
}

async fn window_off(site: Site) -> Seen {
    let mut stream = site.connection().await;
    fill(&mut stream).await;
    site.perform(Deed::CutPower).await;
    let start = Instant::now();
    let what = write(&mut stream, 1 << 20).await;
    seen(what, start)
}
