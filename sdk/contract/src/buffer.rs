//! Hold encoded bytes on their way to the host.
//!
//! In Wasm this is less than a `Vec`: growing one brings a kilobyte of capacity handling into every contract, however
//! small.

#[cfg(not(target_family = "wasm"))]
pub use native::Buffer;
#[cfg(target_family = "wasm")]
#[expect(
    unreachable_pub,
    reason = "natively it can be reached, through hidden items"
)]
pub use wasm::Buffer;

use parity_scale_codec::{Decode, Encode, Error, Input, Output as _};

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

/// Decodes one `T` and hands back what is left.
#[inline]
pub(crate) fn decode_first<T: Decode>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let mut reader = Reader(bytes);
    let value = T::decode(&mut reader).ok()?;
    Some((value, reader.0))
}

/// Bytes being decoded; as `&[u8]` is, but for the formatted panic.
struct Reader<'a>(&'a [u8]);

impl Input for Reader<'_> {
    #[inline]
    fn remaining_len(&mut self) -> Result<Option<usize>, Error> {
        Ok(Some(self.0.len()))
    }

    #[inline]
    fn read(&mut self, into: &mut [u8]) -> Result<(), Error> {
        let Some((taken, rest)) = self.0.split_at_checked(into.len()) else {
            return Err("too few bytes".into());
        };
        copy(into, taken);
        self.0 = rest;
        Ok(())
    }
}

impl Buffer {
    /// A copy of `bytes`.
    pub(crate) fn copied(bytes: &[u8]) -> Self {
        let mut buffer = Self::with_capacity(bytes.len());
        buffer.write(bytes);
        buffer
    }

    /// The encoding of `value`.
    #[inline(never)]
    pub(crate) fn of(value: &impl Encode) -> Self {
        let mut buffer = Self::with_capacity(value.size_hint());
        value.encode_to(&mut buffer);
        buffer
    }
}

#[cfg(not(target_family = "wasm"))]
mod native {
    use std::ops::Deref;

    use parity_scale_codec::Output;

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
    }

    impl Output for Buffer {
        fn write(&mut self, bytes: &[u8]) {
            self.0.extend_from_slice(bytes);
        }
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

    use core::alloc::Layout;
    use core::ops::Deref;

    use parity_scale_codec::Output;

    /// Bytes that grow at the end.
    #[derive(Debug)]
    pub struct Buffer {
        start: *mut u8,
        length: usize,
        capacity: usize,
    }

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
            let mut buffer = Self::zeroed(length);
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
    }

    impl Output for Buffer {
        #[inline(never)]
        fn write(&mut self, bytes: &[u8]) {
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
