"""``--save-as``: the option that an id, a folder or a file means, and the same run from it."""

from __future__ import annotations

import shutil

import pytest
import yaml

from rlexp.cli import save_as
from rlexp.compose.points import points
from rlexp.errors import RunError
from rlexp.record.lock import identity
from tests.conftest import ROOT, copy_project, rlexp
from tests.hub_cache import COMMIT, add, add_folder


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project without its rewards' snapshots, and a cache that holds a model and a data set; the hub is not asked."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    add_folder(tmp_path / "cache", "someone/tiny-sums", ROOT / "models/tiny")
    add(tmp_path / "cache", "dataset", "someone/sums", {"train.csv": b"question,answer\n"})
    shutil.copytree(ROOT / "conf", tmp_path / "project/conf")
    return tmp_path / "project"


def written(project, file, *overrides):
    """The option that is written for a command line, and the point."""
    made = points(project / "conf", [*overrides, "hardware=cpu"], multirun=False)
    save_as.ask([file])
    assert save_as.write(made, project, project) == [file]
    return yaml.safe_load((project / file).read_text()), made[0]


@pytest.mark.parametrize(
    ("group", "typed"),
    [
        ("model", ["model=hub:someone/tiny-sums"]),
        ("model", ["model=hub:someone/tiny-sums@main", "model.lora.r=8", "model.name=mine", "model.max_seq_length=64"]),
        ("model", ["model=models/tiny", 'model.system_prompt="Reply.\\ninfo"']),
        ("model", ["model=tiny", "model.full_finetuning=true"]),
        ("dataset", ["dataset=hub:someone/sums", "dataset.params.columns={prompt: question}"]),
        ("dataset", ["dataset=hub:someone/sums:default", "dataset.params.rows=[0,9]", "dataset.train_rows=8"]),
        ("dataset", ["method=dpo", "dataset=data/pairs.jsonl", "dataset.name=mine"]),
        ("dataset", ["dataset=arithmetic", "dataset.path=data/mine"]),
    ],
)
def test_the_option_that_was_written_is_the_same_run(project, group, typed, capsys):
    typed = [one.replace("\\n", "\n") for one in typed]
    _, point = written(project, f"conf/{group}/kept.yaml", *typed)
    assert capsys.readouterr().out == f"saved: conf/{group}/kept.yaml; from now on: {group}=kept\n"
    rest = [one for one in typed if not one.startswith(group)]
    again = points(project / "conf", [*rest, f"{group}=kept", "hardware=cpu"], multirun=False)[0]
    assert identity(again.run) == identity(point.run) and again.run.config() == point.run.config()


def test_it_says_where_it_came_from_and_holds_the_commit(project):
    option, _ = written(project, "conf/model/kept.yaml", "model=hub:someone/tiny-sums", "model.lora.r=8")
    first = (project / "conf/model/kept.yaml").read_text().splitlines()[0]
    assert first == f"# Written by --save-as from: model=hub:someone/tiny-sums@{COMMIT} model.lora.r=8"
    assert option["revision"] == COMMIT and option["lora"]["r"] == 8 and "path" not in option


@pytest.mark.parametrize(
    ("file", "message", "hint"),
    [
        ("conf/model/tiny.yaml", "is there already", "conf/model/tiny_2.yaml"),
        ("conf/reward/x.yaml", "is no place of an option", "conf/model/NAME.yaml"),
        ("conf/model/x.yml", "is no place of an option", "conf/model/NAME.yaml"),
        ("conf/model/deep/x.yaml", "is no place of an option", "conf/model/NAME.yaml"),
        ("../x.yaml", "is no place of an option", "conf/model/NAME.yaml"),
        ("/conf/model/x.yaml", "is no place of an option", "conf/model/NAME.yaml"),
        ("conf/model/a b.yaml", "is no name that can be typed", "conf/model/a_b.yaml"),
        ("conf/dataset/a+b.yaml", "is no name that can be typed", "letters, digits"),
        ("conf/model/.yaml", "is no ", "type --save-as="),
    ],
)
def test_another_place_or_name_is_refused_and_nothing_is_written(project, file, message, hint):
    before = sorted(project.rglob("*"))
    with pytest.raises(RunError, match=message) as caught:
        save_as.ask(["conf/model/fine.yaml", file])
        save_as.write(points(project / "conf", ["model=tiny", "dataset=arithmetic"], multirun=False), project, project)
    assert hint in caught.value.hint and sorted(project.rglob("*")) == before


def test_a_sweep_is_refused(project):
    with pytest.raises(RunError, match="not for a sweep"):
        save_as.ask(["conf/model/x.yaml"])
        save_as.write(points(project / "conf", ["seed=1,2"], multirun=True), project, project)


@pytest.mark.end_to_end
def test_plan_says_what_was_settled_and_writes_it_from_a_sub_folder(tmp_path):
    project = copy_project(tmp_path / "project")
    shutil.copytree(ROOT / "models/tiny", project / "sub/my tiny")
    done = rlexp(project / "sub", "plan", "model=./my tiny", "--save-as=conf/model/mine.yaml", "hardware=cpu")
    assert done.returncode == 0, done.stderr
    assert "my_tiny: sub/my tiny, LoRA r=16" in done.stdout
    assert "nearest to model=tiny (0.639M): learning_rate.grpo 0.002" in done.stdout
    assert "from now on: model=mine" in done.stdout
    again = rlexp(project, "plan", "model=mine", "hardware=cpu")
    assert again.stdout.splitlines()[0] == done.stdout.splitlines()[0]  # the identity
