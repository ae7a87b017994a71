"""``ship``: what goes on where a stage finds something wrong, what stops it, and what it leaves."""

import json
from collections.abc import Callable

import pytest

from rlexp.api import ship
from rlexp.errors import Failed, Interrupted
from rlexp.record import benchmarks, exports, ship_stage

BROKEN = {"verdict": "broken", "reasons": [{"name": "adapter.share", "level": "broken", "why": "the adapter is lost"}]}


@pytest.fixture
def asked(tmp_path):
    names = {
        "evaluate": None,
        "export": tmp_path / exports.MANIFEST,
        "benchmark": tmp_path / benchmarks.FILE,
        "card": None,
    }
    stages = [ship.Stage(name, [name, "outputs/a"], record) for name, record in names.items()]
    shipped = ship_stage.receipt("0123", ["export=merged"])
    exports.write_json(tmp_path / exports.MANIFEST, {"artifacts": {}})
    return ship.Planned(stages, tmp_path, shipped, "dir:copy", tmp_path, "python -m rlexp ship outputs/a")


@pytest.fixture
def done(monkeypatch):
    """The stages that were done; ``ends`` says how one of them ends."""
    found: list[str] = []
    ends: dict[str, Callable[[], int]] = {}

    def run(words, root):
        found.append(words[0])
        return ends.get(words[0], lambda: 0)(), ""

    monkeypatch.setattr(ship.verb, "run", run)
    for module, file in ((ship.gates, exports.MANIFEST), (ship.benchmarks, benchmarks.FILE)):
        reader = "manifest" if module is ship.gates else "read"
        monkeypatch.setattr(module, reader, lambda folder, file=file: json.loads((folder / file).read_text()))
    return found, ends


def test_every_stage_is_done_and_the_receipt_is_the_same_on_every_machine(asked, done):
    assert ship.ship(asked, print) == [] and done[0] == ["evaluate", "export", "benchmark", "card"]
    receipt = json.loads((asked.folder / exports.SHIPPED).read_text())
    assert receipt == {"format": 1, "identity": "0123", "asked": ["export=merged"]}
    assert sorted(path.name for path in (asked.folder / "copy").iterdir()) == [exports.MANIFEST, exports.SHIPPED]


def test_what_is_broken_or_died_is_told_behind_the_card(asked, done):
    ship.ship(asked, print)
    stages, ends = done
    stages.clear()

    def found(file, **content):
        file.write_text(json.dumps({"artifacts": {"gguf-q8_0": content}}))
        return 1

    ends["export"] = lambda: found(asked.stages[1].record, **BROKEN)
    ends["benchmark"] = lambda: found(asked.stages[2].record, died={"part": "loading", "why": "no memory"})
    wrong = ship.ship(asked, print)
    assert wrong == ["gguf-q8_0 is broken: the adapter is lost", "gguf-q8_0 died at loading in the benchmark"]
    assert stages[-1] == "card" and not (asked.folder / exports.SHIPPED).exists()


def test_a_stage_that_fails_ends_it_also_with_an_older_record(asked, done):
    stages, ends = done
    asked.stages[1].record.write_text(json.dumps({"artifacts": {"gguf-q8_0": BROKEN}}))
    ends["export"] = lambda: 1
    with pytest.raises(Failed, match="export ended with exit code 1") as caught:
        ship.ship(asked, print)
    assert stages == ["evaluate", "export"] and caught.value.go_on == asked.again and caught.value.exit_code == 1


def test_what_is_stopped_says_how_it_goes_on(asked, done):
    def stopped():
        raise KeyboardInterrupt

    done[1]["benchmark"] = stopped
    with pytest.raises(Interrupted) as caught:
        ship.ship(asked, print)
    assert caught.value.go_on == asked.again and caught.value.exit_code == 130
