# packages: vim-gtk3 xvfb xauth
# adopt: /usr/bin/vim.gtk3
# except: libxml2.so
# Python inside of vim (libpython is opened when it is first used), and the
# window of gvim on an X server.
"$BIN/vim.gtk3" -u NONE -i NONE -es -N -c 'py3 import json, ssl, sqlite3, vim' \
    -c 'py3 vim.current.buffer[:] = [json.dumps({"a": [1, 2]}), str(ssl.HAS_SNI), sqlite3.connect(":memory:").execute("select 6*7").fetchone()[0].__str__()]' \
    -c 'py3 open("maps", "w").write(open("/proc/self/maps").read())' \
    -c 'w! plain.txt' -c 'qa!'
cat plain.txt
cat maps >&3
# A number of its own: two that look for a free one at once take the same.
xvfb-run -a -n 150 "$BIN/vim.gtk3" -g -f -u NONE -i NONE -N \
    -c 'call setline(1, has("gui_running") . " " . toupper("gui"))' \
    -c 'py3 open("maps-gui", "w").write(open("/proc/self/maps").read())' \
    -c 'w! gui.txt' -c 'qa!' 2>gui.err
cat gui.txt
cat maps-gui >&3
