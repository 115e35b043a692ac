# packages: bash bash-builtins
# adopt: /usr/bin/bash
# plugins: /usr/lib/bash
# Builtins that are loaded while it runs.
"$BIN/bash" --norc -c '
cd "$WORK"
for name in basename dirname head ln mkdir realpath rm rmdir seq sleep strftime sync tee uname unlink; do
    [ -e /usr/lib/bash/$name ] || continue
    enable -f /usr/lib/bash/$name $name && echo "$(type -t $name) $name"
done
basename /a/b.c .c; dirname /a/b/c; mkdir -p one/two && realpath one/../one/two >/dev/null && rmdir one/two
seq 3 | head -n 2 | tee three >/dev/null; read -r first <three; echo "$first"
strftime "%Y" 0; [ "$(uname -s)" = Linux ] && echo Linux
coproc sed -u s/a/b/; echo banana >&"${COPROC[1]}"; read -r said <&"${COPROC[0]}"; echo "$said"
while read -r line; do echo "$line"; done </proc/$$/maps >&3
'
