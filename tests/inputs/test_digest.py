"""Our hashes are DVC's."""

import hashlib

from dvc_data.hashfile.build import build
from dvc_data.hashfile.db import HashFileDB
from dvc_objects.fs.local import LocalFileSystem

from rlexp.inputs import digest
from rlexp.inputs.digest import file_md5, folder_md5


def test_hashes_are_those_that_dvc_computes(tmp_path):
    folder = tmp_path / "folder"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "two.txt").write_bytes(b"2\r\n")
    (folder / "one.txt").write_text("1")
    fs = LocalFileSystem()
    db = HashFileDB(fs, str(tmp_path / "cache"))
    for path, ours in ((folder, folder_md5(folder)), (folder / "one.txt", file_md5(folder / "one.txt"))):
        _, _, theirs = build(db, str(path), fs, "md5")
        assert ours == theirs.hash_info.value


def test_byte_code_does_not_change_a_folder(tmp_path):
    (tmp_path / "a.py").write_text("x = 1")
    before = folder_md5(tmp_path)
    (tmp_path / "__pycache__").mkdir()
    (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"0")
    assert folder_md5(tmp_path) == before


def test_a_large_file_is_read_once_and_again_when_it_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    digest._memory.cache_clear()
    reads = []
    whole = digest._md5
    monkeypatch.setattr(digest, "_md5", lambda path: reads.append(path) or whole(path))
    large, small = tmp_path / "large", tmp_path / "small"
    large.write_bytes(b"x" * digest.REMEMBERED)
    small.write_bytes(b"x")
    first = digest.file_md5(large), digest.file_md5(small)
    assert (digest.file_md5(large), digest.file_md5(small)) == first
    assert reads.count(large) == 1 and reads.count(small) == 2
    large.write_bytes(b"y" * digest.REMEMBERED)
    assert digest.file_md5(large) != first[0]
    digest._memory.cache_clear()


def test_hashes_are_made_where_nothing_can_be_remembered(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    digest._memory.cache_clear()
    large = tmp_path / "large"
    large.write_bytes(b"x" * digest.REMEMBERED)
    assert digest.file_md5(large) == hashlib.md5(b"x" * digest.REMEMBERED).hexdigest()
    digest._memory.cache_clear()
