//! Frame dependency structures (the AV1 RTP payload specification, sections A.8.2 and A.8.3): which frames a receiver of
//! fewer layers needs. They stand in the clear, so encrypted payloads can be switched too.

use super::bits::BitReader;

/// Templates, decode targets and chains that a structure may have; more than three spatial and three temporal layers need.
const MAX_TEMPLATES: usize = 64;
const MAX_TARGETS: usize = 32;
/// Layers that are told apart; a structure with more is not used.
pub(crate) const MAX_SPATIAL: usize = 4;
const MAX_TEMPORAL: u8 = 4;

/// What a frame is to a decode target.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Indication {
    /// It does not belong to it.
    #[default]
    NotPresent,
    /// Nothing of the target depends on it.
    Discardable,
    /// A receiver may begin with the target here.
    Switch,
    /// Others of the target depend on it.
    Required,
}

impl Indication {
    fn from_bits(bits: u32) -> Self {
        [Self::NotPresent, Self::Discardable, Self::Switch, Self::Required][bits as usize & 3]
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Template {
    spatial: u8,
    temporal: u8,
    indications: u64,
}

/// The templates of a stream.
#[derive(Debug, Clone)]
pub(crate) struct Structure {
    offset: u8,
    templates: [Template; MAX_TEMPLATES],
    count: usize,
    targets: usize,
    /// The highest layers of each decode target.
    layers: [(u8, u8); MAX_TARGETS],
    /// Width and height by spatial layer, the smallest first.
    pub(crate) sizes: [(u16, u16); MAX_SPATIAL],
    /// How many of them are told.
    pub(crate) sized: usize,
}

/// A frame's place among the layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameLayer {
    pub(crate) spatial: u8,
    pub(crate) temporal: u8,
    /// Whether a receiver of lower temporal layers may receive this one too from here on.
    pub(crate) is_switch: bool,
}

impl Structure {
    /// Parses the structure of a descriptor that carries one; None when it is malformed or larger than any known.
    pub(crate) fn parse(descriptor: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(descriptor.get(3..)?);
        if !bits.flag()? {
            return None;
        }
        // Other flags, then the structure.
        bits.read(4)?;
        let offset = bits.read(6)? as u8;
        let targets = bits.read(5)? as usize + 1;
        let mut templates = [Template::default(); MAX_TEMPLATES];
        let mut count = 0;
        let (mut spatial, mut temporal) = (0_u8, 0_u8);
        loop {
            *templates.get_mut(count)? = Template { spatial, temporal, indications: 0 };
            count += 1;
            match bits.read(2)? {
                0 => {}
                1 => temporal += 1,
                2 => (temporal, spatial) = (0, spatial + 1),
                _ => break,
            }
            if temporal >= MAX_TEMPORAL || usize::from(spatial) >= MAX_SPATIAL {
                return None;
            }
        }
        for template in &mut templates[..count] {
            for target in 0..targets {
                template.indications |= u64::from(bits.read(2)?) << (2 * target);
            }
        }
        for _ in 0..count {
            while bits.flag()? {
                bits.read(4)?;
            }
        }
        skip_chains(&mut bits, targets, count)?;
        let mut structure = Self {
            offset,
            layers: [(0, 0); MAX_TARGETS],
            templates,
            count,
            targets,
            sizes: [(0, 0); MAX_SPATIAL],
            sized: 0,
        };
        structure.find_layers();
        if bits.flag()? {
            structure.sized = usize::from(spatial) + 1;
            for size in structure.sizes.iter_mut().take(structure.sized) {
                let side = |bits: &mut BitReader<'_>| bits.read(16).map(|value| (value as u16).saturating_add(1));
                *size = (side(&mut bits)?, side(&mut bits)?);
            }
        }
        Some(structure)
    }

    fn find_layers(&mut self) {
        for target in 0..self.targets {
            let present = self.templates[..self.count]
                .iter()
                .filter(|template| indication(template.indications, target) != Indication::NotPresent);
            let highest = present.map(|template| (template.spatial, template.temporal));
            self.layers[target] = highest.fold((0, 0), |top, layer| (top.0.max(layer.0), top.1.max(layer.1)));
        }
    }

