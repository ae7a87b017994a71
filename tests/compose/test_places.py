"""Options and the files that they name are looked up in the project, in shared folders, and in what rlexp ships."""

import shutil

import pytest

from rlexp import project
from rlexp.compose.places import NOWHERE, Places
from rlexp.compose.points import CommandLine
from rlexp.errors import RunError
from rlexp.inputs.digest import folder_md5
from rlexp.inputs.prepare import prepare
from rlexp.inputs.reward_files import reward_sources

REWARD = "version = 1\ndef score(completions): return [{}.0 for _ in completions]\n"


@pytest.fixture
def own(tmp_path):
    """A project of one file."""
    folder = tmp_path / "own"
    (folder / "conf").mkdir(parents=True)
    shutil.copyfile(project.shipped() / project.MARK, folder / project.MARK)
    return folder


@pytest.fixture
def team(tmp_path):
    """A team's folder: options, and the rewards that they name beside them."""
    folder = tmp_path / "team"
    _write(folder, "conf/reward/shared.yaml", "terms: {shared: {file: rewards/shared.py}}\n")
    _write(folder, "rewards/shared.py", REWARD.format(1))
    return folder


def _write(folder, name, text):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def _run(root, *overrides):
    return CommandLine(root, list(overrides)).points()[0].run


def test_a_project_of_one_file_has_what_is_shipped(own):
    run = _run(own)
    sources = reward_sources(run)
    assert {source.path.parent for source in sources.values()} == {project.shipped() / "rewards"}
    assert run.model.size is not None and run.places.path("models/tiny") == project.shipped() / "models/tiny"
    origins = run.places.origins({"rewards/format.py": sources["format"].path})
    assert origins["conf/config.yaml"] == "project" and origins["conf/model/tiny.yaml"].startswith("rlexp ")
    assert origins["rewards/format.py"].startswith("rlexp ") and "conf/reward/correct.yaml" in origins


def test_the_same_run_has_the_same_identity_wherever_its_files_are(own, composed):
    assert _run(own).experiment() == composed().experiment()


def test_a_file_of_the_project_goes_before_the_shipped_one(own):
    _write(own, "rewards/format.py", REWARD.format(0))
    _write(own, "conf/health/default.yaml", (project.shipped() / "conf/health/off.yaml").read_text())
    run = _run(own)
    assert reward_sources(run)["format"].path == own / "rewards/format.py"
    assert run.places.origins({})["conf/health/default.yaml"] == "project"
    assert run.config()["health"] == _run(own, "health=off").config()["health"]


@pytest.mark.parametrize("scheme", ["file://", ""])
def test_a_shared_folder_goes_between_them_and_its_rewards_beside_it(own, team, scheme, monkeypatch):
    monkeypatch.chdir(own)
    _write(team, "rewards/format.py", REWARD.format(0))
    _write(team, "conf/model/tiny.yaml", (project.shipped() / "conf/model/tiny.yaml").read_text() + "lora: {r: 4}\n")
    typed = (f"hydra.searchpath=[{scheme}{team}/conf]", "reward=format+shared+correct")
    run = _run(own, *typed)
    found = {name: source.path for name, source in reward_sources(run).items()}
    assert found["shared"] == team / "rewards/shared.py" and found["format"] == team / "rewards/format.py"
    assert found["correct"] == project.shipped() / "rewards/correct.py"
    assert run.model.lora.r == 4
    assert run.places.origins({"rewards/shared.py": found["shared"]})["rewards/shared.py"] == "shared team"
    _write(own, "rewards/format.py", REWARD.format(1))
    assert reward_sources(_run(own, *typed))["format"].path == own / "rewards/format.py"


def test_the_config_of_a_project_names_the_shared_folder_relative_to_the_project(own, team, monkeypatch):
    monkeypatch.chdir(own)
    with (own / project.MARK).open("a") as stream:
        stream.write("  searchpath: [file://../team/conf]\n")
    line = CommandLine(own, ["reward=format+shared"])
    run = line.points()[0].run
    assert reward_sources(run)["shared"].path == team / "rewards/shared.py"
    assert run.places.origins({})["conf/reward/shared.yaml"] == "shared team"
    assert line.places.own.names("rewards/*.py") == ["rewards/shared.py"]
    with pytest.raises(RunError, match="there is no reward named 'shred'") as error:
        _run(own, "reward=format+shred")
    assert "shared" in error.value.hint


@pytest.mark.parametrize(
    ("typed", "says", "hint"),
    [
        ("[file://{team}/cnf]", "a folder of options is not there: {team}/cnf", "did you mean {team}/conf?"),
        ("[file://{team}]", "{team} holds no options, and the conf/ in it does", "[file://{team}/conf]"),
        ("file://{team}/conf", "a list of folders", "in brackets: 'hydra.searchpath=[file://{team}/conf]'"),
        ("[pkg://nosuch.conf]", "there is no package of options nosuch.conf", "__init__.py"),
    ],
)
def test_a_shared_folder_that_is_none_is_named_with_what_to_type(own, team, typed, says, hint):
    with pytest.raises(RunError) as error:
        _run(own, f"hydra.searchpath={typed.format(team=team)}")
    assert says.format(team=team) in error.value.what and hint.format(team=team) in error.value.hint


def test_a_shipped_model_is_put_into_the_project(own):
    run = _run(own)
    (own / "data_prep").mkdir()
    shutil.copyfile(project.shipped() / "data_prep/arithmetic.py", own / "data_prep/arithmetic.py")
    assert prepare(run, own).model == own / "models/tiny"
    assert folder_md5(own / "models/tiny") == folder_md5(project.shipped() / "models/tiny")


def test_missing_pieces_are_named_together(own):
    with pytest.raises(RunError) as error:
        _run(own, "model=tiney", "dataset=arithmetik", "reward=format+exact")
    text = str(error.value)
    assert all(word in text for word in ("3 things are wrong", "'tiney'", "'arithmetik'", "'exact'", "model=tiny"))
    (own / project.MARK).write_text((own / project.MARK).read_text().replace("model: tiny", "model: mine"))
    with pytest.raises(RunError) as error:
        _run(own, "dataset=arithmetik")
    assert "conf/config.yaml:5" in str(error.value) and "put mine.yaml into conf/model" in str(error.value)


def test_what_is_installed_below_the_project_is_not_the_projects(own, monkeypatch):
    installed = own / ".venv/lib/rlexp/shipped"
    shutil.copytree(project.shipped() / "conf", installed / "conf")
    monkeypatch.setattr("rlexp.compose.places.shipped", lambda: installed)
    assert Places.of(own).origin(installed / "conf/model/tiny.yaml").startswith("rlexp ")


def test_no_place_is_asked_for_a_path_that_leads_out_of_it(own):
    places = Places.of(own)
    assert places.path("../pyproject.toml") == own / "../pyproject.toml"
    assert NOWHERE.path("rewards/format.py").as_posix() == "rewards/format.py"
    assert places.origin(own.parent / "x") is None
