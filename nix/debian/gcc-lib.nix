# What Debian's compiler gives to programs: libstdc++ and libgcc_s. With `rpath`
# (the ordinary way) they say where libc is, and so change with it.
{ run, version, libstdcxx, libgcc, rpath ? null }:
let
  lib = package: builtins.path { path = package; name = baseNameOf package; };
  drv = run "gcc-lib-${version}" {
    libstdcxx = lib libstdcxx;
    libgcc = lib libgcc;
    inherit rpath;
  } ''
    mkdir -p $out/lib
    cp -a $libstdcxx/usr/lib/x86_64-linux-gnu/libstdc++.so.* $libgcc/lib/x86_64-linux-gnu/libgcc_s.so.1 $out/lib
    chmod -R u+w $out/lib
    rm -f $out/lib/*.py
    ln -s libstdc++.so.6 $out/lib/libstdc++.so
    if [ -n "$rpath" ]; then
      # By this name the linker's wrapper knows that a program needs this folder.
      ln -s libgcc_s.so.1 $out/lib/libgcc_s.so
      for file in $out/lib/libstdc++.so.6 $out/lib/libgcc_s.so.1; do
        patchelf --set-rpath $rpath/lib:$out/lib $(readlink -f $file)
      done
    fi
  '';
in
drv // { pname = "gcc-lib"; inherit version; }
