"""Serves a folder over HTTP on loopback and notes the bytes of every answer.

usage: nix-serve.py FOLDER LOG      prints the port
"""
import functools
import http.server
import sys


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def send_header(self, keyword, value):
        super().send_header(keyword, value)
        # Of what is not there too: that answer has a body of its own.
        if keyword == "Content-Length" and self.command == "GET":
            with open(sys.argv[2], "a") as log:
                log.write(f"{value} {self.path}\n")


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        # Nix ended, or ended the connection: it tells itself.
        pass


folder = functools.partial(Handler, directory=sys.argv[1])
server = Server(("127.0.0.1", 0), folder)
print(server.server_port, flush=True)
server.serve_forever()
