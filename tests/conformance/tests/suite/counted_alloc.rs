//! Count what is allocated in these tests.

use kumiki_testkit::{CountedAlloc, peak_bytes};

#[global_allocator]
static COUNTED: CountedAlloc = CountedAlloc;

#[test]
fn the_allocator_counts_what_is_held_at_once() {
    let (_, one_after_the_other) = peak_bytes(|| {
        for _ in 0..10 {
            std::hint::black_box(vec![0_u8; 1_000]);
        }
    });
    let (kept, together) = peak_bytes(|| vec![vec![0_u8; 1_000]; 10]);
    assert!((1_000..2_000).contains(&one_after_the_other));
    assert!(together >= 10_000);
    drop(kept);
}
