"""``init`` makes a project that is whole, and writes over nothing."""

import shutil
import subprocess
import sys

import pytest
import yaml

from rlexp.cli import init
from rlexp.compose.points import CommandLine
from rlexp.errors import RunError
from rlexp.inputs.find import find_inputs
from rlexp.reward import trial


def _files(folder):
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return sorted(name for name in found if not name.startswith((".git/", ".dvc/tmp")))


def test_a_new_project_composes_and_its_reward_passes(tmp_path, capsys):
    answer = init.command(["mine"], tmp_path)
    answer.show()
    assert answer.exit_code == 0 and "rewards/exact.py" in answer.content()["made"]
    made = tmp_path / "mine"
    assert ".dvc/config" in _files(made) and (made / ".git").is_dir()
    assert (made / "README.md").read_text().startswith("# mine\n") and "{" not in (
        made / "requirements.txt"
    ).read_text()
    run = CommandLine(made, []).points()[0].run
    assert (run.dataset.name, sorted(run.reward.terms)) == ("sums", ["exact", "format"])
    inputs = find_inputs(run, made)
    assert inputs.data_prepare == made / "data_prep/sums.py"
    (tried,) = trial.try_rewards([(inputs.rewards["exact"], {})], [])
    assert not tried.problems and len(tried.outcomes) == 6
    workflow = yaml.safe_load((made / ".github/workflows/rlexp.yml").read_text())
    assert {"conf/**", "rewards/**", "data_prep/**"} <= set(workflow[True]["push"]["paths"])  # YAML reads on as true
    assert "cd mine" in capsys.readouterr().out


def test_a_folder_with_files_of_its_own_keeps_them(tmp_path, capsys):
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "notes.txt").write_text("mine too")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    answer = init.command(["."], tmp_path)
    answer.show()
    assert answer.content()["kept"] == ["README.md"] and ".gitignore" in answer.content()["made"]
    assert (tmp_path / "README.md").read_text() == "mine" and (tmp_path / "conf/config.yaml").is_file()
    assert "README.md was there" in capsys.readouterr().out
    with pytest.raises(RunError, match=r"conf/config.yaml, .* are there already; nothing was written"):
        init.command(["."], tmp_path)


def test_what_was_stopped_is_finished_by_the_same_command(tmp_path):
    init.command(["mine"], tmp_path)
    made = tmp_path / "mine"
    whole = _files(made)
    shutil.rmtree(made / ".dvc")
    for name in ("rewards.lock.yaml", "data_prep/sums.py", ".gitignore"):
        (made / name).unlink()
    assert init.command(["mine"], tmp_path).content()["made"] == ["data_prep/sums.py", ".gitignore"]
    assert _files(made) == whole
    (made / "data_prep/sums.py").write_text("mine\n")
    with pytest.raises(RunError, match=r"sums\.py is there already"):
        init.command(["mine"], tmp_path)


def test_the_folder_it_is_typed_in_may_be_empty(tmp_path):
    (tmp_path / "a b").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "rlexp", "init", "."], cwd=tmp_path / "a b", capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and (tmp_path / "a b/.dvc/config").is_file(), done.stderr


@pytest.mark.parametrize("typed", ["n" * 300, "/proc/x"])
def test_a_folder_that_cannot_be_made_is_one_message(tmp_path, typed):
    with pytest.raises(RunError) as error:
        init.command([typed], tmp_path)
    assert error.value.hint


def test_a_folder_in_a_repository_gets_none_of_its_own(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    init.command(["part/mine"], tmp_path)
    assert not (tmp_path / "part/mine/.git").exists() and (tmp_path / "part/mine/.dvc/config").is_file()


@pytest.mark.parametrize("typed", ["a_file", "a_file/below"])
def test_a_file_in_the_way_is_named(tmp_path, typed):
    (tmp_path / "a_file").write_text("")
    with pytest.raises(RunError) as error:
        init.command([typed], tmp_path)
    assert "a_file" in str(error.value) and (tmp_path / "a_file").read_text() == ""


def test_the_starter_project_has_no_test_of_this_machine(root):
    assert all(str(root) not in text for text in init.contents("x").values())


def test_what_it_makes_is_told_by_the_real_command_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "rlexp", "init", "p"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0 and done.stdout.startswith("made p: conf/config.yaml"), done.stderr
    assert "Initialized" not in done.stdout + done.stderr
