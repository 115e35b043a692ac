# stubsOf { indir; run; … } { pkg; … }: what dependents of `pkg` are compiled
# against. See docs/nix.md, "Stubs".
#
# By default a floating content-addressed derivation: it is built again whenever
# the package changes, and gives the same path if the interface is the same. With
# `hash`, a fixed output: nothing is built while the path exists, and a package
# that does not match the hash any more is found by `floorCheck`.
{
  # indir, the program; and a function to make a derivation from a shell script.
  indir
, run
}:
{
  pkg
  # The stub tree of an older build (or any tree made so): that very tree is given,
  # after a check that the package satisfies it.
, floor ? null
  # A folder with ABI texts, `<soname>.abi`: stubs are cut from these, headers
  # are the package's own.
, floorDir ? null
  # The hash of the tree, for a fixed output.
, hash ? null
}:
let
  name = pkg.pname or (builtins.parseDrvName pkg.name).name;
  source = pkg.indirection or { };
  built = source.compile or pkg;
  # Every output that may hold something to compile against.
  wanted = builtins.filter (o: builtins.elem o [ "out" "dev" "lib" "bin" ]) (built.outputs or [ "out" ]);
  addressing =
    if hash != null then { outputHash = hash; } else { __contentAddressed = true; outputHashAlgo = "sha256"; };
in
assert floor == null || floorDir == null;
run "${name}-stubs" (addressing // {
  outputHashMode = "recursive";
  indirStep = "stubs";
  inherit indir;
  trees = map (output: built.${output}) wanted;
  libDirs = source.stubLibDirs or [ ];
  floor = if floor == null then "" else floor;
  floorDir = if floorDir == null then "" else floorDir;
}) ./stub-tree.sh // {
  # nixpkgs asks the libc of a stdenv for them.
  pname = name;
  version = pkg.version or "";
}
