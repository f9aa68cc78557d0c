//! Requests and answers of each operation on buckets and objects.

use clinker_drivers::chunked::store::ChunkStore;
use clinker_drivers::{Backup, RequestContext};

use crate::support::{
    CUSTOMER_KEY, S3, Step, answer, capture, get, list, object, page, put, reason, refusal, reply, status, store,
    stored, usual,
};

const DIGEST_X: &str = "9dd4e461268c8034f5c8564e155c67a6";
const DIGEST_Y: &str = "415290769594460e2e485922904f345d";

#[tokio::test(start_paused = true)]
async fn a_put_announces_its_digest_unless_that_is_switched_off() {
    for (sets, expected) in [(&[][..], Some("ndTkYSaMgDT1yFZOFVxnpg==")), (&[("backup_s3_md5_validation", "no")], None)]
    {
        let (store, script) = store(&[S3, sets], [stored(b"x")]);
        put(&store, "o-1", b"x").await.unwrap();
        let seen = &script.seen()[0];
        assert_eq!(seen.line, "s3:8080 PUT /vol/o-1");
        assert_eq!(seen.headers.get("content-md5").map(String::as_str), expected);
        assert_eq!(seen.headers["content-length"], "1");
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorded_object_is_read_and_removed() {
    let recorded = capture(include_str!("../captures/s3/object-get-200.txt")).answer;
    let (store, _) = usual([
        Step::Reply(recorded.clone()),
        Step::Reply(capture(include_str!("../captures/s3/object-delete-204.txt")).answer),
        Step::Reply(capture(include_str!("../captures/s3/object-delete-again-204.txt")).answer),
        Step::Reply(capture(include_str!("../captures/s3/object-get-404.txt")).answer),
    ]);
    assert_eq!(get(&store, "o-1").await.unwrap(), recorded[recorded.len() - 1050..]);
    let context = RequestContext::admin();
    store.delete(&context, "vol", "o-1").await.unwrap();
    // What is gone is removed.
    store.delete(&context, "vol", "o-1").await.unwrap();
    assert_eq!(reason(get(&store, "o-1").await), "not_found: get of o-1: s3 answered 404");
}

#[tokio::test(start_paused = true)]
async fn a_put_is_done_only_when_the_digests_agree() {
    let expect = |stored: &str| format!("integrity: put of o-1: s3 stored {stored}, sent was md5 {DIGEST_X}");
    for (etag, expected) in [
        (Some(format!("\"{}\"", DIGEST_X.to_uppercase())), None),
        (Some(DIGEST_Y.to_owned()), Some(expect(DIGEST_Y))),
        (None, Some(expect("no md5"))),
    ] {
        let headers: Vec<_> = etag.as_deref().map(|etag| ("ETag", etag)).into_iter().collect();
        let (store, script) = usual([Step::Reply(answer(200, &headers, b""))]);
        let got = put(&store, "o-1", b"x").await;
        assert_eq!(got.is_err().then(|| reason(got)), expected);
        assert_eq!(script.lines().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_damaged_on_their_way_up_are_sent_again() {
    let refused = Step::Reply(capture(include_str!("../captures/s3/object-put-bad-md5-400.txt")).answer);
    let (store, script) = usual([refused.clone(), stored(b"x")]);
    put(&store, "o-1", b"x").await.unwrap();
    assert_eq!(script.times(), [0, 2]);
    let (store, _) = usual(vec![refused; 4]);
    assert_eq!(reason(put(&store, "o-1", b"x").await), "integrity: put of o-1: s3 answered 400");
}

#[tokio::test(start_paused = true)]
async fn an_object_damaged_on_its_way_is_read_once_more() {
    let damaged = Step::Reply(answer(200, &[("ETag", DIGEST_X)], b"y"));
    let (store, script) = usual([damaged.clone(), object(b"x")]);
    assert_eq!(get(&store, "o-1").await.unwrap(), b"x");
    assert_eq!(script.times(), [0; 2]);

    let (store, script) = usual([damaged.clone(), damaged, object(b"x")]);
    let error = get(&store, "o-1").await.unwrap_err();
    assert!(!error.retry);
    assert_eq!(error.what, format!("get of o-1: received md5 {DIGEST_Y}, s3 announced {DIGEST_X}"));
    assert_eq!(script.lines().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_etag_that_is_no_digest_is_not_compared() {
    let kms = [("ETag", DIGEST_X), ("x-amz-server-side-encryption", "aws:kms")];
    let (store, _) = usual([
        Step::Reply(answer(200, &[("ETag", "\"abc-2\"")], b"y")),
        Step::Reply(answer(200, &kms, b"y")),
        Step::Reply(answer(200, &kms, b"")),
    ]);
    assert_eq!(get(&store, "o-1").await.unwrap(), b"y");
    assert_eq!(get(&store, "o-2").await.unwrap(), b"y");
    put(&store, "o-3", b"y").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_customers_key_goes_with_every_put_and_get() {
    let sets = [("backup_s3_sse_customer_key", CUSTOMER_KEY), ("backup_s3_sse_customer_algorithm", "AES256")];
    let encrypted = [("ETag", DIGEST_Y), ("x-amz-server-side-encryption-customer-algorithm", "AES256")];
    let (store, script) = store(
        &[S3, &sets],
        [
            Step::Reply(answer(200, &encrypted, b"")),
            Step::Reply(answer(200, &encrypted, b"x")),
            Step::Reply(answer(204, &[], b"")),
        ],
    );
    put(&store, "o-1", b"x").await.unwrap();
    assert_eq!(get(&store, "o-1").await.unwrap(), b"x");
    store.delete(&RequestContext::admin(), "vol", "o-1").await.unwrap();
    let prefix = "x-amz-server-side-encryption-customer-";
    for seen in &script.seen()[..2] {
        let value = |name: &str| seen.headers[&format!("{prefix}{name}")].clone();
        assert_eq!(value("algorithm"), "AES256");
        assert_eq!(value("key"), "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=");
        assert_eq!(value("key-md5"), "hRasmdxgYDKV3nvbahU1MA==");
        assert!(seen.headers["authorization"].contains(&format!("{prefix}key;{prefix}key-md5")));
    }
    assert!(!script.seen()[2].headers.contains_key(&format!("{prefix}key")));
}

#[tokio::test(start_paused = true)]
async fn a_listing_goes_on_while_there_is_more() {
    let (store, script) = usual([page(&["p/a-1", "p/a-2"], Some("t==")), page(&["p/a-3"], None)]);
    assert_eq!(list(&store, "p/a").await.unwrap(), ["p/a-1", "p/a-2", "p/a-3"]);
    let first = "GET /vol?list-type=2&prefix=p%2Fa";
    assert_eq!(script.lines(), [first.to_owned(), format!("{first}&continuation-token=t%3D%3D")]);
}

#[tokio::test(start_paused = true)]
async fn an_empty_listing_is_an_empty_listing() {
    let (store, script) = usual([page(&[], None)]);
    assert!(list(&store, "p").await.unwrap().is_empty());
    assert_eq!(script.lines().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_recorded_listing_is_understood() {
    let recorded = capture(include_str!("../captures/s3/list-v2-prefix-200.txt")).answer;
    let rest = String::from_utf8(recorded.clone()).unwrap();
    let rest = rest.split_once("\r\n\r\n").unwrap().1.replace("<IsTruncated>true", "<IsTruncated>false");
    let rest = rest.replace("-00001<", "-00003<").replace("-00002<", "-00004<");
    let (store, script) = usual([Step::Reply(recorded), Step::Reply(answer(200, &[], rest.as_bytes()))]);
    let prefix = "volume_1/20260101000000/az_nova_backup_2";
    let names = store.list(&RequestContext::admin(), "volumebackups", prefix).await.unwrap();
    assert_eq!(names, ["1", "2", "3", "4"].map(|number| format!("{prefix}-0000{number}")));
    assert!(script.lines()[1].ends_with("YXpfbm92YV9iYWNrdXBfMi0wMDAwMg%3D%3D"), "{:?}", script.lines());
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_fails_is_never_an_empty_one() {
    let html = || Step::Reply(answer(200, &[], b"<html><p>welcome</p></html>"));
    let other = || {
        let page = b"<ListBucketResult><Name>other</Name><IsTruncated>false</IsTruncated></ListBucketResult>";
        Step::Reply(answer(200, &[], page))
    };
    let endless = b"<ListBucketResult><Name>vol</Name><IsTruncated>true</IsTruncated></ListBucketResult>";
    for (steps, expected) in [
        (
            (0..1001).map(|token| page(&[], Some(&token.to_string()))).collect(),
            "internal: list of p: s3 goes on without listing anything",
        ),
        (vec![page(&["p-1"], Some("t")), reply(403)], "auth: list of p: s3 answered 403"),
        (vec![html()], "internal: list of p: s3 answered a list that is not XML of S3's"),
        (vec![other()], "internal: list of p: s3 listed another bucket"),
        (vec![page(&["p-1", "q-1"], None)], "internal: list of p: s3 listed a name without the prefix"),
        (vec![page(&["p-1"], Some("t")), page(&["p-1"], None)], "internal: list of p: s3 listed names out of order"),
        (
            vec![page(&["p-1"], Some("t")), page(&["p-2"], Some("t"))],
            "internal: list of p: s3 gave the same continuation token again",
        ),
        (vec![Step::Reply(answer(200, &[], endless))], "internal: list of p: s3 listed a part and no way to the rest"),
    ] {
        let (store, _) = usual(steps);
        assert_eq!(reason(list(&store, "p").await), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_that_is_not_there_lists_nothing_once_that_is_proved() {
    let (account, bucket) = ("GET /", "HEAD /vol");
    let gone = || Step::Reply(capture(include_str!("../captures/s3/bucket-get-404.txt")).answer);
    let not_found = Err("not_found: list of p: s3 answered 404");
    for (steps, expected, proof) in [
        (vec![gone(), reply(200), reply(404)], Ok(()), vec![account, bucket]),
        // A key that may not list buckets is known all the same.
        (vec![gone(), reply(403), reply(404)], Ok(()), vec![account, bucket]),
        // The bucket is there: the 404 was wrong.
        (vec![gone(), reply(200), reply(200)], not_found, vec![account, bucket]),
        // Whoever answers knows no key.
        (vec![gone(), reply(404)], Err("not_found: head of the account: s3 answered 404"), vec![account]),
        // It is not the bucket that is missing.
        (vec![refusal(404, "NoSuchKey"), reply(200), reply(404)], not_found, vec![account, bucket]),
        (vec![reply(404), reply(200), reply(404)], not_found, vec![account, bucket]),
        // It vanished while it was listed.
        (vec![page(&["p-1"], Some("t")), gone(), reply(200), reply(404)], not_found, vec![account, bucket]),
    ] {
        let (store, script) = usual(steps);
        let got = list(&store, "p").await;
        match expected {
            Ok(()) => assert!(got.unwrap().is_empty()),
            Err(expected) => assert_eq!(reason(got), expected),
        }
        let lines = script.lines();
        assert_eq!(lines[lines.len() - proof.len()..], proof);
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_bucket_is_created_in_the_region() {
    let put = || Step::Reply(capture(include_str!("../captures/s3/bucket-put-200.txt")).answer);
    let head = || Step::Reply(capture(include_str!("../captures/s3/bucket-head-404.txt")).answer);
    let xmlns = "http://s3.amazonaws.com/doc/2006-03-01/";
    let elsewhere = format!(
        "<CreateBucketConfiguration xmlns=\"{xmlns}\"><LocationConstraint>eu-west-9</LocationConstraint>\
         </CreateBucketConfiguration>"
    );
    for (region, expected) in [("us-east-1", ""), ("eu-west-9", elsewhere.as_str())] {
        let (store, script) = store(&[S3, &[("backup_s3_region_name", region)]], [head(), put()]);
        store.put_container(&RequestContext::admin(), "vol").await.unwrap();
        assert_eq!(script.lines(), ["HEAD /vol", "PUT /vol"]);
        assert_eq!(String::from_utf8(script.seen()[1].body.clone()).unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_bucket_made_meanwhile_is_fine_if_it_is_ours() {
    let again = Step::Reply(capture(include_str!("../captures/s3/bucket-put-again.txt")).answer);
    let (ours, _) = usual([reply(404), again]);
    ours.put_container(&RequestContext::admin(), "vol").await.unwrap();
    // Two services create it in the same moment: the second is told to come again.
    let again = refusal(409, "BucketAlreadyOwnedByYou");
    let (both, script) = usual([reply(404), refusal(409, "OperationAborted"), again]);
    both.put_container(&RequestContext::admin(), "vol").await.unwrap();
    assert_eq!(script.times(), [0, 0, 2]);
    let (theirs, _) = usual([reply(404), refusal(409, "BucketAlreadyExists")]);
    let expected = "conflict: put of container vol: s3 answered 409";
    assert_eq!(reason(theirs.put_container(&RequestContext::admin(), "vol").await), expected);
}

#[tokio::test(start_paused = true)]
async fn a_missing_bucket_is_an_error_where_none_may_be_created() {
    let (store, script) = store(&[S3, &[("backup_create_containers", "false")]], [reply(404)]);
    assert_eq!(
        reason(store.put_container(&RequestContext::admin(), "vol").await),
        "not_found: container vol: not there, and option backup_create_containers is off"
    );
    assert_eq!(script.lines().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn names_are_percent_encoded_and_objects_keep_their_slashes() {
    let (store, script) = usual([Step::Reply(status(204))]);
    store.delete(&RequestContext::admin(), "a?b", "c d/é%#-1").await.unwrap();
    assert_eq!(script.lines()[0], "DELETE /a%3Fb/c%20d/%C3%A9%25%23-1");
}

#[tokio::test]
async fn a_backup_goes_to_the_bucket_it_asks_for() {
    let (store, _) = usual([]);
    for (asked, expected) in [
        (None, Ok("vol")),
        (Some(""), Ok("vol")),
        (Some("mine"), Ok("mine")),
        (Some("a/b"), Err("invalid_backup: container a/b: a container's name has no slash")),
        (Some(".."), Err("invalid_backup: container ..: a name that leaves the account")),
    ] {
        let backup = Backup { container: asked.map(str::to_owned), ..Backup::default() };
        match expected {
            Ok(name) => assert_eq!(store.container_for(&backup).unwrap(), name),
            Err(expected) => assert_eq!(reason(store.container_for(&backup)), expected),
        }
    }
}

#[tokio::test]
async fn prefix_and_geometry_are_as_in_swift() {
    let sets = [
        ("backup_s3_object_size", "65536"),
        ("backup_s3_block_size", "4096"),
        ("backup_s3_enable_progress_timer", "false"),
    ];
    let (store, _) = store(&[S3, &sets], []);
    let backup =
        Backup { id: "b-2".into(), volume_id: "v-1".into(), availability_zone: "nova".into(), ..Backup::default() };
    let now = "2026-01-02T03:04:05.9Z".parse().unwrap();
    assert_eq!(store.object_prefix(&backup, now), "volume_v-1/20260102030405/az_nova_backup_b-2");
    let geometry = store.geometry();
    assert_eq!((geometry.chunk, geometry.block, geometry.progress_timer), (65536, 4096, false));
}
