# The rival: ordinary packages moved to another libc by rewriting hashes, as nixpkgs'
# replaceDependencies does it. For the comparison in docs/benchmarks.md.
#
# packages: the ordinary set; replaced: [ { old; new; } ], with names of one length.
{ run, packages, replaced }:
let
  inherit (builtins) attrValues concatMap filter foldl' listToAttrs map;
  pairsOf = old: new: map (output: { old = old.${output}; new = new.${output}; }) (old.outputs or [ "out" ]);
  rewritten = builtins.mapAttrs (_: rewrite) packages;
  rewrite = package:
    let
      inputs = filter (input: input ? pname) ((package.buildInputs or [ ]) ++ (package.propagatedBuildInputs or [ ]));
      again = input: foldl' (found: name: if packages.${name} == input then rewritten.${name} else found) input
        (builtins.attrNames packages);
      pairs = replaced ++ concatMap (input: pairsOf input (again input)) inputs;
    in
    run package.name (listToAttrs (map (o: { name = "old_${o}"; value = package.${o}; }) (package.outputs or [ "out" ])) // {
      outputs = package.outputs or [ "out" ];
      indirStep = "rewrite";
      from = map (pair: pair.old) pairs;
      to = map (pair: pair.new) pairs;
    }) ''
      script=
      set -- $to
      for path in $from; do
        script="$script;s|''${path##*/}|''${1##*/}|g"
        shift
      done
      for name in $outputs; do
        old=old_$name
        script="$script;s|$(basename ''${!old})|$(basename ''${!name})|g"
      done
      for name in $outputs; do
        old=old_$name
        cp -a ''${!old} ''${!name}
        chmod -R u+w ''${!name}
        find ''${!name} -type f -exec sed -i "$script" {} +
      done
    '' // { inherit (package) pname version; };
in
rewritten
