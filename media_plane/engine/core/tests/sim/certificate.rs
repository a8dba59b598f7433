//! Certificates of any length.

/// Tag, content and what follows of the first element of DER (X.690 section 8.1).
fn split(der: &[u8]) -> (u8, &[u8], &[u8]) {
    let (len, header) = match der[1] {
        short @ ..=0x7f => (usize::from(short), 2),
        0x81 => (usize::from(der[2]), 3),
        _ => (usize::from(u16::from_be_bytes([der[2], der[3]])), 4),
    };
    (der[0], &der[header..header + len], &der[header + len..])
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let header = match content.len() {
        len @ ..=0x7f => vec![tag, len as u8],
        len @ 0x80..=0xff => vec![tag, 0x81, len as u8],
        len => [vec![tag, 0x82], u16::try_from(len).unwrap().to_be_bytes().to_vec()].concat(),
    };
    [&header, content].concat()
}

/// A certificate whose signature is so many bytes longer. Nobody checks it: what counts is the fingerprint.
pub fn lengthen(certificate: &[u8], by: usize) -> Vec<u8> {
    let (tag, content, _) = split(certificate);
    let (_, _, after_signed) = split(content);
    let (_, _, signature) = split(after_signed);
    let (kind, bits, rest) = split(signature);
    assert!(rest.is_empty());
    let longer = element(kind, &[bits, &vec![7; by]].concat());
    element(tag, &[&content[..content.len() - signature.len()], &longer].concat())
}
