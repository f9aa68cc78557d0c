//! Answers longer than makes sense are refused instead of being held in memory. (The client is S3's, too.)

use clinker_drivers::chunked::store::ChunkStore;
use clinker_drivers::{Error, Kind, RequestContext};
use tokio::time::Instant;

use crate::support::{Step, V1, answer, authenticated, get, put, reason, store, stored};

/// The head of an answer with so long a body, and nothing of it.
fn announced(status: u16, len: u64) -> Step {
    Step::Mute(format!("HTTP/1.1 {status} X\r\nContent-Length: {len}\r\n\r\n").into_bytes())
}

/// An answer that does not say how long it is.
fn chunked(body: &str) -> Step {
    let head = "HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n";
    Step::Reply(format!("{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into_bytes())
}

async fn get_at_most(step: Step, max: u64) -> Result<Vec<u8>, Error> {
    let (store, script) = authenticated([step]);
    let start = Instant::now();
    let found = store.get_at_most(&RequestContext::admin(), "vb", "o-1", max).await;
    assert_eq!((start.elapsed().as_secs(), script.steps_left()), (0, 0), "it is not asked for again");
    found.map(Vec::from)
}

#[tokio::test(start_paused = true)]
async fn an_object_longer_than_it_can_be_is_refused_as_soon_as_that_is_known() {
    let expected = "integrity: get of o-1: swift answered with more than the 9 bytes that make sense";
    for step in [announced(200, 1 << 62), announced(200, 10), chunked("0123456789")] {
        assert_eq!(reason(get_at_most(step, 9).await), expected);
    }
    for step in [Step::Reply(answer(200, &[], b"0123456789")), chunked("0123456789")] {
        assert_eq!(get_at_most(step, 10).await.unwrap(), b"0123456789");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_or_token_beyond_all_sense_is_refused() {
    let too_long = (16 << 20) + 1;
    let (lists, _) = authenticated([announced(200, too_long)]);
    let found = lists.list(&RequestContext::admin(), "vb", "p").await.unwrap_err();
    assert_eq!(found.what, "list of p: swift answered with more than the 16777216 bytes that make sense");
    assert_eq!((found.kind, found.retry), (Kind::Internal, false));
    let (tokens, _) = store(&[V1], [announced(200, too_long)]);
    assert_eq!(get(&tokens, "o-1").await.unwrap_err().kind, Kind::Internal);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_one_however_long_its_page_is() {
    let (store, script) = authenticated([announced(404, 1 << 40), stored(b"x")]);
    assert_eq!(reason(get(&store, "o-1").await), "not_found: get of o-1: swift answered 404");
    // The rest of the page would come on that connection.
    let connections = script.connections();
    put(&store, "o-2", b"x").await.unwrap();
    assert_eq!(script.connections(), connections + 1);
}
