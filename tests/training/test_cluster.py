"""The cluster of this machine: who lacks the certificate of this run is not let in, by any of its doors."""

import asyncio
import ssl
import urllib.error
import urllib.request

import psutil
import pytest
from distributed import rpc
from distributed.security import Security

from privacy_report.training import cluster, device
from privacy_report.training.cluster import connected

REFUSED = "before comm was established|Timed out trying to connect"
"""What Dask says of a connection that the other side closes."""


def ask(address, arguments):
    """What a process of the cluster says to somebody who connects as Dask itself does."""

    async def identity():
        connection = rpc(address, connection_args=arguments, timeout=5)
        try:
            return await connection.identity()
        finally:
            await connection.close_rpc()

    return asyncio.run(identity())


def forged():
    """As a client of the cluster, with another certificate, and no eye for the server's."""
    arguments = Security.temporary().get_connection_args("client")
    arguments["ssl_context"].check_hostname = False
    arguments["ssl_context"].verify_mode = ssl.CERT_NONE
    return arguments


def anonymous():
    """With no certificate at all."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return {"ssl_context": context, "require_encryption": True}


def listening():
    """The ports of this process and its children."""
    family = [psutil.Process(), *psutil.Process().children(recursive=True)]
    connections = [connection for process in family for connection in process.net_connections("inet")]
    return {connection.laddr.port for connection in connections if connection.status == psutil.CONN_LISTEN}


def test_a_gpu_has_room_for_one_process(monkeypatch):
    assert cluster._room() == cluster.CPU_COUNT
    monkeypatch.setenv(device.VARIABLE, "gpu")
    assert cluster._room() == 1


def test_only_who_has_the_certificate_of_this_run_is_let_in():
    before = listening()
    with connected(2) as client:
        workers = client.scheduler_info()["workers"]
        doors = [client.scheduler.address, *workers, *(worker["nanny"] for worker in workers.values())]
        assert len(doors) == 1 + 2 * len(workers) > 1
        mine = client.security.get_connection_args("client")
        for door in doors:
            assert door.startswith("tls://127.0.0.1:")
            assert ask(door, mine)["id"]
            for arguments in (forged(), anonymous()):
                with pytest.raises(OSError, match=REFUSED):
                    ask(door, arguments)
            with pytest.raises(OSError, match=REFUSED):
                ask(door.replace("tls://", "tcp://"), {})
        others = listening() - before - {int(door.rsplit(":", 1)[1]) for door in doors}
        assert others  # of each process an HTTP server without pages
        for port in others:
            for page in (
                "info/main/workers.html",
                "json/index.html",
                "metrics",
                "health",
                "statics/css/base.css",
            ):
                with pytest.raises(urllib.error.HTTPError, match="404"):
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/{page}", timeout=5)
        assert client.submit(sum, [1, 2]).result() == 3
