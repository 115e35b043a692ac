# packages: libc-bin locales
# adopt: /usr/bin/getent /usr/bin/iconv /usr/bin/locale /usr/bin/date /usr/bin/sort /usr/bin/id /usr/bin/ls
# NSS, gconv modules, locale data, time zones: what glibc itself loads.
"$BIN/getent" passwd root nobody; "$BIN/getent" group daemon; "$BIN/getent" hosts localhost | tr -s ' '
"$BIN/getent" services ssh/tcp | tr -s ' '; "$BIN/id" -un 0
printf 'w\303\266rter \342\202\254\n' | "$BIN/iconv" -f UTF-8 -t UTF-16LE | od -An -tx1
printf '\346\227\245\346\234\254\n' | "$BIN/iconv" -f UTF-8 -t EUC-JP | od -An -tx1
printf 'h\303\251\n' | "$BIN/iconv" -f UTF-8 -t ISO-8859-15//TRANSLIT | od -An -tx1
mkdir locales && localedef -c -i de_DE -f UTF-8 locales/de_DE.UTF-8
export LOCPATH=$PWD/locales
LC_ALL=de_DE.UTF-8 TZ=Europe/Berlin "$BIN/date" -d @86400000 '+%A %d. %B %Y %Z'
printf 'Zebra\nähre\nApfel\nÖl\n' | LC_ALL=de_DE.UTF-8 "$BIN/sort" | tr '\n' ' '; echo
LC_ALL=de_DE.UTF-8 "$BIN/locale" -k LC_NUMERIC | head -n 2; LC_ALL=C.UTF-8 "$BIN/locale" charmap
LC_ALL=C.UTF-8 "$BIN/ls" no-such-file 2>&1 | sed "s|.*/ls|ls|"
