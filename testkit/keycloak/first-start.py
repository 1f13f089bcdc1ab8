"""Starts the Keycloak in FOLDER/home once and stops it.

Leaves FOLDER/template/data, its database with the master realm and the admin of the tests, and FOLDER/classes.jsa, the archive of the classes that it
loads: with both a start takes a third of the time.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

PATIENCE_S = 300


def main(folder: pathlib.Path) -> None:
    home, run = folder / "home", folder / "template"
    shutil.rmtree(run, ignore_errors=True)
    (run / "data").mkdir(parents=True)
    for part in ("lib", "conf", "providers", "themes"):
        (run / part).symlink_to(home / part)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        "java", f"-XX:ArchiveClassesAtExit={folder / 'classes.jsa'}", "-Xlog:cds=off", "-Xlog:cds+dynamic=off",
        f"@{pathlib.Path(__file__).with_name('keycloak.args')}",
        f"-Dkc.home.dir={run}", f"-Djboss.server.config.dir={run / 'conf'}",
        "-cp", str(home / "lib/quarkus-run.jar"), "io.quarkus.bootstrap.runner.QuarkusEntryPoint",
        "start", "--optimized", "--cache=local", "--http-enabled=true", "--hostname-strict=false", "--http-host=127.0.0.1", f"--http-port={port}",
    ]
    environment = os.environ | {"KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": "not-a-secret"}
    log = folder / "first-start.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment, cwd=run)
    try:
        ready(process, f"http://127.0.0.1:{port}/realms/master/.well-known/openid-configuration")
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        print(log.read_text(errors="replace")[-4000:])
        sys.exit(f"identity-tools: Keycloak did not start: {error}")
    finally:
        process.kill()
        process.wait()


def ready(process: subprocess.Popen, url: str) -> None:
    """Waits until `url` answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise OSError(f"it ended with {process.returncode}")
        try:
            with opener.open(url, timeout=10):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise OSError(f"it is not ready after {PATIENCE_S} s")


main(pathlib.Path(sys.argv[1]).resolve())
