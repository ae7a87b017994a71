"""The wheel alone, in an environment without a clone: what a newcomer types, and a team's folder with two projects."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import zipfile

import pytest

QUICK = ("method.max_steps=8", "preflight.smoke=never", "held_out.rows=16")
pytestmark = [pytest.mark.long, pytest.mark.end_to_end]


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory):
    """The wheel, built of a copy of what git tracks."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    names = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        if (root / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / name, source / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(out), str(source)]
    subprocess.run(command, check=True, timeout=300)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def typed(wheel, tmp_path_factory):
    """Types a command line in an environment that holds the wheel; its dependencies are those of this one."""
    place = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    python, site = place / "bin/python", next((place / "lib").glob("python*/site-packages"))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, timeout=300)
    (site / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")  # a .pth in there is not read: no clone
    home = tmp_path_factory.mktemp("home")
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    environment |= {"HF_HUB_OFFLINE": "1", "HF_HOME": str(home), "OMP_NUM_THREADS": "1", "XDG_STATE_HOME": str(home)}

    def run(folder, *words, code=0):
        done = subprocess.run(
            [str(place / "bin/rlexp"), *words], cwd=folder, capture_output=True, text=True, timeout=400, env=environment
        )
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return done.stdout + done.stderr

    return run


def test_the_wheel_carries_what_is_shipped(wheel, root):
    carried = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(["git", "ls-files"], cwd=root, capture_output=True, text=True, check=True).stdout.split()
    shipped = [name for name in tracked if name.startswith(("conf/", "rewards/", "data_prep/", "models/"))]
    assert {f"rlexp/shipped/{name}" for name in shipped} <= carried and len(shipped) > 60
    assets = [name for name in tracked if name.startswith("src/rlexp/report/assets/")]
    assert {name.removeprefix("src/") for name in assets} <= carried and any(
        name.endswith("LICENSE") for name in assets
    )
    starter = [name for name in tracked if name.startswith("src/rlexp/starter/")]
    assert {name.removeprefix("src/") for name in starter} <= carried and len(starter) >= 8
    assert not [name for name in carried if "__pycache__" in name or name.startswith(("tests/", "perf/"))]


def test_a_newcomer_needs_nothing_else(typed, root, tmp_path, capsys):
    times = {}

    def timed(*words, code=0, folder=tmp_path / "mine"):
        began = time.perf_counter()
        said = typed(folder, *words, code=code)
        times[" ".join(("rlexp", *words))] = time.perf_counter() - began
        assert str(root) not in said
        return said

    timed("init", "mine", folder=tmp_path)
    project = tmp_path / "mine"
    subprocess.run(["git", "add", "-A"], cwd=project, check=True)
    subprocess.run(
        ["git", "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "first"], cwd=project, check=True
    )
    assert "rewards/exact.py v1" in timed("plan")
    timed("hydra.run.dir=outputs/a", *QUICK)
    assert "6 of 6" in timed("score")
    timed("hydra.run.dir=outputs/b", "seed=1", *QUICK)
    assert "seed" in timed("diff", "outputs/a", "outputs/b")
    timed("pin", "outputs/a")
    shutil.rmtree(project / "data")
    assert "trajectory identical" in timed("replay", "pinned")
    manifest = json.loads((project / "outputs/a/manifest.json").read_text())
    assert manifest["status"] == "finished"
    lock = (project / "outputs/a/run.lock.yaml").read_text()
    assert "conf/model/tiny.yaml: rlexp " in lock and "rewards/exact.py: project" in lock and str(tmp_path) not in lock
    assert sum(times.values()) < 300  # the limit, with room: a hang limit, no claim
    with capsys.disabled():
        print("".join(f"\n{seconds:6.1f} s  {words}" for words, seconds in times.items()))


def test_the_locked_copy_is_what_replay_uses_where_rlexp_has_moved_on(typed, tmp_path):
    """A reward and a script of the package that the lock holds, hidden by other ones: the copies beside the lock."""
    typed(tmp_path, "init", "mine")
    project = tmp_path / "mine"
    typed(project, "dataset=arithmetic", "reward=format+correct", "hydra.run.dir=outputs/a", *QUICK)
    for name in ("rewards/format.py", "data_prep/arithmetic.py"):
        (project / name).write_text("raise SystemExit('not the locked one')\n")
    shutil.rmtree(project / "data")
    shutil.rmtree(project / ".dvc/cache", ignore_errors=True)
    assert "trajectory identical" in typed(project, "replay", "outputs/a")


def test_two_projects_share_a_teams_folder(typed, tmp_path):
    team = tmp_path / "team"
    for name, text in {
        "conf/reward/short.yaml": "terms: {short: {file: rewards/short.py, params: {limit: 60}}}\n",
        "rewards/short.py": 'version = 1\n\n\ndef score(completions, *, limit):\n    """Short."""\n'
        "    return [float(len(text) <= limit) for text in completions]\n\n\n"
        'cases = [{"completion": "a", "limit": 1, "score": 1.0}, {"completion": "ab", "limit": 1, "score": 0.0}]\n',
        "conf/dataset/doubles.yaml": "{name: doubles, type: prompt_only, prepare: doubles, params: {}}\n",
        "data_prep/doubles.py": '"""Doubling."""\n\n\ndef rows(train=200, test=20):\n'
        '    asked = [[{"role": "user", "content": f"What is {n} + {n}?"}] for n in range(train + test)]\n'
        '    every = [{"prompt": prompt, "answer": str(2 * n)} for n, prompt in enumerate(asked)]\n'
        '    return {"train": every[test:], "test": every[:test]}\n',
    }.items():
        (team / name).parent.mkdir(parents=True, exist_ok=True)
        (team / name).write_text(text)
    for name in ("one", "two"):
        typed(tmp_path, "init", name)
    with (tmp_path / "two/conf/config.yaml").open("a") as stream:
        stream.write("  searchpath: [file://../team/conf]\n")
    words = ("dataset=doubles", "reward=format+exact+short", "hydra.run.dir=outputs/a", *QUICK)
    typed(tmp_path / "one", "hydra.searchpath=[file://../team/conf]", *words)
    typed(tmp_path / "two", *words)
    locks = [(tmp_path / name / "outputs/a/run.lock.yaml").read_text() for name in ("one", "two")]
    assert all("rewards/short.py: shared team" in lock and str(tmp_path) not in lock for lock in locks)
    assert "short" in typed(tmp_path / "two", "score")
    manifests = [json.loads((tmp_path / name / "outputs/a/manifest.json").read_text()) for name in ("one", "two")]
    weights = [{k: v for k, v in manifest["outputs"].items() if k != "metrics.jsonl"} for manifest in manifests]
    assert weights[0] == weights[1] and weights[0]
    shutil.rmtree(team)
    for name in ("one", "two"):  # the second names the folder in its conf/config.yaml
        assert "trajectory identical" in typed(tmp_path / name, "replay", "outputs/a")
    assert (tmp_path / "one/models/tiny/config.json").is_file()  # where the adapter says that its base lies
