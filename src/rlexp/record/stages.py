"""DVC's stages of this project: the one that replays the pinned run, and one for each input that none makes yet."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rlexp.inputs import store
from rlexp.inputs.digest import folder_md5
from rlexp.inputs.locked_start import REPLAYED
from rlexp.inputs.start import KEPT
from rlexp.record import input_stages, ship_stage
from rlexp.record.dvc_repository import STAGE, makers, repository
from rlexp.record.run_folder import LOCK, METRICS, SOURCES
from rlexp.record.ship_stage import Shipping

PINNED, PARAMS = "pinned", "params.yaml"
EARLIER = "start_"
"""The stages before the pinned run in its chain are called so, with a number: 1 is the one it began with."""
SCORES = f"{PINNED}/{REPLAYED}/scores.json"
"""The held-out numbers, where DVC reads its metrics. Of a replay they are those of the run that is replayed, so that
dvc.lock is the same on every machine."""

TRAINED = f"{PINNED}/{REPLAYED}/trained.json"
"""The identity of the run that lies there. It is not cached, where the run is shipped: with the numbers restored from
its cache alone, DVC would ship the weights of another run."""


def write_stages(
    chain: Sequence[tuple[dict[str, Any], Path]], root: Path, shipping: Shipping | None = None
) -> list[str]:
    """Writes the stage that replays the pinned run, one for each run before it in its chain, one for each input that no
    stage makes yet, and the one that ships it where that is asked for.

    DVC deletes the outs of a stage before it runs it. So none is declared but what the stage's command makes in an
    empty place, and those are kept where they are there (``persist``): the command itself never writes over them.

    Args:
        chain: the lock of the pinned run and the folder of the files that it kept, then those of the run it began with,
            and so on.

    Returns:
        What DVC cannot make or restore, and a replay neither.

    Raises:
        RunError: DVC refused; the message says what to do about it.
    """
    notes: list[str] = []
    with repository(root) as repo:
        for stage in [one for one in repo.index.stages if re.fullmatch(rf"{EARLIER}\d+", getattr(one, "name", ""))]:
            repo.remove(stage.addressing)  # of a chain that was pinned before
        ship_stage.remove(repo)
        for depth in reversed(range(len(chain))):  # the first one first
            lock, sources = chain[depth]
            place = _place(depth)
            dependencies = [f"{place}/{name}" for name in (LOCK, METRICS, SOURCES)]
            dependencies += _inputs(repo, root, lock, sources, notes)
            if depth + 1 < len(chain):
                dependencies.append(_scores(depth + 1))
            (root / place / REPLAYED).mkdir(parents=True, exist_ok=True)  # DVC looks into it for a .gitignore
            varied = f" --params {PARAMS}" if depth == 0 else ""
            repo.stage.add(
                name=_stage(depth),
                cmd=f"python -m rlexp replay {place}{varied} --dir {place}/{REPLAYED}",
                deps=dependencies,
                params=[{PARAMS: []}] if varied else [],
                metrics=[_scores(depth)],
                outs_persist_no_cache=[TRAINED] if varied and shipping else [],
                force=True,
            )
        if shipping:
            inputs = [one for one in dependencies if one not in (f"{PINNED}/{METRICS}", f"{PINNED}/{SOURCES}")]
            ship_stage.add(repo, shipping, f"{PINNED}/{REPLAYED}", [*inputs, SCORES, TRAINED])
    return list(dict.fromkeys(notes))


def _stage(depth: int) -> str:
    return STAGE if depth == 0 else f"{EARLIER}{depth}"


def _place(depth: int) -> str:
    return "/".join([PINNED, *[KEPT] * depth])


def _scores(depth: int) -> str:
    return f"{_place(depth)}/{REPLAYED}/scores.json"


def _inputs(repo: Any, root: Path, lock: dict[str, Any], sources: Path, notes: list[str]) -> list[str]:
    """The inputs of a lock that a stage of DVC makes; writes those stages, and notes what nothing makes."""
    inputs, made = lock["inputs"], []
    for group in ("data", "model"):
        digest = inputs[group]
        if "path" not in digest or (group == "model" and input_stages.is_shipped(root, digest["path"])):
            continue
        if group == "model" and digest["path"] != lock["config"]["model"].get("path"):
            continue  # an earlier stage makes it, or this one of what that left
        if input_stages.made_by_dvc(repo, root, group, lock):
            made.append(digest["path"])
        elif not input_stages.made_by_replay(digest.get("source", {}), sources):
            notes.append(input_stages.not_made(repo, root, digest["path"]))
    for digest in (inputs["data"], *inputs["data"].get("source", {}).get("parts", {}).values()):
        if folder_md5(root / digest["path"]) == digest["md5"]:
            store.keep(root, root / digest["path"])
        elif digest is inputs["data"]:
            notes.append(f"{digest['path']} is not the locked snapshot any more; it is not in DVC's cache")
    if "difficulty" in inputs:
        notes.append(_pass_rates(repo, root, inputs["difficulty"]))
    return made


def _pass_rates(repo: Any, root: Path, digest: dict[str, Any]) -> str:
    """Keeps the pass rates that a run filtered by in DVC's cache; no stage makes them, as another machine would sample
    others."""
    path = digest["path"]
    if folder_md5(root / path) != digest["md5"]:
        return f"{path} does not hold the locked pass rates any more; they are not in DVC's cache"
    store.keep(root, root / path)
    return input_stages.not_made(repo, root, path)


def lock_stages(
    chain: Sequence[tuple[dict[str, Any], dict[str, Any]]], root: Path, shipping: Shipping | None = None
) -> None:
    """Notes in dvc.lock what the stages of the pinned run have, so that the first ``dvc repro`` of a clone leaves it as
    it is. Nothing is run, and nothing that is left keeps DVC from running it.

    Args:
        chain: the lock and the held-out numbers of the pinned run, then those of the run it began with, and so on.

    Raises:
        RunError: DVC refused.
    """
    outs = [root / _scores(depth) for depth in range(len(chain))]
    outs += [place.with_name(Path(TRAINED).name) for place in outs] + [root / ship_stage.RECEIPT] * bool(shipping)
    there = {place: place.read_bytes() if place.is_file() else None for place in outs}
    for depth, (lock, held_out) in enumerate(chain):
        (root / _scores(depth)).parent.mkdir(parents=True, exist_ok=True)
        write_scores((root / _scores(depth)).parent, held_out, lock["identity"])
    own = {_stage(depth) for depth in range(len(chain))}
    if shipping:
        ship_stage.write(root, ship_stage.receipt(chain[0][0]["identity"], shipping.asked))
    with repository(root) as repo, repo.lock:
        for depth in reversed(range(len(chain))):
            inputs = chain[depth][0]["inputs"]
            data = inputs["data"]
            digests = (*data.get("source", {}).get("parts", {}).values(), data, inputs["model"])
            paths = [digest["path"] for digest in digests if "path" in digest and (root / digest["path"]).exists()]
            for path in (*paths, _scores(depth)):
                for stage in makers(repo, root, path):
                    if stage.name in own or stage.name in (
                        input_stages.stage_name(group, path) for group in ("data", "model")
                    ):
                        stage.save(run_cache=False)
                        if stage.name not in own:  # with its scores in the cache DVC would not run it
                            stage.commit()
                        stage.dump(update_pipeline=False)
        for stage in makers(repo, root, ship_stage.RECEIPT) if shipping else ():
            stage.save(run_cache=False)
            stage.dump(update_pipeline=False)
    for place, before in there.items():
        place.unlink(missing_ok=True)
        if before is not None:
            place.write_bytes(before)


def write_scores(run_dir: Path, held_out: dict[str, Any], identity: str) -> None:
    """Writes the held-out numbers beside a run, where DVC reads its metrics, and which run it is."""
    (run_dir / Path(SCORES).name).write_text(json.dumps(held_out, indent=1) + "\n")
    (run_dir / Path(TRAINED).name).write_text(json.dumps({"identity": identity}) + "\n")
