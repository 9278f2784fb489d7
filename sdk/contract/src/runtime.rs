//! Give a contract its heap and its last words: a bump allocator and a panic handler.
#![expect(
    unsafe_code,
    reason = "an allocator hands out raw memory, and only one thread exists in a contract"
)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::panic::PanicInfo;

use kumiki_abi::SdkError;

use crate::buffer::Buffer;
use crate::{entry, host};

const PAGE_BYTES: usize = 65_536;
/// The linker puts the stack at the bottom of memory, so no block begins below this.
const LOWEST_BLOCK: usize = 1_024;

/// Hands out memory upwards and takes back only the newest block: a call is short, its memory is dropped whole.
struct Bump {
    next: Cell<usize>,
}

// SAFETY: Wasm without threads has one thread.
unsafe impl Sync for Bump {}

#[global_allocator]
static HEAP: Bump = Bump { next: Cell::new(0) };

unsafe extern "C" {
    /// Where the linker's data ends; only its address means anything.
    static __heap_base: u8;
}

impl Bump {
    fn next(&self) -> usize {
        match self.next.get() {
            0 => (&raw const __heap_base) as usize,
            next => next,
        }
    }

    /// Makes `start..end` the newest block. Without memory for it the call traps, so no caller has to look for null:
    /// the standard library's own handling would bring text formatting along.
    #[inline(never)]
    fn take_to(&self, start: usize, end: usize) -> *mut u8 {
        let pages = end.div_ceil(PAGE_BYTES);
        let present = core::arch::wasm32::memory_size(0);
        let fits = end >= start
            && (pages <= present
                || core::arch::wasm32::memory_grow(0, pages.wrapping_sub(present)) != usize::MAX);
        if !fits {
            core::arch::wasm32::unreachable();
        }
        self.next.set(end);
        // The heap begins far above this; the compiler sees that no block is null and drops all code for that case.
        start.max(LOWEST_BLOCK) as *mut u8
    }
}

// SAFETY: blocks never overlap: each begins at or after the end of the one before, and only the newest is resized
// or taken back.
unsafe impl GlobalAlloc for Bump {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.next().wrapping_add(layout.align().wrapping_sub(1))
            & layout.align().wrapping_neg();
        let end = start.wrapping_add(layout.size());
        self.take_to(start, end)
    }

    #[inline(never)]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if (block as usize).wrapping_add(layout.size()) == self.next.get() {
            self.next.set(block as usize);
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block as usize;
        if start.wrapping_add(layout.size()) == self.next.get() {
            return self.take_to(start, start.wrapping_add(size));
        }
        if size <= layout.size() {
            return start.max(LOWEST_BLOCK) as *mut u8;
        }
        // SAFETY: the caller's layout is valid, and `size` rounded up to its alignment does not overflow.
        let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        // SAFETY: both blocks are at least `layout.size()` long and do not overlap.
        unsafe { core::ptr::copy_nonoverlapping(block, moved, layout.size()) };
        moved
    }
}

/// Sends the message where it needs no formatting (`core::fmt` would double a small contract), else the place.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    if let Some(message) = info.message().as_str() {
        host::panic_message(message.as_bytes());
    } else if let Some(place) = info.location() {
        let mut text = Buffer::copied(b"panic at ");
        text.push(place.file().as_bytes());
        text.push(b":");
        push_decimal(place.line(), &mut text);
        host::panic_message(&text);
    }
    entry::revert_sdk(SdkError::Panic)
}

fn push_decimal(number: u32, text: &mut Buffer) {
    if number > 9 {
        push_decimal(number / 10, text);
    }
    // A digit is below 10.
    text.push(&[b'0'.wrapping_add((number % 10) as u8)]);
}
