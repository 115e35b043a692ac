# indir for package sets: see docs/nix.md.
#
# indirPackage: a package with bin/indir and bin/indir-ld; linkerPackage: the one that
# links, if another; its shim is what programs name.
# PATH: bash, coreutils, findutils, grep, sed, binutils, tar.
{ system ? "x86_64-linux"
, shell
, PATH
, indirPackage
, linkerPackage ? indirPackage
  # For a shim that is a fixed output.
, shimHash ? null
  # What runs while packages are built runs on a frozen libc: the path of its ld.so, and
  # folders of libraries that are no inputs (the compiler's).
, interpreter
, referenceDirs ? [ ]
}:
rec {
  run = import ./run.nix { inherit system shell PATH; };
  indir = indirPackage;
  shim = import ./shim.nix { inherit run; indir = linkerPackage; hash = shimHash; };
  stubsOf = import ./stubs-of.nix { inherit run indir; };
  hook = run "indir-hook"
    {
      indir = linkerPackage;
      inherit shim referenceDirs;
      runtimeDir = dirOf interpreter;
      script = ./setup-hook.sh;
    } ''
    mkdir -p $out/nix-support
    sed "s|@indir@|$indir|g; s|@shim@|$shim|g; s|@referenceDirs@|$referenceDirs|g; s|@runtimeDir@|$runtimeDir|g" $script >$out/nix-support/setup-hook
  '';
  bintools = { real, names ? [ "ld" "ld.bfd" "ld.gold" ] }: import ./bintools.nix {
    inherit run shell shim real names interpreter;
    indir = linkerPackage;
  };
  # The package of a set that a `.drv` is of, if it is the one of that name: nothing is
  # guessed. Names are compared first, which costs little and does not fail: the source of
  # a package that does not evaluate is called as that one is.
  packageIn = set: drv:
    let
      file = builtins.substring 33 (-1) (baseNameOf drv);
      package = set.${(builtins.parseDrvName file).name} or null;
    in
    if package ? indirection && "${package.name or ""}.drv" == file && package ? drvPath
      && builtins.unsafeDiscardStringContext package.drvPath == drv
    then package else null;
  # The libraries of a package (a compiler's) that name no build of others.
  sealed = { pkg, name }: run name { inherit pkg; indir = linkerPackage; } ''
    mkdir -p $out/lib
    for file in $pkg/lib/lib*.so*; do
      case $file in *.py) ;; *) cp -a $file $out/lib ;; esac
    done
    chmod -R u+w $out
    $indir/bin/indir seal --libraries $out
  '' // { pname = name; version = pkg.version or ""; };
  standsFor = import ./stands-for.nix { inherit run indir; };
  indirect = args: import ./indirect.nix ({ inherit run indir hook stubsOf standsFor; } // args);
  # For the tables of an environment, with indirect.nix's view of a set.
  environments = set: rec {
    tablesOf = import ./tables-of.nix (set // {
      inherit run indir stubsOf;
      frozenRuntime = [ (dirOf (dirOf interpreter)) ] ++ map dirOf referenceDirs;
    });
    # launcher: a package with bin/sh that starts without any table of the environment.
    runnable = launcher: import ./runnable.nix { inherit run tablesOf launcher; };
  };
  # Such a shell: a copy of bash that has a table beside it.
  launcher = { bash, tablesOf }:
    let tables = tablesOf { name = "sh-tables"; packages = [ bash ]; }; in
    run "sh" { inherit indir bash tables; } ''
      mkdir -p $out/bin
      cp $bash/bin/bash $out/bin/sh
      mkdir $out/bin/.indir
      cp $tables/tables/* $out/bin/.indir
    '' // { pname = "sh"; };
}
