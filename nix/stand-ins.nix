# The trees that one package is compiled against: of each library the earliest that the
# package cannot tell from today's. See docs/stand-in.md and docs/nix.md, "Stand-ins".
#
# One derivation a package, content-addressed, with an output for each library that is a
# link to a tree: the same choice is the same path, and nothing is compiled. `out` has the
# words of the package's source and what was chosen why.
{ indir }:
{ stdenv
, pname
  # Attributes of the package: by those that unpack and patch it its source is made, and
  # text of all others counts as the source's.
, attrs
  # { history; new; }: stub trees of each library, the earliest first.
, libraries
  # Stub trees that do not change.
, others ? [ ]
  # Packages whose text counts as the source's: what writes its code or asks for versions.
, words ? [ ]
}:
let
  inherit (builtins)
    attrNames attrValues concatMap concatStringsSep elemAt filter genList intersectAttrs isAttrs isList isString
    length listToAttrs replaceStrings unsafeDiscardStringContext;
  # What phases, hooks and flags say, without what it depends on.
  textOf = value:
    if isString value then [ (unsafeDiscardStringContext value) ]
    else if isList value then concatMap textOf value
    else [ ];
  more = removeAttrs attrs [ "name" "pname" "version" "src" "srcs" "patches" "outputs" "meta" "passthru" "env" ];
  texts = concatMap textOf (attrValues more ++ (if isAttrs (attrs.env or null) then attrValues attrs.env else [ ]));
  # By what its source is unpacked and patched, and what that mentions: variables.
  unpacking = intersectAttrs
    {
      src = null; srcs = null; sourceRoot = null; setSourceRoot = null; nativeBuildInputs = null;
      unpackPhase = null; preUnpack = null; postUnpack = null; unpackCmd = null;
      patches = null; patchPhase = null; prePatch = null; postPatch = null; patchFlags = null;
      dontUnpack = null; dontPatch = null;
    }
    attrs;
  hooks = concatStringsSep "\n" (map unsafeDiscardStringContext (filter isString (attrValues unpacking)));
  mentioned = filter (name: replaceStrings [ name ] [ "" ] hooks != hooks)
    (attrNames (removeAttrs more (attrNames unpacking)));
  # Each a name of a variable of the shell.
  outputOf = index: "lib${toString index}_stubs";
  indices = genList (index: index) (length libraries);
in
stdenv.mkDerivation (unpacking // listToAttrs (map (name: { inherit name; value = attrs.${name}; }) mentioned) // {
  name = "${pname}-stand-ins";
  outputs = [ "out" ] ++ map outputOf indices;
  phases = "unpackPhase patchPhase indirChoosePhase";
  indirChoosePhase = "source ${./stand-ins.sh}";
  indirStep = "stand-ins";
  inherit indir;
  # A line a library: its output, then its trees.
  indirLibraries = concatStringsSep "\n"
    (map (index: let l = elemAt libraries index; in "${outputOf index} ${toString (l.history ++ [ l.new ])}") indices);
  indirOthers = toString others;
  indirWords = toString words;
  indirText = concatStringsSep "\n" texts;
  passAsFile = [ "indirText" ];
  __contentAddressed = true;
  outputHashMode = "recursive";
  outputHashAlgo = "sha256";
  preferLocalBuild = true;
  allowSubstitutes = false;
}) // { inherit outputOf; }
