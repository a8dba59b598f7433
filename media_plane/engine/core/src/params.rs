//! What a session is opened with: the part of an SDP offer and answer that forwarding needs, already parsed.

use std::sync::Arc;

/// The most codecs, tracks or slots a session may name.
pub const MAX_CODECS: usize = 64;
/// The most tracks a session may send.
pub const MAX_TRACKS: usize = 16;
/// The most slots a session may have.
pub const MAX_SLOTS: usize = 64;
/// The most encodings of a track: what browsers send, and one more.
pub const MAX_ENCODINGS: usize = 4;
/// The longest MID that is accepted; it must fit a one-byte header extension element (RFC 8285 section 4.2).
pub const MAX_MID_LEN: usize = 16;
/// Longest ICE fragment and password (RFC 8839 section 5.4).
const MAX_ICE_LEN: usize = 256;
/// Longest name of a participant: it goes with each message on a data channel.
const MAX_PARTICIPANT_LEN: usize = 64;

/// What a track carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaKind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// A payload format both ends agreed on, with the numbers of this session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Codec {
    /// Encoding name of the rtpmap.
    pub name: String,
    /// Payload type, 0 to 127.
    pub payload_type: u8,
    /// RTP clock rate in hertz.
    pub clock_rate: u32,
    /// Audio channels.
    pub channels: u8,
    /// Payload type of its retransmissions (RFC 4588), when agreed.
    pub rtx_payload_type: Option<u8>,
    /// Format parameters; two formats are the same when name and parameters are.
    pub fmtp: String,
}

impl Codec {
    /// Whether both describe the same payload format, whatever their payload types.
    #[must_use]
    pub fn is_same_format(&self, other: &Codec) -> bool {
        self.clock_rate == other.clock_rate && self.name.eq_ignore_ascii_case(&other.name) && self.fmtp == other.fmtp
    }
}

/// Identifiers of the header extensions that the engine reads or writes (RFC 8285); None: not agreed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeaderExtensions {
    /// urn:ietf:params:rtp-hdrext:sdes:mid (RFC 9143).
    pub mid: Option<u8>,
    /// urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id (RFC 8852).
    pub rid: Option<u8>,
    /// urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id (RFC 8852).
    pub repaired_rid: Option<u8>,
    /// urn:ietf:params:rtp-hdrext:ssrc-audio-level (RFC 6464).
    pub audio_level: Option<u8>,
    /// Transport-wide congestion control sequence number (draft-holmer-rmcat-transport-wide-cc-extensions).
    pub transport_cc: Option<u8>,
    /// Absolute send time (WebRTC).
    pub abs_send_time: Option<u8>,
    /// AV1 dependency descriptor.
    pub dependency_descriptor: Option<u8>,
    /// urn:3gpp:video-orientation.
    pub video_orientation: Option<u8>,
    /// Playout delay (WebRTC).
    pub playout_delay: Option<u8>,
    /// Which encodings the sender sends (WebRTC's video-layers-allocation).
    pub layers_allocation: Option<u8>,
}

impl HeaderExtensions {
    fn all(&self) -> [Option<u8>; 10] {
        [
            self.mid,
            self.rid,
            self.repaired_rid,
            self.audio_level,
            self.transport_cc,
            self.abs_send_time,
            self.dependency_descriptor,
            self.video_orientation,
            self.playout_delay,
            self.layers_allocation,
        ]
    }
}

/// A track the client sends.
#[derive(Debug, Clone)]
pub struct SendTrack {
    /// MID of its m-line.
    pub mid: Arc<str>,
    /// Sound or pictures.
    pub kind: MediaKind,
    /// Payload types it may use.
    pub payload_types: Vec<u8>,
    /// SSRCs the offer declares, if any.
    pub ssrcs: Vec<u32>,
    /// SSRCs of the retransmissions, paired with `ssrcs` by position.
    pub rtx_ssrcs: Vec<u32>,
    /// RTP stream identifiers of a simulcast track, by which its packets are told apart where that extension is agreed.
    pub rids: Vec<String>,
    /// Whether lost packets may be asked for (RFC 4585), agreed on for all its payload types.
    pub nack: bool,
    /// Whether the track starts muted.
    pub muted: bool,
}

