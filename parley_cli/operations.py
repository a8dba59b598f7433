"""Operators' calls to a running product, as REST through its gateway."""

from collections.abc import Sequence
from typing import Any, Self

import httpx

from parley_cli.errors import CommandError
from parley_cli.instances import Instance
from parley_cli.settings import Settings

_TIMEOUT = 5.0
_PAGE = 200
_PAGES = 100


class Operations:
    """Calls of one instance's operator."""

    def __init__(self, instance: Instance, settings: Settings) -> None:
        # The certificate of --lan is our own, and this is our own machine.
        self._client = httpx.Client(base_url=instance.local_url, timeout=_TIMEOUT, verify=False)  # noqa: S501
        self._headers = {"authorization": f"Bearer {instance.operator_token(settings)}"}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def healthy(self) -> bool:
        """Whether the gateway says that the product is healthy."""
        try:
            return self._client.get("/healthz").is_success
        except httpx.HTTPError:
            return False

    def web_client(self) -> bool:
        """Whether the web client is served."""
        try:
            return self._client.get("/").is_success
        except httpx.HTTPError:
            return False

    def nodes(self) -> Sequence[dict[str, Any]]:
        """Returns the media nodes.

        Raises:
            CommandError: It does not answer, or refuses.
        """
        return self._list("/v1/nodes", "nodes")

    def quarantined_records(self) -> Sequence[dict[str, Any]]:
        """Returns records that were set aside.

        Raises:
            CommandError: It does not answer, or refuses.
        """
        return self._list("/v1/quarantinedRecords", "quarantinedRecords")

    def retry(self, record: str) -> None:
        """Has a record tried again.

        Raises:
            CommandError: There is no such record; or it does not answer, or refuses.
        """
        self._call("POST", f"/v1/{_name(record)}:retry", json={})

    def drop(self, record: str) -> None:
        """Takes a record away for good.

        Raises:
            CommandError: There is no such record; or it does not answer, or refuses.
        """
        self._call("DELETE", f"/v1/{_name(record)}")

    def _list(self, path: str, field: str) -> Sequence[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        token = ""
        for _ in range(_PAGES):
            page = self._call("GET", path, params={"page_size": _PAGE, "page_token": token})
            found += page.get(field, [])
            token = page.get("nextPageToken", "")
            if not token:
                break
        return found

    def _call(self, method: str, path: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - as httpx takes them
        try:
            response = self._client.request(method, path, headers=self._headers, **options)
            answer: dict[str, Any] = response.json()
        except (httpx.HTTPError, ValueError) as error:
            message = f"{self._client.base_url} does not answer: {type(error).__name__}."
            raise CommandError(message) from error
        if not response.is_success:
            message = f"It was refused: {answer.get('message', response.reason_phrase)}"
            raise CommandError(message)
        return answer


def _name(record: str) -> str:
    return f"quarantinedRecords/{record.removeprefix('quarantinedRecords/')}"
