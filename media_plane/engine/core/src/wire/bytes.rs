//! Reading and writing big-endian fields of slices without panics.

/// Reads the byte at `at`.
#[inline]
#[must_use]
pub fn u8_at(data: &[u8], at: usize) -> Option<u8> {
    data.get(at).copied()
}

/// Reads the 16-bit field that starts at `at`.
#[inline]
#[must_use]
pub fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    array_at(data, at).map(u16::from_be_bytes)
}

/// Reads the 24-bit field that starts at `at`.
#[inline]
#[must_use]
pub fn u24_at(data: &[u8], at: usize) -> Option<u32> {
    array_at(data, at).map(|[a, b, c]: [u8; 3]| u32::from_be_bytes([0, a, b, c]))
}

/// Reads the 32-bit field that starts at `at`.
#[inline]
#[must_use]
pub fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    array_at(data, at).map(u32::from_be_bytes)
}

/// Reads the 64-bit field that starts at `at`.
#[inline]
#[must_use]
pub fn u64_at(data: &[u8], at: usize) -> Option<u64> {
    array_at(data, at).map(u64::from_be_bytes)
}

/// Copies the `N` bytes that start at `at`.
#[inline]
#[must_use]
pub fn array_at<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    data.get(at..)?.first_chunk::<N>().copied()
}

/// Appends fields to a buffer of the caller; every method returns None, writing nothing, when the buffer is full.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    len: usize,
}

impl<'a> Writer<'a> {
    /// Writes to `buffer` from its beginning.
    #[inline]
    pub fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, len: 0 }
    }

    /// How many bytes have been written.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing has been written.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What has been written.
    #[inline]
    #[must_use]
    pub fn written(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// Appends bytes.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len.checked_add(bytes.len())?;
        self.buffer.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }

    /// Appends one byte.
    #[inline]
    pub fn put_u8(&mut self, value: u8) -> Option<()> {
        self.put(&[value])
    }

    /// Appends a 16-bit field.
    #[inline]
    pub fn put_u16(&mut self, value: u16) -> Option<()> {
        self.put(&value.to_be_bytes())
    }

    /// Appends the low 24 bits of `value`.
    #[inline]
    pub fn put_u24(&mut self, value: u32) -> Option<()> {
        let [_, a, b, c] = value.to_be_bytes();
        self.put(&[a, b, c])
    }

    /// Appends a 32-bit field.
    #[inline]
    pub fn put_u32(&mut self, value: u32) -> Option<()> {
        self.put(&value.to_be_bytes())
    }

    /// Appends a 64-bit field.
    #[inline]
    pub fn put_u64(&mut self, value: u64) -> Option<()> {
        self.put(&value.to_be_bytes())
    }

    /// Appends zero bytes until the length is a multiple of four.
    #[inline]
    pub fn pad_to_word(&mut self) -> Option<()> {
        let padding = self.len.wrapping_neg() & 3;
        self.put([0_u8; 3].get(..padding)?)
    }

    /// Replaces a 16-bit field that has been written at `at`.
    #[inline]
    pub fn patch_u16(&mut self, at: usize, value: u16) -> Option<()> {
        if at.checked_add(2)? > self.len {
            return None;
        }
        self.buffer.get_mut(at..at + 2)?.copy_from_slice(&value.to_be_bytes());
        Some(())
    }

    /// Forgets everything after the first `len` bytes; does nothing when less has been written.
    #[inline]
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stop_at_the_end() {
        let data = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(u16_at(&data, 6), Some(0x0708));
        assert_eq!(u16_at(&data, 7), None);
        assert_eq!(u24_at(&data, 0), Some(0x0001_0203));
        assert_eq!(u32_at(&data, 5), None);
        assert_eq!(u64_at(&data, 0), Some(0x0102_0304_0506_0708));
        assert_eq!(u8_at(&data, usize::MAX), None);
    }

    #[test]
    fn writer_refuses_what_does_not_fit_and_stays_usable() {
        let mut buffer = [0xff; 6];
        let mut writer = Writer::new(&mut buffer);
        assert_eq!(writer.put_u32(0x0102_0304), Some(()));
        assert_eq!(writer.put_u32(5), None);
        assert_eq!(writer.put_u8(5), Some(()));
        assert_eq!(writer.pad_to_word(), None);
        assert_eq!(writer.patch_u16(4, 9), None);
        assert_eq!(writer.patch_u16(0, 9), Some(()));
        assert_eq!(writer.written(), [0, 9, 3, 4, 5]);
    }
}
