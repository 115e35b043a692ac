# packages: lua5.4 lua-socket lua-lpeg
# adopt: /usr/bin/lua5.4
# plugins: /usr/lib/x86_64-linux-gnu/lua
# C modules.
"$BIN/lua5.4" - <<'LUA'
local lpeg, socket, mime = require "lpeg", require "socket", require "mime"
print(lpeg.match(lpeg.C(lpeg.R "az" ^ 1) * -1, "indir"), mime.b64("indir"))
local server = assert(socket.bind("127.0.0.1", 0))
local _, port = server:getsockname()
local client = assert(socket.connect("127.0.0.1", port))
local peer = server:accept()
client:send("line\n") print(peer:receive())
local out = io.open("/proc/self/fd/3", "a")
for line in io.lines("/proc/self/maps") do out:write(line, "\n") end
LUA
