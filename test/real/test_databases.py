# SPDX-License-Identifier: Apache-2.0
"""Tables in real databases (./dev test --real): PostgreSQL, MariaDB, OpenLDAP, Redis and
memcached, each started for the test in a directory of its own; postmap -q beside Debian's."""
import glob
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

from real.serving import serve
from system import world
from system.tableserver import free_port

ROOT = os.environ.get("HIKYAKU_REAL_ROOT", "/")
KEYS = ["a", "A", "b", "n", "o'b", "u@d.e", "@d.e", "d.e", "absent", "ü", "two", "*", "a*",
        "a' OR '1'='1", "'; DROP TABLE t; --", "\\", "a\\' OR 1=1 -- ", "a)(cn=*", "%", "x\"y",
        "(", "a,b", "a+b=c", "<q>", "#h", " lead"]
ROWS = [("a", "1"), ("b", "x@y.z"), ("o'b", "quoted"), ("u@d.e", "full"), ("u", "user"),
        ("ü", "ue"), ("two", "1"), ("two", "x@y"), ("\\", "backslash"), ("%", "percent"),
        ('x"y', "double"), ("a,b", "comma"), ("(", "open"), ("*", "star")]
QUERY = "query = SELECT v FROM t WHERE k = '%s' ORDER BY v\n"
FEW = ["a", "two", "u@d.e", "@d.e", "o'b", "absent"]
SQL = [QUERY, QUERY.replace("%s", "%u"), QUERY.replace("%s", "%d"),
       QUERY + "result_format = <%s|%u|%d>\n", QUERY + "result_format = %S/%U/%D/%1/%2\n",
       QUERY + "domain = d.e, x\n", QUERY + "expansion_limit = 1\n",
       "table = t\nselect_field = v\nwhere_field = k\nadditional_conditions = and v <> '1'\n",
       "query = SELECT v, k FROM t WHERE k = '%s' ORDER BY v\n", "query = SELECT nonsense\n"]


def find(*patterns):
    for pattern in patterns:
        for path in sorted(glob.glob(os.path.join(ROOT, pattern)) + glob.glob("/" + pattern)):
            return path
    raise unittest.SkipTest(f"there is no {patterns[0]}")


class Case(unittest.TestCase):
    def setUp(self):
        if not os.environ.get("HIKYAKU_REAL"):
            self.skipTest("only with --real")
        self.world = world.need_build("bin/postmap")
        world.need_oracle()
        self.dir = tempfile.mkdtemp(dir=self.world.dir)
        self.addCleanup(shutil.rmtree, self.dir, True)
        os.chmod(self.dir, 0o777)
        lib = os.path.join(ROOT, "usr/lib/x86_64-linux-gnu")
        self.env = {**os.environ, "LC_ALL": "C", "LD_LIBRARY_PATH": lib,
                    "ASAN_OPTIONS": "detect_leaks=0"}
        self.config = {}
        oracle = self.world.oracle
        shlib = os.path.join(oracle, "usr/lib/postfix")
        for whose, extra in (("ours", ""), ("theirs", (
                f"shlib_directory = {shlib}\nqueue_directory = {self.world.dir}\n"
                f"meta_directory = {oracle}/etc/postfix\n"))):
            self.config[whose] = os.path.join(self.dir, whose)
            os.mkdir(self.config[whose])
            with open(os.path.join(self.config[whose], "main.cf"), "w",
                      encoding="utf-8") as f:
                f.write("compatibility_level = 3.6\nmyhostname = h.example.org\n" + extra)

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, 0o644)
        return path

    def serve(self, command, ready, user=None):
        return serve(self, self.dir, command, ready, env=self.env, user=user)

    def listens(self, port):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def ask(self, whose, table, key):
        program = (os.path.join(self.world.build, "bin/postmap") if whose == "ours" else
                   os.path.join(self.world.oracle, "usr/sbin/postmap"))
        done = subprocess.run([program, "-q", key, table], capture_output=True, check=False,
                              timeout=60, cwd=self.dir,
                              env={"MAIL_CONFIG": self.config[whose], "LANG": "C",
                                   "PATH": "/usr/bin:/bin",
                                   "LD_LIBRARY_PATH": self.env["LD_LIBRARY_PATH"]})
        return done.returncode, done.stdout, done.stderr

    def compare(self, table, keys=KEYS):
        found = 0
        for key in keys:
            ours, theirs = self.ask("ours", table, key), self.ask("theirs", table, key)
            with open(table.split(":", 1)[1], encoding="utf-8") as f:
                with self.subTest(table=f.read(), key=key):
                    self.assertEqual(ours[:2], theirs[:2], (ours, theirs))
            found += ours[0] == 0
        return found

    def expect(self, table, key, value):
        got = self.ask("ours", table, key)
        self.assertEqual(got[:2], (0, value.encode() + b"\n") if value is not None
                         else (1, b""), (table, key, got))


