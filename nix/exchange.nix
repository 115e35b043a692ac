# What an attribute means by the path of a library: nearly always something to compile
# against (`-L${zlib}/lib`, `--with-zlib=${zlib.dev}`), so it gets the stubs' path and
# the stubs' string context in place of the library's. Programs and data (bin, share, …)
# stay what they are.
{
  # From the `.drv` of a package to the package, or null: for those that are no inputs.
  packageOf
}:
# The inputs of one package, and the attribute's value.
inputs:
let
  inherit (builtins)
    any appendContext attrNames attrValues concatMap filter foldl' getContext hasContext intersectAttrs
    isAttrs isList isString length listToAttrs map mapAttrs replaceStrings removeAttrs split
    unsafeDiscardStringContext;
  drvOf = package: unsafeDiscardStringContext package.drvPath;
  # What an exchange wants to know of a package.
  entry = keep: change: package: rec {
    stubs = unsafeDiscardStringContext "${package.indirection.stubs}";
    context = getContext "${package.indirection.stubs}";
    paths = map (output: unsafeDiscardStringContext "${package.${output}}") (package.outputs or [ "out" ]);
    # As lists for replaceStrings, the first match counting: what stays, then what goes.
    from = concatMap (path: map (below: path + below) (keep ++ change)) paths;
    to = concatMap (path: map (below: path + below) keep ++ map (below: stubs + below) change) paths;
    drv = drvOf package;
  };
  known = listToAttrs (map
    (package: {
      name = drvOf package;
      value = entry [ "/bin" "/sbin" "/libexec" "/share" "/etc" "/var" ] [ "" ] package;
    })
    inputs);
  # Of what is no input a file may be meant that is opened at run time.
  foreign = entry [ "/lib/lib" ] [ "/lib" "/include" ];

  # Asked first, as `packageOf` evaluates packages: of those that this one is itself an
  # input of, in a circle, if nothing but programs of them is meant.
  namesLibraries = text:
    replaceStrings [ "/lib" "/include" ] [ "" "" ] text != text
    && length (split "[0-9a-z]{32}(-[^ /]*)?/(lib|include)" text) > 1;
  names = text: path: replaceStrings [ path ] [ "" ] text != text;

  exchanged = text:
    let
      context = getContext text;
      plain = unsafeDiscardStringContext text;
      mine = attrValues (intersectAttrs context known);
      rest = replaceStrings (concatMap (e: e.paths) mine) (concatMap (e: map (_: "") e.paths) mine) plain;
      others =
        if namesLibraries rest then
          map foreign (filter (package: package != null)
            (map packageOf (attrNames (removeAttrs context (attrNames known)))))
        else [ ];
      found = mine ++ others;
      new = replaceStrings (concatMap (e: e.from) found) (concatMap (e: e.to) found) plain;
    in
    # Most name neither an input nor the libraries of anything.
    if found == [ ] || new == plain then text
    else appendContext new
      (removeAttrs context (map (e: e.drv) (filter (e: !any (names new) e.paths) found))
        // foldl' (all: e: if names new e.stubs then all // e.context else all) { } found);

  exchange = value:
    if isString value then (if hasContext value then exchanged value else value)
    else if isList value then map exchange value
    else if isAttrs value then
      if value ? outPath then
        (if value ? indirection && known ? ${drvOf value} then value.indirection.stubs else value)
      else if value ? __toString then value
      else mapAttrs (_: exchange) value
    else value;
in
exchange
