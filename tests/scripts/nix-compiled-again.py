"""Which compile derivations a change of one library would run again.

usage: nix-compiled-again.py OLD NEW

OLD and NEW are JSON files as `nix show-derivation -r` prints them: of the set before and
after the change. A compile derivation is clean if all that is new below it lies behind
stubs, which are content-addressed and come out the same, or behind a fixed output.
Prints a summary, then each package that is compiled again, with the way to what changed
and the attributes that name it. Ends with 0 however many these are.
"""
import hashlib
import json
import sys

sys.setrecursionlimit(100_000)


def load(path):
    with open(path) as file:
        return json.load(file)


def attributes(derivation):
    found = dict(derivation["env"])
    if "__json" in found:
        more = json.loads(found.pop("__json"))
        found.update({key: value if isinstance(value, str) else json.dumps(value) for key, value in more.items()})
    return found


def step(derivation):
    return attributes(derivation).get("indirStep")


def name(path):
    return path.split("-", 1)[1].removesuffix(".drv")


def is_fixed(derivation):
    return any("hash" in output for output in derivation["outputs"].values())


def base32(digest):
    letters = "0123456789abcdfghijklmnpqrsvwxyz"
    found = ""
    for n in range((len(digest) * 8 - 1) // 5, -1, -1):
        byte, bit = divmod(n * 5, 8)
        value = digest[byte] >> bit
        if byte + 1 < len(digest):
            value |= digest[byte + 1] << (8 - bit)
        found += letters[value & 31]
    return found


def placeholder(path, output):
    """What stands in a derivation for an output whose path is not known yet."""
    stem, _, rest = path.rsplit("/", 1)[1].partition("-")
    rest = rest.removesuffix(".drv") + ("" if output == "out" else "-" + output)
    return "/" + base32(hashlib.sha256(f"nix-upstream-output:{stem}:{rest}".encode()).digest())


class Change:
    def __init__(self, old, new):
        self.old, self.new = old, new
        self.ways = {}
        # What is not new below itself, but for what its own attributes are.
        self.added = {path for path in new if path not in old}
        self.changed = self.origins()

    def origins(self):
        """What differs by its own attributes from a derivation of that name before."""
        before = {}
        for derivation in self.old.values():
            before.setdefault((derivation["env"].get("name"), step(derivation)), []).append(derivation)
        found = set()
        for path in self.added:
            derivation = self.new[path]
            # A check of new stubs is not the change.
            if step(derivation) not in (None, "compile"):
                continue
            text = self.without_paths(derivation)
            same = before.get((derivation["env"].get("name"), step(derivation)), [])
            if not any(self.without_paths(other) == text for other in same):
                found.add(path)
        return found

    @staticmethod
    def without_paths(derivation):
        """Attributes without any hash: those of inputs differ in what depends on a change."""
        cleaned = {}
        for key, value in attributes(derivation).items():
            out, i = [], 0
            while i < len(value):
                j = i
                while j < len(value) and value[j] in "0123456789abcdfghijklmnpqrsvwxyz":
                    j += 1
                out.append("#" if j - i >= 32 else value[i:j] if j > i else value[i])
                i = max(j, i + 1)
            cleaned[key] = "".join(out)
        return cleaned

    def way(self, path):
        """The shortest way from a derivation to what was changed, not through stubs."""
        if path in self.changed:
            return [path]
        if path not in self.added:
            return None
        if path not in self.ways:
            self.ways[path] = None
            best = None
            for below in self.new[path]["inputDrvs"]:
                if step(self.new[below]) == "stubs" or is_fixed(self.new[below]):
                    continue
                found = self.way(below)
                if found is not None and (best is None or len(found) + 1 < len(best)):
                    best = [path, *found]
            self.ways[path] = best
        return self.ways[path]

    def naming(self, path):
        """The attributes in which a derivation names what makes it new."""
        found = set()
        for below, outputs in self.new[path]["inputDrvs"].items():
            if step(self.new[below]) == "stubs" or is_fixed(self.new[below]) or self.way(below) is None:
                continue
            # Since Nix 2.17 with what a build itself would make known.
            for output in outputs["outputs"] if isinstance(outputs, dict) else outputs:
                names = [placeholder(below, output)]
                known = self.new[below]["outputs"].get(output, {}).get("path")
                if known:
                    names.append(known)
                found |= {key for key, value in attributes(self.new[path]).items() if any(n in value for n in names)}
        return sorted(found)


def main():
    change = Change(load(sys.argv[1]), load(sys.argv[2]))
    compiled = [path for path, derivation in change.new.items() if step(derivation) == "compile"]
    again = [path for path in compiled if path not in change.changed and change.way(path)]
    print(
        f"{len(change.new)} derivations, {len(change.added)} new, {len(compiled)} compile, "
        f"changed: {' '.join(sorted(map(name, change.changed))) or 'nothing'}, compiled again: {len(again)}"
    )
    for path in sorted(again, key=name):
        print(f"{name(path)}: {' <- '.join(map(name, change.way(path)[1:]))} ({', '.join(change.naming(path))})")


main()
