//! Hold encoded bytes on their way to the host.
//!
//! In Wasm this is less than a `Vec`: growing one brings a kilobyte of capacity handling into every contract, however
//! small.

#[cfg(not(target_family = "wasm"))]
pub use native::Buffer;
#[cfg(not(target_family = "wasm"))]
pub(crate) use native::vec_with_capacity;
#[cfg(target_family = "wasm")]
pub use wasm::Buffer;
#[cfg(target_family = "wasm")]
pub(crate) use wasm::vec_with_capacity;

use crate::codec::Encode;

/// Room that a buffer begins with: most of what contracts encode fits.
const INLINE_BYTES: usize = 64;

/// Copies the shorter length of both.
#[inline]
pub(crate) fn copy(to: &mut [u8], from: &[u8]) {
    let length = to.len().min(from.len());
    #[expect(
        unsafe_code,
        reason = "copy_from_slice brings a formatted panic with it, twice the size of a small contract"
    )]
    // SAFETY: both slices have at least `length` bytes, and an exclusive one overlaps no other.
    unsafe {
        core::ptr::copy_nonoverlapping(from.as_ptr(), to.as_mut_ptr(), length);
    }
}

impl Buffer {
    /// A copy of `bytes`.
    pub(crate) fn copied(bytes: &[u8]) -> Self {
        let mut buffer = Self::with_capacity(bytes.len());
        buffer.push(bytes);
        buffer
    }

    /// The encoding of `value`.
    #[inline(never)]
    pub(crate) fn of(value: &impl Encode) -> Self {
        let mut buffer = Self::with_capacity(INLINE_BYTES);
        value.encode_to(&mut buffer);
        buffer
    }
}

#[cfg(not(target_family = "wasm"))]
mod native {
    use std::ops::Deref;

    /// Bytes that grow at the end.
    #[derive(Debug)]
    pub struct Buffer(Vec<u8>);

    impl Buffer {
        pub(crate) fn with_capacity(capacity: usize) -> Self {
            Self(Vec::with_capacity(capacity))
        }

        /// `length` bytes that `fill` writes.
        pub(crate) fn filled(length: usize, fill: impl FnOnce(&mut [u8])) -> Self {
            let mut bytes = vec![0; length];
            fill(&mut bytes);
            Self(bytes)
        }

        /// Adds bytes at the end.
        pub fn push(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }

        pub(crate) fn into_vec(self) -> Vec<u8> {
            self.0
        }
    }

    /// An empty list with room for `count` elements.
    pub(crate) fn vec_with_capacity<T>(count: usize) -> Vec<T> {
        Vec::with_capacity(count)
    }

    impl Deref for Buffer {
        type Target = [u8];

        fn deref(&self) -> &[u8] {
            &self.0
        }
    }
}

#[cfg(target_family = "wasm")]
mod wasm {
    #![expect(
        unsafe_code,
        reason = "a growing array by hand, see the module's header"
    )]

    use alloc::vec::Vec;
    use core::alloc::Layout;
    use core::mem::ManuallyDrop;
    use core::ops::Deref;

    /// Bytes that grow at the end.
    #[derive(Debug)]
    pub struct Buffer {
        start: *mut u8,
        length: usize,
        capacity: usize,
    }

    /// More than a contract's memory can be.
    const LIST_BYTES_MAX: usize = 1 << 30;

    const fn layout(capacity: usize) -> Layout {
        // SAFETY: 1 is a power of two, and no capacity comes near the address space: memory would run out first.
        unsafe { Layout::from_size_align_unchecked(capacity, 1) }
    }

    impl Buffer {
        #[inline(never)]
        pub(crate) fn with_capacity(capacity: usize) -> Self {
            let capacity = capacity.max(8);
            Self {
                // SAFETY: the capacity is not zero. The allocator traps rather than return null.
                start: unsafe { alloc::alloc::alloc(layout(capacity)) },
                length: 0,
                capacity,
            }
        }

        /// `length` bytes that `fill` writes.
        #[inline]
        pub(crate) fn filled(length: usize, fill: impl FnOnce(&mut [u8])) -> Self {
            let buffer = Self::zeroed(length);
            // SAFETY: the block has at least `length` bytes, all written.
            fill(unsafe { core::slice::from_raw_parts_mut(buffer.start, length) });
            buffer
        }

        #[inline(never)]
        fn zeroed(length: usize) -> Self {
            let mut buffer = Self::with_capacity(length);
            // SAFETY: the block has at least `length` bytes.
            unsafe { core::ptr::write_bytes(buffer.start, 0, length) };
            buffer.length = length;
            buffer
        }

        /// Adds bytes at the end.
        #[inline(never)]
        pub fn push(&mut self, bytes: &[u8]) {
            let length = self.length.wrapping_add(bytes.len());
            if length > self.capacity {
                let capacity = length.wrapping_mul(2);
                // SAFETY: `start` is a block of `capacity` bytes; the new size is not zero.
                self.start =
                    unsafe { alloc::alloc::realloc(self.start, layout(self.capacity), capacity) };
                self.capacity = capacity;
            }
            // SAFETY: the block now has room for `bytes` after `self.length`, and they are no part of it.
            unsafe {
                core::ptr::copy_nonoverlapping(
                    bytes.as_ptr(),
                    self.start.add(self.length),
                    bytes.len(),
                );
            }
            self.length = length;
        }

        pub(crate) fn into_vec(self) -> Vec<u8> {
            let buffer = ManuallyDrop::new(self);
            // SAFETY: the block has `capacity` bytes at alignment 1, of which `length` are written; it changes hands.
            unsafe { Vec::from_raw_parts(buffer.start, buffer.length, buffer.capacity) }
        }
    }

    /// An empty list with room for `count` elements, without the handling of failures that `Vec` brings along: the
    /// allocator traps instead.
    pub(crate) fn vec_with_capacity<T>(count: usize) -> Vec<T> {
        let size = match core::mem::size_of::<T>().checked_mul(count) {
            Some(0) => return Vec::new(),
            Some(size) if size <= LIST_BYTES_MAX => size,
            Some(_) | None => core::arch::wasm32::unreachable(),
        };
        // SAFETY: `size` is neither zero nor too much for a layout. The block is of the size and alignment that `Vec`
        // gives back, and holds no element yet.
        unsafe {
            let layout = Layout::from_size_align_unchecked(size, core::mem::align_of::<T>());
            Vec::from_raw_parts(alloc::alloc::alloc(layout).cast(), 0, count)
        }
    }

    impl Deref for Buffer {
        type Target = [u8];

        fn deref(&self) -> &[u8] {
            // SAFETY: the first `length` bytes were written.
            unsafe { core::slice::from_raw_parts(self.start, self.length) }
        }
    }

    impl Drop for Buffer {
        #[inline(never)]
        fn drop(&mut self) {
            // SAFETY: `start` is a block of `capacity` bytes.
            unsafe { alloc::alloc::dealloc(self.start, layout(self.capacity)) };
        }
    }
}
