# packages: yad xvfb xauth librsvg2-common libgtk-3-0 libgdk-pixbuf-2.0-0
# adopt: /usr/bin/yad /usr/lib/x86_64-linux-gnu/libgtk-3-0/gtk-query-immodules-3.0 /usr/lib/x86_64-linux-gnu/gdk-pixbuf-2.0/gdk-pixbuf-query-loaders
# plugins: /usr/lib/x86_64-linux-gnu/gtk-3.0 /usr/lib/x86_64-linux-gnu/gdk-pixbuf-2.0
# except: libxml2.so
# Both query programs open every input method and every image loader; yad shows a
# picture that needs a loader, in a window that uses an input method.
"$BIN/gtk-query-immodules-3.0" | grep -v '^#'
"$BIN/gdk-pixbuf-query-loaders" | grep -v '^#'
cat >picture.svg <<'SVG'
<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40"><rect width="40" height="40" fill="red"/></svg>
SVG
cat >inside <<SH
GTK_IM_MODULE=cedilla "$BIN/yad" --picture --filename="$WORK/picture.svg" --timeout=60 2>yad.err &
yad=\$!
for n in \$(seq 200); do grep -q pixbufloader-svg /proc/\$yad/maps 2>/dev/null && break; sleep 0.1; done
cat /proc/\$yad/maps >&3
grep -c pixbufloader-svg /proc/\$yad/maps | sed 's/[1-9][0-9]*/image loader/'
kill \$yad; wait \$yad || true
GTK_IM_MODULE=xim "$BIN/yad" --entry --entry-text=typed --timeout=60 2>>yad.err &
yad=\$!
for n in \$(seq 200); do grep -q im-xim /proc/\$yad/maps 2>/dev/null && break; sleep 0.1; done
grep -c im-xim /proc/\$yad/maps | sed 's/[1-9][0-9]*/input method/'
cat /proc/\$yad/maps >&3
kill \$yad; wait \$yad || true
SH
# A number of its own: two that look for a free one at once take the same.
xvfb-run -a -n 110 sh inside 2>sh.err