class PostgreSQL(Case):
    def test_postgresql(self):
        bin_dir = os.path.dirname(find("usr/lib/postgresql/*/bin/postgres"))
        data, port = os.path.join(self.dir, "data"), free_port()
        subprocess.run([bin_dir + "/initdb", "-D", data, "-A", "trust", "-U", "postgres", "-N",
                        "-E", "UTF8"], env=self.env, user="postgres", check=True,
                       capture_output=True, cwd=self.dir)
        server = [bin_dir + "/postgres", "-D", data, "-p", str(port), "-k", self.dir,
                  "-c", "fsync=off"]
        process = self.serve(server, lambda: self.listens(port), user="postgres")
        sql = "CREATE TABLE t (k text, v text);\n" + "".join(
            "INSERT INTO t VALUES (E'%s', '%s');\n" % (
                k.replace("\\", "\\\\").replace("'", "''"), v) for k, v in ROWS)
        sql += ("INSERT INTO t VALUES ('n', NULL);\nCREATE FUNCTION f(text) RETURNS text AS "
                "'SELECT v FROM t WHERE k = $1 LIMIT 1' LANGUAGE sql;\n")
        subprocess.run([bin_dir + "/psql", "-q", "-h", self.dir, "-p", str(port), "-U",
                        "postgres"], input=sql.encode(), env=self.env, check=True)
        found = 0
        for n, text in enumerate(SQL + ["select_function = f\n"]):
            place = f"hosts = 127.0.0.1:{port}\nuser = postgres\ndbname = postgres\n"
            table = "pgsql:" + self.write(f"pg{n}", place + text)
            # Without `encoding` Debian's speaks LATIN1.
            found += self.compare(table, [k for k in KEYS if k != "ü"] if n < 2 else
                                  FEW)
        self.assertGreater(found, 20)
        for n, hosts in enumerate((
                f"unix:{self.dir}:{port}", f"127.0.0.1:1 127.0.0.1:{port}",
                f"postgresql://postgres@127.0.0.1:{port}/postgres")):
            table = "pgsql:" + self.write(f"h{n}", f"hosts = {hosts}\nuser = postgres\n"
                                                   f"dbname = postgres\n{QUERY}")
            self.expect(table, "ü" if n else "a", "ue" if n else "1")
        slow = "pgsql:" + self.write("slow", f"hosts = 127.0.0.1:{port}\nuser = postgres\n"
                                     "dbname = postgres\nquery = COPY t TO STDOUT\n")
        self.assertEqual(self.ask("ours", slow, "a")[0], 1)
        process.send_signal(signal.SIGINT)
        process.wait()
        self.assertEqual(self.ask("ours", table, "a")[0], 1)


