//! The hot pages: mapped, touched, counted.

use std::fs::File;
use std::hint::black_box;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use memmap2::{Advice, Mmap};

use super::Spec;

/// Bytes of a page. Larger ones of other systems hold several of these, which changes no share.
const PAGE_BYTES: usize = 4096;

/// Some pages of some mapped files.
pub(super) struct HotPages {
    maps: Vec<Mmap>,
    /// Map and offset of each.
    hot: Vec<(usize, usize)>,
}

impl HotPages {
    pub(super) fn map(spec: &Spec) -> Result<Self> {
        let maps = spec.files.iter().map(|file| map(file)).collect::<Result<Vec<_>>>()?;
        let all: Vec<(usize, usize)> = maps
            .iter()
            .enumerate()
            .flat_map(|(map, bytes)| (0..bytes.len()).step_by(PAGE_BYTES).map(move |at| (map, at)))
            .collect();
        let wanted = usize::try_from(spec.hot_bytes / PAGE_BYTES as u64)?.clamp(1, all.len());
        let hot = (0..wanted).filter_map(|n| all.get(n * all.len() / wanted)).copied().collect();
        Ok(Self { maps, hot })
    }

    pub(super) fn len(&self) -> usize {
        self.hot.len()
    }

    /// Reads a byte of a hot page.
    pub(super) fn touch(&self, number: usize) {
        if let Some((map, at)) = self.hot.get(number) {
            black_box(self.maps.get(*map).and_then(|bytes| bytes.get(*at)).copied());
        }
    }

    /// Share of the hot pages that are in memory. Touches none of them.
    pub(super) fn kept_share(&self) -> Result<f64> {
        let resident = self.maps.iter().map(residency).collect::<Result<Vec<_>>>()?;
        let kept = self.hot.iter().filter(|(map, at)| {
            resident.get(*map).and_then(|pages| pages.get(at / PAGE_BYTES)).copied() == Some(true)
        });
        Ok(kept.count() as f64 / self.hot.len() as f64)
    }
}

fn map(path: &Path) -> Result<Mmap> {
    let file = File::open(path).with_context(|| format!("opening {}", path.display()))?;
    ensure!(file.metadata()?.len() > 0, "{} is empty", path.display());
    #[expect(unsafe_code, reason = "mapping a file that nobody changes")]
    // SAFETY: the caller promises that the files stay as they are while this runs.
    let map = unsafe { Mmap::map(&file) }.with_context(|| format!("mapping {}", path.display()))?;
    // A page that is lost costs a fault of its own, and no read-ahead brings others back unasked.
    map.advise(Advice::Random)?;
    Ok(map)
}

/// For each page of 4 KiB whether it is in the page cache.
fn residency(map: &Mmap) -> Result<Vec<bool>> {
    let mut pages = vec![0_u8; map.len().div_ceil(PAGE_BYTES)];
    #[expect(unsafe_code, reason = "neither the standard library nor rustix has mincore")]
    // SAFETY: the range is the mapping; the kernel writes a byte for each page of it, and its
    // pages are not smaller than those that `pages` is sized for.
    let answer =
        unsafe { libc::mincore(map.as_ptr().cast_mut().cast(), map.len(), pages.as_mut_ptr()) };
    ensure!(answer == 0, "mincore: {}", std::io::Error::last_os_error());
    let system_page = rustix::param::page_size();
    let resident = |at: usize| pages.get(at * PAGE_BYTES / system_page).is_some_and(|p| p & 1 == 1);
    Ok((0..pages.len()).map(resident).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails if residency is guessed, if touching does not read, or if counting reads.
    #[test]
    fn only_what_was_touched_is_kept() {
        let dir = tempfile::tempdir_in(".").unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, vec![1; 64 * PAGE_BYTES]).unwrap();
        if crate::cache::evict_file(&file).unwrap() > 0 {
            eprintln!("SKIPPED: the filesystem of the tests keeps everything in memory");
            return;
        }
        let spec = Spec {
            files: vec![file],
            hot_bytes: 16 * PAGE_BYTES as u64,
            queries_per_second: 1.0,
            pages_per_query: 1,
            seed: 1,
        };
        let pages = HotPages::map(&spec).unwrap();
        assert_eq!((pages.len(), pages.kept_share().unwrap()), (16, 0.0));
        (0..4).for_each(|number| pages.touch(number));
        assert_eq!(pages.kept_share().unwrap(), 0.25);
    }
}
