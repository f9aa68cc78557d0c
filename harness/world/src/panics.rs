//! Catches what a panic says and where, which tokio and `catch_unwind` do not keep.
//!
//! The hook is process-wide but acts only on threads that are inside [`capture`]; everywhere else the previous hook runs.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use crate::host::current_host;

/// A panic as it was reported.
#[derive(Clone, Debug)]
pub(crate) struct Caught {
    pub(crate) host: Option<String>,
    /// Message and place.
    pub(crate) message: String,
}

thread_local! {
    /// Panics seen since the outermost `capture` began; `None` outside of one.
    static SEEN: RefCell<Option<Vec<Caught>>> = const { RefCell::new(None) };
}

fn report(info: &PanicHookInfo<'_>) -> Caught {
    let text = info.payload_as_str().unwrap_or("a value that is no text");
    let place = info.location().map(|at| format!(" at {}:{}", at.file(), at.line())).unwrap_or_default();
    Caught { host: current_host().map(|host| host.to_string()), message: format!("{text}{place}") }
}

fn install_hook() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = take_hook();
        set_hook(Box::new(move |info| {
            let taken = SEEN.with(|seen| match seen.try_borrow_mut() {
                Ok(mut seen) => seen.as_mut().map(|seen| seen.push(report(info))).is_some(),
                Err(_) => false,
            });
            if !taken {
                previous(info);
            }
        }));
    });
}

/// Runs `f`; a panic comes back as what the *first* unwinding panic said (later ones are tokio's echo of it).
pub(crate) fn capture<T>(f: impl FnOnce() -> T) -> Result<T, Caught> {
    install_hook();
    let outer = SEEN.replace(Some(Vec::new()));
    let result = catch_unwind(AssertUnwindSafe(f));
    let seen = SEEN.replace(outer).unwrap_or_default();
    result.map_err(|_| {
        let unknown = Caught { host: None, message: "the panic left no message".to_owned() };
        seen.into_iter().next().unwrap_or(unknown)
    })
}
