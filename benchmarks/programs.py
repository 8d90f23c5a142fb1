"""Programs of the package index that are served as they are: the packages, the command and some requests of each."""

import shutil
from typing import NamedTuple

from servers import APPS, InstallError, command, pip, python_tag

HERE = APPS / "programs"
UVICORN = "uvicorn[standard]==0.54.0"
EVENTS = (("Accept", "text/event-stream"),)
JSON = (("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream"))


class Ask(NamedTuple):
    """A request."""

    path: str
    method: str = "GET"
    fields: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


class Program(NamedTuple):
    """One row: {bin} is the program's virtual environment, {work} a new folder, {port} where it has to listen.

    `command` is a Python program with its arguments that starts uvicorn by itself; `app` is what a server's command is
    given in the place of that. A program has one of them, or both.
    """

    name: str
    packages: str
    app: str = ""
    command: str = ""
    asks: tuple[Ask, ...] = (Ask("/"),)  # the crawl starts with these
    stream: Ask | None = None  # a response that never ends
    page: str = ""  # the path of one that is opened in a browser
    env: tuple[tuple[str, str], ...] = ()
    seconds: int = 90  # to start
    ready: int | None = None  # the status of the first request once it has started; None: any


CALL = b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-03-26", '
CALL += b'"capabilities": {}, "clientInfo": {"name": "crawl", "version": "1"}}}'
CHAT = b'{"model": "echo", "messages": [{"role": "user", "content": "hello"}]%s}'

PROGRAMS = {
    program.name: program
    for program in (
        Program(
            "gradio",
            "gradio",
            app="gradio_app:app",
            command="gradio_app.py",
            asks=(
                Ask("/"),
                Ask("/config"),
                Ask("/gradio_api/info"),
                Ask("/gradio_api/call/greet", "POST", JSON, b'{"data": ["crawl"]}'),
            ),
            stream=Ask("/gradio_api/heartbeat/abc", fields=EVENTS),
            page="/",
            env=(("GRADIO_SERVER_PORT", "{port}"), ("GRADIO_ANALYTICS_ENABLED", "False")),
        ),
        Program(
            "nicegui",
            "nicegui",
            app="nicegui_app:app",
            command="nicegui_app.py {port}",
            stream=Ask("/stream"),
            page="/",
        ),
        Program(
            "marimo",
            "marimo",
            app="marimo_app:app",
            command="{bin}/marimo run marimo_notebook.py --headless --no-token --port {port}",
            page="/",
        ),
        Program(
            "datasette",
            "datasette",
            app="datasette_app:app",
            command="datasette_app.py {port}",
            asks=(Ask("/"), Ask("/things/rows.json"), Ask("/things/rows.csv?_stream=on"), Ask("/-/versions.json")),
            page="/things/rows",
        ),
        Program(
            "chainlit",
            "chainlit",
            app="chainlit_app:app",
            command="{bin}/chainlit run chainlit_chat.py --headless --root-path /chat --port {port}",
            asks=(Ask("/chat/"), Ask("/chat/project/settings")),
            page="/chat/",
            env=(("CHAINLIT_APP_ROOT", "{work}"),),
        ),
        Program(
            "prefect",
            "prefect",
            app="--factory prefect.server.api.server:create_app",
            command="{bin}/prefect server start --port {port}",
            asks=(Ask("/"), Ask("/api/health"), Ask("/api/flows/filter", "POST", JSON, b"{}"), Ask("/docs")),
            page="/",
            env=(
                *(("PREFECT_HOME", "{work}"), ("PREFECT_SERVER_ANALYTICS_ENABLED", "false")),
                ("PREFECT_UI_API_URL", "http://127.0.0.1:{port}/api"),
            ),
        ),
        Program(
            "mcp-http",
            "mcp",
            app="mcp_app:http",
            command="mcp_app.py streamable-http {port}",
            asks=(Ask("/mcp", "POST", JSON, CALL), Ask("/mcp"), Ask("/")),
        ),
        Program(
            "mcp-sse",
            "mcp",
            app="mcp_app:sse",
            command="mcp_app.py sse {port}",
            asks=(Ask("/"), Ask("/messages/", "POST", JSON, CALL)),
            stream=Ask("/sse", fields=EVENTS),
        ),
        Program(
            "litellm",
            "litellm[proxy]",
            app="litellm.proxy.proxy_server:app",
            command="{bin}/litellm --config litellm.yaml --port {port}",
            asks=(
                Ask("/"),
                Ask("/v1/models"),
                Ask("/health/liveliness"),
                Ask("/v1/chat/completions", "POST", JSON, CHAT % b""),
                Ask("/v1/chat/completions", "POST", JSON, CHAT % b', "stream": true'),
                Ask("/openapi.json"),
            ),
            page="/ui/",
            env=(("CONFIG_FILE_PATH", f"{HERE}/litellm.yaml"), ("LITELLM_LOCAL_MODEL_COST_MAP", "True")),
        ),
        Program(
            "mlflow",
            "mlflow",
            app="mlflow.server.fastapi_app:app",
            command="{bin}/mlflow server --workers 1 --port {port} --backend-store-uri sqlite:///{work}/mlflow.db",
            asks=(
                Ask("/"),
                Ask("/health"),
                Ask("/version"),
                Ask("/api/2.0/mlflow/experiments/search", "POST", JSON, b'{"max_results": 5}'),
            ),
            page="/",
            env=(
                ("_MLFLOW_SERVER_FILE_STORE", "sqlite:///{work}/mlflow.db"),
                ("_MLFLOW_SERVER_ARTIFACT_ROOT", "{work}/artifacts"),
            ),
        ),
        Program(
            "chromadb",
            "chromadb fastapi opentelemetry-instrumentation-fastapi",
            app="chromadb.app:app",
            command="-m uvicorn chromadb.app:app --port {port} --timeout-keep-alive 30",
            asks=(Ask("/api/v2/heartbeat"), Ask("/api/v2/version"), Ask("/docs"), Ask("/openapi.json")),
            env=(("ANONYMIZED_TELEMETRY", "False"), ("IS_PERSISTENT", "True"), ("PERSIST_DIRECTORY", "{work}")),
        ),
        Program(
            "streamlit",
            "streamlit",
            app="streamlit_app:app",
            command="{bin}/streamlit run streamlit_script.py --server.headless true --server.port {port} "
            "--server.address 127.0.0.1 --browser.gatherUsageStats false",
            page="/",
        ),
        Program(
            "ray",
            "ray[serve]",
            command="ray_app.py {port}",
            asks=(Ask("/"), Ask("/docs"), Ask("/openapi.json"), Ask("/nowhere")),
            stream=Ask("/stream"),
            page="/",
            env=(("RAY_TMPDIR", "{work}"), ("RAY_USAGE_STATS_ENABLED", "0")),
            ready=200,  # until then its proxy knows no app
        ),
        Program(
            "fastapi",
            "fastapi fastapi-cli",
            app="fastapi_app:app",
            command="{bin}/fastapi run fastapi_app.py --port {port}",
            asks=(Ask("/"), Ask("/docs")),
            stream=Ask("/stream"),
        ),
    )
}


