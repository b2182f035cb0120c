//! Reading: the fields of a message, one after the other.

/// Bytes that are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum WireError {
    /// A field goes on behind the end.
    #[error("the message ends within a field")]
    Truncated,
    /// A varint of more than 64 bits.
    #[error("a number has more than 64 bits")]
    Overflow,
    /// A type that there is not, or that is not used any more.
    #[error("a field has wire type {0}")]
    Type(u8),
    /// Fields are numbered from 1 to 2^29 - 1.
    #[error("a field has number {0}")]
    Number(u64),
    /// A field has another type than its number stands for.
    #[error("field {0} has another type than it should")]
    Mismatch(u32),
}

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// A field of a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Field<'a> {
    pub(crate) number: u32,
    pub(crate) value: Value<'a>,
}

/// The fields of a message that are still to come.
#[derive(Debug, Clone)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    /// The next field; `None` at the end.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Option<Field<'a>>, WireError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| (1..1 << 29).contains(number));
        let number = number.ok_or(WireError::Number(key >> 3))?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
                Value::Bytes(self.take(len)?)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            wire_type => return Err(WireError::Type(wire_type as u8)),
        };
        Ok(Some(Field { number, value }))
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, WireError> {
        // Keys, lengths and small numbers: one byte.
        if let Some((&byte, rest)) = self.0.split_first()
            && byte < 0x80
        {
            self.0 = rest;
            return Ok(u64::from(byte));
        }
        let mut value = 0u64;
        for (at, &byte) in self.0.iter().enumerate().take(10) {
            let bits = u64::from(byte & 0x7f);
            if at == 9 && bits > 1 {
                return Err(WireError::Overflow);
            }
            value |= bits << (7 * at);
            if byte < 0x80 {
                self.0 = self.0.get(at + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(if self.0.len() < 10 { WireError::Truncated } else { WireError::Overflow })
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(WireError::Truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(WireError::Truncated)?;
        self.0 = rest;
        Ok(*taken)
    }
}

impl<'a> Field<'a> {
    fn mismatch(&self) -> WireError {
        WireError::Mismatch(self.number)
    }

    /// An unsigned number or an enumeration.
    #[inline]
    pub(crate) fn uint64(&self) -> Result<u64, WireError> {
        match self.value {
            Value::Varint(value) => Ok(value),
            _ => Err(self.mismatch()),
        }
    }

    /// A number of 32 bits; of more, the lower ones count.
    pub(crate) fn uint32(&self) -> Result<u32, WireError> {
        self.uint64().map(|value| value as u32)
    }

    #[inline]
    pub(crate) fn int64(&self) -> Result<i64, WireError> {
        self.uint64().map(|value| value as i64)
    }

    /// A number whose sign is its lowest bit.
    pub(crate) fn sint32(&self) -> Result<i32, WireError> {
        self.uint64().map(|value| zigzag(value) as i32)
    }

    #[inline]
    pub(crate) fn double(&self) -> Result<f64, WireError> {
        match self.value {
            Value::Fixed64(bits) => Ok(f64::from_bits(bits)),
            _ => Err(self.mismatch()),
        }
    }

    /// A string or bytes.
    #[inline]
    pub(crate) fn bytes(&self) -> Result<&'a [u8], WireError> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(self.mismatch()),
        }
    }

    /// The fields of a message within.
    #[inline]
    pub(crate) fn message(&self) -> Result<Fields<'a>, WireError> {
        self.bytes().map(Fields::new)
    }

    /// Varints of a repeated field, whether they come one by one or together.
    #[inline]
    pub(crate) fn varints(&self, mut each: impl FnMut(u64)) -> Result<(), WireError> {
        match self.value {
            Value::Varint(value) => each(value),
            Value::Bytes(bytes) => {
                let mut values = Fields::new(bytes);
                while !values.0.is_empty() {
                    each(values.varint()?);
                }
            }
            _ => return Err(self.mismatch()),
        }
        Ok(())
    }

    /// Varints whose sign is their lowest bit.
    pub(crate) fn sint64s(&self, mut each: impl FnMut(i64)) -> Result<(), WireError> {
        self.varints(|value| each(zigzag(value)))
    }

    /// Doubles of a repeated field, whether they come one by one or together.
    pub(crate) fn doubles(&self, mut each: impl FnMut(f64)) -> Result<(), WireError> {
        match self.value {
            Value::Fixed64(bits) => each(f64::from_bits(bits)),
            Value::Bytes(bytes) => {
                let (doubles, rest) = bytes.as_chunks::<8>();
                if !rest.is_empty() {
                    return Err(WireError::Truncated);
                }
                doubles.iter().for_each(|bytes| each(f64::from_bits(u64::from_le_bytes(*bytes))));
            }
            _ => return Err(self.mismatch()),
        }
        Ok(())
    }
}

fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Field<'_>>, WireError> {
        let (mut fields, mut found) = (Fields::new(bytes), Vec::new());
        while let Some(field) = fields.next()? {
            found.push(field);
        }
        Ok(found)
    }

    #[test]
    fn each_type_is_read() {
        let bytes = [
            &[0x08, 0xac, 0x02][..],
            &[0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
            &[0x1a, 2, b'o', b'k'],
            &[0x25, 1, 0, 0, 0],
        ]
        .concat();
        let fields = all(&bytes).unwrap();
        assert_eq!(fields[0].uint64(), Ok(300));
        assert_eq!(fields[1].double(), Ok(1.0));
        assert_eq!(fields[2].bytes(), Ok(&b"ok"[..]));
        assert_eq!(fields[3].value, Value::Fixed32(1));
        assert_eq!(fields[2].double(), Err(WireError::Mismatch(3)));
    }

    #[test]
    fn what_is_no_message_is_refused() {
        for (bytes, error) in [
            (&[0x08][..], WireError::Truncated),
            (&[0x08, 0x80], WireError::Truncated),
            (&[0x11, 0, 0], WireError::Truncated),
            (&[0x1a, 3, b'n', b'o'], WireError::Truncated),
            (
                &[0x1a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
                WireError::Truncated,
            ),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], WireError::Overflow),
            (&[0x0b], WireError::Type(3)),
            (&[0x00, 0], WireError::Number(0)),
        ] {
            assert_eq!(all(bytes).unwrap_err(), error, "{bytes:?}");
        }
    }

    #[test]
    fn repeated_numbers_come_either_way() {
        let mut found = Vec::new();
        let together = Field { number: 1, value: Value::Bytes(&[1, 2, 0x96, 1]) };
        together.varints(|value| found.push(value)).unwrap();
        Field { number: 1, value: Value::Varint(7) }.varints(|value| found.push(value)).unwrap();
        assert_eq!(found, [1, 2, 150, 7]);
        assert_eq!([0, 1, 2, 3, u64::MAX].map(zigzag), [0, -1, 1, -2, i64::MIN]);
        let odd = Field { number: 1, value: Value::Bytes(&[0; 9]) };
        assert_eq!(odd.doubles(|_| {}), Err(WireError::Truncated));
    }
}
