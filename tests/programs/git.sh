# packages: git openssl python3
# adopt: /usr/bin/git /usr/lib/git-core/git-remote-https
# Helper programs, one of them over TLS: clone and fetch from a server on loopback.
mkdir exec server
for helper in /usr/lib/git-core/*; do ln -s "$helper" exec/; done
rm -f exec/git exec/git-remote-https exec/git-remote-http
for name in git git-remote-https; do cp -P "$BIN/$name" exec/ 2>/dev/null || true; ln -sf "$BIN/$name" "exec/$name"; done
export GIT_EXEC_PATH=$PWD/exec GIT_CONFIG_NOSYSTEM=1 HOME=$PWD
export GIT_AUTHOR_DATE='2020-01-01 00:00:00 +0000' GIT_COMMITTER_DATE='2020-01-01 00:00:00 +0000'
g() { "$BIN/git" -c user.name=n -c user.email=e -c init.defaultBranch=main -c gc.auto=0 "$@"; }
g init -q work && cd work
echo one >file && g add file && g commit -q -m one && g gc -q
echo two >>file && g commit -q -a -m two && g rebase -q --force-rebase HEAD~1
g log --format='%H %s' && g blame -s file | cut -c 1-8 && cd ..
g clone -q --bare work server/repo.git && g -C server/repo.git update-server-info
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem \
    -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>/dev/null
python3 - >port 2>/dev/null <<'PY' &
import functools, http.server, ssl
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory="server")
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("cert.pem", "key.pem")
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
PY
server=$!
trap 'kill $server' EXIT
until [ -s port ]; do sleep 0.05; done
url=https://127.0.0.1:$(cat port)/repo.git
g -c http.sslCAInfo="$PWD/cert.pem" clone -q "$url" copy && cat copy/file
g -c http.sslCAInfo="$PWD/cert.pem" ls-remote "$url" | cut -c 1-40
g ls-remote "$url" 2>&1 | grep -o 'certificate verification failed' | head -n 1
"$BIN/git" --version >/dev/null && "$BIN/git" -C work hash-object --stdin </proc/self/maps >/dev/null
