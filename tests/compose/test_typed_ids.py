"""Ids of the hub, folders and files as options: read, placed from the project, and at a commit."""

from __future__ import annotations

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from rlexp.compose import typed_ids
from rlexp.compose.typed_ids import HubId
from rlexp.errors import RunError
from tests.hub_cache import COMMIT, NEXT, add


@pytest.fixture
def offline(tmp_path, monkeypatch):
    """A cache that holds one model and one data set; the hub is not asked."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    for kind in ("model", "dataset"):
        add(tmp_path / "cache", kind, "some-one/a.b_c", {"README.md": b"# x"})
        add(tmp_path / "cache", kind, "some-one/a.b_c", {"README.md": b"# y"}, NEXT, "v1")


@pytest.mark.parametrize(
    ("group", "option", "parts"),
    [
        ("model", "hub:some-one/a.b_c", ("some-one/a.b_c", None, None)),
        ("model", "hub:Org/Name-1.5B@refs/pr/3", ("Org/Name-1.5B", None, "refs/pr/3")),
        ("dataset", "hub:a/b:main@v1.0", ("a/b", "main", "v1.0")),
        ("dataset", "hub:a/b:20231101.simple", ("a/b", "20231101.simple", None)),
        ("dataset", "hub:a/b@main", ("a/b", None, "main")),
    ],
)
def test_an_id_is_read_by_its_parts(group, option, parts):
    found = typed_ids.parse(group, option)
    assert found == HubId(*parts)
    assert typed_ids.parse(group, found.typed(COMMIT)) == HubId(parts[0], parts[1], COMMIT)


@pytest.mark.parametrize(
    ("group", "option"),
    [
        *(("model", f"hub:{text}") for text in ("", "a", "a/b/c", "a/b@", "a/b:c", "a b/c", "../b/c", "a/b@../../x/")),
        *(("dataset", f"hub:{text}") for text in ("a/b:", "a/b:c:d", "a", "a/b:x/y")),
    ],
)
def test_what_is_no_id_says_what_one_is(group, option):
    with pytest.raises(RunError, match="is no id of the hub") as caught:
        typed_ids.parse(group, option)
    assert f"type {group}=hub:ORG/NAME" in caught.value.hint


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct", "Qwen2.5-0.5B-Instruct"),
        ("../my tiny (2)", "my_tiny_2"),
        ("/a/.hidden", "hidden"),
        ("x/a,b=c", "a_b_c"),
        ("x/模型", "unnamed"),
    ],
)
def test_the_last_part_is_the_name_without_what_no_folder_should_hold(place, name):
    assert typed_ids.name_of(place) == name


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("model=./m", "model=sub/m"),
        ("model=m/", "model=sub/m"),
        ("model=../m", "model=./m"),
        ("+model=../m", "+model=./m"),
        ("model=../models/tiny", "model=models/tiny"),
        ("dataset=./x.csv", "dataset=sub/x.csv"),
        ("model='./a b'", 'model="sub/a b"'),
        ("model=./there (2), yes", 'model="sub/there (2), yes"'),
        ("model=./m,tiny,../m", "model=sub/m,tiny,./m"),
        *((same, same) for same in ("model=tiny", "model=hub:a/b", "model=team/big", "model.path=./m", "seed=1")),
        *((same, same) for same in ("model=./(", "method=./m", "~model", "model", "model={a: b}")),
    ],
)
def test_a_folder_is_named_from_the_project_wherever_it_was_typed(tmp_path, typed, written):
    here = tmp_path / "sub"
    (here / "there (2), yes").mkdir(parents=True)
    (tmp_path / "conf/model/team").mkdir(parents=True)
    (tmp_path / "conf/model/team/big.yaml").touch()  # an option, which goes before a folder
    assert typed_ids.from_project([typed], here, tmp_path) == [written]


def test_a_folder_outside_of_the_project_is_named_from_the_root_of_the_disk(tmp_path):
    root = tmp_path / "project"
    (root / "sub").mkdir(parents=True)
    for here, typed in ((root, "../m"), (root / "sub", "../../m"), (root, f"{tmp_path}/m")):
        assert typed_ids.from_project([f"model={typed}"], here, root) == [f"model={tmp_path}/m"]


def test_what_is_written_is_read_as_it_was_meant(tmp_path):
    for name in ("a b", 'a"b', "a,b", "ü(1)", "a'b"):
        (tmp_path / name).mkdir()
        (override,) = typed_ids.from_project([f"model=./{name}"], tmp_path, tmp_path)
        assert OverridesParser.create().parse_overrides([override])[0].value() == f"./{name}"


@pytest.mark.parametrize(
    ("typed", "written"),
    [
        ("model=hub:some-one/a.b_c", f"model=hub:some-one/a.b_c@{COMMIT}"),
        ("model=hub:some-one/a.b_c@v1", f"model=hub:some-one/a.b_c@{NEXT}"),
        ("dataset=hub:some-one/a.b_c:x@v1", f"dataset=hub:some-one/a.b_c:x@{NEXT}"),
        (f"model=hub:not/there@{COMMIT}", f"model=hub:not/there@{COMMIT}"),  # nobody is asked
        *((same, same) for same in ("model=tiny", "model=models/tiny", "seed=1", "~model", "model=tiny,hub:a/b")),
    ],
)
def test_a_branch_becomes_the_commit_that_it_is(offline, typed, written):
    assert typed_ids.at_commits([typed]) == [written]


def test_an_id_that_the_cache_lacks_names_the_nearest_that_it_has(offline):
    with pytest.raises(RunError, match="is not in its cache") as caught:
        typed_ids.at_commits(["model=hub:some-one/a.b_d"])
    assert "type model=hub:some-one/a.b_c" in caught.value.hint
    with pytest.raises(RunError, match="at v2 on this machine"):
        typed_ids.at_commits(["model=hub:some-one/a.b_c@v2"])
