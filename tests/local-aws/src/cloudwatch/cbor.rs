//! A CBOR reader for serde that borrows its texts from the body: a 500-query `GetMetricData` carries some 6,000 of them,
//! and copying each would cost more than looking up the metrics does. What is written goes through `ciborium`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::value::{BorrowedStrDeserializer, StringDeserializer};
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

/// Deeper than any request of CloudWatch, and shallow enough for the stack.
const MAX_DEPTH: u32 = 64;
const BREAK: u8 = 0xff;

/// Reads one value.
pub(crate) fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    T::deserialize(&mut Reader { rest: bytes, depth: 0 })
}

/// Why a body could not be read.
#[derive(Debug)]
pub(crate) struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

fn error(message: &str) -> Error {
    Error(message.to_owned())
}

struct Reader<'de> {
    rest: &'de [u8],
    depth: u32,
}

/// The head of an item: its major type, and its argument; `None` where the length is not said.
struct Head {
    major: u8,
    info: u8,
    argument: Option<u64>,
}

impl<'de> Reader<'de> {
    fn take(&mut self, count: usize) -> Result<&'de [u8], Error> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or_else(|| error("the CBOR ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn peek(&self) -> Result<u8, Error> {
        self.rest.first().copied().ok_or_else(|| error("the CBOR ends too early"))
    }

    fn head(&mut self) -> Result<Head, Error> {
        let first = self.take(1)?[0];
        let (major, info) = (first >> 5, first & 0x1f);
        let argument = match info {
            0..=23 => Some(u64::from(info)),
            24..=27 => {
                let bytes = self.take(1 << (info - 24))?;
                Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
            }
            31 => None,
            _ => return Err(error("a reserved CBOR length")),
        };
        Ok(Head { major, info, argument })
    }

    /// The next head that is no tag: times are told from numbers by the struct that is read.
    fn untagged(&mut self) -> Result<Head, Error> {
        loop {
            let head = self.head()?;
            if head.major != 6 {
                return Ok(head);
            }
        }
    }

    fn bytes(&mut self, length: u64) -> Result<&'de [u8], Error> {
        self.take(usize::try_from(length).map_err(|_| error("a CBOR length out of range"))?)
    }

    fn text(&mut self, head: &Head) -> Result<Cow<'de, str>, Error> {
        if let Some(length) = head.argument {
            let bytes = self.bytes(length)?;
            return std::str::from_utf8(bytes)
                .map(Cow::Borrowed)
                .map_err(|_| error("a CBOR text that is not UTF-8"));
        }
        let mut text = String::new();
        while self.peek()? != BREAK {
            let piece = self.head()?;
            if piece.major != 3 || piece.argument.is_none() {
                return Err(error("a CBOR text in pieces that are not texts"));
            }
            text.push_str(&self.text(&piece)?);
        }
        self.take(1)?;
        Ok(Cow::Owned(text))
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(error("the CBOR is nested too deeply"));
        }
        let value = read(self);
        self.depth -= 1;
        value
    }
}

fn number(head: &Head) -> Result<i64, Error> {
    let argument = head.argument.ok_or_else(|| error("a CBOR number without a value"))?;
    let magnitude = i64::try_from(argument).map_err(|_| error("a CBOR number out of range"))?;
    Ok(if head.major == 1 { -1 - magnitude } else { magnitude })
}

fn simple<'de, V: Visitor<'de>>(head: &Head, visitor: V) -> Result<V::Value, Error> {
    let bits = head.argument.ok_or_else(|| error("a CBOR break out of place"))?;
    match head.info {
        20 => visitor.visit_bool(false),
        21 => visitor.visit_bool(true),
        22 | 23 => visitor.visit_unit(),
        25 => visitor.visit_f64(half(bits)),
        #[expect(clippy::cast_possible_truncation, reason = "the head read four bytes")]
        26 => visitor.visit_f64(f64::from(f32::from_bits(bits as u32))),
        27 => visitor.visit_f64(f64::from_bits(bits)),
        _ => Err(error("an unknown CBOR value")),
    }
}

