//! Inputs that a target once failed for, or that stand for a whole class, under the name of what
//! they are about.

use tsdb_fuzz::target;

fn check(name: &str, input: &[u8]) {
    target(name).unwrap_or_else(|| panic!("no target {name}")).check(input);
}

#[test]
fn nothing_at_all_is_survived_by_every_target() {
    for target in tsdb_fuzz::TARGETS {
        target.check(&[]);
    }
}

#[test]
fn a_chunk_that_claims_65535_samples_holds_memory_for_what_is_there() {
    for encoding in ["chunk_xor", "chunk_xor2", "chunk_histogram", "chunk_float_histogram"] {
        check(encoding, &[0xff; 40]);
        check(encoding, &[&[0xff, 0xff][..], &[0; 300]].concat());
    }
}

#[test]
fn a_span_of_chunk_times_that_overflows_is_an_error() {
    check(
        "series",
        &[2, 5, 6, 7, 1, 1, 0xfc, 255, 255, 255, 255, 255, 255, 255, 255, 1, 39, 162, 2],
    );
}

#[test]
fn tables_that_claim_four_billion_entries_hold_memory_for_what_is_there() {
    for part in ["symbols", "postings", "postings_table"] {
        check(part, &[&[0xff; 4][..], &[0; 60]].concat());
    }
}

#[test]
fn deep_json_is_an_error_and_no_overflow_of_the_stack() {
    check("meta", "[".repeat(4000).as_bytes());
    check("meta", "{\"a\":".repeat(800).as_bytes());
}

#[test]
fn deep_patterns_are_an_error_and_no_overflow_of_the_stack() {
    check("selector", format!("{{a=~\"{}\"}}", "(".repeat(190)).as_bytes());
    check("selector", format!("{{a=~\"{}\"}}", "(?:a{2}){2}".repeat(15)).as_bytes());
}

/// Found by libFuzzer: numbers of unknown fields were read to within one bit, so that rewriting
/// the file changed them.
#[test]
fn numbers_of_unknown_fields_are_read_exactly() {
    let meta = r#"{"ulid":"01HF84E40103A0Z0NX2DBBXFVV","minTime":0,"maxTime":1,"stats":{},
        "compaction":{"level":1},"version":1,"other":6.66666666666666666666666666e102}"#;
    check("meta", meta.as_bytes());
}

/// A list of histograms that becomes two records: both count from the first of the list, and written
/// again each counts from its own.
#[test]
fn the_base_of_a_split_list_is_that_of_the_whole_list() {
    check(
        "record",
        &[
            9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 139, 208, 71, 16, 16, 0, 0, 0, 105, 0, 0, 0, 0, 0,
            0, 0, 64, 0, 53, 0, 96, 0, 0, 112, 0, 0, 0, 2, 0, 1, 2, 3, 0, 4, 36, 29, 144, 1, 117,
            0, 5, 63, 0, 1, 2, 3, 0, 4, 36, 23, 148, 1, 245, 0, 5, 224, 63, 148, 122, 225, 71, 174,
            20, 123, 63, 169, 153, 153, 153, 153, 153, 154, 63, 192, 0, 0, 0, 0, 0, 0, 63, 212, 0,
            0, 0, 0, 0, 0, 63, 233, 0, 0, 0, 0, 0, 0, 8, 230, 211, 244, 14, 2, 105, 0, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 63, 212, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 63, 233, 0, 0, 0, 0, 0, 0,
        ],
    );
}
