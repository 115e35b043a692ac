# standsFor { new; history; program; }: a link to the first earlier build of a library by which
# a program runs and reads the same as by `new`, else to that. See docs/reach.md and
# docs/nix.md, "Checks that need not run again".
#
# Content-addressed: whoever depends on the link alone is not built again while it leads to the
# same build. A second output, `sampled`, is an empty file but for one in `oneIn` of the cases
# in which an earlier build would do (0: in none): `new` is taken all the same then, and the
# file says so.
{ run, indir }:
{ new
  # The earliest first.
, history
  # A package or a program; or, with `unpack`, a folder with tree.tar.
, program
, unpack ? false
  # Folders of its other libraries.
, libDirs ? [ ]
, oneIn ? 50
}:
run "${new.pname or (builtins.parseDrvName new.name).name}-stands-for"
{
  inherit indir new history program unpack libDirs oneIn;
  outputs = [ "out" "sampled" ];
  __contentAddressed = true;
  outputHashMode = "recursive";
  outputHashAlgo = "sha256";
  preferLocalBuild = true;
  allowSubstitutes = false;
  indirStep = "stands-for";
} ./stands-for.sh
