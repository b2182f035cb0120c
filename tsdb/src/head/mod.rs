//! The head.

pub(crate) mod flush;
#[cfg(test)]
pub(crate) mod test_view;
mod units;
mod view;

pub(crate) use units::Chunks;
pub use view::HeadView;
pub(crate) use view::HeadSeries;
#[derive(Debug, thiserror::Error)]
#[error("head")]
/// x
pub struct HeadError;
