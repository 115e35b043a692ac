# packages: python3
# adopt: /usr/bin/python3.11
# plugins: /usr/lib/python3.11/lib-dynload
# Extension modules (each a plugin with libraries of its own), ctypes, TLS over
# loopback, a database, threads, worker processes.
"$BIN/python3.11" -I - <<'PY'
import bz2, ctypes, ctypes.util, decimal, hashlib, json, lzma, math, multiprocessing, os
import socket, sqlite3, ssl, subprocess, sys, tempfile, threading, uuid, zlib
import curses, readline, _ctypes, _ssl, _sqlite3, _lzma, _bz2

data = b"indir" * 1000
for module in (bz2, lzma, zlib):
    assert module.decompress(module.compress(data)) == data, module
print(hashlib.sha3_256(data).hexdigest(), hashlib.new("sha512", data).hexdigest()[:16])

libc = ctypes.CDLL(None)
call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
numbers = (ctypes.c_int * 5)(5, 3, 4, 1, 2)
libc.qsort(numbers, 5, 4, call(lambda a, b: a[0] - b[0]))
print(list(numbers), ctypes.CDLL("libm.so.6").labs(-7))

base = sqlite3.connect(":memory:")
base.execute("create table t (n)")
base.executemany("insert into t values (?)", [(n,) for n in range(100)])
print(base.execute("select sum(n), count(*) from t where n % 3 = 0").fetchone())

subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
    "-nodes", "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=localhost",
    "-addext", "subjectAltName=DNS:localhost"], check=True, capture_output=True)
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server.load_cert_chain("cert.pem", "key.pem")
listener = socket.create_server(("127.0.0.1", 0))
def serve():
    with server.wrap_socket(listener.accept()[0], server_side=True) as peer:
        peer.sendall(peer.recv(100)[::-1])
thread = threading.Thread(target=serve)
thread.start()
client = ssl.create_default_context(cafile="cert.pem")
with client.wrap_socket(socket.create_connection(listener.getsockname()), server_hostname="localhost") as peer:
    peer.sendall(b"sllew ti seod")
    print(peer.recv(100), peer.version())
thread.join()

def work(n):
    return math.factorial(n) % 1000003
with multiprocessing.get_context("fork").Pool(2) as pool:
    print(pool.map(work, range(0, 50, 10)))
print(multiprocessing.get_context("spawn").get_start_method(), decimal.Decimal(1) / 7)
# A child that this program anew: it is indirect as well.
print(subprocess.run([sys.executable, "-Ic", "import ssl; print('child', ssl.HAS_TLSv1_3)"],
    capture_output=True, text=True, check=True).stdout, end="")
os.write(3, open("/proc/self/maps", "rb").read())
PY
