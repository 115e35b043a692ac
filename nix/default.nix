# indir for package sets: see docs/nix.md.
#
# indirPackage: a package with bin/indir and bin/indir-ld; shim: lib/indir with the
# shim and the binder. PATH: coreutils, findutils, grep, sed, binutils, tar.
{ system ? "x86_64-linux", shell, PATH, indirPackage, linkerPackage ? indirPackage, shim }:
let
  run = {
    inherit PATH;
    __functor = self: name: attrs: script: derivation ({
      inherit name system PATH;
      builder = shell;
      # With `exit`, so that bash does not become the last command: Nix kills a builder
      # that has closed its output, which those of coreutils do before they end.
      args = if builtins.isPath script then [ "-e" script ] else [ "-ec" "${script}\nexit" ];
    } // attrs);
  };
in
rec {
  inherit run shim;
  indir = indirPackage;
  stubsOf = import ./stubs-of.nix { inherit run indir; };
  hook = run "indir-hook" { indir = linkerPackage; inherit shim; script = ./setup-hook.sh; } ''
    mkdir -p $out/nix-support
    sed "s|@indir@|$indir|g; s|@shim@|$shim|g" $script >$out/nix-support/setup-hook
  '';
  bintools = { ld, name ? "ld" }: import ./bintools.nix {
    inherit run shim shell ld name;
    indir = linkerPackage;
  };
  withIndirection = args: import ./with-indirection.nix ({ inherit run indir hook stubsOf; } // args);
}
