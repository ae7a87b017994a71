"""``report`` through the real command line: where it goes, what it answers, and what it refuses."""

import pytest

from rlexp.cli import answer
from rlexp.errors import Interrupted
from tests.cli.test_json import document
from tests.conftest import copy_project, files, rlexp
from tests.evaluate import swept
from tests.report import planted


@pytest.fixture(scope="module")
def project(composed, tmp_path_factory):
    """A project with a run and a sweep, made by hand."""
    folder = copy_project(tmp_path_factory.mktemp("report") / "project")
    planted.write(folder / "outputs/a", composed("hardware=cpu"), steps=2)
    planted.write(folder / "outputs/b", composed("hardware=cpu", "method.beta=0.04"), steps=2)
    swept.made(folder, swept.grid())
    return folder


def test_it_says_where_it_is_and_what_it_holds(project):
    done = rlexp(project, "report", "outputs/a", HYDRA_FULL_ERROR="")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("report: reports/a.html, 0.") and second == "completions: all 48"
    assert (project / "reports/a.html").is_file()


@pytest.mark.parametrize(
    ("words", "kind", "file"),
    [
        (["outputs/a", "--out", "here.html"], "run", "here.html"),
        (["multirun/s"], "sweep", "reports/s.html"),
        (["outputs/a", "outputs/b"], "runs", "reports/a_and_b.html"),
    ],
)
def test_its_answer_is_one_document(project, words, kind, file):
    done = rlexp(project, "report", *words, "--json")
    said = document("report", done.stdout)
    assert (done.returncode, said["kind"], said["file"]) == (0, kind, file)
    assert said["bytes"] == (project / file).stat().st_size
    stored = {"shown": 48, "total": 48, "how": "all that were stored"}
    assert said["completions"] == (stored if kind == "run" else None)


def test_relative_places_are_those_of_the_folder_it_is_typed_in(project):
    (project / "elsewhere").mkdir()
    done = rlexp(project / "elsewhere", "report", "../outputs/a", "--out", "a.html")
    assert done.returncode == 0 and (project / "elsewhere/a.html").is_file()
    assert "report: elsewhere/a.html" in done.stdout


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ([], "required: RUN"),
        (["outputs/c"], "no run at outputs/c"),
        (["outputs/a", "--out"], "expected one argument"),
        (["outputs/a", "--out", "outputs/a/run.lock.yaml"], "an HTML file"),
        (["outputs/a", "--out", "outputs/a/a.html"], "is a record"),
        (["outputs/a", "--out", "none/a.html"], "there is no folder"),
        (["outputs/a", "multirun/s"], "one run is asked for"),
        (["outputs/a", "--metric", "x"], "unrecognized arguments: --metric"),
    ],
)
def test_a_mistake_is_one_message_and_leaves_nothing(project, words, what):
    before = files(project)
    done = rlexp(project, "report", *words)
    assert done.returncode == 2 and done.stderr.count("error: ") == 1 and "Traceback" not in done.stderr
    assert what in done.stderr and "  do:    " in done.stderr
    assert files(project) == before


def test_what_is_said_of_an_interrupt_goes_for_a_verb_that_begins_no_run():
    assert answer.after(Interrupted()) == "nothing half-written stays: type the same again"


def test_an_empty_out_is_none(project):
    before = files(project)
    done = rlexp(project, "report", "outputs/a", "--out", "")
    assert done.returncode == 2 and "--out names no file" in done.stderr and files(project) == before
