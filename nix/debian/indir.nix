# indir as a prebuilt executable, and its shim: what package.nix builds from source.
{ system, exe }:
let
  run = name: attrs: script: derivation ({
    inherit name system;
    builder = "/bin/bash";
    # With `exit`, so that bash does not become the last command: Nix kills a builder
    # that has closed its output, which those of coreutils do before they end.
    args = [ "-ec" "${script}\nexit" ];
    PATH = "/usr/bin:/bin";
  } // attrs);
  indir = run "indir" {
    exe = builtins.path { path = exe; name = "indir-executable"; };
  } "$exe setup --prefix $out";
in
{
  inherit indir;
  # Content-addressed: programs name it, so it must not change with indir itself.
  shim = run "indir-shim" {
    inherit indir;
    __contentAddressed = true;
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
  } ''
    mkdir -p $out/lib/indir
    cp $indir/lib/indir/ld-indir-x86-64.so.1 $indir/lib/indir/libindir-bind.so $out/lib/indir
  '';
}
