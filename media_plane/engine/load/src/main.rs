//! Load client and machine floor for Parley's tests and benchmarks. `parley-load help` says how to use it.

mod client;
mod fleet;
mod floor;
mod histogram;
mod hostile;
mod impair;
mod payload;
mod profile;
mod protocol;
mod publish;
mod receive;
mod rtc;
mod schedule;
mod sys;

use std::process::ExitCode;

const HELP: &str = "\
parley-load: load client and machine floor for Parley's tests and benchmarks

parley-load clients [--bind 127.0.0.1]
    Runs many WebRTC clients in one thread. Reads one JSON object a line from stdin and answers each with one line on stdout;
    lines with \"event\" come in between. Ends at the end of stdin.
    {\"op\":\"offer\",\"id\":\"c1\",\"send\":[{\"kind\":\"video\",\"source\":\"camera\"},{\"kind\":\"audio\",\"source\":\"microphone\"}],
     \"audio_slots\":3,\"video_slots\":9}
    {\"op\":\"answer\",\"id\":\"c1\",\"sdp\":\"v=0...\"}
    {\"op\":\"accept\",\"id\":\"c2\",\"sdp\":\"v=0...\"}               answers an offer; the client is made if it is new
    {\"op\":\"candidate\",\"id\":\"c2\",\"candidate\":\"candidate:1 1 udp ...\"}
    {\"op\":\"publish\",\"id\":\"c1\",\"kind\":\"video\",\"frames_per_second\":30,\"packets_per_frame\":6,\"packet_bytes\":1150,
     \"pacing\":\"even\"}                                             or \"burst\", which is the default
    {\"op\":\"publish\",\"id\":\"c1\",\"kind\":\"video\",\"ivf\":\"picture.ivf\"}       sends a VP8 file, for receivers that decode
    {\"op\":\"publish\",\"id\":\"c1\",\"kind\":\"audio\",\"packet_bytes\":80,\"level\":30}
    {\"op\":\"level\",\"id\":\"c1\",\"level\":20}                              0 is the loudest, 127 silence
    {\"op\":\"unpublish\",\"id\":\"c1\",\"kind\":\"video\"}
    {\"op\":\"key_frame\",\"id\":\"c1\",\"mid\":\"5\"}
    {\"op\":\"impair\",\"id\":\"c1\",\"receive_loss\":0.05,\"send_loss\":0.05}   loses this share of RTP and RTCP packets
    {\"op\":\"ignore_media\",\"id\":\"c2\"} the kernel drops and counts its media from now on; it answers only connectivity checks
    {\"op\":\"coalesce\",\"id\":\"c2\",\"on\":false}               the kernel cuts up runs of datagrams before the client reads them
    {\"op\":\"hostile\",\"id\":\"c1\",\"count\":10000}              sends mutations of its own datagrams from its own address
    {\"op\":\"stop\"} or {\"op\":\"stop\",\"id\":\"c1\"}           neither reads nor answers any more; what it sends goes on
    {\"op\":\"stats\"} or {\"op\":\"stats\",\"id\":\"c1\"}
    {\"op\":\"reset_latency\"} or {\"op\":\"reset_latency\",\"id\":\"c1\"}   what stats tell covers the time from here on
    {\"op\":\"close\",\"id\":\"c1\"}

parley-load hostile --target 127.0.0.1:5000 [--count 1000000] [--sources 8] [--seed 1] [--rate 200000]
    Sends mutated STUN, DTLS, RTP and RTCP and noise from addresses that belong to no session, at most so many a second.

parley-load floor [--receivers 200] [--segments 6] [--bytes 1150] [--seconds 1]
    Measures what this machine can send at best: the same packets by UDP segmentation offload over loopback, kept together
    (offloaded) and cut up by the kernel, and one by one; without and with SRTP. One JSON line each.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.split_first() {
        Some((command, rest)) if command == "clients" => fleet::run(rest),
        Some((command, rest)) if command == "floor" => floor::run(rest),
        Some((command, rest)) if command == "hostile" => hostile::run(rest),
        Some((command, _)) if matches!(command.as_str(), "help" | "--help" | "-h") => {
            print!("{HELP}");
            Ok(())
        }
        _ => Err(format!("choose a subcommand\n\n{HELP}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("parley-load: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Reads `--name value` options: calls `set` for each and refuses what it does not know.
fn parse_options(arguments: &[String], mut set: impl FnMut(&str, &str) -> Option<()>) -> Result<(), String> {
    for pair in arguments.chunks(2) {
        let [name, value] = pair else {
            return Err(format!("{} needs a value", pair.concat()));
        };
        set(name, value).ok_or_else(|| format!("cannot use {name} {value}"))?;
    }
    Ok(())
}
