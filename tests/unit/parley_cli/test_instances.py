"""Which of the products that run here is meant (DOC-1)."""

from pathlib import Path

import pytest

from parley_cli.doctor.checks import static_checks
from parley_cli.instances import Instance, chosen
from parley_cli.settings import Settings


def instance(folder: Path, port: int) -> Instance:
    return Instance(folder, 1, f"http://localhost:{port}", f"http://127.0.0.1:{port}", {"node": 2})


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return Settings().data_dir.expanduser().absolute()


def test_the_only_one_is_meant_wherever_it_is(here: Path, tmp_path: Path) -> None:
    only = instance(tmp_path / "elsewhere", 18080)

    assert here != only.data_dir
    assert chosen(Settings(), [only]) == [only]


def test_of_several_the_one_of_the_default_folder_is_meant_then_that_of_the_default_port(
    here: Path, tmp_path: Path
) -> None:
    default, other, third = instance(here, 1), instance(tmp_path / "a", 8080), instance(tmp_path / "b", 3)

    assert chosen(Settings(), [other, default, third]) == [default]
    assert chosen(Settings(), [third, other]) == [other]
    assert chosen(Settings(), [third, instance(tmp_path / "c", 4)]) == [third, instance(tmp_path / "c", 4)]


def test_a_folder_or_a_port_that_was_given_decides(here: Path, tmp_path: Path) -> None:
    default, other = instance(here, 8080), instance(tmp_path / "a", 2)

    assert chosen(Settings(data_dir=tmp_path / "a"), [default, other]) == [other]
    assert chosen(Settings(port=2), [default, other]) == [other]
    assert chosen(Settings(data_dir=tmp_path / "nothing"), [default, other]) == []


def test_the_port_of_the_product_that_is_meant_is_no_fault(tmp_path: Path) -> None:
    mine = instance(tmp_path, 8080)

    port = next(check for check in static_checks(Settings(), [mine]) if check.name == "port 8080")

    assert port.good
    assert port.finding == "parley runs at http://localhost:8080"


def test_the_port_of_another_product_is_said_to_be_that(tmp_path: Path) -> None:
    settings, other = Settings(data_dir=tmp_path / "mine", port=8080), instance(tmp_path / "other", 8080)

    port = next(check for check in static_checks(settings, [], [other]) if check.name == "port 8080")

    assert not port.good
    assert str(other.data_dir) in port.finding
