"""Loading a file that may come from anyone: nothing in it runs, and it takes no more memory than its own size tells."""
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import torch

from ..errors import UnsafePickleError
from .pickle_scan import PickleScan

_ZIP = b'PK\x03\x04'
_OLD_FORMAT = (0x1950a86a20f9469cfc6c, 1001)  # how a file of torch before 1.6 begins: two pickles of one number each
_MOST_VIEWED = 8  # times the size of the file: tensors may share data, but not to become a hundred times as much


def load_torch(path: str | Path, map_location='cpu'):
    """Load a file of ``torch.save``, ``weights_only=True``, after a scan of its pickle.

    Raises:
        Exception: The file is damaged or refused; which type depends on where it breaks off.
    """
    with open(path, 'rb') as file:
        return load_stream(file, Path(path).stat().st_size, map_location)


def load_stream(file: BinaryIO, size: int, map_location='cpu'):
    """Load the contents of a file of this many bytes; errors as :func:`load_torch`."""
    file.seek(0)
    start = file.read(16)
    is_zip = start.startswith(_ZIP)
    if start[8:10] == b'{"':  # behind the length of this header
        raise UnsafePickleError('a file of safetensors: let its name end in .safetensors')
    file.seek(0)
    scan = _scan_zip(file, size) if is_zip else _scan_old(file, size)
    if scan.viewed > _MOST_VIEWED * size:
        raise UnsafePickleError(f'tensors of {scan.viewed} bytes out of a file of {size}')
    file.seek(0)  # the very file that was looked at, whatever has come to stand under its name
    return torch.load(file, map_location=map_location, weights_only=True, mmap=False)


def load_safetensors(path: str | Path, map_location='cpu') -> dict:
    """Load a file of safetensors: its tensors; or, where :func:`~.io.write_checkpoint` has added it, ``meta`` beside them.

    Raises:
        Exception: As :func:`load_torch`.
    """
    with open(path, 'rb') as file:
        if file.read(len(_ZIP)) == _ZIP:
            raise UnsafePickleError('a file of torch.save: let its name end in .pth')
    from safetensors import safe_open
    device = str(map_location) if isinstance(map_location, (str, torch.device)) else 'cpu'
    with safe_open(path, 'pt', device=device) as file:
        keys = list(file.keys())
        if unprintable := [key for key in keys if not key.isprintable()]:
            raise UnsafePickleError(f'a key with control characters: {unprintable[0]!r:.200}')
        state_dict = {key: file.get_tensor(key) for key in keys}
        text = (file.metadata() or {}).get('meta', '{}')
    try:
        meta = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnsafePickleError(f'its metadata "meta" is no JSON: {text!r:.60}') from error
    return dict(meta=meta, state_dict=state_dict) if meta and isinstance(meta, dict) else state_dict


def _scan_zip(file: BinaryIO, size: int) -> PickleScan:
    with _archive(file) as archive:
        entries = archive.infolist()
        names = [entry.filename for entry in entries]
        folder = names[0].partition('/')[0] if names else ''
        if len(set(names)) < len(names) or not all(
                name.startswith(f'{folder}/') and '..' not in name.split('/') for name in names):
            raise UnsafePickleError('entries of the same name, or outside the one folder')
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries) or sum(
                entry.file_size for entry in entries) > size:
            raise UnsafePickleError('compressed or overlapping entries, as torch never writes them')
        if f'{folder}/constants.pkl' in names:
            raise UnsafePickleError('a TorchScript program')
        sizes = {entry.filename.removeprefix(f'{folder}/data/'): entry.file_size for entry in entries}
        if f'{folder}/data.pkl' not in names:
            raise UnsafePickleError('no data.pkl: a zip archive, but not of torch.save')
        if damaged := [entry.filename for entry in entries if _damaged(archive, entry)]:
            raise UnsafePickleError(f'damaged data, as after a download that went wrong: {damaged[0]}')
        with archive.open(f'{folder}/data.pkl') as pickle:
            scan = PickleScan(pickle, _size_of(sizes))
    # of two directories in one file torch might take the other one
    file.seek(0)
    reader = torch._C.PyTorchFileReader(file)
    with _archive(file) as archive:
        if sorted(f'{folder}/{name}' for name in reader.get_all_records()) != sorted(names) or (
                reader.get_record('data.pkl') != archive.read(f'{folder}/data.pkl')):
            raise UnsafePickleError('two archives in one')
    return scan


def _archive(file: BinaryIO) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(file)
    for entry in archive.infolist():
        entry.CRC = entry.CRC or None  # 0 if its writer left it out, as torch.serialization.set_crc32_options lets one
    return archive


def _damaged(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bool:
    """Whether an entry differs from its checksum, if it has one."""
    try:
        with archive.open(entry) as file:
            while file.read(1 << 20):
                pass
    except zipfile.BadZipFile:
        return True
    return False


def _size_of(sizes: dict[str, int]) -> Callable[[str], int]:
    def size_of(key: str) -> int:
        if key not in sizes:
            raise UnsafePickleError(f'a storage that is not there: {key!r:.200}')
        return sizes[key]
    return size_of


def _scan_old(file: BinaryIO, size: int) -> PickleScan:
    try:
        begins = tuple(PickleScan(file).result for _ in _OLD_FORMAT)
    except Exception:  # pickletools raises what it likes
        begins = None
    if begins != _OLD_FORMAT:
        file.seek(0)
        raise UnsafePickleError(f'it begins with {file.read(16)!r}, as no file of torch.save does')
    PickleScan(file)  # about the machine that wrote it
    scan = PickleScan(file)
    keys = PickleScan(file).result
    if keys.kind != 'list' or sorted(keys.items) != sorted(scan.storages):
        raise UnsafePickleError('storages that are not there')
    if sum(scan.storages.values()) > size:
        raise UnsafePickleError(f'storages of {sum(scan.storages.values())} bytes in a file of {size}')
    return scan
