//! Until the head has it.
use crate::head::{Head, HeadError, HeadView};

pub(super) enum OooFlush {}

impl OooFlush {
    pub(super) fn min_time(&self) -> i64 {
        match *self {}
    }
    pub(super) fn max_time(&self) -> i64 {
        match *self {}
    }
    pub(super) fn view(&self) -> &HeadView {
        match *self {}
    }
}

impl Head {
    pub(super) fn out_of_order_flush(&self) -> Result<Option<OooFlush>, HeadError> {
        Ok(None)
    }
    pub(super) fn truncate_out_of_order(&self, flush: &OooFlush) -> Result<(), HeadError> {
        match *flush {}
    }
}
