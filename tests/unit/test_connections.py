"""How many connections a process and an address may have."""

import resource
import subprocess
import sys

import pytest
from django.test import override_settings

from base.servers.connections import Connections
from base.web.errors import TooManyConnections
from tools.rig.process import ROOT

RAISED = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
from base.servers.connections import allow_open_files
allow_open_files()
print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


def test_an_address_has_so_many_until_one_of_them_is_gone() -> None:
    connections = Connections()
    with override_settings(CONNECTION_MAX_PER_ADDRESS=2, TRUSTED_PROXIES=0):
        addresses = [connections.enter(peer) for peer in ("2001:db8::1", "2001:db8::2", "192.0.2.1")]
        with pytest.raises(TooManyConnections):
            connections.enter("2001:db8::3")
        connections.leave(addresses[0])
        assert connections.enter("2001:db8::3") == addresses[0] == "2001:db8::/64"


def test_a_proxy_and_a_unix_socket_are_everybody() -> None:
    connections = Connections()
    with override_settings(CONNECTION_MAX_PER_ADDRESS=1, TRUSTED_PROXIES=1):
        assert [connections.enter("192.0.2.1") for _ in range(3)] == [""] * 3
    with override_settings(CONNECTION_MAX_PER_ADDRESS=1, TRUSTED_PROXIES=0):
        assert [connections.enter("") for _ in range(3)] == [""] * 3


def test_a_server_has_more_open_files_than_a_shell_gives_it() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard <= 256:
        pytest.skip("this machine gives nobody more")
    printed = subprocess.check_output([sys.executable, "-c", RAISED], cwd=ROOT, text=True)
    assert int(printed) > 256
