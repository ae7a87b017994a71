"""Folders in DVC's cache, by their hash: what was kept once can be put back, also when the working copy moved on.

Source: the calls behind ``dvc add`` and ``dvc checkout`` (``dvc_data.hashfile``); DVC's own commands restore only
what a dvc.lock or .dvc file names now.
"""

from __future__ import annotations

from pathlib import Path

from rlexp import files
from rlexp.inputs.digest import folder_md5


def keep(root: Path, folder: Path) -> None:
    """Puts a folder into the DVC cache of the project ``root``; nothing is copied where it is in there already.

    Raises:
        dvc.exceptions.DvcException: the project is no DVC repository.
    """
    from dvc.fs import localfs
    from dvc.repo import Repo
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.transfer import transfer

    with Repo(str(root)) as repo:
        cache = repo.cache.local
        staging, _, tree = build(cache, str(folder), localfs, "md5", ignore=repo.dvcignore)
        transfer(staging, cache, {tree.hash_info}, shallow=False)


def restore(root: Path, md5: str, folder: Path) -> bool:
    """Puts the folder with this hash at ``folder`` (which must not exist), from the DVC cache or the default remote.

    Returns:
        False when it is in neither, or what is in there is broken; nothing is left behind then.
    """
    from dvc.exceptions import DvcException
    from dvc.fs import localfs
    from dvc.repo import Repo
    from dvc_data.hashfile import load
    from dvc_data.hashfile.checkout import CheckoutError, checkout
    from dvc_data.hashfile.hash_info import HashInfo
    from dvc_objects.errors import ObjectFormatError

    try:
        with files.whole_folder(folder) as partial:
            with Repo(str(root)) as repo:
                cache, wanted = repo.cache.local, HashInfo("md5", md5)
                if not cache.exists(md5) and repo.config["core"].get("remote"):
                    repo.cloud.pull([wanted])
                checkout(str(partial), localfs, load(cache, wanted), cache, force=True, quiet=True)
            if folder_md5(partial) != md5:
                raise ObjectFormatError(f"{md5} is not what the cache says it is")
    except (DvcException, CheckoutError, ObjectFormatError, OSError):
        return False
    return True
