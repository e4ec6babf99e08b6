"""Request bodies under a limit: counted while they stream in, and again while they are decompressed."""

import asyncio
import io
import zlib
from typing import Final

import zstandard
from fastapi import Request

from central.db.refusal import Refused
from sync.records import BATCH_BYTES_MAX

JSON_BYTES_MAX: Final = 65_536
BODY_S_MAX: Final = 90
COMPRESSED_EXTRA_BYTES: Final = 4_096
"""What an encoding may add to a body that does not shrink."""
ZSTD_WINDOW_BYTES_MAX: Final = 8 * 1024 * 1024
_GZIP_WBITS: Final = 31


async def read(request: Request, limit_bytes: int) -> bytes:
    """The body as it came. Raises Refused too-large as soon as it is."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit_bytes:
        raise Refused("too-large", 413, f"{announced} bytes, at most {limit_bytes}")
    parts, size = [], 0
    try:
        async with asyncio.timeout(BODY_S_MAX):
            async for chunk in request.stream():
                size += len(chunk)
                if size > limit_bytes:
                    raise Refused("too-large", 413, f"more than {limit_bytes} bytes")
                parts.append(chunk)
    except TimeoutError:
        raise Refused("too-slow", 408, f"the body did not come within {BODY_S_MAX} s") from None
    return b"".join(parts)


async def read_batch(request: Request) -> tuple[bytes, str]:
    """An upload as it came, and its encoding: zstd, gzip or identity."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("zstd", "gzip", "identity"):
        raise Refused("malformed", 415, f"Content-Encoding {encoding[:40]!r}: zstd, gzip or identity is taken")
    extra = 0 if encoding == "identity" else COMPRESSED_EXTRA_BYTES
    return await read(request, BATCH_BYTES_MAX + extra), encoding


def unpacked(raw: bytes, encoding: str) -> bytes:
    """The batch without its encoding; makes at most BATCH_BYTES_MAX + 1. Raises Refused too-large, malformed."""
    try:
        if encoding == "zstd":
            reader = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES_MAX).stream_reader(io.BytesIO(raw))
            body = reader.read(BATCH_BYTES_MAX + 1)
        elif encoding == "gzip":
            engine = zlib.decompressobj(_GZIP_WBITS)
            body = engine.decompress(raw, BATCH_BYTES_MAX + 1)
            if not engine.eof and len(body) <= BATCH_BYTES_MAX:
                raise Refused("malformed", 422, "the gzip stream ends too early")
        else:
            body = raw
    except (zstandard.ZstdError, zlib.error) as error:
        raise Refused("malformed", 422, f"not {encoding}: {error}") from error
    if len(body) > BATCH_BYTES_MAX:
        raise Refused("too-large", 413, f"more than {BATCH_BYTES_MAX} bytes when decompressed")
    return body
