# Shim and binder by themselves, from a package that has them: no libc, and
# content-addressed (or, with `hash`, fixed), because every program names their path and
# it must not change with the rest of indir. Nothing of the store may be named by it.
{ run, indir, hash ? null }:
run "indir-shim"
  ({
    inherit indir;
    outputHashMode = "recursive";
  } // (if hash != null then { outputHash = hash; } else {
    __contentAddressed = true;
    outputHashAlgo = "sha256";
    allowedReferences = [ ];
  })) ''
  mkdir -p $out/lib/indir
  cp $indir/lib/indir/ld-indir-x86-64.so.1 $indir/lib/indir/libindir-bind.so $out/lib/indir
''
