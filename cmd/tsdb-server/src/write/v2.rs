//! `io.prometheus.write.v2.Request`: strings stand once, in a table.
//!
//! ```text
//!   request   4 symbol*  5 series*
//!   series    1 label reference*  2 sample*  3 histogram*  4 exemplar*  5 metadata
//!   exemplar  1 label reference*  2 value  3 timestamp
//!   metadata  1 type  3 help reference  4 unit reference
//! ```

use tsdb::head::{Exemplar, Metadata, MetricType};

use super::labels::{LabelsError, Pairs};
use super::outcome::StoreError;
use super::receiver::{Receiver, count};
use crate::metadata::{MetadataStore, family_of};
use crate::protobuf::{Field, Fields, WireError};

const SAMPLES: u32 = 2;
const HISTOGRAMS: u32 = 3;
const EXEMPLARS: u32 = 4;
/// More symbols than this are refused: each takes more memory than bytes of the request, 8 MiB in all.
/// A request of 10,000 series, five times what Prometheus sends, may have 50 of its own for each.
const SYMBOLS_MAX: usize = 1 << 19;

/// The strings of a request; `None` for one that is not UTF-8.
struct Symbols<'r>(Vec<Option<&'r str>>);

impl<'r> Symbols<'r> {
    fn read(request: &'r [u8]) -> Result<Self, StoreError> {
        let (mut fields, mut symbols) = (Fields::new(request), Vec::new());
        while let Some(field) = fields.next()? {
            if field.number == 4 {
                if symbols.len() == SYMBOLS_MAX {
                    return Err(StoreError::Symbols { max: SYMBOLS_MAX });
                }
                symbols.push(std::str::from_utf8(field.bytes()?).ok());
            }
        }
        Ok(Self(symbols))
    }

    fn get(&self, reference: u64) -> Result<&'r str, LabelsError> {
        let at = usize::try_from(reference).unwrap_or(usize::MAX);
        let symbol = self.0.get(at).ok_or(LabelsError::UnknownSymbol { symbols: self.0.len() })?;
        symbol.ok_or(LabelsError::NotUtf8)
    }

    /// Puts the labels of these references into `pairs`, and what is wrong with them.
    fn labels(&self, references: Field<'_>, pairs: &mut Pairs<'r>) -> Result<(), WireError> {
        let mut name = None;
        references.varints(|reference| match name.take() {
            None => name = Some(self.get(reference)),
            Some(name) => match name.and_then(|name| Ok((name, self.get(reference)?))) {
                Ok((name, value)) => pairs.push(name, value),
                Err(refused) => pairs.refuse(refused),
            },
        })?;
        if name.is_some() {
            pairs.refuse(LabelsError::OddReferences);
        }
        Ok(())
    }
}

/// Appends a request.
pub(super) fn store(
    request: &[u8],
    receiver: &mut Receiver<'_>,
    known: &MetadataStore,
) -> Result<(), StoreError> {
    let symbols = Symbols::read(request)?;
    let mut fields = Fields::new(request);
    let limits = receiver.rules.labels;
    let (mut pairs, mut exemplar_pairs) = (Pairs::new(limits), Pairs::new(limits));
    while let Some(field) = fields.next()? {
        if field.number == 5 {
            let message = field.message()?;
            series(message, &symbols, receiver, known, (&mut pairs, &mut exemplar_pairs))?;
        }
    }
    Ok(())
}

fn series<'r>(
    message: Fields<'r>,
    symbols: &Symbols<'r>,
    receiver: &mut Receiver<'_>,
    known: &MetadataStore,
    (pairs, exemplar_pairs): (&mut Pairs<'r>, &mut Pairs<'r>),
) -> Result<(), WireError> {
    pairs.clear();
    let mut fields = message.clone();
    let (mut samples, mut exemplars_at, mut metadata) = (0, false, None);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => symbols.labels(field, pairs)?,
            SAMPLES | HISTOGRAMS => samples += 1,
            EXEMPLARS => exemplars_at = true,
            5 => metadata = Some(field.message()?),
            _ => {}
        }
    }
    let metadata = match metadata.map(|fields| read_metadata(fields, symbols)).transpose()? {
        Some(Err(refused)) => {
            pairs.refuse(refused);
            None
        }
        Some(Ok(metadata)) => Some(metadata),
        None => None,
    };
    if let Err(refused) = receiver.begin(pairs) {
        receiver.outcome.refused.add(|| refused.to_string());
        receiver.outcome.with_invalid_labels += count(&message, [SAMPLES, HISTOGRAMS])?;
        return Ok(());
    }
    if samples == 0 {
        let refused = &mut receiver.outcome.refused;
        refused.add(|| format!("a series must have at least one sample or histogram: {pairs}"));
        return Ok(());
    }
    receiver.floats(&message, SAMPLES)?;
    receiver.histograms(&message, HISTOGRAMS)?;
    if exemplars_at {
        exemplars(message, symbols, receiver, exemplar_pairs)?;
    }
    if let Some((metric_type, help, unit)) = metadata {
        if let Some(name) = pairs.metric_name() {
            known.learn(family_of(name, metric_type), metric_type, help, unit);
        }
        if receiver.rules.logs_metadata {
            let (help, unit) = (help.to_owned(), unit.to_owned());
            receiver.metadata(&Metadata { metric_type, unit, help }, samples);
        }
    }
    Ok(())
}

type MetadataParts<'r> = (MetricType, &'r str, &'r str);

fn read_metadata<'r>(
    mut fields: Fields<'_>,
    symbols: &Symbols<'r>,
) -> Result<Result<MetadataParts<'r>, LabelsError>, WireError> {
    let (mut metric_type, mut help, mut unit) = (0, 0, 0);
    while let Some(field) = fields.next()? {
        match field.number {
            1 => metric_type = field.uint64()?,
            3 => help = field.uint64()?,
            4 => unit = field.uint64()?,
            _ => {}
        }
    }
    let metric_type = MetricType::from_byte(u8::try_from(metric_type).unwrap_or(0));
    // Nothing is said with references of 0, and an empty table.
    let text = |reference| if reference == 0 { Ok("") } else { symbols.get(reference) };
    Ok(text(help).and_then(|help| Ok((metric_type, help, text(unit)?))))
}

fn exemplars<'r>(
    mut fields: Fields<'r>,
    symbols: &Symbols<'r>,
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
                1 => symbols.labels(field, pairs)?,
                2 => exemplar.value = field.double()?,
                3 => exemplar.time = field.int64()?,
                _ => {}
            }
        }
        match pairs.sorted() {
            Ok(pairs) => {
                exemplar.labels.assign_sorted(pairs.iter().copied());
                receiver.exemplar(&exemplar, true);
            }
            Err(refused) => receiver.outcome.refused.add(|| format!("exemplar: {refused}")),
        }
    }
    Ok(())
}
