# SPDX-License-Identifier: Apache-2.0
"""local(8) beside Debian's: the same outcome and text for each of many aliases, .forward files
and commands. Each side gets all recipients in one message."""
import os
import re
import time
import unittest

from system.test_local import USER, Pair, Place, normal

ENOUGH = "x" * 300

# alias: what it stands for; {out} is a directory that all may write to.
ALIASES = {
    # addresses
    "user": USER, "upper": USER.upper(), "quoted": f'"{USER}"', "escaped": f"\\{USER}",
    "bracket": f"<{USER}>", "phrase": f"Some One <{USER}>", "comment": f"{USER} (the user)",
    "domain": f"{USER}@local.example", "domain2": f"{USER}@LOCAL.EXAMPLE", "ext": f"{USER}+e",
    "unknown": "nobody-here", "unknown2": "nobody-here@local.example",
    "self": "self", "self2": "self@local.example", "a1": "a2", "a2": "a3", "a3": USER,
    "loop1": "loop2", "loop2": "loop1", "dot": "x..y", "twice": f"{USER}, {USER}",
    "spaces": f"   {USER}  ", "trail": f"{USER},", "lead": f",{USER}",
    # files
    "null": "/dev/null", "file": "{out}/file", "qfile": '"{out}/a file"', "nodir": "/nowhere/x",
    "dir": "{out}", "devzero": "/dev/full", "root": "/etc/no", "exec": "{out}/exec",
    "socketdir": "{out}/md/", "relative": "./x",
    # commands
    "true": "|/bin/true", "false": "|/bin/false", "cat": '"|cat > {out}/cat"',
    "nocmd": "|/no/such/command", "notexec": "|{out}/exec0", "sig9": '"|kill -9 $$"',
    "sig15": '"|kill $$"', "colon": "|:", "assign": '"|A=1 true"',
    "out1": '"|echo some words; exit 1"', "out75": '"|echo some words; exit 75"',
    "multi": '"|echo one; echo two; exit 69"', "dsn4": '"|echo 4.2.9 wait; exit 1"',
    "dsn5": '"|echo 5.7.9 never; exit 75"', "dsn2": '"|echo 2.0.0 fine; exit 1"',
    "dsnx": '"|echo 5.7.9; exit 1"', "dsn0": '"|echo 5.7.9 never; exit 0"',
    "dsnlong": '"|echo 5.1234.9 never; exit 65"', "err": '"|echo to stderr >&2; exit 65"',
    "long": '"|echo ' + ENOUGH + '; exit 65"', "uid": '"|id -un > {out}/uid; exit 0"',
    "noread": '"|exec true"', "quote": '''"|echo \\"a  b\\"; exit 65"''',
    "meta": '"|true && false"', "semi": '"|true; false"', "dollar": '"|exit $((60+5))"',
    "pwd": '"|pwd; exit 65"', "umask": '"|umask; exit 65"',
    "vars": '"|echo $USER $LOGNAME $LOCAL $DOMAIN $EXTENSION $RECIPIENT $SENDER '
            '$ORIGINAL_RECIPIENT $SHELL $HOME; exit 65"',
    "client": '"|echo $CLIENT_ADDRESS $CLIENT_HOSTNAME $CLIENT_PROTOCOL $CLIENT_HELO '
              '$SASL_USERNAME $PATH; exit 65"',
    **{f"exit{n}": f'"|exit {n}"' for n in (*range(64, 79), 2, 63, 79, 127, 255)},
    # include
    "inc1": ":include:{out}/one", "incno": ":include:/no/file",
    "incdir": ":include:{out}", "incq": '":include:{out}/one"',
    "incpipe": ":include:{out}/pipe", "incfile": ":include:{out}/path", "INCUP": ":Include:{out}/one",
    "incdev": ":include:/dev/null", "inccomment": ":include:{out}/comments",
}
# What we say differently, or do in one message more or less (docs/differences.md): only whether
# it fails counts.
TEXT_DIFFERS = ("incdev", "incdir", "incno", "loop1", "loop2", "nocmd", "notexec", "nodir",
                "root", "devzero", "dsn2")
SENT_OTHERWISE = ("inc1", "incq", "INCUP", "inccomment", "twice", f"{USER}+incl", f"{USER}+hash")
EXTRA = (USER, f"{USER}+x", f"{USER}+x+y", USER.title() + "+U", "nobody-at-all", "nobody-at-all+x",
         "postmaster", "mailer-daemon", "true+ext", "vars+ext", "owner-none", "user+e", "daemon-x")
# extension: text of the .forward file
FORWARDS = {
    "self": f"\\{USER}", "plain": USER, "own": f"{USER}@local.example", "cmd": '"|exit 65"',
    "file": "{out}/forwarded", "null": "/dev/null", "hash": f"# nothing\n{USER}", "empty": "",
    "only": "# only a comment\n", "incl": ":include:{out}/one",
    "vars": '"|echo $USER $EXTENSION $HOME $SHELL $LOGNAME; exit 65"', "id": '"|id -un; exit 65"',
    "ext": f"{USER}+self", "crlf": f"{USER}\r\n", "alias": "exit67", "md": "{out}/fmd/",
}


def prepare(place):
    out = place.out
    place.aliases({name: value.format(out=out) for name, value in ALIASES.items()})
    for name, text in (("one", f"{USER}\n"), ("empty", ""), ("pipe", "|true\n"),
                       ("path", "/dev/null\n"), ("exec", "x"), ("exec0", "x"),
                       ("comments", f"# x\n\n  {USER} (him)\n# y\n")):
        with open(f"{out}/{name}", "w", encoding="ascii") as f:
            f.write(text)
        os.chmod(f"{out}/{name}", 0o644)
    os.chmod(f"{out}/exec", 0o777)
    for ext, text in FORWARDS.items():
        place.forward(f"{USER}+{ext}", text.format(out=out))


class Table(Pair):
    def test_table(self):
        names = [*ALIASES, *EXTRA, *(f"{USER}+{ext}" for ext in FORWARDS)]

        def play(place):
            prepare(place)
            told = place.send(*names, wait=False)
            told = {name: (status, dsn, re.sub(r"\.\w+\.\w+\.example\.net", ".HOST", text))
                    for name, (status, dsn, text) in told.items()}
            for name in TEXT_DIFFERS + SENT_OTHERWISE:
                told[name] = told[name][0]
            with open(f"{place.out}/uid", encoding="ascii") as f:
                told["uid bytes"] = f.read()
            with open(f"{place.out}/cat", encoding="ascii") as f:
                told["cat bytes"] = normal(f.read())
            return told

        told = self.both(play, local_destination_concurrency_limit="1",
                         initial_destination_concurrency="1",
                         default_destination_concurrency_failed_cohort_limit="10000")
        self.assertGreater(len(told), 120)


if __name__ == "__main__":
    unittest.main()