/// A half-precision float: <https://www.rfc-editor.org/rfc/rfc8949#name-half-precision>
fn half(bits: u64) -> f64 {
    let (mantissa, exponent) = (f64::from((bits & 0x3ff) as u32), ((bits >> 10) & 0x1f) as i32);
    let magnitude = match exponent {
        0 => mantissa * 2_f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (mantissa + 1024.0) * 2_f64.powi(exponent - 25),
    };
    if bits & 0x8000 == 0 { magnitude } else { -magnitude }
}

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let head = self.untagged()?;
        match head.major {
            0 | 1 => visitor.visit_i64(number(&head)?),
            2 => {
                let length = head.argument.ok_or_else(|| error("CBOR bytes in pieces"))?;
                visitor.visit_borrowed_bytes(self.bytes(length)?)
            }
            3 => match self.text(&head)? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            4 => self.nested(|reader| visitor.visit_seq(Items { reader, left: head.argument })),
            5 => self.nested(|reader| visitor.visit_map(Items { reader, left: head.argument })),
            _ => simple(&head, visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if matches!(self.peek()?, 0xf6 | 0xf7) {
            self.take(1)?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let head = self.untagged()?;
        if head.major != 3 {
            return Err(error("expected a text"));
        }
        match self.text(&head)? {
            Cow::Borrowed(text) => visitor.visit_enum(BorrowedStrDeserializer::new(text)),
            Cow::Owned(text) => visitor.visit_enum(StringDeserializer::new(text)),
        }
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// The items of an array, or the keys and values of a map.
struct Items<'a, 'de> {
    reader: &'a mut Reader<'de>,
    /// How many are left; `None` reads up to a break.
    left: Option<u64>,
}

impl Items<'_, '_> {
    fn is_over(&mut self) -> Result<bool, Error> {
        match &mut self.left {
            Some(0) => Ok(true),
            Some(left) => {
                *left -= 1;
                Ok(false)
            }
            None if self.reader.peek()? == BREAK => {
                self.reader.take(1)?;
                // A map asks again after its last key.
                self.left = Some(0);
                Ok(true)
            }
            None => Ok(false),
        }
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.is_over()? { Ok(None) } else { seed.deserialize(&mut *self.reader).map(Some) }
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        if self.is_over()? { Ok(None) } else { seed.deserialize(&mut *self.reader).map(Some) }
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(&mut *self.reader)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Serialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Sample<'a> {
        #[serde(borrow)]
        name: Cow<'a, str>,
        count: i64,
        share: f64,
        maybe: Option<bool>,
        list: Vec<u32>,
        map: BTreeMap<String, i32>,
    }

    #[test]
    fn what_ciborium_writes_is_read_back_and_texts_are_borrowed() {
        let map = BTreeMap::from([("a".to_owned(), -5)]);
        let sample =
            Sample { name: "x".into(), count: -7, share: 0.1, maybe: None, list: vec![1, 70_000], map };
        let mut bytes = Vec::new();
        ciborium::into_writer(&sample, &mut bytes).expect("written");
        let read: Sample<'_> = from_slice(&bytes).expect("read");
        assert_eq!(read, sample);
        assert!(matches!(read.name, Cow::Borrowed(_)));
    }

    #[test]
    fn indefinite_lengths_tags_and_halves_are_read() {
        // {_ "a": [_ 1(2), 1.5 (half)]}
        let bytes = [0xbf, 0x61, b'a', 0x9f, 0xc1, 0x02, 0xf9, 0x3e, 0x00, 0xff, 0xff];
        let read: BTreeMap<String, Vec<f64>> = from_slice(&bytes).expect("read");
        assert_eq!(read["a"], [2.0, 1.5]);
        let text: String = from_slice(&[0x7f, 0x61, b'a', 0x61, b'b', 0xff]).expect("read");
        assert_eq!(text, "ab");
    }

    #[test]
    fn broken_bodies_are_errors() {
        for bytes in [&[0x9f_u8, 0x01][..], &[0x62, 0x61], &[0x1c], &[0xff], &[]] {
            assert!(from_slice::<de::IgnoredAny>(bytes).is_err(), "{bytes:?}");
        }
        assert!(from_slice::<de::IgnoredAny>(&[0x81; 100]).is_err(), "nested too deeply");
    }
}
