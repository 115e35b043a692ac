# The tools for the stdenv's linker wrapper: those of `real`, a package or /usr, but
# with NIX_INDIR=1 (which the setup hook sets) its linkers run below indir-ld.
# nixpkgs: wrapBintoolsWith { bintools = indirBintools; … }, see docs/nix.md.
{ run, indir, shim, shell, real, names, interpreter }:
run "indir-bintools" { inherit indir shim shell real names interpreter; script = ./linker.sh; } ''
  mkdir -p $out/bin
  for tool in addr2line ar as c++filt dwp elfedit gprof nm objcopy objdump ranlib readelf size strings strip; do
    [ ! -e $real/bin/$tool ] || ln -s $real/bin/$tool $out/bin
  done
  for name in $names; do
    [ -e $real/bin/$name ] || continue
    sed "s|@shell@|$shell|; s|@real@|$real/bin/$name|; s|@indir@|$indir|; s|@shim@|$shim|; s|@interpreter@|$interpreter|" \
      $script >$out/bin/$name
    chmod +x $out/bin/$name
  done
'' // { isGNU = true; }
