//! What a client sends: a voice and a picture in one or several encodings, kept for a while to be sent again.

use std::collections::BTreeMap;

use parley_engine_core::clock::{MILLISECOND, Micros};
use parley_engine_core::wire::extension::{AudioLevel, ExtensionIds, ExtensionValues};
use parley_engine_core::wire::rtp::{OutgoingHeader, write_header};

use super::encoding::Encoding;
use super::picture::PACKETS_PER_FRAME;
use super::{MICROPHONE, SCREEN};

pub const AUDIO_TYPE: u8 = 111;
pub const VIDEO_TYPE: u8 = 96;
pub const RTX_TYPE: u8 = 97;
pub const RED_TYPE: u8 = 63;
/// By its height a screen is told from cameras.
pub const SCREEN_HEIGHT: u16 = 1_080;
/// Packets of sound that can be sent again.
const SOUND_KEPT: u16 = 64;
const AUDIO_INTERVAL: Micros = 20 * MILLISECOND;
const VIDEO_INTERVAL: Micros = 33 * MILLISECOND;

/// An RTP packet before encryption.
pub type Packet = Vec<u8>;

/// A client's outgoing media.
pub struct Sender {
    number: usize,
    pub ids: ExtensionIds,
    pub audio_ssrc: u32,
    /// The smallest first; one unless [`Sender::simulcast`] was called.
    pub encodings: Vec<Encoding>,
    /// Whether packets carry MID (and the SSRCs need not be signalled).
    pub names_streams: bool,
    pub level: u8,
    pub sends_video: bool,
    pub sends_audio: bool,
    /// Whether each frame of sound is repeated in the packet after it (RFC 2198).
    pub sends_redundancy: bool,
    pub packets_per_frame: u16,
    /// What pictures are sent in, and whether it changes when another codec is asked for.
    pub video_type: u8,
    pub complies: bool,
    /// Whether packets say which encodings are sent; with a value, these (bit by place) instead of the true ones.
    pub tells_encodings: bool,
    pub claims: Option<u8>,
    next_audio: Micros,
    next_video: Micros,
    audio_sequence: u16,
    /// The latest packets of sound, by sequence number.
    sound: BTreeMap<u16, (OutgoingHeader, Vec<u8>)>,
    pub transport_sequence: u16,
    pub key_frames: u32,
    pub retransmitted: u32,
}

impl Sender {
    pub fn new(number: usize, ids: ExtensionIds) -> Self {
        let base = 1_000 * (number as u32 + 1);
        Self {
            number,
            ids,
            audio_ssrc: base,
            encodings: vec![Encoding::new(number, "", base + 1, 720, 0)],
            names_streams: true,
            level: 127,
            sends_video: true,
            sends_audio: true,
            sends_redundancy: false,
            packets_per_frame: PACKETS_PER_FRAME,
            video_type: VIDEO_TYPE,
            complies: true,
            tells_encodings: false,
            claims: None,
            next_audio: 0,
            next_video: 0,
            // Close to the wrap, which every run therefore passes.
            audio_sequence: 65_500,
            sound: BTreeMap::new(),
            transport_sequence: 65_000,
            key_frames: 0,
            retransmitted: 0,
        }
    }

