"""onnxruntime-web from npm: fetched once, checked, kept in the user's cache. Nothing of it is run here."""
import base64
import hashlib
import http.client
import os
import tarfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

from ...checkpoints.atomic import atomic_write
from ...errors import BenchError

VERSION = '1.30.0'
# SHA-512, as npm has it
_INTEGRITY = 'q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=='
# the build with WebGPU, and the smaller one without
FILES = ('ort.webgpu.min.mjs', 'ort-wasm-simd-threaded.asyncify.mjs', 'ort-wasm-simd-threaded.asyncify.wasm',
         'ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm')


class RuntimeDownloadError(BenchError, RuntimeError):
    """onnxruntime-web cannot be fetched, or is not the file that it should be."""


def cached_archive() -> Path:
    """Where the package of npm is kept: below ``XDG_CACHE_HOME``, or below ``~/.cache``."""
    cache = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache')
    return cache / 'mvit3_bench' / f'onnxruntime-web-{VERSION}.tgz'


def fetch_archive(log: Callable[[str], None]) -> Path:
    """The package of npm, from the cache or from the registry; ``NPM_CONFIG_REGISTRY`` names another one.

    Args:
        log: Called with a line before something is fetched.

    Raises:
        RuntimeDownloadError: There is no network, or the file has another checksum.
    """
    file = cached_archive()
    if file.is_file() and _is_right(file.read_bytes()):
        return file
    registry = os.environ.get('NPM_CONFIG_REGISTRY') or 'https://registry.npmjs.org'
    address = f'{registry.rstrip("/")}/onnxruntime-web/-/{file.name}'
    log(f'fetching {address} (33 MB), once')
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:
            data = answer.read()
    except (OSError, ValueError, http.client.HTTPException) as error:  # the last: it broke off
        raise RuntimeDownloadError(f'{address} cannot be fetched: {error}', address,
                                   f'fetch it on another machine and put it at {file}') from error
    if not _is_right(data):
        raise RuntimeDownloadError(f'{address} is not the published file: its SHA-512 is another', address,
                                   'take another registry (NPM_CONFIG_REGISTRY)')
    with atomic_write(file) as part:
        part.write(data)
    return file


def _is_right(data: bytes) -> bool:
    return base64.b64encode(hashlib.sha512(data).digest()).decode() == _INTEGRITY


def write_runtime(folder: Path, log: Callable[[str], None]) -> None:
    """Write what a page needs of onnxruntime-web into a folder; errors as :func:`fetch_archive`."""
    with tarfile.open(fetch_archive(log)) as package:
        for name in FILES:
            with atomic_write(folder / name) as file:
                file.write(package.extractfile(f'package/dist/{name}').read())
