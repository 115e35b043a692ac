# indir for package sets: see docs/nix.md.
#
# indirPackage: a package with bin/indir and bin/indir-ld; linkerPackage: the one that
# links, if another; its shim is what programs name.
# PATH: bash, coreutils, findutils, grep, sed, binutils, tar.
{ system ? "x86_64-linux", shell, PATH, indirPackage, linkerPackage ? indirPackage }:
rec {
  run = import ./run.nix { inherit system shell PATH; };
  indir = indirPackage;
  shim = import ./shim.nix { inherit run; indir = linkerPackage; };
  stubsOf = import ./stubs-of.nix { inherit run indir; };
  hook = run "indir-hook" { indir = linkerPackage; inherit shim; script = ./setup-hook.sh; } ''
    mkdir -p $out/nix-support
    sed "s|@indir@|$indir|g; s|@shim@|$shim|g" $script >$out/nix-support/setup-hook
  '';
  bintools = { real, names ? [ "ld" "ld.bfd" "ld.gold" ] }: import ./bintools.nix {
    inherit run shell shim real names;
    indir = linkerPackage;
  };
  withIndirection = args: import ./with-indirection.nix ({ inherit run indir hook stubsOf; } // args);
}