    /// Sends three encodings, as browsers do: 180 lines in one packet a frame, 360 in two and 720 in six.
    pub fn simulcast(&mut self) {
        let base = self.audio_ssrc + 1;
        let spec = [("q", 180, 1), ("h", 360, 2), ("f", 720, 6)];
        let encoding = |(place, (rid, height, packets)): (usize, (&'static str, u16, u16))| {
            Encoding::new(self.number, rid, base + 10 * place as u32, height, packets)
        };
        self.encodings = spec.into_iter().enumerate().map(encoding).collect();
    }

    /// Sends a screen besides the camera, in 1080 lines.
    pub fn share(&mut self) {
        let mut screen = Encoding::new(self.number, "", self.audio_ssrc + 501, SCREEN_HEIGHT, 0);
        screen.mid = SCREEN;
        self.encodings.push(screen);
    }

    /// The screen, while there is one.
    pub fn screen(&mut self) -> Option<&mut Encoding> {
        self.encodings.iter_mut().find(|encoding| encoding.mid == SCREEN)
    }

    pub fn video_ssrc(&self) -> u32 {
        self.encodings[0].ssrc
    }

    /// The encoding with this SSRC, which is that of its packets or of their retransmissions.
    pub fn encoding(&mut self, ssrc: u32) -> &mut Encoding {
        let found = self.encodings.iter_mut().find(|encoding| encoding.ssrc == ssrc || encoding.rtx_ssrc() == ssrc);
        found.expect("an SSRC of the client's")
    }

    /// A key frame of the stream with this SSRC is asked for; perhaps it has another one by now.
    pub fn want_key_frame(&mut self, ssrc: u32) {
        if let Some(encoding) = self.encodings.iter_mut().find(|encoding| encoding.ssrc == ssrc) {
            encoding.want_key_frame();
        }
    }

    /// The node's report names a stream.
    pub fn take_report(&mut self, ssrc: u32) {
        for encoding in &mut self.encodings {
            encoding.reported |= encoding.ssrc == ssrc;
            encoding.rtx_reported |= encoding.rtx_ssrc() == ssrc;
        }
    }

    /// Stops and resumes encodings, as a browser does by `setParameters`.
    pub fn set_wanted(&mut self, rids: &[&str]) {
        for encoding in &mut self.encodings {
            encoding.set_active(encoding.rid.is_empty() || rids.contains(&encoding.rid));
        }
    }

    /// Goes on in another codec, with a key frame as all encoders begin.
    pub fn set_codec(&mut self, payload_type: u8) {
        if self.complies && std::mem::replace(&mut self.video_type, payload_type) != payload_type {
            self.encodings.iter_mut().for_each(Encoding::want_key_frame);
        }
    }

    /// Packets that are due.
    pub fn tick(&mut self, now: Micros) -> Vec<Packet> {
        let mut packets = Vec::new();
        if now >= self.next_audio {
            self.next_audio = now + AUDIO_INTERVAL;
            if self.sends_audio {
                packets.push(self.audio(now));
            }
        }
        if now >= self.next_video {
            self.next_video = now + VIDEO_INTERVAL;
            if self.sends_video {
                self.picture(now, &mut packets);
            }
        }
        packets
    }

    fn audio(&mut self, now: Micros) -> Packet {
        self.audio_sequence = self.audio_sequence.wrapping_add(1);
        let header = OutgoingHeader {
            marker: false,
            payload_type: if self.sends_redundancy { RED_TYPE } else { AUDIO_TYPE },
            sequence_number: self.audio_sequence,
            timestamp: (now * 48 / 1_000) as u32,
            ssrc: self.audio_ssrc,
        };
        let frame = [&[self.number as u8][..], &[0xfc; 60]].concat();
        // 960 samples back, and as long as this frame.
        let headers = [0x80 | AUDIO_TYPE, 0x0f, 0x00, frame.len() as u8, AUDIO_TYPE];
        let payload = if self.sends_redundancy { [&headers[..], &frame, &frame].concat() } else { frame };
        self.sound.insert(self.audio_sequence, (header, payload.clone()));
        self.sound.remove(&self.audio_sequence.wrapping_sub(SOUND_KEPT));
        self.sound_packet(&header, &payload)
    }

    fn sound_packet(&mut self, header: &OutgoingHeader, payload: &[u8]) -> Packet {
        let level = AudioLevel { voice: self.level < 50, level: self.level };
        let values = ExtensionValues {
            mid: self.names_streams.then_some(MICROPHONE.as_bytes()),
            audio_level: Some(level),
            ..ExtensionValues::default()
        };
        self.packet(header, &values, payload)
    }

    fn picture(&mut self, now: Micros, packets: &mut Vec<Packet>) {
        for place in 0..self.encodings.len() {
            if self.tells_encodings {
                let allocation = self.allocation(place);
                self.encodings[place].tell(allocation);
            }
            let Some(frame) = self.encodings[place].next_frame(now, self.packets_per_frame) else { continue };
            self.key_frames += u32::from(frame.is_key);
            for packet in frame.packets {
                let header = OutgoingHeader {
                    marker: packet.marker,
                    payload_type: self.video_type,
                    sequence_number: packet.sequence,
                    timestamp: packet.timestamp,
                    ssrc: self.encodings[place].ssrc,
                };
                packets.push(self.video(place, &header, packet.told.as_deref(), &packet.payload));
            }
        }
    }

    /// The value of video-layers-allocation in packets of an encoding.
    fn allocation(&self, place: usize) -> Vec<u8> {
        let active = |(place, encoding): (usize, &Encoding)| u8::from(encoding.is_active) << place;
        let sent = self.claims.unwrap_or_else(|| self.encodings.iter().enumerate().map(active).sum());
        let last = self.encodings.len() - 1;
        let masks = (0..=last / 2).map(|pair| (sent >> (2 * pair) & 1) << 4 | sent >> (2 * pair + 1) & 1);
        [(place << 6 | last << 4) as u8].into_iter().chain(masks).collect()
    }

    fn video(&mut self, place: usize, header: &OutgoingHeader, told: Option<&[u8]>, payload: &[u8]) -> Packet {
        let encoding = &self.encodings[place];
        let is_repair = header.payload_type == RTX_TYPE;
        let reported = if is_repair { encoding.rtx_reported } else { encoding.reported };
        // Like libwebrtc, a stream of simulcast is named only until a report has shown that it is known.
        let named = self.names_streams && (encoding.rid.is_empty() || !reported);
        let rid = Some(encoding.rid.as_bytes()).filter(|rid| named && !rid.is_empty());
        let values = ExtensionValues {
            mid: named.then_some(encoding.mid.as_bytes()),
            rid: rid.filter(|_| !is_repair),
            repaired_rid: rid.filter(|_| is_repair),
            layers_allocation: told,
            ..ExtensionValues::default()
        };
        self.packet(header, &values, payload)
    }

    /// A packet sent again: of pictures as RTX (RFC 4588), of sound as it was.
    pub fn retransmission(&mut self, ssrc: u32, sequence: u16) -> Option<Packet> {
        if ssrc == self.audio_ssrc {
            let (header, payload) = self.sound.get(&sequence)?.clone();
            self.retransmitted += 1;
            return Some(self.sound_packet(&header, &payload));
        }
        let place = self.encodings.iter().position(|encoding| encoding.ssrc == ssrc)?;
        let encoding = &mut self.encodings[place];
        let (original, rtx_sequence, ssrc) = (encoding.again(sequence)?, encoding.next_repair(), encoding.rtx_ssrc());
        self.retransmitted += 1;
        let header = OutgoingHeader {
            marker: original.marker,
            payload_type: RTX_TYPE,
            sequence_number: rtx_sequence,
            timestamp: original.timestamp,
            ssrc,
        };
        let payload = [&sequence.to_be_bytes()[..], &original.payload].concat();
        Some(self.video(place, &header, original.told.as_deref(), &payload))
    }

    /// What a packet of the next transport-wide number says of itself.
    pub fn next_values<'a>(&mut self, mid: &'a str) -> ExtensionValues<'a> {
        self.transport_sequence = self.transport_sequence.wrapping_add(1);
        let transport_sequence_number = Some(self.transport_sequence);
        ExtensionValues { mid: Some(mid.as_bytes()), transport_sequence_number, ..ExtensionValues::default() }
    }

    fn packet(&mut self, header: &OutgoingHeader, values: &ExtensionValues<'_>, payload: &[u8]) -> Packet {
        self.transport_sequence = self.transport_sequence.wrapping_add(1);
        let values = ExtensionValues { transport_sequence_number: Some(self.transport_sequence), ..*values };
        let mut packet = vec![0; 100];
        let len = write_header(&mut packet, header, &self.ids, &values).unwrap();
        packet.truncate(len);
        packet.extend(payload);
        packet
    }
}
