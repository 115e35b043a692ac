# packages: qtbase5-dev g++ pkg-config xvfb xauth
# build: g++ -fPIC -o show qt-show.cc $(pkg-config --cflags --libs Qt5Widgets Qt5Sql)
# plugins: /usr/lib/x86_64-linux-gnu/qt5/plugins
# except: libxml2.so
# Platform plugins (offscreen, minimal, xcb), image formats, a database driver.
for platform in offscreen minimal; do QT_QPA_PLATFORM=$platform "$BIN/show" 2>/dev/null; done
# A number of its own: two that look for a free one at once take the same.
QT_QPA_PLATFORM=xcb xvfb-run -a -n 130 "$BIN/show" 2>/dev/null
