# runnable PACKAGE: the package with tables of its own, for `nix run` and for a profile of
# one package: its programs need nothing of the system. They start by a line of shell that
# names the tables to them and to what they start.
{ run, tablesOf, launcher }:
package:
let
  tables = tablesOf {
    name = "${package.name}-tables";
    packages = [ package launcher ];
  };
  bin = package.bin or package.out or package;
in
run "${package.name}-runnable"
  {
    inherit bin tables launcher;
    indirStep = "runnable";
    preferLocalBuild = true;
    allowSubstitutes = false;
  } ''
  mkdir -p $out/bin
  for file in $bin/bin/*; do
    {
      echo "#!$launcher/bin/sh"
      echo "INDIR_TABLES=$tables/tables\''${INDIR_TABLES:+:\$INDIR_TABLES} exec -a \"\$0\" $file \"\$@\""
    } >$out/bin/''${file##*/}
    chmod +x $out/bin/''${file##*/}
  done
  for folder in $bin/*; do
    [ "$folder" = $bin/bin ] || ln -s $folder $out
  done
'' // { inherit tables; inherit (package) pname version; meta = package.meta or { }; }
