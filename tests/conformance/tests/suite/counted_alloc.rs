//! Measure how many bytes a piece of work holds at once.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counted;

#[global_allocator]
static COUNTED: Counted = Counted;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

fn grow(bytes: usize) {
    // At thread exit the counters are gone; nobody measures then.
    let _gone = LIVE.try_with(|live| {
        let now = live.get().wrapping_add(bytes);
        live.set(now);
        let _gone = PEAK.try_with(|peak| peak.set(peak.get().max(now)));
    });
}

fn shrink(bytes: usize) {
    let _gone = LIVE.try_with(|live| live.set(live.get().saturating_sub(bytes)));
}

// SAFETY: every call is handed to the system allocator unchanged; the counters hold no pointers.
#[expect(unsafe_code, reason = "an allocator cannot be written without it")]
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        shrink(layout.size());
        // SAFETY: the caller keeps the contract of `dealloc`, which is the same.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The most bytes that `work` held at once on this thread, above what was held before.
pub(crate) fn peak_bytes<T>(work: impl FnOnce() -> T) -> (T, usize) {
    LIVE.set(0);
    PEAK.set(0);
    let result = work();
    (result, PEAK.get())
}

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
