"""A local server for a page: browsers load WebAssembly and give cameras to localhost and https only."""
import functools
from contextlib import suppress
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from ...errors import UsageError


class _Handler(SimpleHTTPRequestHandler):
    extensions_map = {**SimpleHTTPRequestHandler.extensions_map, '.mjs': 'text/javascript', '.wasm': 'application/wasm'}

    def end_headers(self) -> None:
        # with these a page may use several threads
        self.send_header('Cross-Origin-Opener-Policy', 'same-origin')
        self.send_header('Cross-Origin-Embedder-Policy', 'require-corp')
        self.send_header('Cache-Control', 'no-cache')
        super().end_headers()

    def log_message(self, *args) -> None:
        """Nothing for each request."""


def page_server(folder: str | Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of a folder for this machine alone; ``serve_forever`` runs it.

    Args:
        port: 0 for any free one.

    Raises:
        OSError: The port is taken.
    """
    return ThreadingHTTPServer(('127.0.0.1', port), functools.partial(_Handler, directory=str(folder)))


def serve(folder: str | Path, port: int) -> None:
    """Serve a folder until Ctrl-C.

    Raises:
        UsageError: The port is taken, or there is no such port.
    """
    try:
        server = page_server(folder, port)
    except (OSError, OverflowError) as error:
        raise UsageError(f'port {port} cannot be served: {error}', '--serve', 'take another one') from error
    with server, suppress(KeyboardInterrupt):
        print(f'http://localhost:{server.server_port}/ (Ctrl-C ends it); a phone needs the folder on a host with https',
              flush=True)
        server.serve_forever()
