# stubsOf { indir; run; } { pkg; … }: what dependents of `pkg` are compiled against. See
# docs/nix.md, "Stubs".
#
# By default a floating content-addressed derivation: it is built again whenever the
# package changes, and gives the same path if the interface is the same. With `hash`, a
# fixed output: nothing is built while the path exists, and `tablesOf` finds a package
# that does not match it any more.
{
  # indir, the program; and a function to make a derivation from a shell script.
  indir
, run
}:
{
  pkg
  # The folders of stubs in which the libraries' own needs are looked up.
, stubDirs ? [ ]
  # An older build of the package: stubs and headers are those of it, after a check that
  # the package satisfies them.
, floor ? null
  # The hash of the tree, for a fixed output.
, hash ? null
  # Whether it is built for the check against the floor alone, by each package anew.
, isCheck ? false
}:
let
  inherit (builtins) elem filter length map;
  name = pkg.pname or (builtins.parseDrvName pkg.name).name;
  # Every output that may hold something to compile against.
  treesOf = package:
    let outputs = package.outputs or [ "out" ]; in
    # The package itself where it will do: less to evaluate.
    if length outputs == 1 && package ? outPath then [ package ]
    else map (output: package.${output}) (filter (output: elem output [ "out" "dev" "lib" "bin" ]) outputs);
  addressing =
    if isCheck then { }
    else { outputHashMode = "recursive"; } //
      (if hash != null then { outputHash = hash; } else { __contentAddressed = true; outputHashAlgo = "sha256"; });
in
run "${name}-stubs" (addressing // {
  indirStep = "stubs";
  inherit indir stubDirs;
  trees = treesOf pkg;
  floorTrees = if floor == null then [ ] else treesOf floor;
}) ./stub-tree.sh // {
  # nixpkgs asks the libc of a stdenv for them.
  pname = name;
  version = pkg.version or "";
}
