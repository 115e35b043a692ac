# A real build of glibc, repackaged from Debian's binary packages: `out` has the
# libraries and, as in nixpkgs, the crt objects; `dev` has the headers, with the
# kernel's.
{ run, version, runtime, development, kernelHeaders }:
let
  folder = path: name: filter: builtins.path { inherit path name filter; };
  # Not the archives that would be linked in place of a shared library.
  keep = path: _: builtins.match ".*/lib(c|m|m-[0-9.]*|mvec)\\.a" path == null;
  drv = run "glibc-${version}" {
    outputs = [ "out" "dev" ];
    runtime = folder (runtime + "/lib/x86_64-linux-gnu") "glibc-${version}-lib" (_: _: true);
    development = folder (development + "/usr") "glibc-${version}-dev" keep;
    kernel = folder (kernelHeaders + "/usr/include") "linux-headers" (_: _: true);
  } ''
    mkdir -p $out/lib $dev
    cp -a $runtime/. $out/lib
    chmod -R u+w $out
    cp -an $development/lib/x86_64-linux-gnu/. $out/lib || :
    chmod -R u+w $out
    # Development links point at the installed folder: the library lies beside.
    for link in $(find $out/lib -maxdepth 1 -type l -lname '/*'); do
      ln -sfn $(basename $(readlink $link)) $link
    done
    # The scripts of libc6-dev name the folders of an installed system.
    echo "GROUP ( $out/lib/libc.so.6 $out/lib/libc_nonshared.a AS_NEEDED ( $out/lib/ld-linux-x86-64.so.2 ) )" >$out/lib/libc.so
    echo "GROUP ( $out/lib/libm.so.6 AS_NEEDED ( $out/lib/libmvec.so.1 ) )" >$out/lib/libm.so
    cp -a $development/include $dev/include
    chmod -R u+w $dev
    for from in $kernel $dev/include/x86_64-linux-gnu $kernel/x86_64-linux-gnu; do
      [ ! -d $from ] || cp -a $from/. $dev/include
      chmod -R u+w $dev
    done
    rm -rf $dev/include/x86_64-linux-gnu
  '';
in
drv // { pname = "glibc"; inherit version; }
