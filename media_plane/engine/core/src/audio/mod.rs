//! Who is heard: the loudest few of a room, and the one who holds the floor.

mod dominant;
mod loudest;

pub(crate) use dominant::DominantSpeaker;
pub(crate) use loudest::Loudest;

/// Loudness of a packet, 0 (silence) to 127, the other way round than the wire has it.
fn loudness(level: u8) -> u8 {
    127 - level.min(127)
}
