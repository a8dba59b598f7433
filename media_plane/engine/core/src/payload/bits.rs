//! Reading numbers bit by bit.

/// Reads from the most significant bit of the first byte on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BitReader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// A number of up to 32 bits.
    pub(crate) fn read(&mut self, bits: u32) -> Option<u32> {
        let mut value = 0;
        for _ in 0..bits {
            let byte = *self.data.get(self.at / 8)?;
            value = value << 1 | u32::from(byte >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Some(value)
    }

    /// A flag.
    pub(crate) fn flag(&mut self) -> Option<bool> {
        self.read(1).map(|bit| bit == 1)
    }

    /// An unsigned Exp-Golomb number (ITU-T H.264 section 9.1).
    pub(crate) fn exp_golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        Some((1 << zeros) - 1 + self.read(zeros)?)
    }

    /// A non-symmetric unsigned number below `count` (the AV1 specification, section 4.10.7).
    pub(crate) fn non_symmetric(&mut self, count: u32) -> Option<u32> {
        let bits = u32::BITS - count.leading_zeros();
        let short = (1 << bits) - count;
        let value = self.read(bits.checked_sub(1)?)?;
        if value < short { Some(value) } else { Some((value << 1 | self.read(1)?) - short) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_each_other() {
        let mut bits = BitReader::new(&[0b1010_0110, 0b0100_1111]);
        assert_eq!((bits.read(3), bits.flag()), (Some(0b101), Some(false)));
        assert_eq!(bits.exp_golomb(), Some(2));
        assert_eq!(bits.read(1), Some(0));
        assert_eq!(bits.exp_golomb(), Some(1));
        assert_eq!(bits.read(7), None, "five are left");
    }

    #[test]
    fn non_symmetric_numbers_spend_a_bit_less_on_the_small_ones() {
        // Five values: 00, 01, 10, 110, 111.
        let mut bits = BitReader::new(&[0b0001_1011, 0b0111_0000]);
        let values: Vec<_> = std::iter::from_fn(|| bits.non_symmetric(5)).take(5).collect();
        assert_eq!(values, [0, 1, 2, 3, 4]);
        assert_eq!(BitReader::new(&[0xff]).non_symmetric(1), Some(0));
    }
}
