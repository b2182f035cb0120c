//! Names or values of labels, and what could not be read of them.

use super::error::QueryError;

/// Label names, or the values of a label, of all blocks and heads that were asked.
#[derive(Debug, Default)]
#[non_exhaustive]
#[must_use = "what could not be read is in it, too"]
pub struct LabelStrings<'b> {
    /// What was found. Sorted, each once.
    pub strings: Vec<&'b str>,
    /// What could not be read: one error for each block that was not read to its end. What of it
    /// was read by then is among the strings.
    pub errors: Vec<QueryError>,
}

impl<'b> LabelStrings<'b> {
    /// All strings, or the first thing that could not be read.
    ///
    /// # Errors
    /// Where a block could not be read.
    pub fn all(self) -> Result<Vec<&'b str>, QueryError> {
        match self.errors.into_iter().next() {
            None => Ok(self.strings),
            Some(error) => Err(error),
        }
    }
}
