//! The peer's process or machine ends, or its end of the connection does.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Case;
use crate::formula::{ORPHAN_RETRIES, RETRIES, Time};
use crate::lab::{Deed, Seen, Site, drain, fill, read, seen, write};

pub const CASES: &[Case] = &[
    Case::new("killed", "the peer's process is killed while one reads", Time::Trip, |site| Box::pin(killed(site))),
    Case::new("killed_unread", "the same, with unread bytes in its socket", Time::Trip, |site| {
        Box::pin(killed_unread(site))
    }),
    Case::new("killed_writer", "the peer's process is killed while one's write waits for room", Time::Trip, |site| {
        Box::pin(killed_writer(site))
    }),
    Case::new("killed_sender", "the peer writes 100 KB and is killed", Time::Trip, |site| {
        Box::pin(killed_sender(site))
    }),
    Case::new(
        "killed_unheard",
        "the peer's process is killed in a black hole that ends after 2 s",
        Time::Retry(2000),
        |site| Box::pin(killed_unheard(site)),
    ),
    Case::new("killed_unheard_long", "the same, but its kernel has given up telling of it", Time::Never, |site| {
        Box::pin(killed_unheard_long(site))
    })
    .with(&[(ORPHAN_RETRIES, 2)]),
    Case::new("write_to_the_dead", "two writes and a read after the peer's process was killed", Time::Trip, |site| {
        Box::pin(write_to_the_dead(site))
    }),
    Case::new(
        "read_from_the_dead",
        "a write, a read and a write after the peer's process was killed",
        Time::Trip,
        |site| Box::pin(read_from_the_dead(site)),
    ),
    Case {
        aborts: true,
        ..Case::new("reset", "the peer aborts the connection while one reads", Time::Trip, |site| Box::pin(reset(site)))
    },
    Case {
        aborts: true,
        ..Case::new("reset_unread", "the peer writes 10 bytes and aborts; then one reads", Time::Trip, |site| {
            Box::pin(reset_unread(site))
        })
    },
    Case::new("off_reader", "the peer's machine loses its power while one reads", Time::Never, |site| {
        Box::pin(off_reader(site))
    }),
    Case::new("off_writer", "one writes to a machine that has lost its power, and reads", Time::GivesUp, |site| {
        Box::pin(off_writer(site))
    })
    .with(&[(RETRIES, 3)]),
    Case::new("off_on_writer", "the same, and it is on again after 2 s", Time::Retry(2000), |site| {
        Box::pin(off_on_writer(site))
    }),
    Case::new("off_on_idle", "one writes after the peer's machine was off and is on again", Time::Trip, |site| {
        Box::pin(off_on_idle(site))
    }),
];

async fn killed(site: Site) -> Seen {
    let mut stream = site.connection().await;
    let start = Instant::now();
    let (what, ()) = tokio::join!(read(&mut stream), site.perform(Deed::Kill));
    seen(what, start)
}

async fn killed_unread(site: Site) -> Seen {
    let mut stream = site.connection().await;
    write(&mut stream, 10).await;
    site.settle().await;
    let start = Instant::now();
    let (first, ()) = tokio::join!(read(&mut stream), site.perform(Deed::Kill));
    let seen = seen(first, start);
    let then = read(&mut stream).await;
    Seen { what: format!("{}; {}; {then}", seen.what, write(&mut stream, 1).await), ..seen }
}

async fn killed_writer(site: Site) -> Seen {
    let mut stream = site.connection().await;
    fill(&mut stream).await;
    let start = Instant::now();
    let (first, ()) = tokio::join!(write(&mut stream, 1 << 20), site.perform(Deed::Kill));
    let seen = seen(first, start);
    Seen { what: format!("{}; {}", seen.what, write(&mut stream, 1).await), ..seen }
}

async fn killed_sender(site: Site) -> Seen {
    let mut stream = site.connection().await;
    let start = Instant::now();
    let peer = site.order("write 100000").await;
    site.perform(Deed::Kill).await;
    let what = drain(&mut stream, u64::MAX).await;
    seen(format!("peer: {peer}; read: {what}"), start)
}

