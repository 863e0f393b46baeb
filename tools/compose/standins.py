"""Stand-ins for the images that the project names, of Debian packages: made once, and kept in the cache folder."""

import hashlib
import os
import re
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tools.rig.packages import UnavailableError, cache_folder, this_release, unpack
from tools.rig.process import ROOT

if TYPE_CHECKING:
    from tools.compose.docker import Docker

CONTEXT = Path(__file__).parent / "standins"
BASE = "exchange-debian"
SUITE = "trixie"
NAMES = (
    (ROOT / "Dockerfile", re.compile(r"^FROM (\S+)", re.MULTILINE)),
    (ROOT / "docker-compose.yml", re.compile(r"^    image: (\S+:\S+)$", re.MULTILINE)),
    (ROOT / "deploy" / "compose.rabbitmq.yml", re.compile(r"^    image: (\S+:\S+)$", re.MULTILINE)),
)


def wanted() -> dict[str, str]:
    """By stage of the stand-ins' Dockerfile: the image as the project's files name it."""
    named = {image for file, pattern in NAMES for image in pattern.findall(file.read_text())}
    by_name = {re.sub(r":.*|.*/", "", image): image for image in named}
    stages = re.findall(r" AS ([\w-]+)$", (CONTEXT / "Dockerfile").read_text(), re.MULTILINE)
    return {stage: by_name[stage] for stage in stages if stage in by_name}


def load_stand_ins(docker: "Docker", folder: Path) -> None:
    """All of them, under the names of the files. Raises UnavailableError, or DockerError."""
    images = wanted()
    texts = [file.read_bytes() for file in sorted(CONTEXT.iterdir())]
    digest = hashlib.sha256(b"".join([*texts, *(image.encode() for image in images.values())])).hexdigest()[:12]
    kept = cache_folder() / f"stand-ins-{SUITE}-{digest}.tar"
    if kept.exists():
        docker("load", "--quiet", "--input", str(kept))
        return
    print(f"making {len(images)} images of {SUITE}'s packages (once; some minutes)", flush=True)
    _import_base(docker, folder)
    context = folder / "stand-ins"
    shutil.copytree(CONTEXT, context)
    _copy_certificates(context / "certificates.crt")
    for stage, image in images.items():
        print(f"  {image}", flush=True)
        # The packages come over the machine's own network.
        docker("build", "--network=host", f"--target={stage}", f"--tag={image}", str(context), seconds=1800)
    growing = kept.with_suffix(f".{os.getpid()}")
    docker("save", "--output", str(growing), *images.values())
    for old in cache_folder().glob("stand-ins-*.tar"):
        old.unlink()
    growing.rename(kept)


def _import_base(docker: "Docker", folder: Path) -> None:
    release = this_release()
    tool, root = unpack("debootstrap", release, (SUITE,), ["debootstrap"], alone=True), folder / "root"
    command = ["sh", str(tool / "usr/sbin/debootstrap"), "--variant=minbase", f"--keyring={release.keyring}"]
    command += [SUITE, str(root), release.mirror]
    variables = {**os.environ, "DEBOOTSTRAP_DIR": str(tool / "usr/share/debootstrap")}
    done = subprocess.run(
        command, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, process_group=0
    )
    if done.returncode:
        raise UnavailableError(f"debootstrap: {done.stdout.strip().splitlines()[-1:]}")
    archive = folder / "root.tar"
    subprocess.run(["tar", "--create", f"--file={archive}", f"--directory={root}", "."], check=True)
    docker("import", str(archive), BASE)
    shutil.rmtree(root)
    archive.unlink()


def _copy_certificates(file: Path) -> None:
    """Whom this machine trusts: a proxy of its own may stand before what pip asks."""
    trusted = ssl.get_default_verify_paths()
    if trusted.cafile and Path(trusted.cafile).exists():
        shutil.copy(trusted.cafile, file)
    else:
        file.write_text("")
