//! The few messages of remote write and remote read that a load consists of, on the wire.
//!
//! ```text
//!  WriteRequest  1 TimeSeries*        ReadRequest   1 Query*
//!  TimeSeries    1 Label* 2 Sample*   Query         1 start  2 end  3 LabelMatcher*
//!  Label         1 name 2 value       LabelMatcher  1 type (0: equal)  2 name  3 value
//!  Sample        1 value 2 time, ms   ReadResponse  1 QueryResult*
//!                                     QueryResult   1 TimeSeries*
//! ```
//!
//! Source: the remote write and remote read specifications, 1.0.

/// Appends a varint.
fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a field of bytes: a string, or a message that is encoded already.
pub(super) fn bytes(out: &mut Vec<u8>, number: u8, content: &[u8]) {
    out.push(number << 3 | 2);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

fn integer(out: &mut Vec<u8>, number: u8, value: i64) {
    out.push(number << 3);
    varint(out, value.cast_unsigned());
}

/// Appends a name and a value, as two fields from `number` on.
pub(super) fn pair(out: &mut Vec<u8>, number: u8, name: &str, value: &str) {
    bytes(out, number, name.as_bytes());
    bytes(out, number + 1, value.as_bytes());
}

/// A sample.
pub(super) fn sample(out: &mut Vec<u8>, value: f64, time_ms: i64) {
    out.push(1 << 3 | 1);
    out.extend_from_slice(&value.to_le_bytes());
    integer(out, 2, time_ms);
}

/// A request for everything of one metric between two times, both inclusive.
pub(super) fn read_request(metric: &str, start_ms: i64, end_ms: i64) -> Vec<u8> {
    let (mut matcher, mut query, mut request) = (Vec::new(), Vec::new(), Vec::new());
    pair(&mut matcher, 2, "__name__", metric);
    integer(&mut query, 1, start_ms);
    integer(&mut query, 2, end_ms);
    bytes(&mut query, 3, &matcher);
    bytes(&mut request, 1, &query);
    request
}

/// How many samples a `ReadResponse` holds; `None` if it is none.
pub(super) fn samples_in(response: &[u8]) -> Option<u64> {
    let mut samples = 0;
    for_each(response, 1, &mut |result| {
        for_each(result, 1, &mut |series| {
            for_each(series, 2, &mut |_| {
                samples += 1;
                Some(())
            })
        })
    })?;
    Some(samples)
}

/// Calls `then` with each field of bytes that has this number; others are skipped.
fn for_each<'m>(
    mut message: &'m [u8],
    number: u64,
    then: &mut dyn FnMut(&'m [u8]) -> Option<()>,
) -> Option<()> {
    while !message.is_empty() {
        let key = take_varint(&mut message)?;
        let length = match key & 7 {
            0 => {
                take_varint(&mut message)?;
                continue;
            }
            1 => 8,
            2 => usize::try_from(take_varint(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (content, rest) = message.split_at_checked(length)?;
        message = rest;
        if key == number << 3 | 2 {
            then(content)?;
        }
    }
    Some(())
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_all_series_are_counted() {
        let mut result = Vec::new();
        for samples in [1, 3] {
            let (mut label, mut series) = (Vec::new(), Vec::new());
            pair(&mut label, 1, "__name__", &"x".repeat(200));
            bytes(&mut series, 1, &label);
            for time in 0..samples {
                let mut one = Vec::new();
                sample(&mut one, 0.5, time);
                bytes(&mut series, 2, &one);
            }
            bytes(&mut result, 1, &series);
        }
        let mut response = Vec::new();
        bytes(&mut response, 1, &result);
        assert_eq!(samples_in(&response), Some(4));
        assert_eq!(samples_in(&[]), Some(0));
        assert_eq!(samples_in(&response[..response.len() - 1]), None);
    }
}
