"""Whether the whole answers: asked through the gateway, as a caller would."""

import http

import httpx

from parley_cli.up.plan import Plan

_TIMEOUT = 1.0


class Readiness:
    """Asks the gateway what is not there yet."""

    def __init__(self, plan: Plan) -> None:
        # The certificate of --lan is our own, and this is our own machine.
        self._client = httpx.Client(base_url=plan.local_url, timeout=_TIMEOUT, verify=False)  # noqa: S501
        self._headers = {"authorization": f"Bearer {plan.operator_token}"}

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def missing(self) -> str:
        """What does not answer yet; empty: everything does."""
        try:
            if self._client.get("/healthz").status_code != http.HTTPStatus.OK:
                return "the control plane is not healthy yet"
            if self._client.get("/").status_code != http.HTTPStatus.OK:
                return "the web client does not answer yet"
            nodes = self._client.get("/v1/nodes", headers=self._headers)
        except httpx.HTTPError:
            return "the gateway does not answer yet"
        if nodes.status_code != http.HTTPStatus.OK:
            return f"the control plane does not list its media nodes (HTTP {nodes.status_code})"
        active = [node for node in nodes.json().get("nodes", []) if node.get("state") == "NODE_STATE_ACTIVE"]
        return "" if active else "no media node has registered yet"
