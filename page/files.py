"""The files of a page, served from memory under a path that names their content: a browser may keep them for ever.

Modules import each other by relative paths, so a new version of one is a new folder for all. Nothing is built.
"""

import functools
import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe

FOR_EVER = "public, max-age=31536000, immutable"
# A page of another version, of before a deployment or after it, is given the file of this one, and does not keep it.
NOT_KEPT = "no-cache"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".LICENSE": "text/plain"}
_TEXTS = ("text/", "image/svg")
_VERSION_DIGITS = 12


@dataclass(frozen=True)
class File:
    """What is sent of one file: its bytes, and the same packed, where that is shorter."""

    media_type: str
    body: bytes
    packed: bytes | None


@dataclass(frozen=True)
class Files:
    """All files of one package's `static/<package>`."""

    version: str
    by_name: dict[str, File]


@functools.cache
def files_of(package: str) -> Files:
    """Read once in each process: they change by a deployment alone."""
    folder = Path(__file__).resolve().parent.parent / package / "static" / package
    by_name, digest = {}, hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name, body = path.relative_to(folder).as_posix(), path.read_bytes()
        digest.update(name.encode() + b"\0" + body + b"\0")
        by_name[name] = _file(path, body)
    return Files(digest.hexdigest()[:_VERSION_DIGITS], by_name)


def _file(path: Path, body: bytes) -> File:
    media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if not media_type.startswith(_TEXTS):
        return File(media_type, body, None)
    # The same bytes in each process: without the time.
    packed = gzip.compress(body, 9, mtime=0)
    return File(f"{media_type}; charset=utf-8", body, packed if len(packed) < len(body) else None)


def address(package: str) -> str:
    """Where the package's files are: a path that ends in a slash."""
    return f"/static/{package}/{files_of(package).version}/"


@require_safe
def serve(request: HttpRequest, package: str, version: str, name: str) -> HttpResponse:
    """One file. Neither the database nor Redis is needed."""
    files = files_of(package)
    file = files.by_name.get(name)
    if file is None:
        raise Http404
    takes_packed = file.packed is not None and "gzip" in request.headers.get("Accept-Encoding", "")
    response = HttpResponse(file.packed if takes_packed else file.body, content_type=file.media_type)
    response["Cache-Control"] = FOR_EVER if version == files.version else NOT_KEPT
    if takes_packed:
        response["Content-Encoding"] = "gzip"
    patch_vary_headers(response, ["Accept-Encoding"])
    return response
