//! The data types of RFC 4251 §5: a bounded reader and a writer.
//!
//! Nothing here knows messages. Every read names its field, so that an error can say where it
//! happened, and every variable-length read names its bound, so that memory follows from the code.

use thiserror::Error;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes ended before the field did.
    #[error("ends inside {field}")]
    EndedInside {
        /// The field being read.
        field: &'static str,
    },
    /// A string is longer than its bound.
    #[error("{field} has {bytes} bytes, at most {bytes_max} are taken")]
    TooLong {
        /// The field being read.
        field: &'static str,
        /// Its announced length in bytes.
        bytes: usize,
        /// Its bound in bytes.
        bytes_max: usize,
    },
    /// Bytes are left after the last field.
    #[error("{bytes} bytes are left after the last field of {message}")]
    LeftOver {
        /// The message that was read.
        message: &'static str,
        /// How many bytes are left.
        bytes: usize,
    },
    /// A name or name-list holds something other than printable US-ASCII (RFC 4251 §6).
    #[error("{field} holds a byte that no name may have")]
    NotAName {
        /// The field being read.
        field: &'static str,
    },
    /// A value outside of what the field can hold.
    #[error("{field} is {got}, expected {expected}")]
    Unexpected {
        /// The field being read.
        field: &'static str,
        /// What was there, escaped.
        got: String,
        /// What belongs there.
        expected: &'static str,
    },
}

/// Reads fields from the front of a slice. Never copies, never panics.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been read, without reading it.
    #[must_use]
    pub fn peek_rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Takes everything that is left.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Takes exactly `count` bytes.
    ///
    /// # Errors
    /// [`DecodeError::EndedInside`].
    pub fn bytes(&mut self, field: &'static str, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(DecodeError::EndedInside { field })?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes a fixed number of bytes.
    ///
    /// # Errors
    /// [`DecodeError::EndedInside`].
    pub fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], DecodeError> {
        let (taken, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(DecodeError::EndedInside { field })?;
        self.rest = rest;
        Ok(*taken)
    }

    /// A `byte`.
    ///
    /// # Errors
    /// [`DecodeError::EndedInside`].
    pub fn u8(&mut self, field: &'static str) -> Result<u8, DecodeError> {
        self.array::<1>(field).map(|[byte]| byte)
    }

    /// A `boolean`: everything but zero is true (RFC 4251 §5).
    ///
    /// # Errors
    /// [`DecodeError::EndedInside`].
    pub fn bool(&mut self, field: &'static str) -> Result<bool, DecodeError> {
        self.u8(field).map(|byte| byte != 0)
    }

    /// A `uint32`.
    ///
    /// # Errors
    /// [`DecodeError::EndedInside`].
    pub fn u32(&mut self, field: &'static str) -> Result<u32, DecodeError> {
        self.array(field).map(u32::from_be_bytes)
    }

    /// A `string` of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// [`DecodeError::TooLong`], [`DecodeError::EndedInside`].
    pub fn string(
        &mut self,
        field: &'static str,
        bytes_max: usize,
    ) -> Result<&'a [u8], DecodeError> {
        let bytes = self.u32(field)? as usize;
        if bytes > bytes_max {
            return Err(DecodeError::TooLong {
                field,
                bytes,
                bytes_max,
            });
        }
        self.bytes(field, bytes)
    }

    /// A `string` that is a name: printable US-ASCII, at most `bytes_max` bytes.
    ///
    /// # Errors
    /// As [`Self::string`], and [`DecodeError::NotAName`].
    pub fn name(&mut self, field: &'static str, bytes_max: usize) -> Result<&'a str, DecodeError> {
        let bytes = self.string(field, bytes_max)?;
        if bytes.iter().any(|byte| !(0x20..0x7f).contains(byte)) {
            return Err(DecodeError::NotAName { field });
        }
        std::str::from_utf8(bytes).map_err(|_| DecodeError::NotAName { field })
    }

    /// A `name-list` of at most `bytes_max` bytes.
    ///
    /// # Errors
    /// As [`Self::name`].
    pub fn name_list(
        &mut self,
        field: &'static str,
        bytes_max: usize,
    ) -> Result<NameList<'a>, DecodeError> {
        self.name(field, bytes_max).map(NameList)
    }

    /// Ends the reading of `message`.
    ///
    /// # Errors
    /// [`DecodeError::LeftOver`] if anything is left.
    pub fn finish(self, message: &'static str) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(DecodeError::LeftOver { message, bytes }),
        }
    }
}

/// A comma-separated list of names, kept as it came off the wire.
///
/// An empty name, as in `a,,b`, is listed and matches nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NameList<'a>(pub &'a str);

