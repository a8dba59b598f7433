"""Why a participant's pictures look as they do: the engine's figures in the contract's terms, and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from parley.meeting.v1 import explanation_pb2 as pb

if TYPE_CHECKING:
    from media_plane._engine import SessionExplanation, SlotExplanation, TrackExplanation, VideoLayer

_TRANSPORTS: Final = {"udp": pb.MEDIA_TRANSPORT_UDP, "tcp": pb.MEDIA_TRANSPORT_TCP}
_STATES: Final = {
    "sufficient": pb.BANDWIDTH_STATE_SUFFICIENT,
    "increasing": pb.BANDWIDTH_STATE_INCREASING,
    "holding": pb.BANDWIDTH_STATE_HOLDING,
    "delayed": pb.BANDWIDTH_STATE_DELAYED,
    "lossy": pb.BANDWIDTH_STATE_LOSSY,
    "probing": pb.BANDWIDTH_STATE_PROBING,
}
_REASONS: Final = {
    "best": pb.LAYER_REASON_BEST,
    "viewport": pb.LAYER_REASON_VIEWPORT,
    "bandwidth": pb.LAYER_REASON_BANDWIDTH,
    "sender": pb.LAYER_REASON_SENDER,
    "policy": pb.LAYER_REASON_POLICY,
    "switching": pb.LAYER_REASON_SWITCHING,
    "codec": pb.LAYER_REASON_CODEC,
}
_MEGABIT: Final = 1_000_000
_NOTICED_SECONDS: Final = 0.1
"""People notice no delay below it."""


def explanation(figures: SessionExplanation) -> pb.MediaExplanation:
    """Return an explanation in the contract's terms."""
    state = figures["bandwidth_state"]
    receiving = pb.ReceivingPath(
        estimated_bits_per_second=figures["estimated_bits_per_second"] if state else 0,
        sent_bits_per_second=figures["sent_bits_per_second"],
        wanted_bits_per_second=figures["wanted_bits_per_second"],
        state=_STATES[state] if state else pb.BANDWIDTH_STATE_UNSPECIFIED,
        queueing_delay_ms=figures["queueing_delay_ms"],
        fraction_lost=figures["fraction_lost"],
        round_trip_time_ms=figures["round_trip_time_ms"] or 0.0,
        sound_repeated=figures["sound_repeated"],
    )
    transport = figures["transport"]
    return pb.MediaExplanation(
        transport=_TRANSPORTS[transport] if transport else pb.MEDIA_TRANSPORT_UNSPECIFIED,
        receiving=receiving,
        slots=[_slot(slot, receiving.estimated_bits_per_second) for slot in figures["slots"]],
        tracks=[_track(track) for track in figures["tracks"]],
    )


def words(slot: SlotExplanation, estimated: int) -> str:
    """Say in a sentence why a slot carries no better layer; empty for an empty slot and for sound.

    Args:
        slot: The slot.
        estimated: What the way to the receiver carries, in bits a second; 0: not known.
    """
    reason = slot["reason"]
    if reason is None:
        return ""
    shown = _compared(slot)
    limit = _LIMITS[reason](slot, estimated)
    return f"{shown}: {limit}.{_waiting(slot)}"


def _waiting(slot: SlotExplanation) -> str:
    """That the picture comes late, where it does."""
    seconds = slot["repair_wait_ms"] / 1_000
    late = f" It is shown {seconds:.1f} s late, so that what is lost on the way can be sent again."
    return late if slot["sent"] and seconds >= _NOTICED_SECONDS else ""


def _compared(slot: SlotExplanation) -> str:
    """What is shown, and instead of what if that is not the same."""
    sent, useful = slot["sent"], slot["useful_height"]
    if sent is None:
        return f"No picture instead of {useful}p" if useful else "No picture"
    height = sent["height"]
    if height and useful > height:
        return f"{height}p instead of {useful}p"
    best = slot["best"]
    full = best["frames_per_second"] if best and best["height"] == height else 0.0
    rate = f"{height}p" if height else "The only size there is"
    # Half the pictures a second and fewer are seen; a frame more or less is not.
    slower = slot["reason"] == "bandwidth" and sent["frames_per_second"] < 0.75 * full
    if slower:
        return f"{rate} with {sent['frames_per_second']:.0f} instead of {full:.0f} pictures a second"
    return rate


def _bandwidth(slot: SlotExplanation, estimated: int) -> str:
    needed = estimated + slot["missing_bits_per_second"]
    if not estimated:
        return "your connection carries no more"
    return f"your connection carries {_megabits(estimated)} Mbit/s, the next step needs {_megabits(needed)} Mbit/s"


def _viewport(slot: SlotExplanation, estimated: int) -> str:
    del estimated
    best = slot["best"]
    larger = f", {best['height']}p would not be seen" if best and best["height"] else ""
    return f"it is shown {slot['max_height']} pixels high{larger}"


def _best(slot: SlotExplanation, estimated: int) -> str:
    del estimated
    return "the best that its sender sends" if slot["sent"] else "its sender has sent nothing yet"


def _sender(slot: SlotExplanation, estimated: int) -> str:
    del estimated
    return "its sender sends no more now" if slot["sent"] else "its sender sends nothing now"


def _policy(slot: SlotExplanation, estimated: int) -> str:
    del slot, estimated
    return "more comes once the connection has been steady for some seconds"


def _switching(slot: SlotExplanation, estimated: int) -> str:
    del slot, estimated
    return "more is on its way"


def _codec(slot: SlotExplanation, estimated: int) -> str:
    del slot, estimated
    return "your browser can't decode what its sender sends; if all who watch have another codec in common, it is next"


_LIMITS: Final = {
    "best": _best,
    "viewport": _viewport,
    "bandwidth": _bandwidth,
    "sender": _sender,
    "policy": _policy,
    "switching": _switching,
    "codec": _codec,
}


def _megabits(bits: int) -> str:
    """Two significant digits below ten, none behind the point above."""
    return f"{bits / _MEGABIT:.2f}" if bits < _MEGABIT / 10 else f"{bits / _MEGABIT:.1f}"


def _layer(layer: VideoLayer) -> pb.VideoLayer:
    return pb.VideoLayer(
        rid=layer["rid"],
        spatial=layer["spatial"],
        temporal=layer["temporal"],
        width=layer["width"],
        height=layer["height"],
        frames_per_second=layer["frames_per_second"],
        bits_per_second=layer["bits_per_second"],
    )


def _slot(slot: SlotExplanation, estimated: int) -> pb.SlotExplanation:
    sent, best, reason = slot["sent"], slot["best"], slot["reason"]
    return pb.SlotExplanation(
        mid=slot["mid"],
        sent=_layer(sent) if sent else None,
        best=_layer(best) if best else None,
        reason=_REASONS[reason] if reason else pb.LAYER_REASON_UNSPECIFIED,
        words=words(slot, estimated),
        max_height=slot["max_height"],
        missing_bits_per_second=slot["missing_bits_per_second"],
        repair_wait_ms=slot["repair_wait_ms"],
    )


def _track(track: TrackExplanation) -> pb.TrackExplanation:
    return pb.TrackExplanation(
        mid=track["mid"],
        encodings=[_layer(layer) for layer in track["encodings"]],
        wanted_rids=track["wanted_rids"],
        fraction_lost=track["fraction_lost"],
        codec=track["codec"],
    )
