// SPDX-License-Identifier: Apache-2.0
//! The SDK's own CBOR decoder as a serde deserializer that borrows its texts from the body. `ciborium` copies them: a
//! 500-query `GetMetricData` has some 10,000, and would take three times as long to read.

use std::borrow::Cow;
use std::fmt;

use aws_smithy_cbor::Decoder;
use aws_smithy_cbor::data::Type;
use aws_smithy_cbor::decode::DeserializeError;
use serde::Deserialize;
use serde::de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor};

pub(crate) fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    T::deserialize(&mut Reader(Decoder::new(bytes)))
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

impl From<DeserializeError> for Error {
    fn from(error: DeserializeError) -> Self {
        Self(error.to_string())
    }
}

struct Reader<'de>(Decoder<'de>);

impl<'de> de::Deserializer<'de> for &mut Reader<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.datatype()? {
            Type::Bool => visitor.visit_bool(self.0.boolean()?),
            Type::Null | Type::Undefined => {
                self.0.skip()?;
                visitor.visit_unit()
            }
            Type::F16 | Type::F32 | Type::F64 => visitor.visit_f64(self.0.double()?),
            Type::String | Type::StringIndef => match self.0.str()? {
                Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
                Cow::Owned(text) => visitor.visit_string(text),
            },
            Type::Array | Type::ArrayIndef => {
                let left = self.0.list()?;
                visitor.visit_seq(Items { reader: self, left })
            }
            Type::Map | Type::MapIndef => {
                let left = self.0.map()?;
                visitor.visit_map(Items { reader: self, left })
            }
            Type::Tag => visitor.visit_f64(self.0.timestamp()?.as_secs_f64()),
            _ => visitor.visit_i64(self.0.long()?),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.datatype()? {
            Type::Null | Type::Undefined => {
                self.0.skip()?;
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.0.skip()?;
        visitor.visit_unit()
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct newtype_struct seq
        tuple tuple_struct map struct enum identifier
    }
}

/// The items of an array, or the keys and values of a map.
struct Items<'a, 'de> {
    reader: &'a mut Reader<'de>,
    /// How many are left; `None` reads up to a break.
    left: Option<u64>,
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        match &mut self.left {
            Some(0) => return Ok(None),
            Some(left) => *left -= 1,
            None if self.reader.0.datatype()? == Type::Break => {
                self.reader.0.skip()?;
                self.left = Some(0);
                return Ok(None);
            }
            None => {}
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(&mut *self.reader)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Deserialize)]
    struct Empty {}

    #[test]
    fn texts_are_borrowed() {
        let read: Vec<&str> = from_slice(&[0x82, 0x61, b'a', 0x61, b'b']).expect("read");
        assert_eq!(read, ["a", "b"]);
    }

    #[test]
    fn indefinite_lengths_times_and_halves_are_read() {
        // {_ "a": [_ 1(2), 1.5 (half)]}
        let bytes = [0xbf, 0x61, b'a', 0x9f, 0xc1, 0x02, 0xf9, 0x3e, 0x00, 0xff, 0xff];
        let read: BTreeMap<String, Vec<f64>> = from_slice(&bytes).expect("read");
        assert_eq!(read["a"], [2.0, 1.5]);
        let text: String = from_slice(&[0x7f, 0x61, b'a', 0x61, b'b', 0xff]).expect("read");
        assert_eq!(text, "ab");
    }

    #[test]
    fn broken_bodies_are_errors() {
        for bytes in [&[0x9f_u8, 0x01][..], &[0x81, 0x62, 0x61], &[0x81, 0x1c], &[0x81, 0xff], &[0x81], &[]] {
            assert!(from_slice::<Vec<&str>>(bytes).is_err(), "{bytes:?}");
        }
        // A field that is not known may be nested as deeply as it likes.
        let map = [&[0xa1, 0x61, b'a'][..], &[0x81].repeat(100_000)].concat();
        assert!(from_slice::<Empty>(&map).is_err(), "it has no end");
    }
}