class MariaDB(Case):
    def test_mariadb(self):
        data, port = os.path.join(self.dir, "data"), free_port()
        path = os.path.join(self.dir, "my.sock")
        os.mkdir(data)
        share = os.path.dirname(find("usr/share/mysql/errmsg-utf8.txt", "usr/share/mysql/charsets"))
        self.serve([find("usr/sbin/mariadbd"), "--no-defaults", f"--datadir={data}",
                    "--skip-grant-tables", f"--socket={path}", f"--port={port}",
                    "--bind-address=127.0.0.1", "--user=root",
                    f"--lc-messages-dir={share}", f"--character-sets-dir={share}/charsets",
                    "--character-set-server=utf8mb4", "--collation-server=utf8mb4_bin",
                    f"--pid-file={self.dir}/pid"],
                   lambda: os.path.exists(path) and self.listens(port))
        sql = "CREATE DATABASE d; USE d; CREATE TABLE t (k text, v text);\n" + "".join(
            "INSERT INTO t VALUES ('%s', '%s');\n" % (
                k.replace("\\", "\\\\").replace("'", "''"), v) for k, v in ROWS)
        sql += "INSERT INTO t VALUES ('n', NULL);\n"
        subprocess.run([find("usr/bin/mariadb"), "--no-defaults", "-S", path,
                        "--default-character-set=utf8mb4"], input=sql.encode(),
                       env=self.env, check=True)
        found = 0
        extra = [QUERY + "require_result_set = no\n", "query = SET @a = '%s'\n",
                 "query = SET @a = '%s'\nrequire_result_set = no\n"]
        for n, text in enumerate(SQL + extra):
            place = f"hosts = 127.0.0.1:{port}\nuser = u\npassword = p\ndbname = d\n"
            table = "mysql:" + self.write(f"my{n}", place + text)
            found += self.compare(table, KEYS if n < 2 else
                                  FEW)
        self.assertGreater(found, 20)
        for n, hosts in enumerate((f"unix:{path}", f"inet:127.0.0.1:1 inet:127.0.0.1:{port}")):
            table = "mysql:" + self.write(f"h{n}", f"hosts = {hosts}\ndbname = d\n{QUERY}")
            self.expect(table, "a", "1")
        table = "mysql:" + self.write("option", f"option_file = {self.dir}/my.cnf\n"
                                      f"dbname = d\n{QUERY}")
        self.write("my.cnf", f"[client]\nsocket = {path}\n")
        self.expect(table, "a", "1")


LDIF = """\
dn: dc=x
objectClass: dcObject
objectClass: organization
o: x
dc: x

"""


class OpenLDAP(Case):
    def test_openldap(self):
        port = free_port()
        os.mkdir(os.path.join(self.dir, "ldap"))
        schema = os.path.dirname(find("etc/ldap/schema/core.schema"))
        modules = os.path.dirname(find("usr/lib/ldap/back_mdb.so"))
        conf = self.write("slapd.conf", f"include {schema}/core.schema\n"
                          f"include {schema}/cosine.schema\n"
                          f"include {schema}/inetorgperson.schema\n"
                          f"modulepath {modules}\nmoduleload back_mdb\n"
                          f"pidfile {self.dir}/pid\ndatabase mdb\nsuffix dc=x\n"
                          f"directory {self.dir}/ldap\nrootdn cn=root,dc=x\nrootpw secret\n"
                          "access to * by anonymous read by * read\n")
        entries = [("a", "1", ""), ("o'b", "quoted", ""), ("u@d.e", "full", ""),
                   ("(", "open", ""), ("*", "star", ""), ("a\\,b", "comma", ""),
                   ("two", "1", "mail: x@y\n"), ("\\\\", "backslash", ""),
                   ("list", "", "seeAlso: cn=a,dc=x\nseeAlso: cn=two,dc=x\n"
                    "seeAlso: cn=gone,dc=x\n"),
                   ("url", "", f"labeledURI: ldap://127.0.0.1:{port}/dc=x??sub?(cn=two)\n"),
                   ("loop", "", "seeAlso: cn=loop,dc=x\n"),
                   ("terminal", "t", "seeAlso: cn=a,dc=x\nemployeeType: end\n")]
        ldif = LDIF + "".join(
            f"dn: cn={cn},dc=x\nobjectClass: inetOrgPerson\ncn: {plain}\nsn: s\n"
            + (f"mail: {mail}\n" if mail else "") + more + "\n"
            for cn, mail, more in entries
            for plain in [cn.replace("\\,", ",").replace("\\\\", "\\")])
        subprocess.run([find("usr/sbin/slapadd"), "-f", conf, "-l", self.write("ldif", ldif)],
                       env=self.env, check=True, capture_output=True)
        self.serve([find("usr/sbin/slapd"), "-f", conf, "-h", f"ldap://127.0.0.1:{port}",
                    "-d", "0"], lambda: self.listens(port))
        place = (f"server_host = 127.0.0.1\nserver_port = {port}\nsearch_base = dc=x\n"
                 "version = 3\nquery_filter = (cn=%s)\nresult_attribute = mail\n")
        special = "special_result_attribute = seeAlso, labeledURI\n"
        found = 0
        for n, more in enumerate((
                "", "bind = no\n", "result_format = <%s|%u|%d|%S>\n", "scope = base\n",
                "bind_dn = cn=root,dc=x\nbind_pw = secret\n",
                "bind_dn = cn=root,dc=x\nbind_pw = wrong\n", "expansion_limit = 1\n",
                special, special + "leaf_result_attribute = mail\nresult_attribute = sn\n",
                special + "terminal_result_attribute = employeeType\n",
                special + "recursion_limit = 3\n", "search_base = cn=%s,dc=x\n",
                "domain = d.e\n", f"server_host = ldap://127.0.0.1:1 ldap://127.0.0.1:{port}\n",
                "query_filter = (nonsense\n", "query_filter = (mail=%u@%d)\n")):
            table = "ldap:" + self.write(f"ldap{n}", place + more)
            found += self.compare(table, KEYS if n in (0, 11) else
                                  ["a", "two", "list", "url", "terminal", "x@y", "absent"])
        self.assertGreater(found, 20)
        loop = "ldap:" + self.write("loop", place + special + "recursion_limit = 5\n")
        self.assertEqual(self.ask("ours", loop, "loop")[0], 1)


