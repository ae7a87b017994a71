"""A run whose model and data are named by id: trained, replayed, compared and pinned without any hub."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess

import pytest
import yaml

from tests.conftest import ROOT, copy_project, rlexp
from tests.hub_cache import COMMIT, add, add_folder

pytestmark = pytest.mark.end_to_end
SHORT = ("hardware=cpu", "method.max_steps=2", "held_out.rows=4", "held_out.samples=0")
DATA = ("dataset=hub:someone/sums", "dataset.params.columns={prompt: question}")


def rows(number):
    stream = io.StringIO()
    writer = csv.writer(stream)
    writer.writerows([("question", "answer"), *((f"What is {n} + {n}?", 2 * n) for n in range(number))])
    return stream.getvalue().encode()


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A cache of the hub, as an environment."""
    cache = tmp_path_factory.mktemp("hub")
    add_folder(cache, "someone/tiny-sums", ROOT / "models/tiny")
    add(cache, "dataset", "someone/sums", {"train.csv": rows(40)})
    return {"HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}


@pytest.fixture(scope="module")
def project(tmp_path_factory, hub):
    """A project with one run of a hub's model and data in outputs/a."""
    project = copy_project(tmp_path_factory.mktemp("by_id") / "project")
    for command in (("init", "-q"), ("add", "-A"), ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "x")):
        subprocess.run(["git", *command], cwd=project, check=True)
    done = rlexp(project, "model=hub:someone/tiny-sums", *DATA, *SHORT, "hydra.run.dir=outputs/a", **hub)
    assert done.returncode == 0, done.stderr
    return project


def lock(project, run):
    return yaml.safe_load((project / run / "run.lock.yaml").read_text())


def test_the_lock_holds_the_commits_and_every_files_hash(project):
    locked = lock(project, "outputs/a")
    assert locked["overrides"][:2] == [f"model=hub:someone/tiny-sums@{COMMIT}", f"dataset=hub:someone/sums@{COMMIT}"]
    model, source = locked["inputs"]["model"], locked["inputs"]["data"]["source"]
    assert (model["hub_id"], model["revision"]) == ("someone/tiny-sums", COMMIT) and "model.safetensors" in model[
        "files"
    ]
    assert source["params"]["revision"] == COMMIT and list(source["files_read"]) == ["train.csv"]


def test_it_is_replayed_where_the_snapshot_is_gone(project, hub):
    shutil.rmtree(project / "data/sums")
    done = rlexp(project, "replay", "outputs/a", **hub)
    assert done.returncode == 0 and "trajectory identical" in done.stdout, done.stdout + done.stderr


@pytest.mark.long
def test_a_folder_typed_in_a_sub_folder_is_kept_from_the_project_and_compared(project, hub):
    shutil.copytree(ROOT / "models/tiny", project / "my/m")
    (project / "sub").mkdir()
    done = rlexp(project / "sub", "model=../my/m", *DATA, *SHORT, "hydra.run.dir=outputs/b", **hub)
    assert done.returncode == 0, done.stderr
    assert lock(project, "outputs/b")["overrides"][0] == "model=my/m"
    assert lock(project, "outputs/b")["config"]["model"]["path"] == "my/m"
    checked = rlexp(project, "replay", "outputs/b", "--check", **hub)
    assert checked.returncode == 0 and "inputs identical" in checked.stdout
    compared = rlexp(project, "diff", "outputs/a", "outputs/b", **hub)
    assert "by hash the same files" in compared.stdout


@pytest.mark.long
def test_it_is_pinned_and_dvc_makes_its_data_again(project, hub):
    done = rlexp(project, "pin", "outputs/a", **hub)
    assert done.returncode == 0, done.stderr
    stages = yaml.safe_load((project / "dvc.yaml").read_text())["stages"]
    assert f"dataset=hub:someone/sums@{COMMIT}" in stages["data_sums"]["cmd"]