impl<'a> NameList<'a> {
    /// The names in order.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        self.0.split(',').filter(|name| !name.is_empty())
    }

    /// The first name, which alone decides whether a guess was right (RFC 4253 §7).
    #[must_use]
    pub fn first(self) -> Option<&'a str> {
        self.iter().next()
    }

    /// Whether `name` is listed.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        self.iter().any(|listed| listed == name)
    }
}

/// Appends fields to a buffer.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// Starts with nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Continues after what `bytes` holds.
    #[must_use]
    pub fn appending_to(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// A `byte`.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    /// A `boolean`.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }

    /// A `uint32`.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.raw(&value.to_be_bytes())
    }

    /// A `string`. What does not fit a 32-bit length cannot be had in memory that a packet allows.
    pub fn string(&mut self, value: &[u8]) -> &mut Self {
        let bytes = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.u32(bytes).raw(value)
    }

    /// A `name-list`.
    pub fn name_list(&mut self, names: NameList<'_>) -> &mut Self {
        self.string(names.0.as_bytes())
    }

    /// A non-negative `mpint` from its big-endian magnitude.
    ///
    /// Leading zero bytes go, and one comes back where the top bit would read as a sign
    /// (RFC 4251 §5). OpenSSH 6.5 and 6.6 kept the zeros, and failed once in 512 key exchanges.
    pub fn mpint(&mut self, magnitude: &[u8]) -> &mut Self {
        let zeros = magnitude.iter().take_while(|byte| **byte == 0).count();
        let digits = magnitude.get(zeros..).unwrap_or_default();
        let sign_byte = digits.first().is_some_and(|byte| byte & 0x80 != 0);
        let bytes = digits.len() + usize::from(sign_byte);
        self.u32(u32::try_from(bytes).unwrap_or(u32::MAX));
        if sign_byte {
            self.u8(0);
        }
        self.raw(digits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mpint(magnitude: &[u8]) -> Vec<u8> {
        let mut w = Writer::new();
        w.mpint(magnitude);
        w.into_bytes()
    }

    /// The examples of RFC 4251 §5, and the two shapes that a shared secret can take.
    #[test]
    fn mpint_is_encoded_as_the_rfc_shows() {
        assert_eq!(mpint(&[]), [0, 0, 0, 0]);
        assert_eq!(mpint(&[0, 0]), [0, 0, 0, 0]);
        assert_eq!(
            mpint(&[0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7]),
            [0, 0, 0, 8, 0x09, 0xa3, 0x78, 0xf9, 0xb2, 0xe3, 0x32, 0xa7]
        );
        assert_eq!(mpint(&[0x80]), [0, 0, 0, 2, 0, 0x80]);
        assert_eq!(mpint(&[0, 0, 0x7f, 1]), [0, 0, 0, 2, 0x7f, 1]);
        assert_eq!(mpint(&[0, 0xff, 1]), [0, 0, 0, 3, 0, 0xff, 1]);
    }

    #[test]
    fn a_string_past_its_bound_is_refused_before_its_bytes_are_looked_for() {
        let announced = [0xff, 0xff, 0xff, 0xff];
        assert_eq!(
            Reader::new(&announced).string("data", 10),
            Err(DecodeError::TooLong {
                field: "data",
                bytes: 0xffff_ffff,
                bytes_max: 10
            })
        );
    }

    #[test]
    fn an_empty_name_never_matches() {
        let list = NameList(",a,,b,");
        assert_eq!(list.iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(!list.has(""));
    }

    proptest! {
        /// What we write is what we read, for every type in a row.
        #[test]
        fn fields_survive_a_round_trip(
            byte in any::<u8>(), flag in any::<bool>(), number in any::<u32>(),
            string in prop::collection::vec(any::<u8>(), 0..300),
            names in prop::collection::vec("[a-z0-9@.-]{1,20}", 0..10),
        ) {
            let names = names.join(",");
            let mut w = Writer::new();
            w.u8(byte).bool(flag).u32(number).string(&string).name_list(NameList(&names));
            let bytes = w.into_bytes();

            let mut r = Reader::new(&bytes);
            prop_assert_eq!(r.u8("byte"), Ok(byte));
            prop_assert_eq!(r.bool("flag"), Ok(flag));
            prop_assert_eq!(r.u32("number"), Ok(number));
            prop_assert_eq!(r.string("string", 300), Ok(&string[..]));
            prop_assert_eq!(r.name_list("names", 300), Ok(NameList(&names)));
            prop_assert_eq!(r.finish("all"), Ok(()));
        }
    }
}
