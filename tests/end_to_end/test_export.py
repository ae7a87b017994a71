"""``export``, ``card`` and ``ship`` through the command line, with the tiny model."""

import json
import shutil

import pytest

from tests.conftest import copy_project, rlexp

pytestmark = [pytest.mark.end_to_end, pytest.mark.long]
SHORT = ("method.max_steps=4", "held_out.rows=8", "held_out.samples=0", "preflight.smoke=never")
GATE = ("export.gate.rows=4", "export.gate.tokens=60")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A project with a run that was exported when it was trained, and the answer."""
    project = copy_project(tmp_path_factory.mktemp("export") / "project")
    done = rlexp(project, "hydra.run.dir=outputs/a", *SHORT, "export=merged", *GATE, "--json")
    assert done.returncode == 0, done.stderr
    return project, json.loads(done.stdout)


def test_behind_a_training_it_ends_with_the_verdicts(made):
    _, said = made
    merged = said["export"]["artifacts"]["merged"]
    assert said["status"] == "finished" and merged["verdict"] == "identical", merged["reasons"]
    assert merged["gate"]["divergence"]["adapter_share"]["value"] == pytest.approx(1, abs=0.05)
    assert merged["snippet"]["same"], merged["snippet"]["said"]


def test_what_was_made_and_measured_is_not_made_again(made):
    project, said = made
    before = (project / "exports/a/merged/artifact.json").read_bytes()
    again = rlexp(project, "export", "outputs/a", *GATE, "--json")
    assert again.returncode == 0 and "making" not in again.stderr, again.stderr
    assert json.loads(again.stdout)["artifacts"] == said["export"]["artifacts"]
    assert (project / "exports/a/merged/artifact.json").read_bytes() == before


def test_an_artifact_stands_beside_its_run_in_an_evaluation(made):
    done = rlexp(made[0], "evaluate", "outputs/a", "exports/a/merged", "eval.rows=4", "eval.temperature=0", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["results"]["held_out"]
    assert found["outputs/a"]["reward"]["mean"] == found["exports/a/merged"]["reward"]["mean"]


def test_the_harness_finds_in_an_artifact_what_it_finds_in_the_run(made):
    tasks = "eval=lm_eval:sums_choice+lm_eval:sums_generate"
    few = ("eval.lm_eval:sums_choice.rows=6", "eval.lm_eval:sums_generate.rows=3")
    done = rlexp(made[0], "evaluate", "outputs/a", "exports/a/merged", tasks, *few, "--json")
    assert done.returncode == 0, done.stderr
    for found in json.loads(done.stdout)["results"].values():
        assert found["outputs/a"] == found["exports/a/merged"]


def test_a_card_says_what_the_record_says_and_keeps_a_persons_notes(made):
    project = made[0]
    rlexp(project, "card", "outputs/a")
    notes = project / "exports/a/card/notes.md"
    notes.write_text("---\nlicense: mit\nuse: sums in class\n---\nSeen by Ada.\n")
    done = rlexp(project, "card", "outputs/a")
    text = (project / "exports/a/card/README.md").read_text()
    assert done.returncode == 0 and "license: mit" in text and "sums in class" in text
    assert "Seen by Ada." in text and "Seen by Ada." in notes.read_text()
    assert "| merged |" in text and "this program was run and gave the gate's answer" in text


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["export"], "no run is named"),
        (["export", "outputs/a", "outputs/b"], "one run is exported at a time"),
        (["export", "models/tiny"], "a run is exported"),
        (["export", "outputs/a", "method.beta=1"], "exported as it was trained"),
        (["export", "outputs/a", "export=gguff"], "no format 'gguff'"),
        (["card", "outputs/none"], "no run at"),
        (["ship", "outputs/a", "export=gguff"], "no format 'gguff'"),
    ],
)
def test_a_mistake_is_one_message(made, words, what):
    done = rlexp(made[0], *words)
    assert done.returncode == 2 and what in done.stderr, done.stderr


@pytest.fixture
def copied(made, tmp_path):
    """A project of its own with an export; beside it a folder that must stay as it is."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/kept.txt").write_text("kept")
    return shutil.copytree(made[0], tmp_path / "project", symlinks=True)


def rewritten(change):
    def rewrite(file):
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))

    return rewrite


def linked(folder):
    shutil.rmtree(folder)
    folder.symlink_to(next(one for one in folder.parents if one.name == "project").parent / "outside")


def noted(file):
    file.parent.mkdir(exist_ok=True)
    file.write_text("---\ntags: 7\n---\n")


ONE, EXPORT, CARD = "merged/artifact.json", ("export", *GATE), ("card",)
NOT_OURS = "the artifact is not one of rlexp's"
CODE = {"x=1) or open('../outside/kept.txt', 'w') or dict(y": 1}
STRANGERS = {
    "a path above": (ONE, rewritten(lambda one: one.update(path="../../../../outside/kept.txt")), EXPORT, NOT_OURS),
    "an absolute path": (ONE, rewritten(lambda one: one["files"].update({"/etc/passwd": {}})), EXPORT, NOT_OURS),
    "code for the program": (ONE, rewritten(lambda one: one["template_kwargs"].update(CODE)), EXPORT, NOT_OURS),
    "one more file": ("merged/more.bin", lambda file: file.write_bytes(b""), EXPORT, "more.bin is no file of merged"),
    "an artifact that leads out": ("merged", linked, EXPORT, "a link leads out"),
    "an export that leads out": ("", linked, CARD, "a link leads out"),
    "a verdict of its own": (
        *("gate/merged.json", rewritten(lambda one: one["found"]["ends"].update(missing="none")), EXPORT),
        "the gate is not one of rlexp's: found.ends.missing",
    ),
    "a manifest without a gate": (
        *("manifest.json", rewritten(lambda one: one["artifacts"]["merged"].pop("gate")), CARD),
        "the manifest of the export has no artifacts.merged.gate",
    ),
    "notes of another shape": ("card/notes.md", noted, CARD, "tags"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_what_a_stranger_wrote_is_one_message_and_nothing_outside_is_touched(copied, name):
    file, change, (verb, *more), what = STRANGERS[name]
    change(copied / "exports/a" / file)
    done = rlexp(copied, verb, "outputs/a", *more)
    assert done.returncode == 2 and what in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert [one.name for one in (copied.parent / "outside").iterdir()] == ["kept.txt"]
    assert (copied.parent / "outside/kept.txt").read_text() == "kept"


def test_a_planted_fault_is_broken_and_ends_with_1(copied):
    project = copied
    folder = project / "exports/a/merged"
    shutil.copyfile(project / "models/tiny/model.safetensors", folder / "model.safetensors")
    refused = rlexp(project, "export", "outputs/a", *GATE)
    assert refused.returncode == 2 and "not the one that was exported" in refused.stderr
