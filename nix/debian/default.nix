# The package set of packages.nix, the ordinary way and with indirection, on any of
# the real builds of glibc. For the tests, and to read how the parts of ../ fit.
{
  # A prebuilt indir; the one that links, if another.
  exe
, linkerExe ? exe
  # tests/scripts/nix-fetch.sh leaves them there.
, cache
, sources ? "slice"
  # Names of package => function from its attributes to changed ones.
, changes ? { }
  # Further packages of the set with indirection, by pname.
, more ? (stdenv: packages: { })
  # A Debian version of glibc in the cache.
, glibc ? "old"
  # Whether stubs are frozen to the builds of `baseline`.
, floors ? true
  # Packages whose floor is raised: their stubs are those of today's build.
, raised ? [ ]
  # Hashes of stub trees: fixed outputs in place of content-addressed ones.
, hashes ? { }
, frozen ? "old"
  # For `relinkedAgain`.
, round ? ""
}:
let
  system = "x86_64-linux";
  # Without symlinks: a store path must not depend on where the cache is.
  at = path: /. + path;
  shell = "/bin/bash";
  PATH = "/usr/bin:/bin";
  run = import ../run.nix { inherit system shell PATH; };
  glibcOf = name: import ./glibc.nix (glibcArguments name);
  glibcArguments = name: {
    inherit run;
    version = allSources."glibc-${name}";
    runtime = at "${cache}/glibc/${name}";
    development = at "${cache}/glibc-dev/${if name == "trixie" then "bookworm" else name}";
    kernelHeaders = at "${cache}/nix-gcc/linux-libc-dev";
  };
  gccLibOf = rpath: import ./gcc-lib.nix {
    inherit run rpath;
    version = "12";
    libstdcxx = at "${cache}/nix-gcc/libstdc++6";
    libgcc = at "${cache}/nix-gcc/libgcc-s1";
  };
  allSources = import (at "${cache}/nix-sources.${sources}.nix");
  set = mkDerivation: changes: import ./packages.nix { inherit mkDerivation changes; sources = allSources; };

  # What package.nix builds from source, from an executable that is there already.
  installed = executable: run "indir"
    {
      exe = builtins.path { path = executable; name = "indir-executable"; };
    } "$exe setup --prefix $out";
  indir = import ../. {
    inherit system shell PATH;
    indirPackage = installed exe;
    linkerPackage = installed linkerExe;
  };

  ordinary = { libc, changes }:
    let
      gccLib = gccLibOf libc;
      stdenv = import ./stdenv.nix { inherit libc gccLib; };
    in
    {
      inherit stdenv gccLib libc;
      packages = set stdenv.mkDerivation changes;
    };

  # baseline: the frozen set, or null for the frozen set itself.
  indirect = { libc, changes, baseline }:
    let
      gccLib = gccLibOf null;
      floorOf = package:
        if baseline == null || !floors || builtins.elem package.pname raised then null
        else (baseline.all.${package.pname} or { }).stubs or null;
      hashOf = package: if baseline == null then null else hashes.${package.pname} or null;
      runtimeStub = pkg: indir.stubsOf { inherit pkg;
        # The headers of two builds of glibc do differ: they are the floor's.
        floor = if baseline == null then null else baseline.all.${pkg.pname}.stubs;
      };
      libcStub = runtimeStub libc;
      gccStub = runtimeStub (gccLib // { indirection = { compile = gccLib; stubLibDirs = [ "${libcStub}/lib" ]; inputs = [ ]; }; });
      stdenv = import ./stdenv.nix {
        libc = libcStub;
        gccLib = gccStub;
        linker = "${indir.bintools { real = "/usr"; names = [ "ld" ]; }}/bin/ld";
      };
      wrapped = indir.withIndirection {
        inherit stdenv floorOf hashOf;
        ordinaryStdenv = import ./stdenv.nix { inherit libc gccLib; };
        runtime = [ libc gccLib ];
        runtimeStubs = [ libcStub gccStub ];
        referenceOf = package:
          if baseline == null then package else (baseline.all.${package.pname} or { package = package; }).package;
      };
      packages = set wrapped.mkDerivation changes // more wrapped packages;
      entry = package: { name = package.pname; value = { inherit package; inherit (package.indirection) stubs; }; };
    in
    {
      inherit packages libc gccLib libcStub gccStub;
      inherit (wrapped) mkDerivation;
      all = builtins.listToAttrs (map entry (builtins.attrValues packages)) // {
        glibc = { package = libc; stubs = libcStub; };
        gcc-lib = { package = gccLib; stubs = gccStub; };
      };
    };
  baseline = indirect { libc = glibcOf frozen; changes = { }; baseline = null; };
  current = indirect { libc = glibcOf glibc; inherit changes baseline; };
  # Rewriting hashes needs names of one length.
  padded = name: let libc = glibcOf name; in
    import ./glibc.nix ((glibcArguments name) // {
      version = builtins.replaceStrings [ "deb12u7" ] [ "deb12u07" ] libc.version;
    });
  plain = ordinary { libc = padded glibc; inherit changes; };
  before = changes: ordinary { libc = padded frozen; inherit changes; };
  rewritten = import ./rewrite.nix {
    inherit run;
    inherit (before { }) packages;
    replacements = (before changes).packages;
    runtime = [
      { old = (before { }).libc.out; new = plain.libc.out; }
      { old = (before { }).gccLib; new = plain.gccLib; }
    ];
  };
  # What others may download: all but tables, stubs and build trees.
  only = package: output: package.${output} // { outputSpecified = true; };
  published = package:
    let built = package.indirection.compile or package; in
    map (only built) (builtins.filter (output: output != "buildtree") (built.outputs or [ "out" ]));
  uploadOf = ordinary: packages:
    builtins.concatMap published packages ++ [ (only ordinary.libc "out") ordinary.gccLib ];
  everything = name: packages: run name { packages = builtins.attrValues packages; } ''
    mkdir -p $out/bin
    for package in $packages; do
      for file in $package/bin/*; do [ ! -e $file ] || ln -sf $file $out/bin; done
    done
    echo $packages >$out/packages
  '';
  # To measure what relinking takes: the derivations of it, and as many that do nothing.
  again = change: map
    (package: derivation (package.indirection.relink.drvAttrs // { inherit round; } // change))
    (builtins.filter (package: (package.indirection.relink or null) != null) (builtins.attrValues current.packages));
in
{
  # All outputs of all packages, as compiled.
  compiled = map (package: package.indirection.compile or package) (builtins.attrValues current.packages);
  relinkedAgain = again { };
  nothing = again { args = [ "-ec" "for name in $outputs; do : >\${!name}; done" ]; };
  inherit baseline current indir;
  ordinary = plain;
  inherit (indir) shim;
  # What a machine runs.
  system = everything "system" current.packages;
  upload = builtins.concatMap published (builtins.attrValues current.packages)
    ++ [ (only current.libc "out") current.gccLib indir.indir indir.shim ];
  ordinarySystem = everything "system" plain.packages;
  ordinaryUpload = uploadOf plain (builtins.attrValues plain.packages);
  # The frozen ordinary system, moved to `glibc` and `changes` by rewriting.
  rewrittenSystem = everything "system" rewritten.packages;
  rewriteUpload = uploadOf (before { }) (builtins.attrValues (before { }).packages)
    ++ uploadOf plain rewritten.replaced;
}
