# The linker for the stdenv's wrapper: with NIX_INDIR=1 (which the setup hook sets)
# indir-ld around the real one, otherwise the real one itself. nixpkgs:
# wrapBintoolsWith { bintools = indirBintools; … }, see docs/nix.md.
{ run, indir, shim, shell, ld, name ? "ld" }:
run "indir-bintools" { inherit indir shim shell ld; linkerName = name; } ''
  mkdir -p $out/bin
  {
    echo "#!$shell"
    echo 'if [ "''${NIX_INDIR-}" = 1 ]; then'
    echo "  INDIR_LD=$ld exec $indir/bin/indir-ld --indir-shim=$shim/lib/indir/ld-indir-x86-64.so.1" '"$@"'
    echo 'fi'
    echo "exec $ld" '"$@"'
  } >$out/bin/$linkerName
  chmod +x $out/bin/$linkerName
''
