"""Code that came from elsewhere runs after a yes for its hash, and after nothing else."""

import contextlib
import io
import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from rlexp.compose.places import Places
from rlexp.errors import RunError
from rlexp.inputs import trust
from rlexp.inputs.digest import file_md5
from rlexp.inputs.requests import requests
from rlexp.inputs.trust import Code
from rlexp.record import finished, pinned
from rlexp.record.lock import checksum, identity_of
from rlexp.record.run_folder import LOCK, MANIFEST
from tests.conftest import copy_project, files, rlexp

RUN = Path(__file__).parents[1] / "record/run_of_1dbe9d9"
EVIL = """
open({marker!r}, "w").write("run")
version = 1

def score(completions, answer):
    return [0.0 for _ in completions]
"""


@pytest.fixture(autouse=True)
def nobody_said_yes(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv(trust.VARIABLE, raising=False)
    monkeypatch.setattr(trust, "_typed", set())


@pytest.fixture
def code(tmp_path):
    path = tmp_path / "elsewhere/evil.py"
    path.parent.mkdir()
    path.write_text("print('x')\n")
    return Code(path)


def mended(folder: Path, lock: dict) -> None:
    """Writes a lock as one who knows how locks are made."""
    lock["identity"] = identity_of(lock["config"])
    (folder / LOCK).write_text(yaml.safe_dump({**lock, "checksum": checksum(lock)}))


def foreign(project: Path) -> tuple[Path, Path]:
    """A run of others whose reward writes a file when it is imported: (run folder, that file)."""
    run, marker = project / "outputs/foreign", project.parent / "marker"
    shutil.copytree(RUN, run)
    shutil.copytree(RUN / "sources/rewards", project / "rewards", dirs_exist_ok=True)  # the project's own, as they were
    source = run / "sources/rewards/correct.py"
    source.write_text(EVIL.format(marker=str(marker)))
    lock = yaml.safe_load((run / LOCK).read_text())
    lock["inputs"]["rewards"]["correct"]["md5"] = file_md5(source)
    mended(run, lock)
    whole(run)
    return run, marker


def whole(run: Path) -> None:
    """Has the manifest name no weights: they were not kept with the run."""
    manifest = json.loads((run / MANIFEST).read_text())
    (run / MANIFEST).write_text(json.dumps({**manifest, "outputs": {}}))


def test_nothing_is_trusted_before_a_yes_and_the_message_says_what_to_type(code, tmp_path):
    with pytest.raises(RunError) as caught:
        trust.require([code], Places.of(tmp_path))
    message = str(caught.value)
    assert "evil.py" in message and f"{code.path.stat().st_size} bytes" in message and "nothing was run" in message
    assert f"--trust={code.sha256}" in message and f"RLEXP_TRUST={code.sha256}" in message


def test_a_yes_is_for_one_content_and_is_remembered(code, tmp_path, monkeypatch):
    trust.accept([code.sha256], "--trust")
    trust.require([code], Places.of(tmp_path))
    monkeypatch.setattr(trust, "_typed", set())
    trust.require([code], Places.of(tmp_path))
    code.path.write_text("print('y')\n")
    with pytest.raises(RunError):
        trust.require([code], Places.of(tmp_path))


def test_the_variable_says_yes_too_for_several(code, tmp_path, monkeypatch):
    other = Code(tmp_path / "other.py")
    other.path.write_text("2")
    monkeypatch.setenv(trust.VARIABLE, f"{code.sha256},{other.sha256}")
    trust.require([code, other], Places.of(tmp_path))


@pytest.mark.parametrize("typed", ["all", "yes", "*", "0" * 63, "0" * 40])
def test_there_is_no_yes_to_everything(typed):
    with pytest.raises(RunError, match="is no hash"):
        trust.accept([typed], "--trust")


def test_the_projects_own_folders_need_no_question_but_a_link_out_of_them_does(code, tmp_path):
    own = tmp_path / "rewards/mine.py"
    own.parent.mkdir()
    own.write_text("1")
    copy = tmp_path / "elsewhere/copy.py"
    copy.write_text("1")
    trust.require([Code(own), Code(copy)], Places.of(tmp_path))
    (tmp_path / "rewards/link.py").symlink_to(code.path)
    with pytest.raises(RunError):
        trust.require([Code(tmp_path / "rewards/link.py")], Places.of(tmp_path))


def test_what_git_holds_as_committed_needs_no_question_wherever_it_lies(code, tmp_path):
    def git(*words):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True)

    git("init", "-q")
    with pytest.raises(RunError):
        trust.require([code], Places.of(tmp_path))
    (tmp_path / "kept.txt").write_bytes(code.path.read_bytes())
    git("add", "kept.txt")
    with pytest.raises(RunError):  # only added: nobody stood for it yet
        trust.require([code], Places.of(tmp_path))
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "kept")
    trust.require([code], Places.of(tmp_path))