impl SendTrack {
    /// How many encodings it has: one for each RTP stream identifier, else for each SSRC that is declared.
    #[must_use]
    pub fn encodings(&self) -> usize {
        let named = if self.rids.is_empty() { self.ssrcs.len() } else { self.rids.len() };
        if self.kind == MediaKind::Audio { 1 } else { named.clamp(1, MAX_ENCODINGS) }
    }
}

/// A place in the client's layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotSpec {
    /// MID of its m-line.
    pub mid: Arc<str>,
    /// Sound or pictures.
    pub kind: MediaKind,
    /// SSRC of everything sent in the slot.
    pub ssrc: u32,
    /// SSRC of retransmissions, when RTX was agreed.
    pub rtx_ssrc: Option<u32>,
}

/// Data channels (RFC 8841).
#[derive(Debug, Clone)]
pub struct ChannelParameters {
    /// Whose the client's messages are, as receivers see it.
    pub participant_id: Arc<str>,
    /// The longest message that the client takes, in bytes; 0: any.
    pub max_message_size: u32,
}

/// What the client's offer and the node's answer agreed on.
#[derive(Debug, Clone)]
pub struct SessionParameters {
    /// The client's ICE user name fragment.
    pub ice_ufrag: String,
    /// The client's ICE password.
    pub ice_pwd: String,
    /// (hash function, hexadecimal with colons) of the client's DTLS certificate.
    pub fingerprints: Vec<(String, String)>,
    /// The payload formats.
    pub codecs: Vec<Codec>,
    /// The header extensions.
    pub extensions: HeaderExtensions,
    /// What the client sends.
    pub send_tracks: Vec<SendTrack>,
    /// What the client receives.
    pub slots: Vec<SlotSpec>,
    /// Canonical name in the engine's reports (RFC 3550 section 6.5.1).
    pub cname: String,
    /// Data channels, when the offer has an m-line for them.
    pub channels: Option<ChannelParameters>,
}

impl SessionParameters {
    /// Checks what the shard relies on; the error names the rule that is broken.
    pub fn validate(&self) -> Result<(), &'static str> {
        check_ice(&self.ice_ufrag, &self.ice_pwd)?;
        check(!self.sha256_fingerprints().is_empty(), "a sha-256 fingerprint is needed")?;
        check((1..=255).contains(&self.cname.len()), "cname needs 1 to 255 bytes")?;
        check(self.codecs.len() <= MAX_CODECS, "too many codecs")?;
        check(self.send_tracks.len() <= MAX_TRACKS, "too many send tracks")?;
        check(self.slots.len() <= MAX_SLOTS, "too many slots")?;
        let named = |channels: &ChannelParameters| (1..=MAX_PARTICIPANT_LEN).contains(&channels.participant_id.len());
        check(self.channels.as_ref().is_none_or(named), "participant_id needs 1 to 64 bytes")?;
        self.validate_codecs()?;
        self.validate_identifiers()?;
        self.validate_extensions()
    }

    fn validate_codecs(&self) -> Result<(), &'static str> {
        for codec in &self.codecs {
            check(codec.payload_type < 128, "payload types go to 127")?;
            check(codec.rtx_payload_type.is_none_or(|pt| pt < 128), "payload types go to 127")?;
            check((8_000..=384_000).contains(&codec.clock_rate), "clock rate out of range")?;
        }
        Ok(())
    }

    fn validate_identifiers(&self) -> Result<(), &'static str> {
        // An m-line may carry both a track and a slot.
        check_mids(self.send_tracks.iter().map(|track| &*track.mid))?;
        check_mids(self.slots.iter().map(|slot| &*slot.mid))?;
        let mut ssrcs: Vec<u32> = Vec::new();
        for slot in &self.slots {
            for ssrc in [Some(slot.ssrc), slot.rtx_ssrc].into_iter().flatten() {
                check(!ssrcs.contains(&ssrc), "slot ssrc used twice")?;
                ssrcs.push(ssrc);
            }
        }
        for track in &self.send_tracks {
            check(
                [track.ssrcs.len(), track.rtx_ssrcs.len(), track.rids.len()]
                    .iter()
                    .all(|count| *count <= MAX_ENCODINGS),
                "at most 4 encodings",
            )?;
        }
        Ok(())
    }

    fn validate_extensions(&self) -> Result<(), &'static str> {
        let ids: Vec<u8> = self.extensions.all().into_iter().flatten().collect();
        for (index, id) in ids.iter().enumerate() {
            check((1..=14).contains(id), "extension identifiers go from 1 to 14")?;
            check(!ids[..index].contains(id), "extension identifier used twice")?;
        }
        Ok(())
    }

    /// The SHA-256 fingerprints as bytes; malformed ones are left out.
    #[must_use]
    pub fn sha256_fingerprints(&self) -> Vec<[u8; 32]> {
        let sha256 = self.fingerprints.iter().filter(|(hash, _)| hash.eq_ignore_ascii_case("sha-256"));
        sha256.filter_map(|(_, text)| parse_fingerprint(text)).collect()
    }
}

