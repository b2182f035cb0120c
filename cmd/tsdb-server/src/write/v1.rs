//! `prometheus.WriteRequest`.
//!
//! ```text
//!   request   1 series*  3 metadata*
//!   series    1 label*  2 sample*  3 exemplar*  4 histogram*
//!   label     1 name  2 value
//!   exemplar  1 label*  2 value  3 timestamp
//!   metadata  1 type  2 metric family  4 help  5 unit
//! ```

use tsdb::head::{Exemplar, MetricType};

use super::labels::Pairs;
use super::receiver::{Receiver, count};
use crate::metadata::MetadataStore;
use crate::protobuf::{Field, Fields, WireError};

const SAMPLES: u32 = 2;
const EXEMPLARS: u32 = 3;
const HISTOGRAMS: u32 = 4;

/// Appends a request.
pub(super) fn store(
    request: &[u8],
    receiver: &mut Receiver<'_>,
    known: &MetadataStore,
) -> Result<(), WireError> {
    let mut fields = Fields::new(request);
    let mut pairs = Pairs::new(receiver.rules.labels);
    let mut exemplar_pairs = Pairs::new(receiver.rules.labels);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => series(field.message()?, receiver, &mut pairs, &mut exemplar_pairs)?,
            3 => metadata(field.message()?, known)?,
            _ => {}
        }
    }
    Ok(())
}

fn series<'r>(
    message: Fields<'r>,
    receiver: &mut Receiver<'_>,
    pairs: &mut Pairs<'r>,
    exemplar_pairs: &mut Pairs<'r>,
) -> Result<(), WireError> {
    pairs.clear();
    let mut fields = message.clone();
    let mut has_exemplars = false;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => label(field, pairs)?,
            EXEMPLARS => has_exemplars = true,
            _ => {}
        }
    }
    if let Err(refused) = receiver.begin(pairs) {
        receiver.outcome.refused.add(|| refused.to_string());
        receiver.outcome.with_invalid_labels += count(&message, [SAMPLES, HISTOGRAMS])?;
        return Ok(());
    }
    receiver.floats(&message, SAMPLES)?;
    if has_exemplars {
        exemplars(message.clone(), receiver, exemplar_pairs)?;
    }
    receiver.histograms(&message, HISTOGRAMS)
}

fn label<'r>(field: Field<'r>, pairs: &mut Pairs<'r>) -> Result<(), WireError> {
    let (mut name, mut value) = (&b""[..], &b""[..]);
    let mut fields = field.message()?;
    while let Some(field) = fields.next()? {
        match field.number {
            1 => name = field.bytes()?,
            2 => value = field.bytes()?,
            _ => {}
        }
    }
    pairs.push_bytes(name, value);
    Ok(())
}

fn exemplars<'r>(
    mut fields: Fields<'r>,
    receiver: &mut Receiver<'_>,
    pairs: &mut Pairs<'r>,
) -> Result<(), WireError> {
    while let Some(field) = fields.next()? {
        if field.number != EXEMPLARS {
            continue;
        }
        pairs.clear();
        let mut exemplar = Exemplar::default();
        let mut message = field.message()?;
        while let Some(field) = message.next()? {
            match field.number {
                1 => label(field, pairs)?,
                2 => exemplar.value = field.double()?,
                3 => exemplar.time = field.int64()?,
                _ => {}
            }
        }
        if let Ok(pairs) = pairs.sorted() {
            exemplar.labels.assign_sorted(pairs.iter().copied());
            receiver.exemplar(&exemplar, false);
        }
    }
    Ok(())
}

/// Remembered for `/api/v1/metadata`; 1.0 sends it apart from series.
fn metadata(mut fields: Fields<'_>, known: &MetadataStore) -> Result<(), WireError> {
    let (mut metric_type, mut family, mut help, mut unit) = (0, &b""[..], &b""[..], &b""[..]);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => metric_type = field.uint64()?,
            2 => family = field.bytes()?,
            4 => help = field.bytes()?,
            5 => unit = field.bytes()?,
            _ => {}
        }
    }
    let metric_type = MetricType::from_byte(u8::try_from(metric_type).unwrap_or(0));
    let text = std::str::from_utf8;
    if let (Ok(family), Ok(help), Ok(unit)) = (text(family), text(help), text(unit)) {
        known.learn(family, metric_type, help, unit);
    }
    Ok(())
}
