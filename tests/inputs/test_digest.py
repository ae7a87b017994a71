"""Our hashes are DVC's."""

from dvc_data.hashfile.build import build
from dvc_data.hashfile.db import HashFileDB
from dvc_objects.fs.local import LocalFileSystem

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