async fn killed_unheard(site: Site) -> Seen {
    let mut stream = site.connection().await;
    site.perform(Deed::Block).await;
    let start = Instant::now();
    site.perform(Deed::Kill).await;
    let heal = async {
        sleep(Duration::from_secs(2)).await;
        site.perform(Deed::Heal).await;
    };
    let (what, ()) = tokio::join!(read(&mut stream), heal);
    seen(what, start)
}

async fn killed_unheard_long(site: Site) -> Seen {
    let mut stream = site.connection().await;
    site.perform(Deed::Block).await;
    site.perform(Deed::Kill).await;
    sleep(site.0.kernel().orphan_is_gone()).await;
    site.perform(Deed::Heal).await;
    let start = Instant::now();
    let what = site.watch(read(&mut stream)).await;
    let seen = seen(what.unwrap_or_else(|| "read: nothing".to_owned()), start);
    let first = write(&mut stream, 10).await;
    Seen { what: format!("{}; {first}; {}", seen.what, read(&mut stream).await), ..seen }
}

async fn write_to_the_dead(site: Site) -> Seen {
    let mut stream = site.connection().await;
    site.perform(Deed::Kill).await;
    site.settle().await;
    let first = write(&mut stream, 10).await;
    site.settle().await;
    let start = Instant::now();
    let second = write(&mut stream, 10).await;
    let third = read(&mut stream).await;
    seen(format!("{first}; {second}; {third}"), start)
}

async fn read_from_the_dead(site: Site) -> Seen {
    let mut stream = site.connection().await;
    site.perform(Deed::Kill).await;
    site.settle().await;
    let first = write(&mut stream, 10).await;
    site.settle().await;
    let start = Instant::now();
    let second = read(&mut stream).await;
    let third = write(&mut stream, 10).await;
    seen(format!("{first}; {second}; {third}"), start)
}

async fn reset(site: Site) -> Seen {
    let mut stream = site.connection().await;
    let start = Instant::now();
    let (what, ()) = tokio::join!(read(&mut stream), site.perform(Deed::Reset));
    let seen = seen(what, start);
    Seen { what: format!("{}; {}", seen.what, write(&mut stream, 1).await), ..seen }
}

async fn reset_unread(site: Site) -> Seen {
    let mut stream = site.connection().await;
    site.order("write 10").await;
    site.settle().await;
    site.perform(Deed::Reset).await;
    site.settle().await;
    let start = Instant::now();
    let first = read(&mut stream).await;
    let second = read(&mut stream).await;
    seen(format!("{first}; {second}"), start)
}

async fn off_reader(site: Site) -> Seen {
    let mut stream = site.connection().await;
    site.perform(Deed::CutPower).await;
    let start = Instant::now();
    let what = site.watch(read(&mut stream)).await;
    seen(what.unwrap_or_else(|| "read: nothing".to_owned()), start)
}

async fn off_writer(site: Site) -> Seen {
    let mut stream = site.connection().await;
    site.perform(Deed::CutPower).await;
    let start = Instant::now();
    let first = write(&mut stream, 10).await;
    let second = read(&mut stream).await;
    let seen = seen(format!("{first}; {second}"), start);
    Seen { what: format!("{}; {}", seen.what, write(&mut stream, 1).await), ..seen }
}

async fn off_on_writer(site: Site) -> Seen {
    let mut stream = site.connection().await;
    site.perform(Deed::CutPower).await;
    let start = Instant::now();
    let first = write(&mut stream, 10).await;
    let on = async {
        sleep(Duration::from_secs(2)).await;
        site.perform(Deed::PowerOn).await;
    };
    let (second, ()) = tokio::join!(read(&mut stream), on);
    seen(format!("{first}; {second}"), start)
}

async fn off_on_idle(site: Site) -> Seen {
    let mut stream = site.connection().await;
    site.perform(Deed::CutPower).await;
    site.perform(Deed::PowerOn).await;
    site.settle().await;
    let start = Instant::now();
    let first = write(&mut stream, 10).await;
    let second = read(&mut stream).await;
    seen(format!("{first}; {second}"), start)
}
