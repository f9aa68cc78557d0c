//! Packets vanish on the way, for some time or for good.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Case;
use crate::formula::{RETRIES, Time};
use crate::lab::{Deed, Seen, Site, read, seen, write};

pub const CASES: &[Case] = &[
    Case::new("stall_short", "a write into a black hole that ends after 0.3 s", Time::Retry(300), |site| {
        Box::pin(stall(site, 300))
    }),
    Case::new("stall_no_probe", "the same, without the probe for a lost tail", Time::Retry(300), |site| {
        Box::pin(stall(site, 300))
    })
    .with(&[("ipv4/tcp_early_retrans", 0)]),
    Case::new("stall", "a write into a black hole that ends after 2 s", Time::Retry(2000), |site| {
        Box::pin(stall(site, 2000))
    }),
    Case::new("stall_long", "a write into a black hole that ends after 4 s", Time::Retry(4000), |site| {
        Box::pin(stall(site, 4000))
    }),
    Case::new("gives_up", "a write into a black hole, and a read", Time::GivesUp, |site| {
        Box::pin(gives_up(site, Deed::Block))
    })
    .with(&[(RETRIES, 4)]),
    Case::new(
        "answers_vanish",
        "answers of the peer vanish: it gets what one writes, and one reads",
        Time::GivesUp,
        |site| Box::pin(gives_up(site, Deed::BlockFrom)),
    )
    .with(&[(RETRIES, 3)]),
    Case::new(
        "answers_come",
        "answers of the peer vanish for 2 s: it writes, and one reads",
        Time::Retry(2000),
        |site| Box::pin(answers_come(site)),
    ),
    Case::new(
        "peer_gives_up",
        "the peer wrote and gave up on acknowledgements, which vanished; then one writes",
        Time::Trip,
        |site| Box::pin(peer_gives_up(site)),
    )
    .with(&[(RETRIES, 3)]),
    Case::new("idle", "a black hole of 4 s while nobody writes; then one writes", Time::Trip, |site| {
        Box::pin(idle(site))
    }),
];

/// The time at which the peer has what was written.
async fn stall(site: Site, ms: u64) -> Seen {
    let mut stream = site.connection().await;
    site.perform(Deed::Block).await;
    let start = Instant::now();
    let first = write(&mut stream, 10).await;
    let heal = async {
        sleep(Duration::from_millis(ms)).await;
        site.perform(Deed::Heal).await;
    };
    site.0.tell("read 10").await;
    let (peer, ()) = tokio::join!(site.0.hear(), heal);
    seen(format!("{first}; peer: {peer}"), start)
}

async fn gives_up(site: Site, deed: Deed) -> Seen {
    let mut stream = site.connection().await;
    site.perform(deed).await;
    let start = Instant::now();
    let first = write(&mut stream, 10).await;
    let peer = if deed == Deed::BlockFrom { site.order("read 10").await } else { "nothing".to_owned() };
    seen(format!("{first}; peer: {peer}; {}", read(&mut stream).await), start)
}

async fn answers_come(site: Site) -> Seen {
    let mut stream = site.connection().await;
    site.perform(Deed::BlockFrom).await;
    let start = Instant::now();
    let peer = site.order("write 10").await;
    let heal = async {
        sleep(Duration::from_secs(2)).await;
        site.perform(Deed::Heal).await;
    };
    let (what, ()) = tokio::join!(read(&mut stream), heal);
    seen(format!("peer: {peer}; {what}"), start)
}

async fn peer_gives_up(site: Site) -> Seen {
    let mut stream = site.connection().await;
    site.perform(Deed::BlockTo).await;
    let peer = site.order("write 10").await;
    let first = read(&mut stream).await;
    let end = site.order("drain").await;
    site.order("close").await;
    site.perform(Deed::Heal).await;
    let start = Instant::now();
    let second = write(&mut stream, 10).await;
    let third = read(&mut stream).await;
    seen(format!("peer: {peer}; {first}; peer: {end}; {second}; {third}"), start)
}

async fn idle(site: Site) -> Seen {
    let mut stream = site.connection().await;
    site.perform(Deed::Block).await;
    sleep(Duration::from_secs(4)).await;
    site.perform(Deed::Heal).await;
    let start = Instant::now();
    let first = write(&mut stream, 10).await;
    seen(format!("{first}; peer: {}", site.order("read 10").await), start)
}
