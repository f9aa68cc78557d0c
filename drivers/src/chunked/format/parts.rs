//! Parts of the documents that are checked while they are read, so that a wrong list is not first held in memory.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

/// A JSON object of one key: an entry of a metadata object's list. A map would take a kilobyte for each of them, and would
/// not tell that a key is there twice.
pub(super) struct Single<T>(pub String, pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Single<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Single<T>, D::Error> {
        from.deserialize_map(Pair(PhantomData))
    }
}

struct Pair<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Pair<T> {
    type Value = Single<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of one key")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Single<T>, A::Error> {
        let (key, value) = pairs.next_entry()?.ok_or_else(|| Error::invalid_length(0, &self))?;
        if pairs.next_key::<IgnoredAny>()?.is_some() {
            return Err(Error::invalid_length(2, &self));
        }
        Ok(Single(key, value))
    }
}

/// A digest in hexadecimal digits.
pub(super) struct Digest<const N: usize>(pub [u8; N]);

impl<'de, const N: usize> Deserialize<'de> for Digest<N> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Digest<N>, D::Error> {
        from.deserialize_str(Hex)
    }
}

struct Hex<const N: usize>;

impl<const N: usize> Visitor<'_> for Hex<N> {
    type Value = Digest<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hexadecimal digits", 2 * N)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Digest<N>, E> {
        super::hex_digest(text).map(Digest).ok_or_else(|| E::custom(format_args!("not {} hexadecimal digits", 2 * N)))
    }
}
