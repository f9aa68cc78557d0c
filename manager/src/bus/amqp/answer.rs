//! The body of an answer to a call: what oslo.messaging's RPC server sends, and its client reads.

use serde_json::{Value, json};

use super::super::ReplyTo;
use super::message::{enveloped, opened, wrong};
use crate::{Error, Kind, Result};

/// Where a failure says that its class is from; clients of Cinder rebuild exceptions of this module.
const MODULE: &str = "cinder.exception";

/// What a message in a reply queue says about a call.
#[derive(Debug)]
pub(super) struct Answer {
    pub call: String,
    pub result: Result<Value>,
    /// Whether nothing follows: a server may send signs of life before, and old ones send the result alone.
    pub ending: bool,
}

/// The body of an answer; `unique` is its own id.
pub(super) fn answer(to: &ReplyTo, answer: &Result<Value>, unique: &str) -> Result<Vec<u8>> {
    let (result, failure) = match answer {
        Ok(result) => (result.clone(), Value::Null),
        Err(error) => (Value::Null, json!(failure(error).to_string())),
    };
    let body = json!({
        "result": result, "failure": failure, "ending": true, "_msg_id": to.call, "_unique_id": unique,
    });
    enveloped(&body)
}

/// An error as an exception of Cinder's. What we need to have it back is among its keyword arguments.
fn failure(error: &Error) -> Value {
    let class = match error.kind {
        Kind::InvalidBackup => "InvalidBackup",
        Kind::NotFound => "NotFound",
        Kind::ServiceDown => "ServiceNotFound",
        _ => "BackupOperationError",
    };
    let text = error.to_string();
    json!({
        "class": class, "module": MODULE, "message": text, "tb": [], "args": [text],
        "kwargs": { "kind": error.kind, "operation": error.operation, "what": error.what, "retry": error.retry },
    })
}

/// Reads the body of an answer.
pub(super) fn read(body: &[u8]) -> Result<Answer> {
    let inner = opened("answer", body)?;
    let call = inner["_msg_id"].as_str().ok_or_else(|| wrong("answer", "no _msg_id"))?.to_owned();
    let result = match inner["failure"].as_str() {
        Some(failure) => Err(failed(failure)),
        None => Ok(inner["result"].clone()),
    };
    let ending = inner["ending"] == true || result.is_err();
    Ok(Answer { call, result, ending })
}

fn failed(failure: &str) -> Error {
    let failure: Value = serde_json::from_str(failure).unwrap_or(Value::Null);
    let ours = &failure["kwargs"];
    let word = |name: &str| ours[name].as_str().unwrap_or_default();
    let Ok(kind) = serde_json::from_value::<Kind>(ours["kind"].clone()) else {
        let text = |name: &str| failure[name].as_str().unwrap_or("?");
        return Error::new(Kind::Internal, format!("{}: {}", text("class"), text("message")));
    };
    let make = if ours["retry"] == true { Error::transient } else { Error::new };
    make(kind, word("what").to_owned()).during(word("operation"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to() -> ReplyTo {
        ReplyTo { queue: "reply_1".to_owned(), call: "c1".to_owned() }
    }

    fn sent(said: &Result<Value>) -> Answer {
        read(&answer(&to(), said, "u1").expect("it can be written")).expect("it can be read")
    }

    #[test]
    fn a_result_comes_back_as_it_was_sent() {
        let back = sent(&Ok(json!({ "backup_service": "swift", "backup_url": "x" })));
        assert_eq!((back.call.as_str(), back.ending), ("c1", true));
        assert_eq!(back.result.expect("no failure"), json!({ "backup_service": "swift", "backup_url": "x" }));
    }

    #[test]
    fn an_error_comes_back_with_its_kind_and_its_words() {
        for error in [
            Error::new(Kind::InvalidBackup, "backup is error, expected available").during("export_record"),
            Error::transient(Kind::Unreachable, "database refused the connection").during("export_begin"),
            Error::new(Kind::NotFound, "no backup b"),
        ] {
            let (text, kind, retry) = (error.to_string(), error.kind, error.retry);
            let back = sent(&Err(error)).result.expect_err("it failed");
            assert_eq!((back.to_string(), back.kind, back.retry), (text, kind, retry));
        }
    }

    #[test]
    fn what_another_server_says_is_understood() {
        let read_inner = |inner: &Value| read(&enveloped(inner).unwrap());
        let sign_of_life =
            json!({ "result": null, "failure": null, "ending": false, "_msg_id": "c1", "_unique_id": "u" });
        assert!(!read_inner(&sign_of_life).unwrap().ending);
        let exception = json!({
            "class": "ValueError", "module": "builtins", "message": "no", "tb": ["File ..."], "args": ["no"], "kwargs": {},
        });
        let failed = json!({ "result": null, "failure": exception.to_string(), "ending": true, "_msg_id": "c1" });
        let error = read_inner(&failed).unwrap().result.unwrap_err();
        assert_eq!(error.to_string(), "internal: ValueError: no");
        let nameless = read_inner(&json!({ "result": 1 })).unwrap_err();
        assert_eq!(nameless.to_string(), "internal: a message that is no answer: no _msg_id");
    }
}
