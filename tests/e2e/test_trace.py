"""A join is one trace: from the browser's click through gateway, control plane and node to the engine's first media."""

from tests.e2e.conftest import Invite
from tests.support.fleet import Fleet
from tests.support.otlp import Collector, Span
from tests.support.waiting import until

_EVERYONE = {"parley-web", "parley-gateway", "parley-control-plane", "parley-node"}


async def test_a_join_is_one_trace_from_the_click_to_the_first_media(
    invite: Invite, fleet: Fleet, collector: Collector
) -> None:
    ann, bob = await invite(1, name="Ann"), await invite(2, name="Bob")
    link = await ann.start_meeting(fleet.url)
    await ann.sees(ann)
    before = {span.trace_id for span in collector.spans.all() if span.service == "parley-web"}
    await bob.join(link)
    await bob.sees(ann)

    async def trace() -> list[Span]:
        joins = [
            span
            for span in collector.spans.all()
            if span.service == "parley-web" and span.name == "join" and span.trace_id not in before
        ]
        return collector.spans.of_trace(joins[0].trace_id) if joins else []

    def complete(spans: list[Span]) -> bool:
        names = {span.name for span in spans if span.service == "parley-web"}
        return (
            {span.service for span in spans} >= _EVERYONE
            and any(_is_first_media(span) for span in spans)
            and "first frame" in names
        )

    spans = await until(trace, complete, what="all parts' spans under one trace id")
    by_id = {span.span_id: span for span in spans}
    roots = [span for span in spans if not span.parent_id]
    assert [(root.service, root.name) for root in roots] == [("parley-web", "join")]
    assert [span for span in spans if span.parent_id and span.parent_id not in by_id] == []
    media = next(span for span in spans if _is_first_media(span))
    assert _path(media, by_id)[0] == "parley-web"
    assert all(span.end_nano >= span.start_nano for span in spans)


def _is_first_media(span: Span) -> bool:
    return span.service == "parley-node" and "first_media" in span.name


def _path(span: Span, by_id: dict[str, Span]) -> list[str]:
    """Services from the root to the span."""
    services = [span.service]
    while span.parent_id:
        span = by_id[span.parent_id]
        services.insert(0, span.service)
    return services
