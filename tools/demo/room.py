"""The address by which others in the room's network reach a demo, and a QR code of it for their telephones."""

import contextlib
import io
import socket

import segno

from tools.rig.exchange import ANY


def outward_address() -> str | None:
    """This machine's address on the interface by which it reaches others; None where it has none."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        # Sends nothing: it only chooses the interface.
        probe.connect(("192.0.2.1", 9))
        found: str = probe.getsockname()[0]
        return None if found.startswith("127.") else found
    return None


def room_url(host: str, port: int) -> str | None:
    """What others type in to reach a server that listens there; None where this machine is in no network."""
    address = outward_address() if host == ANY else host
    return None if address is None or address.startswith("127.") else f"http://{address}:{port}/"


def qr_lines(text: str) -> str:
    """The QR code of the text, for a terminal."""
    drawn = io.StringIO()
    segno.make_qr(text, error="m").terminal(drawn, compact=True, border=2)
    return drawn.getvalue()


def room_lines(url: str | None) -> list[str]:
    """What is printed of it."""
    if url is None:
        return ["this machine is in no network: nobody else can reach it now"]
    return [f"in this room: {url}", "", qr_lines(url)]
