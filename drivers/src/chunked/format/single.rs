//! A JSON object that ought to have one key: an entry of a metadata object's list.
//!
//! A map would take a kilobyte for each of them, and would not tell that a key is there twice.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

pub(super) struct Single<T> {
    pub first: Option<(String, T)>,
    /// How many there are.
    pub keys: usize,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Single<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Single<T>, D::Error> {
        from.deserialize_map(Pairs(PhantomData))
    }
}

struct Pairs<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Pairs<T> {
    type Value = Single<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Single<T>, A::Error> {
        let first = pairs.next_entry()?;
        let mut keys = usize::from(first.is_some());
        while first.is_some() && pairs.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            keys += 1;
        }
        Ok(Single { first, keys })
    }
}
