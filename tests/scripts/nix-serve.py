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

    def copyfile(self, source, outputfile):
        data = source.read()
        outputfile.write(data)
        with open(sys.argv[2], "a") as log:
            log.write(f"{len(data)} {self.path}\n")


folder = functools.partial(Handler, directory=sys.argv[1])
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), folder)
print(server.server_port, flush=True)
server.serve_forever()