def test_on_a_terminal_it_is_a_question_and_only_yes_is_one(code, tmp_path, monkeypatch):
    for answer, trusted in (("no\n", False), ("\n", False), ("y\n", False), ("yes\n", True)):
        typed, shown = io.StringIO(answer), io.StringIO()
        typed.isatty = shown.isatty = lambda: True
        monkeypatch.setattr(sys, "stdin", typed)
        monkeypatch.setattr(sys, "stderr", shown)
        if trusted:
            trust.require([code], Places.of(tmp_path))
        else:
            with pytest.raises(RunError):
                trust.require([code], Places.of(tmp_path))
        assert code.sha256 in shown.getvalue()


def test_a_folder_that_cannot_be_written_remembers_nothing_and_says_nothing(code, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    trust.remember([code])


@pytest.mark.parametrize(
    "verb",
    [
        ("inspect", "outputs/foreign", "step=1"),
        ("score", "completions=outputs/foreign", "against=outputs/foreign"),
        ("replay", "outputs/foreign", "--level", "inputs"),
        ("diff", "outputs/foreign", "outputs/foreign"),
        ("runs",),
        ("pin", "outputs/foreign"),
        ("replay", "outputs/foreign", "--check", "--level", "inputs"),
    ],
)
def test_no_verb_runs_the_code_of_a_run_of_others_without_a_yes(verb, foreign_project):
    project, marker, _ = foreign_project
    done = rlexp(project, *verb)
    assert not marker.exists() and "Traceback" not in done.stderr
    if verb[0] in ("inspect", "score", "pin") or verb == ("replay", "outputs/foreign", "--level", "inputs"):
        assert done.returncode == 2 and "--trust=" in done.stderr, done.stdout + done.stderr


@pytest.fixture(scope="module")
def foreign_project(tmp_path_factory):
    project = copy_project(tmp_path_factory.mktemp("foreign") / "project")
    assert rlexp(project, "prepare").returncode == 0
    run, marker = foreign(project)
    return project, marker, run


def test_with_its_hash_it_runs_and_is_remembered(foreign_project, tmp_path, monkeypatch):
    project, marker, run = foreign_project
    sha = Code(run / "sources/rewards/correct.py").sha256
    asked = rlexp(project, "inspect", "outputs/foreign", "step=1")
    assert f"--trust={sha}" in asked.stderr
    refused = rlexp(project, "inspect", "--trust=all", "outputs/foreign", "step=1")
    assert refused.returncode == 2 and "is no hash" in refused.stderr and not marker.exists()
    # inspect step= calls a reward's explain() only, and this one has none; scoring calls the reward itself.
    done = rlexp(project, "score", f"--trust={sha}", "completions=outputs/foreign", "against=outputs/foreign")
    assert done.returncode == 0 and marker.exists(), done.stderr
    again = rlexp(project, "inspect", "outputs/foreign", "step=1")
    assert again.returncode == 0, again.stderr
    marker.unlink()


def test_a_lock_cannot_name_any_file_of_the_project_as_its_reward(foreign_project, tmp_path):
    project, marker, run = foreign_project
    elsewhere = shutil.copytree(run, project / "outputs/named")
    lock = yaml.safe_load((elsewhere / LOCK).read_text())
    lock["config"]["reward"]["terms"]["correct"]["file"] = "outputs/named/sources/rewards/correct.py"
    lock["inputs"]["rewards"]["correct"]["file"] = "outputs/named/sources/rewards/correct.py"
    mended(elsewhere, lock)
    done = rlexp(project, "score", "completions=outputs/named")
    assert done.returncode == 2 and "--trust=" in done.stderr and not marker.exists()


@pytest.mark.parametrize(
    ("change", "asks"),
    [
        ({"model": {"trust_remote_code": True}}, "model.trust_remote_code"),
        ({"model": {"allow_pickle": True}}, "model.allow_pickle"),
        ({"reward": {"x": "${oc.env:PLANTED}"}}, "the environment variable PLANTED"),
        ({"reward": {"api_key_variable": "AWS_SECRET_ACCESS_KEY"}}, "the environment variable AWS_SECRET_ACCESS_KEY"),
        ({}, None),
    ],
)
def test_a_lock_that_asks_for_more_than_code_by_hash_needs_a_yes_itself(foreign_project, change, asks):
    project, _, _ = foreign_project
    run = project / "outputs/asking"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(RUN, run)
    lock = yaml.safe_load((run / LOCK).read_text())
    lock["config"]["model"] |= change.get("model", {})
    lock["config"]["reward"]["terms"]["correct"]["params"] = change.get("reward", {})
    mended(run, lock)
    opened = finished.open("outputs/asking", project, project)
    if asks is None:
        assert opened.reward_sources()
        return
    with pytest.raises(RunError) as caught:
        opened.reward_sources()
    assert f"asks for {asks}" in str(caught.value) and Code(run / LOCK).sha256 in str(caught.value)
    trust.accept([Code(run / LOCK).sha256], "--trust")
    assert opened.reward_sources()


@pytest.mark.parametrize(
    ("file", "params", "asks"),
    [
        ("rewards/code_tests.py", {"sandbox": "none"}, "sandbox"),
        ("rewards/code_tests.py", {"sandbox": None}, "sandbox"),
        ("rewards/judge.py", {"base_url": "http://127.0.0.1:8765/v1"}, "base_url"),
        ("rewards/judge.py", {"api_key_variable": "DATABASE_URL"}, "api_key_variable"),
        ("rewards/judge.py", {"cache_folder": "/tmp/x"}, "cache_folder"),
        ("rewards/judge.py", {"request": {"temperature": 1, "user": "x"}}, "request"),
        ("rewards/correct.py", {"unknown": ["x"]}, "unknown"),
        ("rewards/code_tests.py", {"sandbox": "bubblewrap", "seconds": 3, "all_or_nothing": False}, None),
        ("rewards/length.py", {"limit": 32, "margin": 9}, None),
        ("rewards/judge.py", {"api_key_variable": None, "request": {"temperature": 1}, "scale": [1, 5]}, None),
    ],
)
def test_params_that_are_not_this_projects_need_a_yes_for_the_lock(foreign_project, file, params, asks):
    """The project's own rewards do what the params say: a lock of others says nothing without a yes."""
    project, _, _ = foreign_project
    run = project / "outputs/params"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(RUN, run)
    lock = yaml.safe_load((run / LOCK).read_text())
    lock["config"]["reward"]["terms"]["correct"] |= {"file": file, "params": params}
    mended(run, lock)
    opened = finished.open("outputs/params", project, project)
    if asks is None:
        assert opened.trusted(project)
        return
    for call in (lambda: opened.trusted(project), opened.inputs):
        with pytest.raises(RunError, match=f"asks for reward.terms.correct.params.{asks}"):
            call()
    trust.remember([Code(run / LOCK)])  # as for the user's own run
    assert opened.trusted(project)


@pytest.mark.parametrize(
    ("place", "value", "asks"),
    [
        (("config", "dataset", "params", "file"), "/etc/passwd", "dataset.params.file"),
        (("inputs", "data", "source", "params", "file"), "/etc/passwd", "inputs.data.source.params.file"),
        (("config", "model", "params", "url"), "http://x", "model.params.url"),
        (("config", "rollout", "server_url"), "http://x:8000", "rollout.server_url"),
        (("config", "rollout", "engine"), {"trust_remote_code": True}, "rollout.engine.trust_remote_code"),
        (("config", "tracking", "report_to"), ["wandb"], "tracking.report_to=wandb"),
        (("config", "dataset", "params", "train"), 64, None),
    ],
)
def test_what_a_lock_may_say_of_data_model_and_engine_without_a_yes(root, place, value, asks):
    lock = yaml.safe_load((RUN / LOCK).read_text())
    node = lock
    for key in place[:-1]:
        node = node.setdefault(key, {})
    node[place[-1]] = value
    assert requests(lock, root) == ([asks] if asks else [])


def test_the_judge_and_the_sandbox_through_the_command_line(foreign_project):
    project, _, _ = foreign_project
    run = shutil.copytree(RUN, project / "outputs/unprotected")
    lock = yaml.safe_load((run / LOCK).read_text())
    lock["config"]["reward"]["terms"]["correct"] |= {"file": "rewards/code_tests.py", "params": {"sandbox": "none"}}
    lock["inputs"]["rewards"]["correct"] |= {
        "file": "rewards/code_tests.py",
        "md5": file_md5(project / "rewards/code_tests.py"),
    }
    mended(run, lock)
    for verb in (("score", "completions=outputs/unprotected"), ("replay", "outputs/unprotected", "--level", "inputs")):
        done = rlexp(project, *verb)
        assert done.returncode == 2 and "asks for reward.terms.correct.params.sandbox" in done.stderr, done.stderr
        assert Code(run / LOCK).sha256 in done.stderr


def test_pin_makes_nothing_of_others_the_projects_own(foreign_project):
    project, marker, run = foreign_project
    before = files(project)
    done = rlexp(project, "pin", "outputs/foreign")
    assert done.returncode == 2 and Code(run / "sources/rewards/correct.py").sha256 in done.stderr, done.stderr
    assert files(project) == before and not (project / "pinned").exists() and not marker.exists()


def test_a_copy_that_is_a_link_out_of_its_run_is_not_read(foreign_project, tmp_path):
    project, _, _ = foreign_project
    run = shutil.copytree(RUN, project / "outputs/linked")
    outside = tmp_path / "outside.py"
    outside.write_text("secret = 1\n")
    copy = run / "sources/rewards/format.py"
    copy.unlink()
    copy.symlink_to(outside)
    whole(run)
    opened = finished.open("outputs/linked", project, project)
    for call in (opened.reward_sources, lambda: pinned.check(opened)):
        with pytest.raises(RunError, match=r"format\.py leads out of the run folder"):
            call()
    lock = yaml.safe_load((run / LOCK).read_text())
    lock["inputs"]["rewards"]["format"]["md5"] = file_md5(outside)
    mended(run, lock)
    with pytest.raises(RunError, match=r"rewards/format\.py  +expected"):
        finished.open("outputs/linked", project, project).inputs(make=False)


@pytest.mark.parametrize("verb", [("score",), ("inspect",), ("smoke",), (), ("ladder",)])
def test_a_reward_that_is_named_by_its_path_needs_a_yes_too(foreign_project, verb):
    project, marker, run = foreign_project
    named = "reward.terms.correct.file=outputs/foreign/sources/rewards/correct.py"
    done = rlexp(project, *verb, named, "reward=correct+format")
    assert done.returncode == 2 and "--trust=" in done.stderr and not marker.exists(), done.stderr
    sha = Code(run / "sources/rewards/correct.py").sha256
    if verb == ():  # Hydra does not see the flag; this reward has no cases, and that is the next message
        allowed = rlexp(project, *verb, named, f"--trust={sha}", "reward=correct", "method.max_steps=0")
        assert "max_steps" in allowed.stderr and "--trust" not in allowed.stderr


def test_opening_and_checking_a_run_writes_nothing(foreign_project):
    project, _, _ = foreign_project
    before = files(project)
    rlexp(project, "replay", "outputs/foreign", "--check", "--level", "inputs")
    assert files(project) == before


def test_the_real_terminal_asks(code, tmp_path):
    """Through a pseudo-terminal, as a person would see it."""
    program = (
        "import sys; from pathlib import Path; from rlexp.inputs.trust import *\n"
        "require([Code(Path(sys.argv[1]))], Places.of(Path(sys.argv[2]))); print('went on')"
    )
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", program, code.path, tmp_path], stdin=child, stdout=child, stderr=child
    )
    os.close(child)
    os.write(parent, b"yes\n")
    process.wait(60)
    shown = b""
    with contextlib.suppress(OSError):  # the other end is closed
        while part := os.read(parent, 10_000):
            shown += part
    assert "went on" in shown.decode()


def test_the_pinned_run_of_a_clone_needs_no_question(root, tmp_path):
    clone = tmp_path / "clone"
    if subprocess.run(["git", "clone", "-q", str(root), str(clone)], capture_output=True).returncode:
        pytest.skip("the project is no git repository here")
    for file in (clone / "rewards").glob("*.py"):
        file.write_text("# moved on\n" + file.read_text())  # so that only git vouches for pinned/sources
    assert len(finished.open("pinned", clone, clone).reward_sources()) == 2
    (clone / "pinned/sources/rewards/format.py").write_text("# edited\n" + (root / "rewards/format.py").read_text())
    with pytest.raises(RunError, match=r"pinned/sources/rewards/format\.py"):
        finished.open("pinned", clone, clone).reward_sources()


@pytest.mark.parametrize(("where", "hint"), [(trust.VARIABLE, "unset RLEXP_TRUST"), (trust.FLAG, "type the command")])
def test_a_yes_to_everything_is_said_how_to_take_back(where, hint):
    with pytest.raises(RunError, match="is no hash") as caught:
        trust.accept(["1"], where)
    assert caught.value.hint.startswith(hint)
