//! Writing: fields behind each other, lengths put in afterwards.

/// Writes messages into a buffer that grows.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets what was written; keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    /// A number; 0 is not written, which is how it is read.
    pub(crate) fn uint64(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.varint(u64::from(number << 3));
            self.varint(value);
        }
    }

    pub(crate) fn int64(&mut self, number: u32, value: i64) {
        self.uint64(number, value as u64);
    }

    pub(crate) fn sint32(&mut self, number: u32, value: i32) {
        self.uint64(number, zigzag(i64::from(value)));
    }

    /// A double; left out only if all its bits are 0, so that -0 stays what it is.
    pub(crate) fn double(&mut self, number: u32, value: f64) {
        if value.to_bits() != 0 {
            self.double_always(number, value);
        }
    }

    /// A double that is there even if it is 0: one of several that a field may hold.
    pub(crate) fn double_always(&mut self, number: u32, value: f64) {
        self.varint(u64::from(number << 3 | 1));
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A number that is there even if it is 0.
    pub(crate) fn uint64_always(&mut self, number: u32, value: u64) {
        self.varint(u64::from(number << 3));
        self.varint(value);
    }

    pub(crate) fn string(&mut self, number: u32, value: &str) {
        if !value.is_empty() {
            self.raw(number, value.as_bytes());
        }
    }

    pub(crate) fn raw(&mut self, number: u32, value: &[u8]) {
        self.varint(u64::from(number << 3 | 2));
        self.varint(value.len() as u64);
        self.bytes.extend_from_slice(value);
    }

    /// Bytes in two pieces, one field.
    pub(crate) fn pair(&mut self, number: u32, first: &[u8], second: &[u8]) {
        self.varint(u64::from(number << 3 | 2));
        self.varint((first.len() + second.len()) as u64);
        self.bytes.extend_from_slice(first);
        self.bytes.extend_from_slice(second);
    }

    /// Signed numbers, together.
    pub(crate) fn sint64s(&mut self, number: u32, values: &[i64]) {
        if !values.is_empty() {
            self.message(number, |writer| {
                values.iter().for_each(|value| writer.varint(zigzag(*value)));
            });
        }
    }

    /// Doubles, together.
    pub(crate) fn doubles(&mut self, number: u32, values: &[f64]) {
        if !values.is_empty() {
            self.varint(u64::from(number << 3 | 2));
            self.varint(values.len() as u64 * 8);
            values.iter().for_each(|value| self.bytes.extend_from_slice(&value.to_le_bytes()));
        }
    }

    /// A message within, which `write` writes. Its length is put in front when it is known; most
    /// messages are short, so that there is room for it already.
    pub(crate) fn message(&mut self, number: u32, write: impl FnOnce(&mut Self)) {
        self.varint(u64::from(number << 3 | 2));
        let at = self.bytes.len();
        self.bytes.push(0);
        write(self);
        let len = self.bytes.len() - at - 1;
        let (prefix, prefix_len) = encode_varint(len as u64);
        match (self.bytes.get_mut(at), prefix.get(..prefix_len)) {
            (Some(room), Some([byte])) => *room = *byte,
            (_, prefix) => {
                self.bytes.splice(at..=at, prefix.unwrap_or_default().iter().copied());
            }
        }
    }

    fn varint(&mut self, value: u64) {
        let (bytes, len) = encode_varint(value);
        self.bytes.extend_from_slice(bytes.get(..len).unwrap_or_default());
    }
}

/// The bytes of a varint, and how many they are.
pub(crate) fn encode_varint(mut value: u64) -> ([u8; 10], usize) {
    let mut bytes = [0; 10];
    let mut len = 0;
    for byte in &mut bytes {
        len += 1;
        *byte = value as u8 & 0x7f;
        value >>= 7;
        if value == 0 {
            break;
        }
        *byte |= 0x80;
    }
    (bytes, len)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    use super::super::{Field, Fields, Value};
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut writer = Writer::new();
        writer.message(1, |inner| {
            inner.string(1, &"x".repeat(300));
            inner.sint64s(2, &[0, -1, i64::MIN, i64::MAX]);
            inner.doubles(3, &[-0.0, f64::NAN]);
        });
        writer.double(2, -0.0);
        writer.double(3, 0.0);
        writer.int64(4, -1);
        let mut fields = Fields::new(writer.bytes());
        let mut inner = fields.next().unwrap().unwrap().message().unwrap();
        assert_eq!(inner.next().unwrap().unwrap().bytes().unwrap().len(), 300);
        let mut numbers = Vec::new();
        inner.next().unwrap().unwrap().sint64s(|n| numbers.push(n)).unwrap();
        assert_eq!(numbers, [0, -1, i64::MIN, i64::MAX]);
        let mut doubles = Vec::new();
        inner.next().unwrap().unwrap().doubles(|d| doubles.push(d.to_bits())).unwrap();
        assert_eq!(doubles, [(-0.0f64).to_bits(), f64::NAN.to_bits()]);
        assert_eq!(inner.next(), Ok(None));
        let minus_zero = fields.next().unwrap().unwrap();
        assert_eq!(minus_zero, Field { number: 2, value: Value::Fixed64(1 << 63) });
        assert_eq!(fields.next().unwrap().unwrap().int64(), Ok(-1));
        assert_eq!(fields.next(), Ok(None));
    }
}
