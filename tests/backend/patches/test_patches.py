"""What became of the patches of a run, and their table in the documentation."""

import dataclasses
import json
import re
from types import SimpleNamespace

import pytest

from rlexp.backend.engine.engine import Engine
from rlexp.backend.patches import PATCHES, Patches, patch, prepare_sampling
from rlexp.backend.patches.patch import APPLIED, Patch, not_needed, skipped
from rlexp.errors import RunError


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """A process in which no patch was applied before."""
    monkeypatch.setattr(Patches, "_warned", set())
    monkeypatch.setattr(Patches, "_standing", set())


def module(outcomes, **changes):
    """A patch that answers one outcome after the other."""
    made = Patch("one_trainer", "a", "b", "c", "d", {"trl": "1.15"}, "e", **changes)
    left = iter(outcomes)
    return SimpleNamespace(PATCH=made, apply=lambda *_: next(left))


def test_every_patch_says_what_it_is_and_measured_gains_name_their_file(root):
    for name, found in PATCHES.items():
        assert (root / f"src/rlexp/backend/patches/{name}.py").is_file() and found.name == name
        for field in dataclasses.fields(found):
            assert getattr(found, field.name) or field.name in ("needed_for", "whole_process"), (name, field.name)
        assert found.upstream.startswith("https://github.com/") and found.made_for
        files = re.findall(r"perf/[\w/.-]+\w", found.gain)
        assert all((root / file).is_file() for file in files)
        assert files or found.gain == "not measured alone"


def test_every_patch_has_its_status_and_what_was_applied_once_stays_so():
    patches = Patches()
    assert patches.apply(module([APPLIED, not_needed("later")])) and not patches.apply(module([not_needed("later")]))
    found = json.loads(json.dumps(patches.to_json()))
    assert list(found) == list(PATCHES)
    assert found["one_trainer"] == {"status": "applied"}
    assert found["off_policy"] == {"status": "not needed", "why": "the run has no use for it"}
    patches = Patches()
    patches.apply(module([skipped("it is built otherwise")]))
    assert patches.to_json()["one_trainer"] == {"status": "skipped", "why": "it is built otherwise"}


def test_without_patches_none_is_asked_and_all_are_skipped():
    patches = Patches(allowed=False)
    assert not patches.apply(module([]))
    assert set(map(str, patches.to_json().values())) == {str({"status": "skipped", "why": "rollout.patches=off"})}


@pytest.mark.parametrize(
    ("version", "warns"), [("1.15", 0), ("1.15.3", 0), ("1.16.0", 1), ("1.150", 1), ("2.0.dev1", 1), (None, 0)]
)
def test_another_version_than_it_was_made_for_is_one_warning_in_a_process(monkeypatch, version, warns):
    def installed(package):
        if version is None:
            raise patch.metadata.PackageNotFoundError
        return version

    monkeypatch.setattr(patch.metadata, "version", installed)
    warnings: list[str] = []
    for _ in range(2):
        patches = Patches(warn=warnings.append)
        patches.apply(module([APPLIED]))
    assert len(warnings) == warns
    assert all(f"one_trainer meets trl {version} (made for 1.15)" in warning for warning in warnings)


def test_the_installed_versions_are_those_that_the_patches_were_made_for():
    for name, found in PATCHES.items():
        other = [item for item in found.other_versions() if not item.startswith("torch")]
        assert other == [], name


def test_a_run_without_patches_needs_a_process_in_which_none_was_left():
    Patches().apply(module([APPLIED]))
    Patches(allowed=False).require_clean_process()
    Patches().apply(module([APPLIED], whole_process=True))
    Patches().require_clean_process()
    with pytest.raises(RunError, match="left patches in this process: one_trainer") as caught:
        Patches(allowed=False).require_clean_process()
    assert "process of its own" in (caught.value.hint or "")


def test_without_patches_a_trainer_is_left_as_trl_made_it(composed):
    run = composed("hardware=cpu", "rollout.patches=off")
    engine = Engine(run, None, Patches(run.rollout.patches))
    generation = SimpleNamespace(mode="colocate", generation_kwargs={})
    trainer = SimpleNamespace(vllm_generation=generation)
    prepare_sampling(trainer, engine)
    engine.close()
    assert vars(trainer) == {"vllm_generation": generation} and generation.generation_kwargs == {}


def test_the_documentation_has_the_table_of_the_patches(root):
    """docs/patches.md holds the table as ``table`` writes it."""
    assert table() in (root / "docs/patches.md").read_text()


def table():
    """The table of docs/patches.md."""
    rows = ["| patch | changes | why | gain | made for | until | upstream |", "|---|---|---|---|---|---|---|"]
    for name, found in PATCHES.items():
        versions = ", ".join(f"{package} {version}" for package, version in found.made_for.items())
        needed = f" **Needed for** {found.needed_for}." if found.needed_for else ""
        cells = (
            f"`{name}`",
            found.target,
            found.reason + needed,
            found.gain,
            versions,
            found.expires,
            f"[link]({found.upstream})",
        )
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows)
