//! Making a file durable, half way and at its end, and going on with the next.

use std::path::Path;

use super::{Checksum, Finished, Opened, Writer};
use crate::engine::EngineRefusal;
use crate::error::Error;
use crate::options::CreateOptions;
use crate::target::Target;

impl Writer {
    /// Makes all bytes so far durable, and goes on behind them.
    ///
    /// The last block is padded with zeros, so the file is up to a block longer than
    /// [`Writer::position`] says: after a crash, [`Io::resume`](crate::Io::resume) cuts that off.
    /// The bytes of that block are kept, and written again with what follows; the disk is relied on
    /// to replace a block as a whole. Does nothing if nothing was appended since the last time.
    ///
    /// # Errors
    ///
    /// As [`Writer::finish`]. After a failed sync nothing of this file can succeed.
    pub fn sync_partial(&mut self) -> Result<(), Error> {
        self.check()?;
        self.reserved = 0;
        if self.synced_to == Some(self.position()) {
            return Ok(());
        }
        let synced = self.write_rest().and_then(|()| self.target.lock().sync_data());
        self.sticky(synced)?;
        self.synced_to = Some(self.position());
        Ok(())
    }

    /// Writes what is left, waits for all of it, cuts the padding off, syncs, and drops what the
    /// page cache still holds of the file.
    ///
    /// # Errors
    ///
    /// The first error of any write, or of these steps. The file is not complete then, and
    /// after a failed sync it never can be: remove it and write it anew.
    pub fn finish(mut self) -> Result<Finished, Error> {
        self.finish_in_place()
    }

    /// Finishes this file, and goes on with a new one at `path`; engine and buffers are kept
    /// where `options` and the filesystem allow it.
    ///
    /// # Errors
    ///
    /// As [`Writer::finish`], then the new file is not touched; or as
    /// [`Io::create`](crate::Io::create) for the new one (the error's path is `path`), then the old
    /// one is complete. In both cases this writer is at its end.
    pub fn reset(&mut self, path: &Path, options: CreateOptions) -> Result<Finished, Error> {
        let finished = self.finish_in_place()?;
        let opened = match &self.io {
            Some(io) => io.open_new(path, &options),
            None => Err(Error::os(crate::Operation::Open, path, &std::io::ErrorKind::Other.into())),
        };
        let opened = self.sticky(opened)?;
        self.go_on(opened)?;
        Ok(finished)
    }

    pub(super) fn finish_in_place(&mut self) -> Result<Finished, Error> {
        self.check()?;
        self.reserved = 0;
        let len_bytes = self.position();
        let done = self.write_rest().and_then(|()| self.target.lock().finish(len_bytes));
        self.sticky(done)?;
        let crc32c = self.checksum.map(|sum| sum.all);
        let stats = self.stats();
        self.target.lock().count_finished(&stats);
        Ok(Finished { len_bytes, stats, latency: self.latency(), crc32c })
    }

    /// Writes what is filled and not yet on the disk, padded, and waits for everything.
    fn write_rest(&mut self) -> Result<(), Error> {
        if self.filled > self.on_disk {
            self.submit(self.filled)?;
        }
        self.engine.drain()
    }

    /// Everything from here on goes to another file. The one before is finished.
    pub(super) fn go_on(&mut self, opened: Opened) -> Result<(), Error> {
        let same_engine = opened.engine == self.wanted && opened.supply.gives_as(&self.supply);
        if !same_engine {
            if let Some(buf) = self.buf.take() {
                self.engine.buffers_mut().give(buf);
            }
            let summed = self.checksum.is_some();
            *self = Self::new(self.io.take(), opened)?;
            if summed {
                self.sum_bytes();
            }
            return Ok(());
        }
        self.replace_target(opened.target);
        self.engine.buffers_mut().forget_waits();
        self.path = opened.path;
        self.mem_align = opened.mem_align;
        self.offset_align = opened.offset_align;
        (self.filled, self.on_disk, self.base) = (0, 0, 0);
        self.synced_to = Some(0);
        self.copied_bytes = 0;
        self.checksum = self.checksum.map(|_| Checksum::default());
        if opened.at_once {
            self.choose_engine();
        }
        Ok(())
    }

    /// What refused to start holds for the next file too; a write that was refused does not.
    fn replace_target(&mut self, next: Target) {
        let mut target = self.target.lock();
        let before = std::mem::replace(&mut *target, next);
        let of_start = |it: &&EngineRefusal| !matches!(it, EngineRefusal::DontCache(_));
        let refused = before.stats().engines_refused.iter().filter(of_start);
        refused.for_each(|refusal| target.engine_refused(*refusal));
    }
}
