//! Targets that take one input as a sequence of packets, because what is wrong with a packet depends on those before it.

use std::collections::HashSet;

use crate::layer_filter::{LayerFilter, Verdict};
use crate::payload::VideoFormat;
use crate::payload::structure::Structure;
use crate::picture::{self, MAX_LAYERS};
use crate::ring::PacketInfo;
use crate::srtp::{InboundContext, InboundStream, MAX_OVERHEAD, OutboundContext, OutboundStream};

use super::SRTP;

/// Where each stream's numbers begin: close to the first turn of the sequence number.
const FIRST: u64 = 65_500;
/// How far behind the newest a packet may come (RFC 3711 section 3.3.2 asks for 64 at least).
const WINDOW: u64 = 128;
/// Sequence numbers further away count as of another turn.
const HALF_TURN: u64 = 1 << 15;
const HEADER_LEN: usize = 12;

/// Takes one byte from the front; zero at the end.
fn take(data: &mut &[u8]) -> u8 {
    let Some((first, rest)) = data.split_first() else { return 0 };
    *data = rest;
    *first
}

/// Dependency descriptors of one stream, templates and frames that refer to them, through what decides about layers.
///
/// For each packet two bytes, what the receiver wants and the descriptor's length, then the descriptor.
pub fn dependency_descriptor(mut data: &[u8]) {
    let mut structure: Option<Structure> = None;
    let mut filter = LayerFilter::default();
    let mut sequence = 0_u64;
    while !data.is_empty() {
        let (wish, len) = (take(&mut data), usize::from(take(&mut data)));
        let (descriptor, rest) = data.split_at(len.min(data.len()));
        data = rest;
        if let Some(found) = Structure::parse(descriptor) {
            assert!(found.sized <= MAX_LAYERS);
            structure = Some(found);
        }
        let format = if wish & 0x80 == 0 { VideoFormat::Av1 } else { VideoFormat::H264 };
        let picture = picture::inspect(Some(format), &[], Some(descriptor), structure.as_ref());
        assert!(usize::from(picture.layer.spatial) < MAX_LAYERS && usize::from(picture.layer.temporal) < MAX_LAYERS);
        let wanted = (wish & 3, wish >> 2 & 3);
        let _ = filter.want(wanted.0, wanted.1);
        // Some come late, some skip numbers.
        sequence = if wish & 0x10 == 0 { sequence + 1 } else { (sequence + 2).saturating_sub(u64::from(wish >> 5)) };
        let info = PacketInfo {
            sequence: sequence + 100,
            timestamp: (sequence as u32).wrapping_mul(if wish & 0x40 == 0 { 3_000 } else { 0 }),
            marker: wish & 0x20 != 0,
            picture,
            ..PacketInfo::default()
        };
        let verdict = filter.decide(&info);
        let present = filter.present();
        if verdict == (Verdict::Keep { ends_picture: true }) {
            assert!(info.marker || picture.layer.ends_layer);
        }
        assert!(usize::from(present.0) < MAX_LAYERS && usize::from(present.1) < MAX_LAYERS);
    }
}

/// A sealed packet on its way, and the index it has by the rules.
struct Sealed {
    index: u64,
    bytes: Vec<u8>,
}

/// SRTP packets of one stream, lost, doubled, damaged, out of order and over the turns of the sequence number: each is taken
/// once, as RFC 3711 section 3.3 says, and a refused one changes nothing.
///
/// The first byte tells the profile, each further pair what happens next.
pub fn srtp_order(mut data: &[u8]) {
    let (inbound, outbound) = &SRTP[usize::from(take(&mut data)) % SRTP.len()];
    let mut sender = OutboundStream::default();
    let mut receiver = InboundStream::default();
    // A sender begins with a rollover counter of zero.
    let mut sent = vec![seal(outbound, &mut sender, FIRST)];
    let mut next = FIRST;
    let mut model = Model::default();
    while let &[what, how_much, ref rest @ ..] = data {
        data = rest;
        let amount = u64::from(how_much);
        match what % 8 {
            0..=3 => {
                next += match what % 8 {
                    0 => 1,
                    1 => 1 + amount,
                    2 => 1 + amount * 127,
                    _ => 1 + amount / 16,
                };
                sent.push(seal(outbound, &mut sender, next));
            }
            4 | 5 => model.deliver(inbound, &mut receiver, nth_last(&sent, how_much)),
            6 => {
                let Some(sealed) = nth_last(&sent, 0) else { continue };
                let before = format!("{receiver:?}");
                let mut damaged = sealed.bytes.clone();
                let at = usize::from(how_much) % damaged.len();
                damaged[at] ^= 1 << (what >> 5);
                assert!(inbound.unprotect_rtp(&mut receiver, &mut damaged).is_err());
                assert_eq!(format!("{receiver:?}"), before, "a forgery changes nothing");
            }
            _ => model.deliver(inbound, &mut receiver, sent.last()),
        }
    }
}

fn seal(outbound: &OutboundContext, sender: &mut OutboundStream, index: u64) -> Sealed {
    let mut bytes = plain(index);
    let len = bytes.len();
    bytes.resize(len + MAX_OVERHEAD, 0);
    let sealed = outbound.protect_rtp(sender, &mut bytes, len);
    assert!(sealed.is_ok_and(|sealed| sealed > len));
    bytes.truncate(sealed.unwrap_or_default());
    Sealed { index, bytes }
}

fn nth_last(sent: &[Sealed], back: u8) -> Option<&Sealed> {
    sent.len().checked_sub(1 + usize::from(back)).and_then(|place| sent.get(place))
}

fn plain(index: u64) -> Vec<u8> {
    let mut packet = vec![0x80, 96, (index >> 8) as u8, index as u8, 0, 0, 0, 2, 0, 0, 0, 3];
    packet.extend(index.to_be_bytes());
    packet
}

/// What a receiver has taken, by the rules.
#[derive(Default)]
struct Model {
    highest: Option<u64>,
    taken: HashSet<u64>,
}

impl Model {
    fn deliver(&mut self, inbound: &InboundContext, receiver: &mut InboundStream, sealed: Option<&Sealed>) {
        let Some(Sealed { index, bytes }) = sealed else { return };
        let is_new = !self.taken.contains(index);
        let mut packet = bytes.clone();
        let opened = inbound.unprotect_rtp(receiver, &mut packet);
        if let Ok(len) = opened {
            assert_eq!(packet[..len], plain(*index), "what was sent");
            assert_eq!(len, HEADER_LEN + 8);
            self.taken.insert(*index);
        }
        let may_pass = match self.highest {
            // A receiver begins with a rollover counter of zero.
            None => *index < 2 * HALF_TURN,
            Some(highest) => index.abs_diff(highest) < HALF_TURN && index + WINDOW > highest,
        };
        assert_eq!(opened.is_ok(), may_pass && is_new, "{index} after {:?}: {opened:?}", self.highest);
        if opened.is_ok() {
            self.highest = Some(self.highest.unwrap_or_default().max(*index));
        }
    }
}
