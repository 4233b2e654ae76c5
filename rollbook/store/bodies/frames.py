"""zstd frames: bodies packed and unpacked with a dictionary, and a dictionary learnt. The door to zstd. Pure.

Python has zstd since 3.14; before, the package backports.zstd is the same. Where there is none (a build of Python
without it), nothing is packed, and what is packed cannot be read. It is imported when a body needs it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final

from rollbook.store.file.errors import StoreDamaged, StoreError

# A body that is larger stays plain, and a frame that says it holds more is not unpacked.
LARGEST: Final = 64 * 1024 * 1024
# What a level costs: the first is for what comes live, the other packs 2 to 3 % better in half as much time again.
QUICK: Final = 1
SMALL: Final = 3
# The size that zstd itself takes where none is asked for; larger ones pack no better (docs/packing.md).
DICTIONARY_BYTES: Final = 112_640
# zstd learns from samples of a hundredth of the dictionary's size and more: from fewer bodies than this it learns those
# bodies and not what they have in common.
FEWEST: Final = 100

_MAGIC: Final = b"\x28\xb5\x2f\xfd"
# The memory that a frame may ask for: a window of 2**26 bytes holds the largest body.
_WINDOW_BITS: Final = 26

Packer = Callable[[bytes], bytes]
Unpacker = Callable[[bytes], bytes]


class _Zstd:
    """The module, once it is looked for; None where there is none."""

    module: Any = None
    sought = False


def _zstd() -> Any:
    if not _Zstd.sought:
        name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
        try:
            _Zstd.module = importlib.import_module(name)
        except ImportError:
            _Zstd.module = None
        _Zstd.sought = True
    return _Zstd.module


def available() -> bool:
    """Tell whether this Python can pack and unpack."""
    return _zstd() is not None


def _needed() -> Any:
    zstd = _zstd()
    if zstd is None:
        raise StoreError(
            "bodies of this store are packed, and this Python has no zstd to read them; `pip install backports.zstd`"
            " (before Python 3.14) brings it"
        )
    return zstd


def is_frame(value: bytes) -> bool:
    """Tell whether bytes begin as a frame does."""
    return value[:4] == _MAGIC


def dictionary_of(frame: bytes) -> int:
    """The number of the dictionary that a frame was packed with; 0 for none. Raises StoreDamaged."""
    return _header(_needed(), frame)[0]


def _header(zstd: Any, frame: bytes) -> tuple[int, int]:
    """(number of its dictionary, bytes that it holds). Raises StoreDamaged, for one too large too."""
    try:
        found = zstd.get_frame_info(frame)
    except zstd.ZstdError as error:
        raise damaged(str(error)) from None
    if found.decompressed_size is None:
        raise damaged("it does not say how much it holds")
    if found.decompressed_size > LARGEST:
        raise damaged(f"it says that it holds {found.decompressed_size:,} bytes")
    return found.dictionary_id, found.decompressed_size


def damaged(why: str) -> StoreDamaged:
    """The error of a frame that cannot be unpacked."""
    return StoreDamaged(f"a packed body cannot be read ({why}); the file is damaged: restore a copy")


def packer(dictionary: bytes, level: int) -> Packer:
    """A function that packs a body with this dictionary. A frame says how large its body is, and names the dictionary.

    Raises StoreDamaged for what is no dictionary.
    """
    zstd = _needed()
    made = zstd.ZstdCompressor(level=level, zstd_dict=_dictionary(zstd, dictionary).as_digested_dict)
    compress, whole = made.compress, made.FLUSH_FRAME
    return lambda raw: compress(raw, whole)


def unpacker(dictionary: bytes | None) -> Unpacker:
    """A function that gives back a body that was packed with this dictionary, or with none. It raises StoreDamaged."""
    zstd = _needed()
    learnt = None if dictionary is None else _dictionary(zstd, dictionary).as_digested_dict
    options = {zstd.DecompressionParameter.window_log_max: _WINDOW_BITS}
    make, error_kind = zstd.ZstdDecompressor, zstd.ZstdError

    def unpack(frame: bytes) -> bytes:
        size = _header(zstd, frame)[1]
        try:
            reading = make(zstd_dict=learnt, options=options)
            # One byte more than it says, so that a frame that holds more is found out and not cut.
            raw: bytes = reading.decompress(frame, max_length=size + 1)
        except error_kind as error:
            raise damaged(str(error)) from None
        if not reading.eof or reading.unused_data or len(raw) != size:
            raise damaged("it does not end where it says")
        return raw

    return unpack


def _dictionary(zstd: Any, dictionary: bytes) -> Any:
    try:
        made = zstd.ZstdDict(dictionary)
        # Its tables are read when it is used first.
        zstd.ZstdDecompressor(zstd_dict=made.as_digested_dict)
    except (zstd.ZstdError, ValueError) as error:
        raise StoreDamaged(
            f"a dictionary of this store cannot be read ({error}); the file is damaged: restore a copy"
        ) from None
    return made


def dictionary_id(dictionary: bytes) -> int:
    """The number that zstd has given a dictionary, which is in every frame packed with it."""
    number: int = _dictionary(_needed(), dictionary).dict_id
    return number


def learn(samples: Sequence[bytes]) -> bytes | None:
    """A dictionary of what these bodies have in common; None where there is no zstd, or too little to learn from.

    It takes a tenth of a second or two, and lets other threads run meanwhile.
    """
    zstd = _zstd()
    some = [sample for sample in samples if sample]
    if zstd is None or len(some) < FEWEST:
        return None
    try:
        made = zstd.train_dict(some, DICTIONARY_BYTES)
    except (zstd.ZstdError, ValueError):
        return None
    content: bytes = made.dict_content
    return content if made.dict_id else None
