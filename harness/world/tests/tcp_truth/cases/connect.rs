//! Connecting.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::Case;
use crate::formula::{SYN_LINEAR, SYN_RETRIES, Time};
use crate::lab::{CLOSED_PORT, Deed, PORT, Seen, Site, read, seen, write};

pub const CASES: &[Case] = &[
    Case::new("closed_port", "connect to a port nobody listens on", Time::Trip, |site| Box::pin(closed_port(site))),
    Case::new("process_gone", "connect to a host whose process was killed", Time::Trip, |site| {
        Box::pin(connect_after(site, Deed::Kill))
    }),
    Case::new("silent_host", "connect into a black hole", Time::SynGivesUp, |site| {
        Box::pin(connect_after(site, Deed::Block))
    })
    .with(&[(SYN_RETRIES, 2), (SYN_LINEAR, 0)]),
    Case {
        apart: Some(LINEAR),
        ..Case::new("silent_host_linear", "the same, with waits that do not grow at first", Time::SynGivesUp, |site| {
            Box::pin(connect_after(site, Deed::Block))
        })
        .with(&[(SYN_RETRIES, 2), (SYN_LINEAR, 1)])
    },
    Case::new("machine_off", "connect to a machine without power", Time::SynGivesUp, |site| {
        Box::pin(connect_after(site, Deed::CutPower))
    })
    .with(&[(SYN_RETRIES, 1), (SYN_LINEAR, 0)]),
    Case::new("lost_syn", "connect into a black hole that ends after 2 s", Time::SynRetry(2000), |site| {
        Box::pin(connect_through(site, Deed::Block, 2000))
    })
    .with(&[(SYN_LINEAR, 0)]),
    Case {
        apart: Some(LINEAR),
        ..Case::new(
            "lost_syn_linear",
            "the same, with waits that do not grow; it ends after 3.5 s",
            Time::SynRetry(3500),
            |site| Box::pin(connect_through(site, Deed::Block, 3500)),
        )
        .with(&[(SYN_LINEAR, 4)])
    },
    Case::new("lost_syn_answer", "connect; answers vanish for 2 s", Time::SynRetry(2000), |site| {
        Box::pin(connect_through(site, Deed::BlockFrom, 2000))
    })
    .with(&[(SYN_LINEAR, 0)]),
    Case::new(
        "full_backlog",
        "connect while the backlog is full; after 0.5 s there is room",
        Time::SynRetry(500),
        |site| Box::pin(full_backlog(site)),
    )
    .with(&[("core/somaxconn", 1), (SYN_LINEAR, 0)]),
    Case::new("backlog_dropped", "the listener is closed with the connection in its backlog", Time::Trip, |site| {
        Box::pin(backlog_dropped(site))
    }),
    Case::new("backlog_data", "one writes before the peer has accepted, and then it reads", Time::Trip, |site| {
        Box::pin(backlog_data(site))
    }),
    Case::new("paused_peer", "connect to a process that stands still", Time::Trip, |site| {
        Box::pin(connect_after(site, Deed::Pause))
    }),
];

/// From Linux 6.5 on; simnet is like those before.
const LINEAR: &str = "simnet's waits double from the first on, as before Linux 6.5";

async fn connect(site: &Site, port: u16) -> String {
    match site.connect_to(port).await {
        Ok(_) => "connect: ok".to_owned(),
        Err(error) => format!("connect: {:?}", error.kind()),
    }
}

async fn closed_port(site: Site) -> Seen {
    let start = Instant::now();
    seen(connect(&site, CLOSED_PORT).await, start)
}

async fn connect_after(site: Site, deed: Deed) -> Seen {
    site.perform(deed).await;
    let start = Instant::now();
    seen(connect(&site, PORT).await, start)
}

async fn connect_through(site: Site, deed: Deed, ms: u64) -> Seen {
    site.perform(deed).await;
    let start = Instant::now();
    let heal = async {
        sleep(Duration::from_millis(ms)).await;
        site.perform(Deed::Heal).await;
    };
    let (seen, ()) = tokio::join!(async { seen(connect(&site, PORT).await, start) }, heal);
    seen
}

async fn full_backlog(site: Site) -> Seen {
    let half = Duration::from_millis(500);
    let mut open = Vec::new();
    while let Ok(stream) = timeout(half, site.connect_to(PORT)).await {
        open.push(stream.expect("the peer listens"));
        assert!(open.len() < 100_000, "a backlog has an end");
    }
    let start = Instant::now();
    let room = async {
        sleep(half).await;
        site.order("accept").await
    };
    let (seen, _) = tokio::join!(async { seen(connect(&site, PORT).await, start) }, room);
    seen
}

async fn backlog_dropped(site: Site) -> Seen {
    let mut stream = site.connect_to(PORT).await.expect("the peer listens");
    site.settle().await;
    let start = Instant::now();
    let (_, what) = tokio::join!(site.order("unlisten"), read(&mut stream));
    seen(what, start)
}

async fn backlog_data(site: Site) -> Seen {
    let mut stream = site.connect_to(PORT).await.expect("the peer listens");
    let first = write(&mut stream, 10).await;
    site.settle().await;
    let start = Instant::now();
    site.order("accept").await;
    seen(format!("{first}; peer: {}", site.order("read 10").await), start)
}
