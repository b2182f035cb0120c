#!/usr/bin/env bash
# Breaks the crate in one place after the other; each time a test must notice.
#
#   tests/mutations.sh [NAME...]      from the crate's directory, with nothing uncommitted in it
#
# A line of the list: name | file | what sed does to it | which tests | part of the failure's text
set -u
cd "$(dirname "$0")/.." || exit 2

mutations() {
    cat <<'LIST'
sync-forgets | src/target.rs | /fn sync_data/,/^    }/s/self.check_sync()?;// | --lib nothing_succeeds
sync-skipped | src/writer/complete.rs | s/self.write_rest().and_then(.()| self.target.lock().sync_data())/self.write_rest()/ | --lib partial_sync
gap-claimed | src/prefix.rs | s/if start > self.end {/if false {/ | --lib prefix
gap-claimed-by-writer | src/prefix.rs | s/if start > self.end {/if false {/ | --lib gap_is_not_claimed
others-not-awaited | src/engine/queue.rs | s/if self.failed.is_some() && self.in_flight > 0 {/if false {/ | --lib gap_is_not_claimed
padding-not-zeroed | src/request.rs | s/\.fill(0);/.len();/ | --lib leaves_zeros_for_padding
resumed-anywhere | src/request.rs | s/self.floor(reached, unit)/reached/ | --lib short_write
written-again-when-clean | src/writer/complete.rs | s/if self.synced_to == Some(self.position()) {/if false {/ | --lib partial_sync
tail-lost | src/writer.rs | s/self.carry.extend_from_slice(&buf.as_slice()\[whole..self.filled\]);/self.carry.resize(self.filled - whole, 0);/ | --lib bytes_equal
owned-out-of-order | src/writer/owned.rs | s/if self.filled > 0 || whole/if whole/ | --lib bytes_equal
owned-misaligned | src/writer/owned.rs | s/!buf.is_aligned_to(self.mem_align)/false/ | --lib bytes_equal
refusal-with-others-under-way | src/engine/queue.rs | s/&& !engine.target.lock().takes_many()/\&\& false/ | --lib whole_file_buffered
refusal-later-accepted | src/target.rs | s/self.proven |= reached > start;// | --lib invalid_later
writes-go-on-after-failure | src/engine/thread.rs | s/if failed { Ok(()) }/if false { Ok(()) }/ | --lib an_error_sticks
interrupted-for-ever | src/request.rs | s/INTERRUPTIONS_MAX: u32 = 128/INTERRUPTIONS_MAX: u32 = 128_000/ | --lib interruptions_end
each-write-not-flagged | src/target.rs | s/dsync: self.durability == Durability::EachWrite/dsync: false/ | --lib flagged
grown-file-not-cut | src/target.rs | s/let is_longer = self.extended_to.take().is_some_and(.*);/let is_longer = false;/ | --lib grew_ahead
buffer-reused-under-way | src/engine/parked.rs | s/let hash = hash(&request);/let hash = hash(\&request) ^ 1;/ | --lib bytes_equal
limit-ignored | src/sys/linux.rs | s/ || limit.is_some_and(|limit| to > limit)// | --test it below_the_size_limit
canceled-is-an-error | src/engine/uring.rs | s/errno if errno == -libc::ECANCELED => {/errno if errno == 1 => {/ | --test it outlive
cut-stays-cached | src/io.rs | s/sys::RawFile::drop_cached(file, .*);// | --test it leaves_nothing_cached
ring-refusal-fails | src/choice.rs | s/return (EngineKind::Thread, vec!\[refused\]);/return (wanted, vec![refused]);/ | --test it io_uring_refused
statx-needed | src/sys/linux.rs | s/Ok(rustix::fs::stat(dir)?.st_dev)/std::fs::metadata(dir).map(\|it\| std::os::unix::fs::MetadataExt::dev(\&it))/ | --test it without_statx
tail-not-read-back | src/io.rs | s/Ok(buf.as_slice()\[wanted - tail_bytes..wanted\].to_vec())/Ok(vec![0; tail_bytes])/ | --test it resumed_at_any
LIST
}

noticed=0 missed=()
while IFS='|' read -r name file rest; do
    name=${name// /} file=${file// /}
    edit=${rest% | *} tests=${rest##* | }
    edit=${edit# }
    if [ $# -gt 0 ] && [[ " $* " != *" $name "* ]]; then continue; fi
    cp "$file" "$file.kept"
    sed -i "$edit" "$file"
    if cmp -s "$file" "$file.kept"; then
        verdict="DOES NOT APPLY"
    else
        # shellcheck disable=SC2086
        output=$(timeout 300 cargo test -q -p uncached-io $tests 2>&1)
        if [[ $output == *"could not compile"* ]]; then
            verdict="DOES NOT COMPILE"
        elif [[ $output == *"test result: FAILED"* || $output == *"signal:"* ]]; then
            verdict="noticed"
        else
            verdict="NOT NOTICED"
        fi
    fi
    mv "$file.kept" "$file"
    touch "$file"
    echo "$name: $verdict"
    if [ "$verdict" = noticed ]; then noticed=$((noticed + 1)); else missed+=("$name"); fi
done < <(mutations)
echo "$noticed noticed, ${#missed[@]} not: ${missed[*]:-}"
[ ${#missed[@]} -eq 0 ]