class Launcher(NamedTuple):
    """How a server serves an app, and how a program that starts uvicorn is run on it."""

    app: str
    command: str
    env: tuple[tuple[str, str], ...] = ()

    def line(self, program, own):
        """The command line, to be filled in with bin, work and port; `own`: the program's own, if it has one."""
        if program.command and (own or not program.app):
            return self.command.replace("{command}", program.command)
        return self.app.replace("{app}", program.app)


SALTARE = Launcher("{bin}/saltare {app} --port {port}", "{bin}/saltare as-uvicorn {command}")
LAUNCHERS = {
    "uvicorn": Launcher("{bin}/uvicorn {app} --port {port} --no-access-log", "{bin}/python {command}"),
    "saltare": SALTARE,
    "saltare parked": SALTARE._replace(env=(("SALTARE_PARK_MEMORY", "{work}"),)),
}


def install(program, python, cache, wheel):
    """Make the program's virtual environment under `cache` if it is missing; returns (bin directory, version)."""
    distribution = program.packages.partition(" ")[0].partition("[")[0]
    home = cache / python_tag(python) / f"program-{distribution}"
    wanted = f"{program.packages} {UVICORN}"
    stamp = home / "installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        shutil.rmtree(home, ignore_errors=True)
        command([python, "-m", "venv", home])
        pip(home, *wanted.split())
        stamp.write_text(wanted)
    pip(home, "--force-reinstall", "--no-deps", wheel)
    ask = f"import importlib.metadata as m; print(m.version({distribution!r}))"
    return home / "bin", command([home / "bin/python", "-c", ask], cwd=home).strip()


def build_wheel(python, folder):
    """The wheel of this tree, built into the folder."""
    command([python, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, APPS.parent.parent])
    for wheel in folder.glob("*.whl"):
        return wheel
    raise InstallError("no wheel was built")