class Caches(Case):
    def test_redis(self):
        port = free_port()
        self.serve([find("usr/bin/redis-server"), "--port", str(port), "--requirepass", "pw",
                    "--dir", self.dir, "--save", ""], lambda: self.listens(port))
        cli = [find("usr/bin/redis-cli"), "-p", str(port), "-a", "pw", "-n", "2"]
        for command in (["SET", "m:a", "1"], ["SADD", "s", "x"], ["HSET", "h", "u@d.e", "v w"],
                        ["RPUSH", "l:a", "one", "two"]):
            subprocess.run(cli + command, env=self.env, check=True, capture_output=True)
        place = f"hosts = 127.0.0.1:1, 127.0.0.1:{port}\npassword = pw\ndb = 2\n"
        for n, (command, key, value) in enumerate((
                ("GET m:%s", "a", "1"), ("GET m:%s", "b", None), ("HGET h %s", "u@d.e", "v w"),
                ("LRANGE l:%s 0 -1", "a", "one,two"), ("GET m:%s", "a EX 1", None),
                ("LRANGE l:%s 0 -1\nexpansion_limit = 1", "a", None),
                ("LRANGE m:%s 0 -1", "a", None),
                ("LRANGE l:%s 0 -1\nresult_format = <%s>", "a", "<one,two>"))):
            table = "redis:" + self.write(f"r{n}", f"{place}command = {command}\n")
            self.expect(table, key, value)
        wrong = self.write("wrong", place.replace("= pw", "= no"))
        self.assertIn(b"WRONGPASS", self.ask("ours", "redis:" + wrong, "a")[2])

    def test_memcached(self):
        port = free_port()
        self.serve([find("usr/bin/memcached"), "-u", "root", "-l", "127.0.0.1", "-p",
                    str(port)], lambda: self.listens(port))
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(b"set p:a 0 0 3\r\none\r\n")
            self.assertEqual(s.recv(100), b"STORED\r\n")
        place = f"memcache = inet:127.0.0.1:{port}\n"
        table = "memcache:" + self.write("mc", place + "key_format = p:%s\n")
        self.assertEqual(self.compare(table, ["a", "b", "A"]), 2)
        backed = "memcache:" + self.write("backed", place + "backup = inline:{k=v}\n")
        self.expect(backed, "k", "v")
        self.expect("memcache:" + self.write("plain", place), "k", "v")


if __name__ == "__main__":
    unittest.main()
