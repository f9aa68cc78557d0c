//! The simulated disk: durability, and each of its faults with its bites.

mod common;

use std::future::Future;
use std::io::ErrorKind;
use std::sync::Arc;

use clinker_env::Fs;
use clinker_model::fault::{Full, Lag, Matching, Slow, Stored, Swap};
use clinker_model::{ByteSize, Fault, FaultTarget, Span};
use clinker_world::{BoxError, SimDisk, SimJournal};
use common::*;

const ROOT: &str = clinker_world::disk::REPOSITORY;

/// Runs `body` on a host with a shared disk mounted, to its end, on every simulated engine.
fn with_disk<F>(body: impl Fn(SimDisk, Arc<dyn Fs>, Arc<SimJournal>) -> F + Clone + Send + Sync + 'static)
where
    F: Future<Output = Result<(), BoxError>> + 'static,
{
    on(SIMULATED, |stage| {
        let (disk, journal, body) = (stage.world.fabric().new_disk("store", ROOT), stage.world.journal(), body.clone());
        stage.host("host", move |_, _| body(disk.clone(), disk.mount("host"), Arc::clone(&journal)));
        stage.world.advance(secs(1000)).unwrap();
        assert!(!stage.world.is_running("host"), "the test's body has not ended");
    });
}

async fn put(fs: &Arc<dyn Fs>, name: &str, data: &[u8]) -> std::io::Result<()> {
    let file = fs.create(&format!("{ROOT}/{name}"), 0o660).await?;
    file.write_at(0, data.to_vec().into()).await?;
    file.sync_all().await
}

async fn get(fs: &Arc<dyn Fs>, name: &str) -> std::io::Result<Vec<u8>> {
    let file = fs.open(&format!("{ROOT}/{name}")).await?;
    Ok(file.read_at(0, 1 << 20).await?.to_vec())
}

fn stored(object: &str) -> Stored {
    Stored { backup: "b1".to_owned(), object: object.to_owned() }
}

#[test]
fn a_power_loss_drops_exactly_what_was_not_synced() {
    with_disk(|disk, fs, _| async move {
        put(&fs, "named", b"kept").await?;
        fs.sync_dir(ROOT).await?;
        put(&fs, "nameless", b"synced, but its directory is not").await?;
        let named = fs.open(&format!("{ROOT}/named")).await?;
        assert_eq!(named.write_at(0, "x".into()).await.unwrap_err().kind(), ErrorKind::PermissionDenied);
        let again = fs.create(&format!("{ROOT}/named"), 0o600).await?;
        again.write_at(0, "overwritten and not synced".into()).await?;
        disk.power_loss();
        assert_eq!(disk.contents(&format!("{ROOT}/named")).unwrap(), b"kept");
        assert!(disk.contents(&format!("{ROOT}/nameless")).is_none());

        let unsynced = fs.create(&format!("{ROOT}/hollow"), 0o600).await?;
        unsynced.write_at(0, "lost".into()).await?;
        fs.sync_dir(ROOT).await?;
        disk.power_loss();
        assert_eq!(disk.contents(&format!("{ROOT}/hollow")).unwrap(), b"");
        Ok(())
    });
}

/// Both hosts write to their own disk and to one that they share; the first loses power.
#[test]
fn a_host_without_power_loses_what_it_has_not_synced_and_nothing_of_others() {
    on(&[Engine::Simnet], |stage| {
        let shared = stage.world.fabric().new_disk("store", ROOT);
        for host in ["first", "second"] {
            let disk = shared.clone();
            stage.host(host, move |env, _| {
                let fs = disk.mount(host);
                async move {
                    for (fs, directory) in [(&env.fs, ""), (&fs, ROOT)] {
                        let synced = fs.create(&format!("{directory}/{host}-synced"), 0o600).await?;
                        synced.write_at(0, "kept".into()).await?;
                        synced.sync_all().await?;
                        fs.sync_dir(&format!("{directory}/")).await?;
                        let unsynced = fs.create(&format!("{directory}/{host}-unsynced"), 0o600).await?;
                        unsynced.write_at(0, "lost".into()).await?;
                    }
                    std::future::pending().await
                }
            });
        }
        stage.run_to(secs(1));
        stage.world.end_process("first", true).unwrap();
        // Of the shared disk it is a client, as over NFS: the name is the server's already, the bytes are not.
        let in_shared = |name: &str| shared.contents(&format!("{ROOT}/{name}"));
        let all = ["first-synced", "first-unsynced", "second-synced", "second-unsynced"];
        let expected = ["kept", "", "kept", "lost"].map(|bytes| Some(bytes.as_bytes().to_vec()));
        assert_eq!(all.map(in_shared), expected);
        let own = ["first", "second"].map(|host| {
            let disk = stage.world.disk(host);
            ["synced", "unsynced"].map(|name| disk.contents(&format!("/{host}-{name}")).is_some())
        });
        assert_eq!(own, [[true, false], [true, true]]);
        // A process that only crashes loses nothing.
        stage.world.crash("second").unwrap();
        assert_eq!(in_shared("second-unsynced").unwrap(), b"lost");
        assert_eq!(stage.world.disk("second").contents("/second-unsynced").unwrap(), b"lost");
    });
}

#[test]
fn a_rename_replaces_at_once_and_survives_with_its_directory() {
    with_disk(|disk, fs, _| async move {
        let (tmp, end) = (format!("{ROOT}/.tmp-x"), format!("{ROOT}/x"));
        put(&fs, "x", b"old").await?;
        put(&fs, ".tmp-x", b"new").await?;
        fs.sync_dir(ROOT).await?;
        fs.rename(&tmp, &end).await?;
        assert_eq!(get(&fs, "x").await?, b"new");
        assert_eq!(fs.list(ROOT).await?, ["x"]);
        disk.power_loss();
        assert_eq!(get(&fs, "x").await?, b"old");
        fs.rename(&tmp, &end).await?;
        fs.sync_dir(ROOT).await?;
        disk.power_loss();
        assert_eq!(get(&fs, "x").await?, b"new");
        assert_eq!(fs.metadata(&tmp).await.unwrap_err().kind(), ErrorKind::NotFound);
        Ok(())
    });
}

#[test]
fn directories_modes_and_wrong_paths_are_those_of_unix() {
    with_disk(|disk, fs, _| async move {
        fs.create_dir_all(&format!("{ROOT}/ab/cd"), 0o700).await?;
        fs.create_dir_all(&format!("{ROOT}/ab/cd/"), 0o755).await?;
        put(&fs, "ab/cd/f", b"1234").await?;
        put(&fs, "ab-c", b"").await?;
        assert_eq!(disk.mode(&format!("{ROOT}/ab/cd")), Some(0o700));
        assert_eq!(disk.mode(&format!("{ROOT}/ab/cd/f")), Some(0o660));
        assert_eq!(fs.list(ROOT).await?, ["ab", "ab-c"]);
        assert!(fs.metadata(&format!("{ROOT}/ab")).await?.is_dir);
        assert_eq!(fs.metadata(&format!("{ROOT}/ab/cd/f")).await?.len, 4);
        let kind = |result: std::io::Result<()>| result.unwrap_err().kind();
        assert_eq!(kind(put(&fs, "no/f", b"").await), ErrorKind::NotFound);
        assert_eq!(kind(put(&fs, "ab-c/f", b"").await), ErrorKind::NotADirectory);
        assert_eq!(kind(put(&fs, "ab", b"").await), ErrorKind::IsADirectory);
        assert_eq!(kind(fs.create_dir_all(&format!("{ROOT}/ab-c/d"), 0).await), ErrorKind::NotADirectory);
        assert_eq!(kind(fs.remove_file(&format!("{ROOT}/none")).await), ErrorKind::NotFound);
        assert_eq!(kind(fs.remove_file("relative").await), ErrorKind::InvalidInput);
        Ok(())
    });
}

#[test]
fn a_full_disk_takes_what_fits_and_has_room_again_after_a_removal() {
    with_disk(|disk, fs, journal| async move {
        put(&fs, "before", &[0; 100]).await?;
        disk.begin(0, &Fault::Full(Full { after: ByteSize(10) }))?;
        put(&fs, "fits", &[1; 10]).await?;
        assert_eq!(journal.bites(0), 0);
        assert_eq!(put(&fs, "too much", &[2; 5]).await.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(journal.bites(0), 1);
        fs.remove_file(&format!("{ROOT}/fits")).await?;
        let partly = fs.create(&format!("{ROOT}/partly"), 0o600).await?;
        assert_eq!(partly.write_at(0, vec![3; 12].into()).await.unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(partly.len().await?, 10);
        disk.end(0);
        partly.write_at(0, vec![3; 12].into()).await?;
        assert_eq!(journal.bites(0), 2);
        Ok(())
    });
}

#[test]
fn a_read_only_disk_refuses_every_change_and_is_read_as_before() {
    with_disk(|disk, fs, journal| async move {
        put(&fs, "f", b"data").await?;
        let open = fs.create(&format!("{ROOT}/open"), 0o600).await?;
        disk.begin(0, &Fault::ReadOnly(target("store")))?;
        assert_eq!(get(&fs, "f").await?, b"data");
        fs.create_dir_all(ROOT, 0o755).await?;
        assert_eq!(journal.bites(0), 0);
        let path = format!("{ROOT}/f");
        for result in [
            open.write_at(0, "x".into()).await,
            fs.create(&path, 0).await.map(drop),
            fs.rename(&path, &format!("{ROOT}/g")).await,
            fs.remove_file(&path).await,
            fs.create_dir_all(&format!("{ROOT}/new"), 0o755).await,
        ] {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::ReadOnlyFilesystem);
        }
        assert_eq!(journal.bites(0), 5);
        disk.end(0);
        put(&fs, "f", b"again").await?;
        Ok(())
    });
}

#[test]
fn a_silent_disk_answers_when_the_fault_ends() {
    on(SIMULATED, |stage| {
        let disk = stage.world.fabric().new_disk("store", ROOT);
        let mounted = disk.clone();
        stage.host("host", move |env, notes| {
            let fs = mounted.mount("host");
            async move {
                fs.list(ROOT).await?;
                notes.add(&env, "listed");
                Ok(())
            }
        });
        disk.begin(0, &Fault::Silent(target("store"))).unwrap();
        stage.run_to(secs(9));
        assert_eq!((stage.all().len(), stage.bites(0)), (0, 1));
        disk.end(0);
        stage.run_to(secs(10));
        stage.noted_at([(9000, "listed")]);
        assert_eq!(stage.bites(0), 1);
    });
}

#[test]
fn a_slow_disk_delays_the_calls_it_is_asked_to() {
    with_disk(|disk, fs, journal| async move {
        let slow = |method: &str, nth, times| Slow {
            host: "store".to_owned(),
            delay: Span::secs(2),
            bytes_per_second: 1000,
            requests: Matching { method: method.to_owned(), path: "_b1-".to_owned(), nth, times },
        };
        disk.begin(0, &Fault::Slow(slow("write", 2, 1)))?;
        let start = tokio::time::Instant::now();
        put(&fs, "v_b1-00001", &[0; 500]).await?;
        put(&fs, "other", &[0; 500]).await?;
        assert_eq!((start.elapsed(), journal.bites(0)), (secs(0), 0));
        put(&fs, "v_b1-00002", &[0; 500]).await?;
        assert_eq!((start.elapsed(), journal.bites(0)), (ms(2500), 1));
        put(&fs, "v_b1-00003", &[0; 500]).await?;
        assert_eq!((start.elapsed(), journal.bites(0)), (ms(2500), 1));
        disk.begin(1, &Fault::Slow(slow("GET", 1, 0)))?;
        // Opening takes the delay, reading 500 bytes takes it again and their half second.
        get(&fs, "v_b1-00001").await?;
        assert_eq!((start.elapsed(), journal.bites(1)), (ms(7000), 2));
        Ok(())
    });
}

#[test]
fn damage_bites_whoever_meets_it() {
    with_disk(|disk, fs, journal| async move {
        for (name, data) in
            [("v_b1-00001", "one."), ("v_b1-00002", "two."), ("v_b1-00003", "3..."), ("v_b1-00004", "4")]
        {
            put(&fs, name, data.as_bytes()).await?;
        }
        put(&fs, ".tmp-v_b1-00004", b"a temporary is no object").await?;
        disk.begin(0, &Fault::Corrupt(stored("00001")))?;
        disk.begin(1, &Fault::Truncate(stored("00002")))?;
        disk.begin(2, &Fault::Lose(stored("00004")))?;
        assert_eq!([0, 1, 2].map(|id| journal.bites(id)), [0, 0, 0]);
        assert_eq!(get(&fs, "v_b1-00001").await?, b"ond.");
        assert_eq!(get(&fs, "v_b1-00002").await?, b"tw");
        assert_eq!(get(&fs, "v_b1-00003").await?, b"3...");
        assert_eq!(get(&fs, "v_b1-00004").await.unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!([0, 1, 2].map(|id| journal.bites(id)), [1, 1, 1]);
        disk.begin(3, &Fault::Swap(Swap { backup: "b1".into(), object: "00001".into(), with: "00003".into() }))?;
        assert_eq!(get(&fs, "v_b1-00001").await?, b"3...");
        assert_eq!(journal.bites(3), 1);
        let missing = disk.begin(4, &Fault::Lose(stored("00009"))).unwrap_err();
        assert_eq!(missing, "store: no object of backup b1 ends with `00009`");
        assert_eq!(disk.begin(5, &Fault::Hold(target("store"))).unwrap_err(), "store: a disk has no fault `hold`");
        Ok(())
    });
}

#[test]
fn a_lagging_listing_shows_the_past() {
    with_disk(|disk, fs, journal| async move {
        put(&fs, "a", b"").await?;
        tokio::time::sleep(secs(10)).await;
        put(&fs, "b", b"").await?;
        fs.remove_file(&format!("{ROOT}/a")).await?;
        disk.begin(0, &Fault::Lag(Lag { by: Span::secs(5) }))?;
        assert_eq!(fs.list(ROOT).await?, ["a"]);
        assert_eq!(journal.bites(0), 1);
        tokio::time::sleep(secs(5)).await;
        assert_eq!(fs.list(ROOT).await?, ["b"]);
        assert_eq!(journal.bites(0), 1);
        Ok(())
    });
}

#[test]
fn the_ledger_lists_the_repository_by_directory() {
    with_disk(|disk, fs, _| async move {
        fs.create_dir_all(&format!("{ROOT}/b1/2c"), 0o770).await?;
        put(&fs, "b1/2c/volume-00001", &[0; 7]).await?;
        put(&fs, "b1/2c/.tmp-x", &[0; 3]).await?;
        put(&fs, "top", &[]).await?;
        fs.create("/elsewhere", 0o600).await?;
        let stored: Vec<_> = disk.stored().into_iter().map(|o| (o.container, o.name, o.len)).collect();
        let expected = [("", "top", 0), ("b1/2c", ".tmp-x", 3), ("b1/2c", "volume-00001", 7)];
        assert_eq!(stored, expected.map(|(dir, name, len)| (dir.to_owned(), name.to_owned(), len)));
        Ok(())
    });
}