    /// The layer of a frame by its descriptor; None when its template is unknown.
    pub(crate) fn layer(&self, descriptor: &[u8]) -> Option<FrameLayer> {
        let id = descriptor.first()? & 0x3f;
        let place = usize::from(id.wrapping_sub(self.offset) & 0x3f);
        let template = self.templates[..self.count].get(place)?;
        let indications = own_indications(descriptor, self.targets).unwrap_or(template.indications);
        // The targets that end with the frame's own layer: where all of them may be begun here, a receiver can climb.
        let mut own =
            (0..self.targets).filter(|target| self.layers[*target] == (template.spatial, template.temporal)).peekable();
        let is_switch = own.peek().is_some() && own.all(|target| indication(indications, target) == Indication::Switch);
        Some(FrameLayer { spatial: template.spatial, temporal: template.temporal, is_switch })
    }
}

fn indication(indications: u64, target: usize) -> Indication {
    Indication::from_bits((indications >> (2 * target)) as u32)
}

/// The indications that a frame gives itself instead of its template's.
fn own_indications(descriptor: &[u8], targets: usize) -> Option<u64> {
    let mut bits = BitReader::new(descriptor.get(3..)?);
    let [structure, active, own, ..] = [bits.flag()?, bits.flag()?, bits.flag()?, bits.flag()?, bits.flag()?];
    // Behind a structure the indications are its own anyway.
    if structure || !own {
        return None;
    }
    if active {
        bits.read(targets as u32)?;
    }
    (0..targets).try_fold(0, |all, target| Some(all | u64::from(bits.read(2)?) << (2 * target)))
}

fn skip_chains(bits: &mut BitReader<'_>, targets: usize, templates: usize) -> Option<()> {
    let chains = bits.non_symmetric(targets as u32 + 1)?;
    if chains == 0 {
        return Some(());
    }
    for _ in 0..targets {
        bits.non_symmetric(chains)?;
    }
    for _ in 0..templates {
        bits.read(4 * chains)?;
    }
    Some(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Writes numbers bit by bit.
    #[derive(Default)]
    struct Bits(Vec<bool>);

    impl Bits {
        fn put(&mut self, value: u32, bits: u32) -> &mut Self {
            self.0.extend((0..bits).rev().map(|bit| value >> bit & 1 == 1));
            self
        }

        fn bytes(&self) -> Vec<u8> {
            let byte = |bits: &[bool]| {
                bits.iter().enumerate().fold(0, |byte, (place, bit)| byte | u8::from(*bit) << (7 - place))
            };
            self.0.chunks(8).map(byte).collect()
        }
    }

    /// Two spatial layers of two temporal layers each, as L2T2 has them: 320x180 and 640x360, a decode target each, one chain.
    pub(crate) fn descriptor() -> Vec<u8> {
        let mut bits = Bits::default();
        bits.put(1, 1).put(0, 1).put(5, 6).put(7, 16);
        bits.put(0b1_0000, 5).put(5, 6).put(3, 5);
        // Layers: (0, 0), (0, 1), (1, 0), (1, 1), and no more.
        bits.put(0, 0).put(1, 2).put(2, 2).put(1, 2).put(3, 2);
        for indications in [[2, 2, 2, 2], [0, 2, 0, 2], [0, 0, 2, 2], [0, 0, 0, 1]] {
            for each in indications {
                bits.put(each, 2);
            }
        }
        // Frame differences: none, one, two, none.
        bits.put(0, 1).put(1, 1).put(0, 4).put(0, 1).put(1, 1).put(1, 4).put(1, 1).put(3, 4).put(0, 1).put(0, 1);
        // One chain (of five values), which protects all; its differences.
        bits.put(1, 2);
        for _ in 0..4 {
            bits.put(1, 4);
        }
        bits.put(1, 1);
        for side in [319, 179, 639, 359] {
            bits.put(side, 16);
        }
        bits.bytes()
    }

    #[test]
    fn templates_and_sizes_are_read() {
        let structure = Structure::parse(&descriptor()).unwrap();
        assert_eq!((structure.count, structure.targets), (4, 4));
        assert_eq!(structure.layers[..4], [(0, 0), (0, 1), (1, 0), (1, 1)]);
        assert_eq!(structure.sizes[..structure.sized], [(320, 180), (640, 360)]);
        let layer = |id: u8| structure.layer(&[id, 0, 1]).unwrap();
        assert_eq!(layer(0x80 | 5), FrameLayer { spatial: 0, temporal: 0, is_switch: true });
        assert_eq!(layer(6), FrameLayer { spatial: 0, temporal: 1, is_switch: true });
        assert_eq!(layer(8), FrameLayer { spatial: 1, temporal: 1, is_switch: false });
        assert_eq!(structure.layer(&[9, 0, 1]), None, "no such template");
        // A frame of template 8 that says for itself to be a point to switch at.
        let mut own = Bits::default();
        own.put(8, 8).put(1, 16).put(0b0_0100, 5).put(0, 6).put(2, 2);
        assert!(structure.layer(&own.bytes()).unwrap().is_switch);
    }

    #[test]
    fn cut_off_structures_are_refused() {
        let whole = descriptor();
        for len in 0..whole.len() - 1 {
            assert!(Structure::parse(&whole[..len]).is_none(), "{len}");
        }
        assert!(Structure::parse(&[0xff; 40]).is_none(), "more layers than are known");
    }
}
