# SPDX-License-Identifier: Apache-2.0
"""pipe(8) beside Debian's: what the command gets, as words and bytes, and what its end means."""
import os
import re
import time
import unittest

from system.harness import Instance, OracleInstance
from system.test_local import Place

# service: attributes; {dump} writes its words and input to a file named like the service.
SERVICES = {
    "plain": "user=tester argv={dump} -f ${{sender}} -- ${{recipient}}",
    "single": "flags=DORF user=tester argv={dump} $recipient",
    "all": "flags=DROFBhqu.> user=tester:mail argv={dump} $sender $recipient $user $extension $domain",
    "uucp": "flags=Fqhu user=tester argv={dump} -r$sender $nexthop!rmail ($recipient)",
    "crlf": "flags=.R eol=\\r\\n user=tester null_sender= argv={dump} x$sender $size $queue_id",
    "nulls": "flags=FR user=tester null_sender=none argv={dump} $sender",
    "names": "user=tester argv={dump} $mailbox $domain a${{user}}b ${{original_recipient}} $$x "
             "$client_address $client_hostname $client_helo $client_protocol "
             "$sasl_username $nexthop $(user)",
    "blanks": "user=tester argv={dump} {{ two words }} {{a}}",
    "where": "user=tester directory=/tmp argv=/bin/sh {{-c}} {{pwd; exit 65}}",
    "nodir": "user=tester directory=/no/such argv=/bin/true",
    "size": "user=tester size=100 argv=/bin/true",
    "say": "user=tester argv=/bin/echo hello there ${{recipient}}",
    "final": "flags=X user=tester argv=/bin/true",
    "nocmd": "user=tester argv=/no/such/command x",
    "false": "user=tester argv=/bin/false",
    "sig": "user=tester argv=/bin/sh -c {{kill -9 $$$$}}",
    "tell": "user=tester argv=/bin/sh -c {{echo 4.3.9 my words; exit 1}}",
    "tell5": "user=tester argv=/bin/sh -c {{echo 5.3.9 my words; echo more; exit 75}}",
    **{f"x{n}": f"user=tester argv=/bin/sh -c {{{{echo words; exit {n}}}}}"
       for n in (1, *range(64, 79), 255)},
    "unknown": "user=tester argv={dump} $no_such_name",
    "env": "user=tester argv=/bin/sh -c {{env | grep -v ^_ | sort | tr '\\n' ' '; exit 65}}",
    "ids": "user=tester:mail argv=/bin/sh -c {{id -u -n; id -G -n; umask; exit 65}}",
}
# Where Debian's says what its child process wrote.
TEXT_DIFFERS = ("bob@nocmd.example", "bob@nodir.example")
MESSAGE = b"Subject: x\n\nFrom here\n.dot\n..two\nbody\n"


class Pipe(unittest.TestCase):
    maxDiff = None

    def side(self, kind):
        place = Place(kind, mydestination="", local_recipient_maps="",
                      enable_original_recipient="yes",
                      smtpd_recipient_limit="1000")
        mta = place.mta
        lines, maps = [], []
        for name, text in SERVICES.items():
            dump = f"{place.out}/{name}.sh"
            with open(dump, "w", encoding="ascii") as f:
                f.write(f"#!/bin/sh\n{{ for w in \"$@\"; do printf '[%s]\\n' \"$w\"; done; cat; }} "
                        f">{place.out}/{name}.got\n")
            os.chmod(dump, 0o755)
            lines.append(f"{name} unix - n n - - pipe {text.format(dump=dump)}")
            maps.append(f"{name}.example {name}:next.{name.upper()}\n")
        with open(f"{place.dir}/transport", "w", encoding="ascii") as f:
            f.writelines(maps)
        mta.services = mta._master_cf("\n".join(lines))
        mta.configure(transport_maps=f"texthash:{place.dir}/transport",
                      single_destination_recipient_limit="1",
                      all_destination_recipient_limit="1")
        told = {}
        with mta:
            mta.log.mark()
            to = [f"{local}@{name}.example" for name in SERVICES for local in
                  (["Bob+Ext", "al ice"] if "dump" in SERVICES[name]
                   and "D" not in SERVICES[name] else ["al ice"] if "dump" in SERVICES[name]
                   else ["bob"])]
            mta.sendmail(MESSAGE, *(f'"{a.split("@")[0]}"@{a.split("@")[1]}' for a in to),
                         sender='"Some One"@Home.example')
            self.collect(mta, len(to), told)
            self.files(place, told)
            mta.log.mark()
            mta.sendmail(MESSAGE, "a@crlf.example", "a@nulls.example", "a@plain.example",
                         sender="")
            self.collect(mta, 3, told, "null ")
            self.files(place, told, "null ")
            mta.log.mark()
            mta.sendmail(b"Delivered-To: Loop@single.example\n" + MESSAGE,
                         "loop@single.example", sender="x@home.example")
            self.collect(mta, 1, told, "loop ")
        return told

    def collect(self, mta, n, told, prefix=""):
        end = time.monotonic() + 40
        while True:
            found = [m for m in (re.search(r"to=<(.*?)>, relay=(\S+), delay=.*dsn=([\d.]+), "
                                           r"status=(\w+) \((.*)\)$", line.text)
                                 for line in mta.log.lines() if line.program == "pipe") if m]
            if len(found) >= n:
                break
            self.assertLess(time.monotonic(), end, [m[1] for m in found])
            time.sleep(0.05)
        for m in found:
            text = "" if m[1] in TEXT_DIFFERS else m[5].replace(mta.dir, "DIR")
            told[prefix + m[1]] = (m[2], m[4], m[3], text.replace(mta.kind, "KIND"))

    @staticmethod
    def files(place, told, prefix=""):
        for name in os.listdir(place.out):
            if name.endswith(".got"):
                with open(f"{place.out}/{name}", encoding="ascii", newline="") as f:
                    text = f.read()
                text = re.sub(r"\[[0-9A-F]{8,}\]", "[ID]", text)
                text = re.sub(r"(?m)^(From .*  ).*?(\r?)$", r"\1DATE\2", text)
                text = re.sub(r"(?m)^(Date: |Message-Id: |\tid ).*?(\r?)$", r"\1\2", text)
                # Recipients come in any order.
                words, content = re.match(r"((?:\[.*\]\n)*)((?s:.*))", text).groups()
                told[prefix + name] = sorted(words.splitlines()), content
                os.unlink(f"{place.out}/{name}")

    def test_table(self):
        told = [self.side(kind) for kind in (OracleInstance, Instance)]
        self.assertGreater(len(told[0]), 50)
        self.assertEqual(*told)


if __name__ == "__main__":
    unittest.main()