/// Checks a client's ICE credentials; the error names the rule that is broken.
pub(crate) fn check_ice(ufrag: &str, pwd: &str) -> Result<(), &'static str> {
    check((4..=MAX_ICE_LEN).contains(&ufrag.len()), "ice_ufrag needs 4 to 256 characters")?;
    check((22..=MAX_ICE_LEN).contains(&pwd.len()), "ice_pwd needs 22 to 256 characters")
}

fn check_mids<'a>(mids: impl Iterator<Item = &'a str>) -> Result<(), &'static str> {
    let mut seen: Vec<&str> = Vec::new();
    for mid in mids {
        check((1..=MAX_MID_LEN).contains(&mid.len()), "mid needs 1 to 16 bytes")?;
        check(!seen.contains(&mid), "mid used twice")?;
        seen.push(mid);
    }
    Ok(())
}

fn check(holds: bool, rule: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(rule) }
}

fn parse_fingerprint(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let mut parts = text.split(':');
    for byte in &mut bytes {
        let part = parts.next().filter(|part| part.len() == 2)?;
        *byte = u8::from_str_radix(part, 16).ok()?;
    }
    parts.next().is_none().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters() -> SessionParameters {
        SessionParameters {
            ice_ufrag: "abcd".into(),
            ice_pwd: "a".repeat(22),
            fingerprints: vec![("sha-256".into(), vec!["AB"; 32].join(":"))],
            codecs: Vec::new(),
            extensions: HeaderExtensions { mid: Some(4), audio_level: Some(1), ..HeaderExtensions::default() },
            send_tracks: Vec::new(),
            slots: vec![SlotSpec { mid: "0".into(), kind: MediaKind::Audio, ssrc: 1, rtx_ssrc: None }],
            cname: "node".into(),
            channels: None,
        }
    }

    #[test]
    fn good_parameters_pass() {
        assert_eq!(parameters().validate(), Ok(()));
        assert_eq!(parameters().sha256_fingerprints(), [[0xab; 32]]);
    }

    #[test]
    fn each_rule_is_kept() {
        let broken: [fn(&mut SessionParameters); 7] = [
            |p| p.ice_ufrag = "abc".into(),
            |p| p.ice_pwd.truncate(21),
            |p| p.fingerprints[0].1.push_str(":00"),
            |p| p.channels = Some(ChannelParameters { participant_id: "".into(), max_message_size: 0 }),
            |p| p.extensions.mid = Some(1),
            |p| p.extensions.mid = Some(15),
            |p| p.slots.push(SlotSpec { mid: "1".into(), kind: MediaKind::Video, ssrc: 2, rtx_ssrc: Some(1) }),
        ];
        for (index, spoil) in broken.iter().enumerate() {
            let mut parameters = parameters();
            spoil(&mut parameters);
            assert!(parameters.validate().is_err(), "rule {index}");
        }
    }
}
