"""The relay of the tests does what its impairments say; otherwise their figures mean nothing."""

from tests.support.impairment import Direction, Impairment

_DATAGRAMS = 200_000


def _fates(impairment: Impairment, seed: int = 1) -> list[bool]:
    direction = Direction(seed, impairment)
    return [direction.arrival(0.0, 1_000) is None for _ in range(_DATAGRAMS)]


def _mean_run(fates: list[bool]) -> float:
    runs = [1 for before, now in zip([False, *fates], fates, strict=False) if now and not before]
    return sum(fates) / len(runs)


def test_independent_losses_have_the_share_that_was_asked_for() -> None:
    fates = _fates(Impairment(loss=0.05))
    assert 0.048 < sum(fates) / _DATAGRAMS < 0.052
    assert _mean_run(fates) < 1.1


def test_bursts_have_share_and_length() -> None:
    fates = _fates(Impairment(loss=0.05, burst=5))
    assert 0.045 < sum(fates) / _DATAGRAMS < 0.055
    assert 4.8 < _mean_run(fates) < 5.2


def test_the_same_seed_gives_the_same_fate() -> None:
    assert _fates(Impairment(loss=0.2), seed=7) == _fates(Impairment(loss=0.2), seed=7)
    assert _fates(Impairment(loss=0.2), seed=7) != _fates(Impairment(loss=0.2), seed=8)


def test_a_limited_rate_delays_and_then_loses_what_would_wait_too_long() -> None:
    # 972 + 28 bytes at 80 kbit/s take 100 ms each; 250 ms of queue hold three that wait.
    direction = Direction(1, Impairment(delay=0.01, bits_per_second=80_000, queue_seconds=0.25))
    arrivals = [direction.arrival(0.0, 972) for _ in range(5)]
    assert [None if at is None else round(at, 3) for at in arrivals] == [0.11, 0.21, 0.31, None, None]
    assert direction.overflowed == 2
    assert round(direction.waiting, 3) == 0.2
    later = direction.arrival(10.0, 972)
    assert later is not None
    assert round(later, 3) == 10.11


def test_jitter_delays_without_reordering() -> None:
    direction = Direction(3, Impairment(delay=0.02, jitter=0.05))
    arrivals = [direction.arrival(index / 1_000, 100) for index in range(1_000)]
    times = [at for at in arrivals if at is not None]
    assert times == sorted(times)
    assert max(at - index / 1_000 for index, at in enumerate(times)) <= 0.07
